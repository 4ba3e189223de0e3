"""The generated city goes the road of any other: ``twin generate``, ``twin load --manifest``: it is there.

``twin demo lanjiang`` goes that road by itself, and plays the sensors of its device lists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx

from tests import launcher
from tests.support import init, twin, until

#: What loads say of a clean city: how texts and places were found out, and how ducts are drawn; nothing else.
SAID = {"encoding.sniffed", "geometry.columns", "id.chosen", "diameter.converted"}


def test_all_of_it_is_loaded_and_nothing_is_found_wrong(tmp_path: Path) -> None:
    told = twin("generate", "lanjiang", "--out", str(tmp_path / "files"), "--size", "s").stdout
    assert "虚构演示数据" in told
    truth = json.loads((tmp_path / "files/truth.json").read_text("utf-8"))
    city = init(tmp_path / "city")
    (city / "city.yml").write_text((tmp_path / "files/city.yml").read_text("utf-8"), "utf-8")
    manifest = str(tmp_path / "files/load.yml")
    said = twin("load", "--manifest", manifest, "--city", str(city), "--json").stdout
    (tmp_path / "reports.json").write_text(said, "utf-8")
    told = ("score", str(tmp_path / "reports.json"), str(tmp_path / "files/truth.json"), "--json")
    score = json.loads(twin(*told).stdout)
    assert score == {"faults": [], "false_alarms": []}
    every = json.loads(said)
    # what no kind takes yet is told, and keeps nobody from loading
    skipped = {one["layer"] for one in every if one["skipped"]}
    assert {"organisation", "items", "duties", "calendar"} <= skipped
    loaded = [one for one in every if not one["skipped"]]
    terrain, *rows = loaded
    assert terrain["vertical_datum"] == "Yellow Sea 1985 height"
    counts = {one["layer"]: (one["read"], one["kept"], one["repaired"], one["quarantined"]) for one in rows}
    named = {
        "covers": "land_cover",
        "plates": "addresses",
        "units": "unit_grids",
        "components": "street_assets",
    }
    made = {named.get(n, n): (count, count, 0, 0) for n, count in truth["counts"].items() if n not in skipped}
    assert counts == made
    assert {problem["rule"] for one in loaded for problem in one["problems"]} <= SAID
    assert {one["crs"] for one in rows} == {"EPSG:4547", "EPSG:4490"}
    refused = twin("generate", "lanjiang", "--out", str(tmp_path / "files"), check=False)
    assert refused.returncode != 0
    assert "not empty" in refused.stderr
    for wrong in (("--size", "XL"), ("--at", "10,10"), ("--at", "here")):
        refused = twin("generate", "lanjiang", "--out", str(tmp_path / "other"), *wrong, check=False)
        assert refused.returncode != 0
        assert "Traceback" not in refused.stderr
    assert twin("generate", "atlantis", "--out", str(tmp_path / "other"), check=False).returncode != 0
    assert not (tmp_path / "other").exists()


def test_the_demo_plays_every_sensor_of_the_device_lists(tmp_path: Path) -> None:
    process = launcher.start(["demo", "lanjiang", "--port", "0", "--dir", str(tmp_path / "demo")])
    assert process.stdout is not None
    try:
        url = next(
            filter(None, map(re.compile(r"(http://[^/]+)/#key=\S+&lang=zh-CN").search, process.stdout))
        )[1]
        told = next(line for line in process.stdout if "Simulating" in line)
        with httpx.Client(base_url=url, timeout=30) as http:
            collections = [one["id"] for one in http.get("/ogc/collections?f=json").json()["collections"]]
            lists = [one for one in collections if one.startswith("devices_")]
            assert len(lists) == 7
            assert "terrain" in collections
            pages = [http.get(f"/ogc/collections/{one}/items", params={"limit": 1}).json() for one in lists]
            devices = sum(page["numberMatched"] for page in pages)
            assert f"Simulating {devices} sensors" in told
            things = http.get("/sta/v1.1/Things", params={"$count": "true", "$top": "1"}).json()
            assert things["@iot.count"] == devices
            assert things["value"][0]["properties"]["simulated"] is True
            # one for all streams of a property
            assert len(http.get("/sta/v1.1/ObservedProperties").json()["value"]) == 15
            stream = "/sta/v1.1/Datastreams(1)/Observations"
            before = http.get(stream, params={"$count": "true", "$top": "0"}).json()["@iot.count"]
            assert before >= 287
            until(
                lambda: (
                    http.get(stream, params={"$count": "true", "$top": "0"}).json()["@iot.count"] > before
                ),
                60,
                "the next value of a sensor",
            )
    finally:
        process.terminate()
        process.communicate(timeout=20)


#: Of each kind of faults the share that is found today; what is not there is not looked for.
FOUND = {
    "building.bow_tie": 1,
    "building.twice": 1,
    "address.same_code": 1,
    "address.no_street": 1,
    "file.no_prj": 1,
    "file.swapped": 1,
    "file.next_zone": 1,
    "file.zone_prefix": 1,
    "file.own_meridian": 1,
}


def test_what_is_wrong_is_found_as_far_as_it_is_looked_for_and_nothing_else(tmp_path: Path) -> None:
    files, city = tmp_path / "files", init(tmp_path / "city")
    twin("generate", "lanjiang", "--out", str(files), "--edition", "dirty")
    (city / "city.yml").write_text((files / "city.yml").read_text("utf-8"), "utf-8")
    said = twin("load", "--manifest", str(files / "load.yml"), "--city", str(city), "--json").stdout
    (tmp_path / "reports.json").write_text(said, "utf-8")
    told = ("score", str(tmp_path / "reports.json"), str(files / "truth.json"))
    score = json.loads(twin(*told, "--json").stdout)
    assert score["false_alarms"] == []
    found = {one["kind"]: one["recall"] for one in score["faults"]}
    assert {kind: share for kind, share in found.items() if share} == FOUND
    assert "0 false alarms" in twin(*told).stdout
    (tmp_path / "other.json").write_text('{"a": 1}', "utf-8")
    refused = twin("score", str(tmp_path / "other.json"), str(files / "truth.json"), check=False)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert twin("score", "nowhere.json", str(files / "truth.json"), check=False).returncode != 0
