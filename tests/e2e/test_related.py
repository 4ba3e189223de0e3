"""Parts and wholes over HTTP: links of each to the other, true right after an edit; nobody writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.e2e.test_tiles import owners_of_parts
from tests.support import Server

ITEM = "/ogc/collections/{}/items/{}"
DCTERMS = "http://purl.org/dc/terms/"


def related(server: Server, layer: str, fid: int, relation: str) -> list[str]:
    """The addresses of the parts or the whole of a feature."""
    answer = server.http.get(ITEM.format(layer, fid) + "/related")
    assert answer.status_code == 200, answer.text
    links = answer.json()["links"]
    return [one["href"].partition("/ogc")[2] for one in links if one["rel"] == DCTERMS + relation]


def test_each_leads_to_the_other(helsinki: Path, serve: Callable[..., Server]) -> None:
    server = serve(helsinki)
    owners = owners_of_parts(server)
    for part, fid in owners.items():
        assert related(server, "building_parts", part, "isPartOf") == [f"/collections/buildings/items/{fid}"]
    fid = max(owners.values(), key=list(owners.values()).count)
    parts = [part for part, owner in owners.items() if owner == fid]
    hrefs = [f"/collections/building_parts/items/{part}" for part in sorted(parts)]
    assert related(server, "buildings", fid, "hasPart") == hrefs
    # a part that is deleted is gone from its building at once, one that is moved away has none
    etag = server.http.get(ITEM.format("buildings", fid) + "/related").headers["etag"]
    first, second, *rest = sorted(parts)
    assert server.http.delete(ITEM.format("building_parts", first), headers=server.auth).status_code == 204
    item = server.http.get(ITEM.format("building_parts", second)).json()
    item["geometry"]["coordinates"] = [[[x + 0.2, y] for x, y in r] for r in item["geometry"]["coordinates"]]
    put = server.http.put(
        ITEM.format("building_parts", second),
        json=item,
        headers=server.auth | {"content-type": "application/geo+json"},
    )
    assert put.status_code == 204, put.text
    left = [f"/collections/building_parts/items/{part}" for part in rest]
    assert related(server, "buildings", fid, "hasPart") == left
    assert related(server, "building_parts", second, "isPartOf") == []
    stale = server.http.get(ITEM.format("buildings", fid) + "/related", headers={"if-none-match": etag})
    assert stale.status_code == 200
    again = {"if-none-match": stale.headers["etag"]}
    assert server.http.get(ITEM.format("buildings", fid) + "/related", headers=again).status_code == 304


def test_it_is_declared_where_there_is_something_to_ask(helsinki: Path, serve: Callable[..., Server]) -> None:
    server = serve(helsinki)
    told = {one["id"]: one["related"] for one in server.http.get("/config.json").json()["layers"]}
    assert told["buildings"] == "ogc/collections/buildings/items/{fid}/related"
    assert told["roads"] is None
    for layer, there in (("buildings", True), ("building_parts", True), ("roads", False)):
        links = server.http.get(f"/ogc/collections/{layer}").json()["links"]
        assert any(one["rel"] == "related" for one in links) == there
        paths = server.http.get("/ogc/api").json()["paths"]
        assert any(path.endswith(f"{layer}/items/{{featureId}}/related") for path in paths) == there
    assert related(server, "roads", 1, "hasPart") == []
    for path, status in (
        (ITEM.format("buildings", 999_999), 404),
        (ITEM.format("buildings", "x"), 404),
        (ITEM.format("nosuch", 1), 404),
    ):
        assert server.http.get(f"{path}/related").status_code == status
    assert server.http.get(ITEM.format("buildings", 1) + "/related?f=xml").status_code == 400
    refused = server.http.put(ITEM.format("buildings", 1) + "/related", json={}, headers=server.auth)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
