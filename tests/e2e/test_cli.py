"""The command line as a surveyor types it: reports, exit codes, one line for a mistake."""

import getpass
import json
import signal
import socket
import zipfile

import psutil
import pytest

from layers.types import LIVE_LAYERS
from tests import launcher
from tests.support import HELSINKI, copy_city, twin, until

SQUARE = (
    '{"type":"Polygon","coordinates":[[[24.9,60.1],[24.91,60.1],[24.91,60.11],[24.9,60.11],[24.9,60.1]]]}'
)


def collection(*features: str) -> str:
    return '{"type":"FeatureCollection","features":[' + ",".join(features) + "]}"


def feature(fid: str, geometry: str = SQUARE) -> str:
    return f'{{"type":"Feature","id":"{fid}","geometry":{geometry},"properties":{{"height":"12 m"}}}}'


@pytest.fixture
def city(tmp_path):
    twin("init", str(tmp_path / "city"))
    return tmp_path / "city"


def test_a_city_from_nothing(city, tmp_path):
    source = tmp_path / "houses.geojson"
    source.write_text(collection(feature("a"), feature("b"), feature("c", "null")))
    done = twin("load", str(source), "--as", "houses", "--kind", "building", "--city", str(city), "--json")
    report = json.loads(done.stdout)[0]
    assert (report["read"], report["kept"], report["quarantined"]) == (3, 2, 1)
    assert report["sources"]["height_source"] == {"measured": 2}
    assert any(problem["action"] == "quarantined" and problem["row"] == 3 for problem in report["problems"])
    listed = json.loads(twin("layers", "--city", str(city), "--json").stdout)
    assert [(layer["id"], layer["kind"], layer["count"]) for layer in listed] == [("houses", "building", 2)]
    assert "houses" in twin("layers", "--city", str(city)).stdout


