"""The audit of a served city: edits, refusals, sessions, verbs of the command line and other programs are in
one chain, a kill loses none of the changes, and whoever changes the chain is told."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from layers.audit import verify
from layers.store.geopackage.connection import register
from tests.collector import listening
from tests.e2e.edits import patch
from tests.postgres import Cluster
from tests.support import Server, init, twin, until

ROAD = "/ogc/collections/houses/items"


def collection(*names: str) -> str:
    """Houses with these source ids."""
    ring = [[24.94, 60.17], [24.941, 60.17], [24.941, 60.171], [24.94, 60.17]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    one = {"type": "Feature", "geometry": shape}
    found = [one | {"id": name, "properties": {"name": name}} for name in names]
    return json.dumps({"type": "FeatureCollection", "features": found})


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = init(tmp_path_factory.mktemp("audit") / "city")
    with (folder / "city.yml").open("a", encoding="utf-8") as file:
        file.write("audit: {enabled: true, files: audit}\n")
    source = folder.parent / "houses.geojson"
    source.write_text(collection("a", "b", "c"))
    twin("load", str(source), "--as", "houses", "--kind", "building", "--city", str(folder))
    return folder


@pytest.fixture(scope="module")
def server(city: Path) -> Iterator[Server]:
    started = Server.start(city)
    yield started
    started.stop()


def listed(city: Path) -> list[dict[str, Any]]:
    shown = twin("audit", "list", "--limit", "1000", "--json", "--city", str(city)).stdout
    return [json.loads(line) for line in shown.splitlines()]


def verified(city: Path, *more: str) -> dict[str, Any]:
    answer = twin("audit", "verify", *more, "--json", "--city", str(city), check=False)
    verdict: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == (0 if verdict["true"] else 1)
    return verdict


def test_what_is_done_is_in_the_chain(city: Path, server: Server) -> None:
    headers = {**server.auth, "content-type": "application/merge-patch+json", "change-message": "%E6%A0%B8"}
    body = json.dumps({"properties": {"name": "hall"}})
    assert server.http.patch(f"{ROAD}/1", content=body, headers=headers).status_code == 204
    assert server.http.delete(f"{ROAD}/1").status_code == 401
    assert server.http.delete(f"{ROAD}/99", headers=server.auth).status_code == 404
    assert server.http.get("/ogc", headers={"x-api-key": "wrong"}).status_code == 200
    assert server.http.post("/session", headers=server.auth).status_code == 201
    assert server.http.get(ROAD).status_code == 200
    twin("key", "add", "anna", "--may", "edit", "--city", str(city))
    by_hand(city, "UPDATE houses SET name = 'by hand' WHERE fid = 2")
    number = server.http.get("/ogc/change-sets?limit=1").json()["changeSets"][0]["id"]
    twin("undo", "set", str(number), "--yes", "--message", "wrong", "--city", str(city))
    until(lambda: any(entry.get("undone") for entry in listed(city)), what="the undo is sealed")
    until(lambda: any(one.get("path") == "/session" for one in listed(city)), what="the session is sealed")
    entries = listed(city)
    assert [entry["n"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[0]["kind"] == "begin"
    changes = [entry for entry in entries if entry["kind"] == "change"]
    assert [entry["via"] for entry in changes] == ["load", "api", "other", "undo"]
    assert [entry["features"] for entry in changes] == [3, 1, 1, 1]
    assert (changes[1]["actor"], changes[1]["address"], changes[1]["message"]) == ("test", "127.0.0.1", "核")
    assert "@" in changes[0]["actor"]
    requests = [entry for entry in entries if entry["kind"] == "request"]
    told = [(one["method"], one["path"], one["actor"], one["result"], one.get("code")) for one in requests]
    assert told == [
        ("DELETE", f"{ROAD}/1", None, "refused", "Unauthorized"),
        ("DELETE", f"{ROAD}/99", "test", "refused", "NotFound"),
        ("GET", "/ogc", None, "unknown key", "UnknownKey"),
        ("POST", "/session", "test", "done", None),
    ]
    (key,) = [entry for entry in entries if entry["kind"] == "key"]
    assert (key["name"], key["action"], key["may"]) == ("anna", "added", ["edit"])
    (began,) = [entry for entry in entries if entry["kind"] == "server"]
    assert began["action"] == "started"
    verdict = verified(city)
    assert (verdict["true"], verdict["compared"], verdict["unsealed"]) == (True, 4, 0)


def by_hand(city: Path, sql: str) -> None:
    con = sqlite3.connect(city / "city.gpkg", isolation_level=None, timeout=20)
    register(con)
    con.execute("PRAGMA trusted_schema=ON")
    con.execute(sql)
    con.close()


def clone(city: Path, folder: Path) -> Path:
    """A copy, taken beside the server as the reference says."""
    folder.mkdir()
    shutil.copy(city / "city.yml", folder)
    source, target = sqlite3.connect(city / "city.gpkg"), sqlite3.connect(folder / "city.gpkg")
    with target:
        source.backup(target)
    source.close()
    target.close()
    return folder


def test_a_copied_city_and_its_lines_are_proven_offline(city: Path, server: Server, tmp_path: Path) -> None:
    copy, lines = clone(city, tmp_path / "copy"), tmp_path / "audit.jsonl"
    twin("audit", "export", str(lines), "--city", str(copy))
    before = (copy / "city.gpkg").read_bytes()
    verdict = verified(copy)
    assert (verdict["true"], verdict["last"]) == (True, len(lines.read_text("utf-8").splitlines()))
    assert (copy / "city.gpkg").read_bytes() == before
    answer = twin("audit", "verify", str(lines))
    assert f"entries 1 to {verdict['last']} are true, with " in answer.stdout
    assert verdict["hash"] in answer.stdout
    assert verified(copy, str(lines))["true"]
    assert verified(city, str(lines))["true"]
    lines.write_text(lines.read_text("utf-8").replace("核", "查"), "utf-8")
    answer = twin("audit", "verify", str(lines), check=False)
    assert answer.returncode == 1
    assert "NOT TRUE: entry " in answer.stdout
    assert "it was changed" in answer.stdout
    by_hand(copy, "UPDATE twin_past_houses SET \"name@1\" = 'never' WHERE fid = 2 AND there")
    assert "the rows are no longer what it made" in verified(copy)["fault"]["why"]


def test_a_kill_between_a_change_and_its_entry_loses_nothing(
    city: Path, server: Server, serve: Callable[..., Server], tmp_path: Path
) -> None:
    copy = clone(city, tmp_path / "copy")
    other = serve(copy)
    for number in range(30):
        assert patch(other, f"{ROAD}/3", {"properties": {"name": f"again {number}"}}).status_code == 204
    other.kill()
    verdict = verified(copy)
    assert verdict["true"]
    assert verdict["changes"] + verdict["unsealed"] == 34
    twin("layers", "--city", str(copy))  # whatever opens the city next
    verdict = verified(copy)
    assert (verdict["true"], verdict["unsealed"], verdict["changes"]) == (True, 0, 34)
    restored = [entry for entry in listed(copy) if entry["kind"] == "restored"]
    assert len(restored) == 1  # it is another copy of the city, with a history of its own


def test_what_goes_elsewhere_waits_for_it(
    city: Path, server: Server, serve: Callable[..., Server], tmp_path: Path
) -> None:
    """A syslog server that is away holds up no edit; when it is there it gets everything, over restarts."""
    copy = clone(city, tmp_path / "copy")
    address, collector = listening("tcp", tmp_path)
    collector.end()
    said = f"audit: {{enabled: true, files: audit, syslog: '{address}'}}"
    settings = (copy / "city.yml").read_text("utf-8").replace("audit: {enabled: true, files: audit}", said)
    (copy / "city.yml").write_text(settings, "utf-8")
    other = serve(copy, clean=False)
    for number in range(10):
        assert patch(other, f"{ROAD}/3", {"properties": {"name": f"again {number}"}}).status_code == 204
    until(lambda: other.log, what="it is told")
    other.kill()
    assert other.log == ["WARNING twin the audit waits, and does not get to syslog: Connection refused\n"]
    _, again = listening("tcp", tmp_path, int(address.rpartition(":")[2]))
    other = serve(copy)
    assert patch(other, f"{ROAD}/3", {"properties": {"name": "last"}}).status_code == 204
    until(lambda: '"started"' in "".join(again.messages[-30:]), seconds=20, what="it is sent")
    other.stop()
    head = listed(copy)[-1]["n"]
    lines = [one[one.index("{") :] for one in again.messages]
    again.end()
    numbers = [json.loads(line)["n"] for line in lines]
    assert sorted(set(numbers)) == list(range(1, head + 1))
    of_number = dict(zip(numbers, lines, strict=True))
    found = verify.lines(of_number[number] for number in sorted(of_number))
    assert (found.fault, found.last) == (None, head)
    texts = [path.read_text("utf-8") for path in sorted((copy / "audit").iterdir())]
    found = verify.lines("".join(texts).splitlines())
    assert (found.fault, found.first, found.last) == (None, 1, head)


def test_several_servers_of_a_database_make_one_chain(
    postgres: Cluster, serve: Callable[..., Server], tmp_path: Path
) -> None:
    url = postgres.database()
    folders = [tmp_path / name for name in ("north", "south")]
    for folder in folders:
        folder.mkdir()
        (folder / "city.yml").write_text(f"store: {url}\naudit: {{enabled: true, files: audit}}\n", "utf-8")
    source = tmp_path / "houses.geojson"
    source.write_text(collection("a", "b", "c"))
    twin("load", str(source), "--as", "houses", "--kind", "building", "--city", str(folders[0]))
    servers = [serve(folder) for folder in folders]
    for number in range(10):
        for server in servers:
            body = {"properties": {"name": f"{number} of {server.folder.name}"}}
            assert patch(server, f"{ROAD}/1", body).status_code == 204
            assert server.http.delete(f"{ROAD}/2").status_code == 401
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("UPDATE city.houses SET name = 'by hand' WHERE fid = 3")
    servers[0].kill()
    servers[1].stop()
    twin("layers", "--city", str(folders[0]))
    verdict = verified(folders[0])
    assert (verdict["true"], verdict["unsealed"], verdict["compared"]) == (True, 0, 22)
    changes = [entry for entry in listed(folders[0]) if entry["kind"] == "change"]
    assert [entry["via"] for entry in changes] == ["load", *["api"] * 20, "other"]
    assert changes[-1]["actor"]
    texts = [path.read_text("utf-8") for path in (folders[1] / "audit").iterdir()]
    found = verify.lines("".join(texts).splitlines())
    assert (found.fault, found.first) == (None, 1)


def test_without_an_audit_there_is_none(tmp_path: Path) -> None:
    folder = init(tmp_path / "city")
    twin("layers", "--city", str(folder))
    answer = twin("audit", "verify", "--city", str(folder), check=False)
    assert (answer.returncode, answer.stderr) == (
        1,
        "twin: this city has no audit: audit.enabled in city.yml begins one\n",
    )
