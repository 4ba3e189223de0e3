"""What changed, over HTTP: in every form, by layer and of the city, by set, person and place."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e import both
from tests.e2e.edits import item, patch, post
from tests.support import Server

server = both.server

CHANGES = "/ogc/collections/buildings/changes"


@dataclass
class Told:
    """The number before the edits, and the features edited."""

    begin: int
    named: int
    moved: int
    gone: int
    made: int
    box: str


def seq_of(answer: httpx.Response) -> int:
    return int(answer.headers["etag"].strip('"').rsplit("-", 1)[1])


@pytest.fixture(scope="module")
def told(server: Server) -> Told:
    page = server.http.get("/ogc/collections/buildings/items", params={"limit": 400}).json()["features"]
    some = [one for one in page if one["geometry"]["type"] == "Polygon"][40:60]
    named, moved, gone, near = some[3], some[7], some[11], some[15]
    begin = seq_of(patch(server, item("buildings", named["id"]), {"properties": {"name": "=before"}})) - 1
    patch(server, item("buildings", named["id"]), {"properties": {"name": "=after"}})
    shift = [[[x + 0.0002, y + 0.0001] for x, y, *_ in ring] for ring in moved["geometry"]["coordinates"]]
    patch(server, item("buildings", moved["id"]), {"geometry": {"type": "Polygon", "coordinates": shift}})
    assert server.http.delete(item("buildings", gone["id"]), headers=server.auth).status_code == 204
    new = {"type": "Feature", "properties": {"name": "uusi"}, "geometry": near["geometry"]}
    made = int(post(server, "buildings", new).headers["location"].rsplit("/", 1)[1])
    address = server.http.get("/ogc/collections/addresses/items", params={"limit": 1}).json()["features"][0]
    patch(server, item("addresses", address["id"]), {"properties": {"street": "Uusikatu"}})
    xs, ys = zip(*shift[0], strict=True)
    box = f"{min(xs)},{min(ys)},{max(xs)},{max(ys)}"
    return Told(begin, named["id"], moved["id"], gone["id"], made, box)


def ask(server: Server, path: str, told: Told, **params: Any) -> httpx.Response:
    given = params if "set" in params else {"from": f"@{told.begin}", **params}
    return server.http.get(path, params=given)


def kinds(changes: list[dict[str, Any]]) -> dict[int, str]:
    return {one["id"]: one["change"] for one in changes}


def test_a_layer_and_its_counts(server: Server, told: Told) -> None:
    answer = ask(server, CHANGES, told)
    document = answer.json()
    wanted = {told.named: "changed", told.moved: "changed", told.gone: "removed", told.made: "added"}
    assert kinds(document["changes"]) == wanted
    assert [one["id"] for one in document["changes"]] == sorted(wanted)
    counts = document["summary"]["buildings"]
    assert (counts["added"], counts["removed"], counts["changed"], counts["geometry"]) == (1, 1, 2, 1)
    assert counts["fields"] == {"name": 1}
    assert document["complete"] is True
    named = next(one for one in document["changes"] if one["id"] == told.named)
    assert named["fields"]["name"]["new"] == "=after"
    assert named["geometryChanged"] is False
    assert named["set"]["via"] == "api"
    assert "actor" not in named["set"]
    moved = next(one for one in document["changes"] if one["id"] == told.moved)
    assert moved["bbox"]["old"] != moved["bbox"]["new"]


def test_of_the_city_in_pages(server: Server, told: Told) -> None:
    whole = ask(server, "/ogc/changes", told).json()
    assert list(whole["summary"]) == ["addresses", "buildings"]
    got, href = [], "/ogc/changes?limit=2&from=@" + str(told.begin)
    while href is not None:
        page = server.http.get(href).json()
        assert ("summary" in page) == (not got)
        got += page["changes"]
        href = next((one["href"] for one in page["links"] if one["rel"] == "next"), None)
    assert got == whole["changes"]
    assert len(got) == 5


def test_of_one_set_by_place_and_between(server: Server, told: Told) -> None:
    first = ask(server, CHANGES, told, to=f"@{told.begin + 1}").json()["changes"]
    assert kinds(first) == {told.named: "changed"}
    assert first[0]["fields"]["name"]["new"] == "=before"
    number = first[0]["set"]["id"]
    assert ask(server, "/ogc/changes", told, set=number).json()["changes"] == first
    here = ask(server, CHANGES, told, bbox=told.box).json()["changes"]
    assert told.moved in kinds(here)
    assert told.named not in kinds(here)
    assert ask(server, CHANGES, told, to=f"@{told.begin}").json()["changes"] == []


def test_people_are_named_to_keys_that_may_edit(server: Server, told: Told) -> None:
    every = server.http.get(CHANGES, params={"from": f"@{told.begin}"}, headers=server.auth)
    (name,) = {one["set"]["actor"] for one in every.json()["changes"]}
    params = {"from": f"@{told.begin}", "actor": name}
    refused = server.http.get(CHANGES, params=params)
    assert refused.status_code == 403
    answer = server.http.get(CHANGES, params=params, headers=server.auth)
    assert len(answer.json()["changes"]) == 4
    assert {one["set"]["actor"] for one in answer.json()["changes"]} == {name}
    assert "no-store" in answer.headers["cache-control"]
    for address in (CHANGES, f"{item('buildings', told.named)}/versions", "/ogc/change-sets"):
        asked = {"f": "html"} | ({"from": f"@{told.begin}"} if address == CHANGES else {})
        page = server.http.get(address, params=asked, headers=server.auth)
        assert (page.status_code, name in page.text) == (200, True)
        assert "no-store" in page.headers["cache-control"], address
    nobody = server.http.get(CHANGES, params=params | {"actor": "nobody"}, headers=server.auth)
    assert nobody.json()["changes"] == []


def test_as_geojson_and_csv(server: Server, told: Told) -> None:
    answer = ask(server, CHANGES, told, f="geojson")
    assert answer.headers["content-type"] == "application/geo+json"
    features = {one["properties"]["id"]: one for one in answer.json()["features"]}
    assert features[told.gone]["geometry"]["type"] == "Polygon"
    assert features[told.moved]["oldGeometry"] != features[told.moved]["geometry"]
    text = ask(server, CHANGES, told, f="csv").content.decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text)))
    (named,) = [one for one in lines if one["id"] == str(told.named)]
    assert (named["field"], named["new"]) == ("name", "'=after")  # no formula of a spreadsheet
    moved = [one for one in lines if one["id"] == str(told.moved)]
    assert [one["field"] for one in moved if one["field"] != "body"] == ["geometry"]
    assert moved[0]["old"].startswith("POLYGON")
    page = server.http.get(f"{CHANGES}?from=@{told.begin}", headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", [CHANGES, "/ogc/changes"])
def test_what_is_of_two_numbers_is_not_sent_again(server: Server, told: Told, path: str) -> None:
    """An answer of the newest change set has no tag: another program's may still grow."""
    assert "etag" not in ask(server, path, told).headers
    tags = set()
    for form in ("json", "geojson", "csv"):
        for headers in ({}, server.auth):
            for to in (told.begin + 1, told.begin + 2):
                given = {"from": f"@{told.begin}", "to": f"@{to}", "f": form}
                answer = server.http.get(path, params=given, headers=headers)
                etag = answer.headers["etag"]
                tags.add(etag)
                assert etag.startswith('W/"')
                for condition in (etag, f'"other", {etag}', "*"):
                    again = server.http.get(
                        path, params=given, headers={**headers, "if-none-match": condition}
                    )
                    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
                    kept_by_nobody = ["no-store" in one.headers["cache-control"] for one in (answer, again)]
                    assert kept_by_nobody == [bool(headers)] * 2
                other = server.http.get(path, params=given, headers={**headers, "if-none-match": '"other"'})
                assert (other.status_code, other.content) == (200, answer.content)
    assert len(tags) == 12
    html = server.http.get(path, params={"from": f"@{told.begin}", "to": f"@{told.begin + 1}", "f": "html"})
    assert "etag" not in html.headers
    given = {"from": f"@{told.begin}", "to": f"@{told.begin + 1}"}
    none = server.http.get("/ogc/collections/nowhere/changes", params=given, headers={"if-none-match": "*"})
    assert none.status_code == 404


