"""The city as it was, over HTTP: what was answered at a moment is answered for that moment ever after."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e import both
from tests.e2e.edits import item, patch, post
from tests.support import Server

server = both.server

ITEMS = "/ogc/collections/buildings/items"
CRS_3067 = "http://www.opengis.net/def/crs/EPSG/0/3857"
IMMUTABLE = "public, max-age=31536000, immutable"
INSTANT = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
#: What is not of the moment: links carry it, and pages say when they were made. An index rounds extents.
SAID = ("links", "timeStamp", "spatial")


@dataclass
class Story:
    """Features that the script edits, and what was answered at each of its moments."""

    named: int
    moved: int
    deleted: int
    part: int
    made: int
    seqs: list[int]
    answers: list[dict[str, Any]]
    paths: list[str]


def plain(answer: httpx.Response) -> Any:
    """What an answer says of the city."""
    assert answer.status_code in (200, 204, 404), answer.text
    if answer.status_code != 200:
        return answer.status_code
    if "json" not in answer.headers["content-type"]:
        return answer.content
    return stripped(answer.json())


def stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: stripped(one) for name, one in value.items() if name not in SAID}
    if isinstance(value, list):
        return [stripped(one) for one in value]
    # a link to a feature leads to the same moment
    return re.sub(r"\?at=@\d+$", "", value) if isinstance(value, str) else value


def at(path: str, moment: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}at={moment.replace('+', '%2B')}"


def seq_of(answer: httpx.Response) -> int:
    """The number of the change that an edit made."""
    return int(answer.headers["etag"].strip('"').rsplit("-", 1)[1])


def box(feature: dict[str, Any], pad: float = 1e-5) -> str:
    xs, ys = zip(*feature["geometry"]["coordinates"][0], strict=True)
    return f"{min(xs) - pad},{min(ys) - pad},{max(xs) + pad},{max(ys) + pad}"


@pytest.fixture(scope="module")
def story(server: Server) -> Story:
    """Edits of buildings, and all that is asked of them after each."""
    page = server.http.get(ITEMS, params={"limit": 400}).json()["features"]
    some = [one for one in page if one["geometry"]["type"] == "Polygon"][:30]
    named, moved, deleted, near = some[3], some[7], some[11], some[15]
    part = server.http.get("/ogc/collections/building_parts/items", params={"limit": 1}).json()["features"][0]
    whole = server.http.get(item("building_parts", part["id"]) + "/related").json()["links"]
    owner = int(next(one["href"] for one in whole if one["rel"].endswith("isPartOf")).rsplit("/", 1)[1])
    tiles = [tile for one in (named, moved, near) for tile in tiles_of(one)]
    paths = [
        f"{ITEMS}?limit=500",
        f"{ITEMS}?limit=20&sortby=-id&properties=name",
        f"{ITEMS}?bbox={box(moved)}&crs={CRS_3067}",
        f"{ITEMS}?filter=name%20LIKE%20'Vanha%25'&filter-lang=cql2-text",
        f"{ITEMS}?q=vanha&f=jsonfg",
        f"{ITEMS}?limit=400&f=csv",
        *(item("buildings", one["id"]) for one in (named, moved, deleted)),
        f"/ogc/collections/buildings/download?f=geojson&bbox={box(near, 0.002)}",
        "/ogc/collections/buildings/schema",
        "/ogc/collections/buildings",
        "/ogc/collections/buildings/queryables",
        *(f"/tiles/buildings,addresses/{z}/{x}/{y}.mvt" for z, x, y in tiles),
        *(f"/ogc/collections/buildings/tiles/WebMercatorQuad/{z}/{y}/{x}" for z, x, y in tiles[:2]),
        *(
            f"/3dtiles/{layer}/{z}/{x}/{y}.glb"
            for z, x, y in tiles
            for layer in ("buildings", "building_parts")
        ),
        "/search?q=Vanha%20talo",
        item("buildings", owner) + "/related",
    ]
    told = Story(named["id"], moved["id"], deleted["id"], part["id"], 0, [], [], paths)

    def moment(seq: int) -> None:
        told.seqs.append(seq)
        told.answers.append({path: plain(server.http.get(path)) for path in paths})

    # a moment to begin with: the parts are edited by nobody here but in the last step
    path = item("buildings", named["id"])
    moment(seq_of(patch(server, path, {"properties": {"name": "Vanha talo"}})))
    shift = [[[x + 0.0002, y + 0.0001] for x, y, *_ in ring] for ring in moved["geometry"]["coordinates"]]
    body = {"geometry": {"type": "Polygon", "coordinates": shift}, "properties": {"height_m": 77.0}}
    moment(seq_of(patch(server, item("buildings", moved["id"]), body)))
    new = {"type": "Feature", "properties": {"name": "Vanha talo 2"}, "geometry": near["geometry"]}
    made = post(server, "buildings", new)
    told.made = int(made.headers["location"].rsplit("/", 1)[1])
    moment(seq_of(made))
    assert server.http.delete(item("buildings", deleted["id"]), headers=server.auth).status_code == 204
    moment(seq_of(patch(server, path, {"properties": {"name": "Uusi talo"}})))
    parts = item("building_parts", part["id"])
    assert server.http.delete(parts, headers=server.auth).status_code == 204
    moment(seq_of(patch(server, path, {"properties": {"name": None}})))
    return told


def tiles_of(feature: dict[str, Any]) -> list[tuple[int, int, int]]:
    import numpy as np

    from tiles.scheme import world

    lon, lat = feature["geometry"]["coordinates"][0][0][:2]
    x, y = world(np.array(lon), np.array(lat))
    return [(z, int(x * 2**z), int(y * 2**z)) for z in (14, 16)]


def test_every_answer_is_that_of_its_moment(server: Server, story: Story) -> None:
    assert len({json.dumps(one, default=repr) for one in story.answers}) == len(story.answers)
    for turn in (0, 1):  # first made, then kept
        for seq, answers in zip(story.seqs, story.answers, strict=True):
            for path in story.paths:
                answer = server.http.get(at(path, f"@{seq}"))
                assert plain(answer) == answers[path], (turn, seq, path)


def test_what_is_of_a_moment_says_so_and_lasts(server: Server, story: Story) -> None:
    seq = story.seqs[1]
    for path in story.paths:
        answer = server.http.get(at(path, f"@{seq}"))
        if answer.status_code == 404:
            continue
        assert INSTANT.fullmatch(answer.headers["memento-datetime"]), path
        original = f'<{server.url}{path}>; rel="original"'
        assert original in answer.headers["link"].replace("%2520", "%20"), path
        lasting = ("/items" in path and "/related" not in path) or "/download" in path or "/tiles/" in path
        assert answer.headers["cache-control"] == (IMMUTABLE if lasting else "no-cache"), path
        if "etag" in answer.headers:
            again = server.http.get(at(path, f"@{seq}"), headers={"if-none-match": answer.headers["etag"]})
            assert again.status_code == 304, path
            assert again.headers["cache-control"] == answer.headers["cache-control"], path
            assert again.headers["memento-datetime"] == answer.headers["memento-datetime"]
    assert "memento-datetime" not in server.http.get(ITEMS).headers
    escaped = server.http.get(f"{ITEMS}?%61t=@{seq}")
    then = server.http.get(at(ITEMS, f"@{seq}"))
    assert escaped.json()["features"] == then.json()["features"]
    assert f'<{server.url}{ITEMS}>; rel="original"' in escaped.headers["link"]
    html = server.http.get(at(f"{ITEMS}?f=html", f"@{seq}"))
    assert html.headers["cache-control"] == "no-cache"


def test_links_lead_to_the_same_moment(server: Server, story: Story) -> None:
    seq = story.seqs[0]
    first = server.http.get(at(f"{ITEMS}?limit=200", f"@{seq}"))
    following = next(one["href"] for one in first.json()["links"] if one["rel"] == "next")
    assert "at=" in following
    found = first.json()["features"]
    while following:
        page = server.http.get(following).json()
        found += page["features"]
        following = next((one["href"] for one in page["links"] if one["rel"] == "next"), "")
    collection = server.http.get(at("/ogc/collections/buildings", f"@{seq}")).json()
    assert f"{len(found)} 个要素" in collection["description"]
    assert story.made not in {one["id"] for one in found}
    assert story.deleted in {one["id"] for one in found}
    for link in collection["links"]:
        if "/items" in link["href"] or "/tiles" in link["href"] or "/schema" in link["href"]:
            assert f"at=@{seq}" in link["href"], link
    items = next(one["href"] for one in collection["links"] if one["rel"] == "items")
    assert plain(server.http.get(f"{items}&limit=500")) == story.answers[0][f"{ITEMS}?limit=500"]
    tilejson = server.http.get(at("/tiles/buildings.json", f"@{seq}")).json()
    assert tilejson["tiles"] == [f"{server.url}/tiles/buildings/{{z}}/{{x}}/{{y}}.mvt?at=@{seq}"]
    tileset = server.http.get(at("/3dtiles/buildings/tileset.json", f"@{seq}")).json()
    uris = set(re.findall(r'"uri": ?"([^"]+)"', json.dumps(tileset)))
    assert uris
    assert all(uri.endswith(f".glb?at=@{seq}") for uri in uris)


def test_a_layer_lies_where_it_lay(server: Server, story: Story) -> None:
    far = {"type": "Point", "coordinates": [25.6, 60.4]}
    before = extent(server, "street_assets")
    new = {"type": "Feature", "properties": {}, "geometry": far}
    seq = seq_of(post(server, "street_assets", new))
    assert extent(server, "street_assets")[2:] == pytest.approx([25.6, 60.4], abs=1e-5)
    assert extent(server, "street_assets", f"@{seq - 1}") == pytest.approx(before, abs=1e-5)
    assert extent(server, "street_assets", f"@{seq}")[2:] == pytest.approx([25.6, 60.4], abs=1e-5)


def extent(server: Server, layer: str, moment: str = "") -> list[float]:
    path = f"/ogc/collections/{layer}"
    document = server.http.get(at(path, moment) if moment else path).json()
    return document["extent"]["spatial"]["bbox"][0]


def test_an_instant_is_the_change_that_was_not_after_it(server: Server, story: Story) -> None:
    known = server.http.get(item("buildings", story.named) + "/versions").json()["versions"]
    for version in known:
        if version["at"] is not None and version["there"]:
            was = server.http.get(at(item("buildings", story.named), version["at"]))
            same = server.http.get(at(item("buildings", story.named), f"@{version['since']}"))
            assert plain(was) == plain(same)
            local = version["at"].replace("Z", "+00:00")
            assert plain(server.http.get(at(item("buildings", story.named), local))) == plain(was)


def test_what_is_no_moment_is_refused(server: Server, story: Story) -> None:
    for path in (ITEMS, "/tiles/buildings/14/9327/4742.mvt", "/search?q=a", "/ogc/collections"):
        for moment, words in {
            "": "RFC 3339",
            "@": "@4711",
            "@-1": "@4711",
            f"@{2**62}": "at",
            "yesterday": "RFC 3339",
            "2026-11-29": "RFC 3339",
            "2026-11-29T12:00:00": "RFC 3339",
            "2999-01-01T00:00:00Z": "at",
            "2026-13-29T12:00:00Z": "calendar",
        }.items():
            answer = server.http.get(at(path, moment))
            assert answer.status_code == 400, (path, moment, answer.text)
            assert words in answer.json()["detail"], (path, moment)
        twice = server.http.get(at(at(path, "@1"), "@1"))
        assert twice.status_code == 400
        gone = server.http.get(at(path, "2001-01-01T00:00:00Z"))
        assert gone.status_code == 410, gone.text
        assert gone.json()["code"] == "Gone"
        kept = gone.json()["kept"]
        assert kept["at"].endswith("Z")
        first = server.http.get(at(path, f"@{kept['seq']}"))
        # the first moment there is, in which there may be no layer yet
        assert first.status_code in (200, 204, 404), first.text


def test_what_was_is_not_written(server: Server, story: Story) -> None:
    path = at(item("buildings", story.named), f"@{story.seqs[0]}")
    assert patch(server, path, {"properties": {"name": "x"}}).status_code == 400
    assert server.http.delete(path, headers=server.auth).status_code == 400
    # its ETag is that of the revision it was: a client that has it does not overwrite what came since
    stale = server.http.get(path).headers["etag"]
    put = patch(server, item("buildings", story.named), {"properties": {"name": "x"}}, **{"if-match": stale})
    assert put.status_code == 412


def test_what_has_no_past_takes_no_moment(server: Server, story: Story) -> None:
    for path in ("/ogc", "/ogc/conformance", "/ogc/api", "/stac"):
        answer = server.http.get(at(path, f"@{story.seqs[0]}"))
        assert answer.status_code == 400, path
        assert "nothing is kept" in answer.json()["detail"]
    described = server.http.get("/ogc/api").json()["paths"]
    named = {
        path
        for path, known in described.items()
        for one in known.get("get", {}).get("parameters", [])
        if one["name"] == "at"
    }
    assert {
        "/collections/buildings/items",
        "/collections/buildings/download",
        "/collections/incidents/items",
        "/collections/observations_latest/items/{featureId}",
        "/incidents",
        "/search",
    } <= named


def test_versions_are_told_and_lead_to_what_was(server: Server, story: Story) -> None:
    path = item("buildings", story.named)
    answer = server.http.get(f"{path}/versions")
    known = answer.json()["versions"]
    assert [one["since"] for one in known][:3] == [story.seqs[4], story.seqs[3], story.seqs[0]]
    assert [one["until"] for one in known][:3] == [None, story.seqs[4], story.seqs[3]]
    names = []
    for one in known:
        (memento,) = [link["href"] for link in one["links"] if link["rel"] == "memento"]
        was = server.http.get(memento)
        assert was.status_code == 200
        names.append(was.json()["properties"]["name"])
        assert one["set"] is None or not {"actor", "message"} & one["set"].keys()
    assert names[:3] == [None, "Uusi talo", "Vanha talo"]
    # by whom, to those who may edit
    named = server.http.get(f"{path}/versions", headers=server.auth)
    assert "no-store" in named.headers["cache-control"]
    assert [one["set"]["actor"] for one in named.json()["versions"][:3]] == ["test"] * 3
    assert {one["set"]["via"] for one in known[:3]} == {"api"}
    pages, following = [], f"{path}/versions?limit=1"
    while following:
        page = server.http.get(following).json()
        pages += page["versions"]
        following = next((one["href"] for one in page["links"] if one["rel"] == "next"), "")
    assert pages == known
    gone = server.http.get(item("buildings", story.deleted) + "/versions").json()["versions"]
    assert [one["there"] for one in gone][:2] == [False, True]
    assert gone[0]["links"] == []
    assert server.http.get(item("buildings", 99_999_999) + "/versions").status_code == 404
    for wrong in ("limit=0", "x=1"):
        assert server.http.get(f"{path}/versions?{wrong}").status_code == 400


def test_the_timemap_names_every_memento(server: Server, story: Story) -> None:
    path = item("buildings", story.named)
    answer = server.http.get(f"{path}/versions", headers={"accept": "application/link-format"})
    assert answer.headers["content-type"] == "application/link-format"
    links = re.findall(r"<([^>]+)>;((?:[^,\"]|\"[^\"]*\")+)", answer.text)
    assert links[0][0] == f"{server.url}{path}"
    assert 'rel="original timegate"' in links[0][1]
    mementos = [(href, text) for href, text in links if "memento" in text]
    assert 'rel="first memento"' in mementos[-1][1]
    versions = server.http.get(f"{path}/versions").json()["versions"]
    shown = [[link["href"] for link in one["links"] if link["rel"] == "memento"] for one in versions]
    assert [href for href, _ in mementos] == [href for one in shown for href in one]
    for href, text in mementos:
        was = server.http.get(href)
        assert was.status_code == 200
        assert f'datetime="{was.headers["memento-datetime"]}"' in text or href == mementos[-1][0]
    html = server.http.get(f"{path}/versions?f=html")
    assert html.headers["content-type"].startswith("text/html")


def test_accept_datetime_leads_to_the_version_of_then(server: Server, story: Story) -> None:
    path = item("buildings", story.named)
    now = server.http.get(path)
    assert "accept-datetime" in now.headers["vary"].lower()
    rels = {one["rel"] for one in now.json()["links"]}
    assert {"timegate", "timemap", "version-history"} <= rels
    seq = story.seqs[4]
    when = server.http.get(at(path, f"@{seq}")).headers["memento-datetime"]
    led = server.http.get(path, headers={"accept-datetime": when}, follow_redirects=False)
    assert led.status_code == 302
    assert "accept-datetime" in led.headers["vary"].lower()
    assert 'rel="original"' in led.headers["link"]
    was = server.http.get(led.headers["location"])
    assert was.status_code == 200
    assert was.headers["memento-datetime"] == when
    # long before it is the first there is, in days to come the last
    first = server.http.get(
        path, headers={"accept-datetime": "Mon, 01 Jan 2001 00:00:00 GMT"}, follow_redirects=True
    )
    assert first.status_code == 200
    last = server.http.get(
        path, headers={"accept-datetime": "Sun, 01 Jan 2090 00:00:00 GMT"}, follow_redirects=True
    )
    assert last.json()["properties"]["name"] is None
    for bad in ("yesterday", "2026-11-29T12:00:00Z", "Mon, 99 Jan 2001 00:00:00 GMT"):
        assert server.http.get(path, headers={"accept-datetime": bad}).status_code == 400
    deleted = server.http.get(
        item("buildings", story.deleted),
        headers={"accept-datetime": "Sun, 01 Jan 2090 00:00:00 GMT"},
    )
    assert deleted.status_code == 404
