"""Edits of a city that is started with other settings, and again after a stop."""

from layers.store import geopackage
from tests.e2e.edits import item, patch


def test_strict_locking_wants_if_match(helsinki, serve):
    settings = helsinki / "city.yml"
    text = settings.read_text("utf-8")
    relaxed, strict = "street_assets: {visible: true}", "street_assets: {visible: true, locking: strict}"
    assert relaxed in text
    settings.write_text(text.replace(relaxed, strict), "utf-8")
    server = serve(helsinki)
    path = item("street_assets", 1)
    for headers in ({}, {"if-match": "*"}):
        refused = patch(server, path, {"properties": {"name": "x"}}, **headers)
        assert refused.status_code == 428, refused.text
        assert refused.json()["code"] == "PreconditionRequired"
        assert "If-Match" in refused.json()["detail"]
        assert server.http.delete(path, headers={**server.auth, **headers}).status_code == 428
    etag = server.http.get(path).headers["etag"]
    assert patch(server, path, {"properties": {"name": "x"}}, **{"if-match": etag}).status_code == 204
    document = server.http.get("/ogc/api").json()
    layer_path = document["paths"]["/collections/street_assets/items/{featureId}"]
    (if_match,) = [one for one in layer_path["patch"]["parameters"] if one["name"] == "If-Match"]
    assert if_match["required"] is True


def test_304_holds_over_a_restart_and_never_over_an_edit_while_down(helsinki, serve):
    first = serve(helsinki)
    paths = [item("buildings", 1), item("buildings", 2), "/ogc/collections/roads/items?limit=3"]
    etags = {path: first.http.get(path).headers["etag"] for path in paths}
    first.stop()
    second = serve(helsinki)
    for path, etag in etags.items():
        assert second.http.get(path, headers={"if-none-match": etag}).status_code == 304, path
    done = patch(second, item("buildings", 1), {"properties": {"name": "before the stop"}})
    assert done.status_code == 204
    second.stop()
    # behind the server's back: another process would open the same file
    store = geopackage.open(helsinki / "city.gpkg")
    store.patch("roads", 3, {"properties": {"name": "while the server was down"}})
    store.close()
    third = serve(helsinki)
    for path in (paths[0], paths[2]):
        assert third.http.get(path, headers={"if-none-match": etags[path]}).status_code == 200, path
    assert third.http.get(paths[0]).headers["etag"] == done.headers["etag"]
    assert third.http.get(paths[1], headers={"if-none-match": etags[paths[1]]}).status_code == 304