def test_change_sets(server: Server, told: Told) -> None:
    page = server.http.get("/ogc/change-sets", params={"limit": 3}).json()
    assert len(page["changeSets"]) == 3
    assert page["changeSets"][0]["layer"] == "addresses"
    following = next(one["href"] for one in page["links"] if one["rel"] == "next")
    older = server.http.get(following).json()["changeSets"]
    assert older[0]["id"] == page["changeSets"][-1]["id"] - 1
    of_layer = server.http.get("/ogc/change-sets", params={"layer": "addresses", "limit": 1}).json()
    assert of_layer["changeSets"][0]["id"] == page["changeSets"][0]["id"]
    since = server.http.get("/ogc/change-sets", params={"from": f"@{told.begin}"}).json()["changeSets"]
    assert len(since) == 6
    changes = server.http.get(since[-1]["links"][0]["href"]).json()["changes"]
    assert kinds(changes) == {told.named: "changed"}


def test_change_sets_of_a_place(server: Server, told: Told) -> None:
    def asked(**params: Any) -> dict[str, Any]:
        return server.http.get("/ogc/change-sets", params={"from": f"@{told.begin}", **params}).json()

    def changed(number: int) -> list[Any]:
        return ask(server, "/ogc/changes", told, set=number, bbox=told.box).json()["changes"]

    since = [one["id"] for one in asked()["changeSets"]]
    met = [number for number in since if changed(number)]
    assert 0 < len(met) < len(since)
    assert [one["id"] for one in asked(bbox=told.box)["changeSets"]] == met
    page, found = asked(bbox=told.box, limit=1), []
    while page["changeSets"]:
        found += [one["id"] for one in page["changeSets"]]
        following = [one["href"] for one in page["links"] if one["rel"] == "next"]
        page = server.http.get(following[0]).json() if following else {"changeSets": []}
    assert found == met
    assert asked(bbox="0,0,1,1")["changeSets"] == []


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("to=@5", 400, "from="),
        ("from=yesterday", 400, "from=yesterday"),
        ("from=2026-01-01T00:00:00", 400, "from="),
        ("from=@999999999", 400, "from=@999999999"),
        ("from=@5&to=@4", 400, "not after"),
        ("from=@5&set=1", 400, "beside set"),
        ("set=999999", 404, "change set"),
        ("set=9223372036854775806", 404, "change set"),
        ("set=9223372036854775807", 400, "set="),
        ("set=x", 400, "set=x"),
        ("from=@5&actor=%00", 400, "actor"),
        ("from=@5&after=x", 400, "after=x"),
        ("from=@5&after=addresses.1", 400, "after"),
        ("from=@5&limit=0", 400, "limit=0"),
        ("from=@5&at=@5", 400, "unknown parameter"),
        ("from=@5&bbox=1,2,3", 400, "bbox"),
        ("from=@5&f=xml", 400, "f=xml"),
        ("from=1999-01-01T00:00:00Z", 410, "is kept from"),
        ("from=1999-01-01T00:00:00+08:00", 410, "is kept from"),  # a plus sign that was not escaped
    ],
)
def test_mistakes(server: Server, told: Told, query: str, status: int, words: str) -> None:
    answer = server.http.get(f"{CHANGES}?{query}")
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def test_what_the_newest_set_of_a_layer_did(server: Server, told: Told) -> None:
    layer = CHANGES.split("/")[-2]
    newest = server.http.get(f"/ogc/change-sets?layer={layer}&limit=1").json()["changeSets"][0]
    found = server.http.get(CHANGES).json()
    assert found["changes"]
    assert found["changes"] == server.http.get(f"{CHANGES}?set={newest['id']}").json()["changes"]


def test_a_layer_that_never_was(server: Server) -> None:
    assert server.http.get("/ogc/collections/never/changes?from=@1").status_code == 404