def test_the_report_of_the_last_load_is_kept(city, tmp_path):
    source = tmp_path / "houses.geojson"
    source.write_text(collection(feature("a"), feature("b"), feature("c", "null")))
    done = twin("load", str(source), "--as", "houses", "--kind", "building", "--city", str(city), "--json")
    again = twin("layers", "--report", "houses", "--city", str(city), "--json")
    assert json.loads(again.stdout) == json.loads(done.stdout)
    told = twin("layers", "--report", "houses", "--city", str(city)).stdout
    assert "houses ← houses.geojson: 3 rows, 2 kept, 1 set aside\n" in told
    assert "set aside geometry.missing\n    row 3 (c): the feature has no geometry\n    → " in told
    given_back = (city / "aside" / "houses.csv").read_text("utf-8-sig").splitlines()
    assert [line.split(",")[:2] for line in given_back[1:]] == [["row 3", "geometry.missing"]]
    refused = twin("layers", "--report", "nowhere", "--city", str(city), check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "layer nowhere is not there" in refused.stderr


def test_names_of_columns_are_printed_as_they_are(city, tmp_path):
    """Not as markup, and not as pictures: ``:date:`` is a piece of an OpenStreetMap key."""
    rows = ",".join(
        f'{{"type":"Feature","geometry":{{"type":"Point","coordinates":[24.9,60.{17 + i}]}},'
        f'"properties":{{"paved:date:lanes":{"1" if i == 0 else "null"},"[bold]a{i}":1}}}}'
        for i in range(40)
    )
    (tmp_path / "many.geojson").write_text(f'{{"type":"FeatureCollection","features":[{rows}]}}', "utf-8")
    text = twin("load", str(tmp_path / "many.geojson"), "--as", "many", "--city", str(city)).stdout
    assert "paved:date:lanes" in text
    assert "[bold]a1" in text


def test_a_layer_is_dropped_beside_a_running_server(city, tmp_path, serve):
    source = tmp_path / "houses.geojson"
    source.write_text(collection(feature("a"), feature("b")))
    for layer in ("houses", "sheds"):
        twin("load", str(source), "--as", layer, "--kind", "building", "--city", str(city))
    server = serve(city)
    assert server.http.get("/ogc/collections/houses/items").json()["numberMatched"] == 2
    refused = twin("drop", "houses", "--city", str(city), check=False)  # nobody answers the question
    assert refused.returncode == 1
    assert "Remove layer houses (2 features)" in refused.stdout + refused.stderr
    assert server.http.get("/ogc/collections/houses").status_code == 200
    assert "houses is removed" in twin("drop", "houses", "--yes", "--city", str(city)).stdout
    assert server.http.get("/ogc/collections/houses/items").status_code == 404
    collections = server.http.get("/ogc/collections").json()["collections"]
    assert [one["id"] for one in collections] == ["sheds", *LIVE_LAYERS]
    assert twin("drop", "houses", "--yes", "--city", str(city), check=False).returncode == 1


def test_a_load_is_taken_back_beside_a_running_server(city, tmp_path, serve):
    source = tmp_path / "houses.geojson"
    source.write_text(collection(feature("a"), feature("b")))
    load = ("load", str(source), "--as", "houses", "--kind", "building", "--city", str(city), "--replace")
    twin(*load)
    server = serve(city)
    before = server.http.get("/ogc/collections/houses/items").json()["features"]
    source.write_text(collection(feature("a"), feature("c")))
    twin(*load, "--message", "survey of May")
    user = f"{getpass.getuser()}@{socket.gethostname()}"
    made = server.http.get("/ogc/change-sets?limit=1", headers=server.auth).json()["changeSets"][0]
    assert (made["via"], made["actor"], made["message"]) == ("load", user, "survey of May")
    after = server.http.get("/ogc/collections/houses/items").json()["features"]
    number = server.http.get("/ogc/change-sets?layer=houses&limit=1").json()["changeSets"][0]["id"]
    undo = ("undo", "set", str(number), "--city", str(city))
    shown = twin(*undo, "--dry-run").stdout
    assert f"Change set {number} (load by {user}, " in shown
    assert "1 again there, 1 gone" in shown
    plan = json.loads(twin(*undo, "--json").stdout)
    assert [(one["id"], one["change"]) for one in plan["steps"]] == [(2, "added"), (3, "removed")]
    refused = twin(*undo, check=False)  # nobody answers the question
    assert refused.returncode == 1
    assert server.http.get("/ogc/collections/houses/items").json()["features"] == after
    assert "2 features as before" in twin(*undo, "--yes", "--message", "wrong file").stdout
    assert server.http.get("/ogc/collections/houses/items").json()["features"] == before
    made = server.http.get("/ogc/change-sets?limit=1", headers=server.auth).json()["changeSets"][0]
    assert (made["via"], made["undone"], made["message"]) == ("undo", number, "wrong file")
    assert made["actor"] == user
    edits_are_taken_back(server, city, made)
    conflict = twin(*undo, "--yes", check=False)
    assert conflict.returncode == 1
    assert "were changed since" in conflict.stderr
    a_layer_is_taken_back(server, city)
    for wrong in (
        ("load", "houses", "77"),
        ("set", "999"),
        ("feature", "houses", "99", "--to", "@1"),
        ("feature", "never", "1", "--to", "@1"),
    ):
        answer = twin("undo", *wrong, "--city", str(city), "--yes", check=False)
        assert answer.returncode == 1
        assert answer.stderr.count("\n") == 1


def edits_are_taken_back(server, city, made):
    """Of a feature, a person and an area, since a change set."""
    path = ("undo", "feature", "houses", "3", "--to", f"@{made['first'] - 1}", "--city", str(city), "--yes")
    assert "1 again there" in twin(*path).stdout
    assert server.http.get("/ogc/collections/houses/items").json()["numberMatched"] == 3
    kept = server.http.get("/ogc/collections/houses/items").json()["features"]
    assert server.http.delete("/ogc/collections/houses/items/3", headers=server.auth).status_code == 204
    mine = ("undo", "actor", "test", "--from", f"@{made['last']}", "--city", str(city), "--yes")
    assert "Edits by test: 1 again there" in twin(*mine).stdout
    assert server.http.get("/ogc/collections/houses/items").json()["features"] == kept
    area = ("undo", "area", "0,0,180,90", "--from", f"@{made['first'] - 1}", "--layer", "houses", "--dry-run")
    assert "Edits in 0,0,180,90: " in twin(*area, "--city", str(city)).stdout


def a_layer_is_taken_back(server, city):
    """The load that made it is shown, its drop taken back over HTTP and by the verb."""
    first = twin("undo", "load", "houses", "1", "--city", str(city), "--dry-run").stdout
    assert "Load 1 of layer houses" in first
    assert "layer houses goes (3 features) (changed since by " in first
    kept = server.http.get("/ogc/collections/houses/items").json()["features"]
    assert "is removed" in twin("drop", "houses", "--yes", "--city", str(city)).stdout
    gone = server.http.get("/ogc/change-sets?limit=1", headers=server.auth).json()["changeSets"][0]
    asked = {"set": gone["id"], "dryRun": True}
    plan = server.http.post("/ogc/undo", json=asked, headers=server.auth).json()
    assert plan["layers"] == [{"id": "houses", "change": "added", "features": len(kept), "conflict": None}]
    assert plan["summary"] == {"added": len(kept), "removed": 0, "changed": 0, "conflicts": 0}
    assert server.http.get("/ogc/collections/houses/items").status_code == 404
    done = server.http.post("/ogc/undo", json={"set": gone["id"]}, headers=server.auth).json()
    assert done["layers"] == plan["layers"]
    assert server.http.get("/ogc/collections/houses/items").json()["features"] == kept
    again = ("undo", "set", str(done["set"]), "--city", str(city))
    assert "Layer houses as before" in twin(*again, "--yes").stdout
    assert "Layer houses as before" in twin("undo", "set", str(done["set"] + 1), *again[3:], "--yes").stdout
    assert server.http.get("/ogc/collections/houses/items").json()["features"] == kept


def test_an_id_that_exists_needs_to_be_told_what_to_do(city, tmp_path):
    source = tmp_path / "houses.geojson"
    source.write_text(collection(feature("a")))
    load = ("load", str(source), "--as", "houses", "--kind", "building", "--city", str(city))
    twin(*load)
    refused = twin(*load, check=False)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "1 as before" in twin(*load, "--replace").stdout
    assert twin(*load, "--replace", "--append", check=False).returncode == 2


def test_a_refused_file_leaves_the_last_good_generation(city, tmp_path):
    source = tmp_path / "houses.geojson"
    source.write_text(collection(feature("a"), feature("b")))
    load = ("load", str(source), "--as", "houses", "--kind", "building", "--city", str(city), "--replace")
    twin(*load)
    source.write_text(collection(feature("a"), feature("b"))[:-40])
    refused = twin(*load, check=False)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert json.loads(twin("layers", "--city", str(city), "--json").stdout)[0]["count"] == 2


def test_check_tells_each_file_and_writes_nothing(tmp_path):
    (tmp_path / "good.geojson").write_text(collection(feature("a")))
    (tmp_path / "empty.geojson").write_text("")
    (tmp_path / "vrt.geojson").write_text('<OGRVRTDataSource><OGRVRTLayer name="x"/></OGRVRTDataSource>')
    (tmp_path / "folder").mkdir()
    names = ["good.geojson", "empty.geojson", "vrt.geojson", "absent.geojson", "folder"]
    before = sorted(tmp_path.iterdir())
    done = twin("check", *(str(tmp_path / name) for name in names), "--json", check=False)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [one["loadable"] for one in told] == [True, False, False, False, False]
    assert all(one["rule"] and one["reason"] for one in told[1:])
    assert sorted(tmp_path.iterdir()) == before
    assert twin("check", str(HELSINKI / "pipelines.geojson")).returncode == 0


def test_check_lists_the_layers_of_a_source_and_load_takes_the_one_that_is_named(city, tmp_path):
    source = tmp_path / "town.zip"
    with zipfile.ZipFile(source, "w") as out:
        out.writestr("houses.geojson", collection(feature("a"), feature("b")))
        out.writestr("old houses.geojson", collection(feature("c")))
    listed = twin("check", str(source), check=False)
    assert listed.returncode == 1
    assert "--layer houses: 2 features" in listed.stdout
    assert "--layer 'old houses': 1 features" in listed.stdout
    told = json.loads(twin("check", str(source), "--json", check=False).stdout)
    assert [(one["name"], one["features"]) for one in told[0]["layers"]] == [("houses", 2), ("old houses", 1)]
    load = ("load", str(source), "--as", "houses", "--city", str(city))
    unnamed = twin(*load, check=False)
    assert unnamed.returncode == 1
    assert "houses, old houses" in unnamed.stderr
    assert "2 rows, 2 kept" in twin(*load, "--layer", "houses").stdout


def test_keys_are_made_listed_and_removed(city):
    key = twin("key", "add", "meter", "--may", "observe", "--city", str(city)).stdout.strip()
    assert key.startswith("twk_")
    assert twin("key", "list", "--city", str(city)).stdout.split() == ["admin", "meter"]
    assert key not in (city / "keys.json").read_text()
    twin("key", "remove", "meter", "--city", str(city))
    assert twin("key", "list", "--city", str(city)).stdout.split() == ["admin"]
    assert twin("key", "add", "x", "--may", "fly", "--city", str(city), check=False).returncode == 1


def test_a_city_folder_is_not_made_twice(city):
    again = twin("init", str(city), check=False)
    assert again.returncode == 1
    assert "already" in again.stderr


@pytest.mark.parametrize(("number", "known"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_a_signal_stops_the_demo_and_its_simulator(tmp_path, helsinki_template, number, known):
    """One that makes its city, and one that finds it there."""
    if known:
        copy_city(helsinki_template, tmp_path / "demo")
    process = launcher.start(["demo", "--port", "0", "--dir", str(tmp_path / "demo")])
    try:
        assert any("Simulating" in line for line in process.stdout)
        players = psutil.Process(process.pid).children(recursive=True)
        assert any("simulate" in player.cmdline() for player in players)
        process.send_signal(number)
        _, complaints = process.communicate(timeout=20)
        until(lambda: not any(player.is_running() for player in players), what="the simulator's end")
        assert "Traceback" not in complaints
    finally:
        process.kill()
