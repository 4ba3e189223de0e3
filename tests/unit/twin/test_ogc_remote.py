"""Over a store behind a socket nothing of this API waits in the event loop."""

import asyncio
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
import shapely

from layers.batch import SOURCE_ID, WKB
from layers.store.base import LayerSpec
from layers.types import Field
from twin.access.caller import CALLER
from twin.access.rights import EVERYBODY
from twin.app import open_city
from twin.catalogue import Catalogue
from twin.http import ogc
from twin.http.room import Routes, Site

ITEMS = "/ogc/collections/things/items"
POINT = {"type": "Point", "coordinates": [24.94, 60.17]}
FEATURE = {"type": "Feature", "geometry": POINT, "properties": {"name": "x"}}
GEOJSON = "application/geo+json"
#: What a store of any kind answers from memory.
FROM_MEMORY = {"local", "epoch", "read_only"}


class Remote:
    """The real store as if it were remote: a call of it in the event loop's thread is an error."""

    def __init__(self, store, loop_thread):
        self._store = store
        self._thread = loop_thread
        self.calls = set()

    local = False

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if name in FROM_MEMORY or not callable(found):
            return found

        def called(*args, **kwargs):
            assert threading.get_ident() != self._thread, f"{name} in the event loop"
            self.calls.add(name)
            return found(*args, **kwargs)

        return called


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    folder = tmp_path_factory.mktemp("remote")
    (folder / "city.yml").write_text("title: {en: City}\n", "utf-8")
    opened = open_city(folder)
    spec = LayerSpec("things", "feature", {}, (Field("name", "string"),), "Point", "EPSG:4326")
    stage = opened.store.stage(spec)
    shapes = [shapely.to_wkb(shapely.Point(24.9 + n / 1000, 60.17)) for n in range(20)]
    rows = {SOURCE_ID: [f"s{n}" for n in range(20)], "name": [f"n{n}" for n in range(20)]}
    stage.add(pa.table({**rows, WKB: pa.array(shapes, pa.binary())}))
    opened.store.publish(stage, mode="create")
    real = opened.store
    opened.store = Remote(real, threading.get_ident())
    # at a start, before there is an event loop
    with ThreadPoolExecutor(1) as beside:
        given = opened.store, opened.settings, EVERYBODY, folder / "derived"
        opened.catalogue = beside.submit(Catalogue, *given).result()
    opened.store.calls.clear()
    yield opened
    opened.store = real
    opened.close()


@pytest.fixture(scope="module")
def key(city):
    return city.keys.add("editor", ["edit"])


def ask(city, method, path, query="", body=None, **headers):
    """Status, headers and body of one request to the API in this thread."""
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), *given],
        "scheme": "http",
        "client": ("127.0.0.1", 1),
    }
    sent = []
    asked = itertools.count()

    async def receive():
        if next(asked):
            await asyncio.Event().wait()  # as a server does until the client goes away
        return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}

    async def send(message):
        sent.append(message)

    async def run():
        scope[CALLER] = city.callers.of(scope)
        target, values = Routes(ogc.make(Site(city))).find(path)
        if method in target.handlers:
            await target.handlers[method](scope, receive, send, *values)
        else:
            await target.other(scope, send, values)

    asyncio.run(run())
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent[1:])


@pytest.mark.parametrize(
    "path",
    [
        "/ogc",
        "/ogc/api",
        "/ogc/conformance",
        "/ogc/functions",
        "/ogc/collections",
        "/ogc/collections/things",
        "/ogc/collections/things/schema",
        "/ogc/collections/things/queryables",
        "/ogc/collections/things/sortables",
        "/ogc/collections/things/tiles/WebMercatorQuad",
    ],
)
def test_documents(city, path):
    for query in ("", "f=html"):
        status, headers, body = ask(city, "GET", path, query)
        assert status == 200
        assert body
        assert ask(city, "GET", path, query, if_none_match=headers["etag"])[0] == 304


@pytest.mark.parametrize(
    "query",
    [
        "",
        "limit=3",
        "bbox=24,60,25,61",
        "crs=EPSG:4326",
        "filter=name%3D'n3'",
        "sortby=-name",
        "q=n1",
        "name=n4",
        "properties=name",
        "f=html",
        "f=jsonfg",
        "f=csv",
        "f=flatgeobuf",
    ],
)
def test_pages(city, query):
    status, headers, body = ask(city, "GET", ITEMS, query)
    assert status == 200
    assert body
    if "html" not in query:
        assert ask(city, "GET", ITEMS, query, if_none_match=headers["etag"])[0] == 304


def test_features_and_tiles(city):
    for query in ("", "crs=EPSG:3857", "f=jsonfg", "f=html"):
        assert ask(city, "GET", f"{ITEMS}/1", query)[0] == 200
    etag = ask(city, "GET", f"{ITEMS}/1")[1]["etag"]
    assert ask(city, "GET", f"{ITEMS}/1", if_none_match=etag)[0] == 304
    assert ask(city, "GET", "/ogc/collections/things/tiles/WebMercatorQuad/0/0/0")[0] == 200


def test_writes(city, key):
    auth = {"x_api_key": key}
    for path in (ITEMS, f"{ITEMS}/1"):
        assert "OPTIONS" in ask(city, "OPTIONS", path, **auth)[1]["allow"]
    status, headers, _ = ask(city, "POST", ITEMS, body=FEATURE, content_type=GEOJSON, **auth)
    assert status == 201
    path = headers["location"].removeprefix("http://localhost")
    done = ask(city, "PUT", path, body=FEATURE, content_type=GEOJSON, if_match=headers["etag"], **auth)
    assert done[0] == 204
    patch = {"properties": {"name": "y"}}
    merge = "application/merge-patch+json"
    two = f'"a-1", {done[1]["etag"]}'
    assert ask(city, "PATCH", path, body=patch, content_type=merge, if_match=two, **auth)[0] == 204
    assert ask(city, "DELETE", path, **auth)[0] == 204
    assert {"create", "replace", "patch", "delete", "layer", "items", "select", "item"} <= city.store.calls
