"""The door for a right: ten lines given to ``open_city`` hide a layer, fields and an area at every endpoint.

No file of the project but ``twin/access/rights.py`` says what a caller sees; these are rules from outside.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from layers.textures import Texture
from layers.types import Field
from layers.write import FORMATS
from tests.guests import KeyOrGuest
from tests.storing import features, grid, load, spec
from tests.textured import image
from twin import app
from twin.access.caller import Caller
from twin.access.rights import WHOLE, Share
from twin.city import City
from twin.http import sse
from twin.template import template

ITEMS = "/ogc/collections/buildings/items"
AREA = 'S_INTERSECTS("geometry", BBOX(24.99, 59.99, 25.0455, 60.05))'


class Guests(KeyOrGuest):
    """Whoever has no key sees neither the layer ``secret`` nor most fields and the east of ``buildings``."""

    def share(self, rights: str, layer: Any) -> Share | None:
        if layer.id == "secret":
            return None
        return Share(frozenset({"name", "height_m"}), AREA) if layer.id == "buildings" else WHOLE


@dataclass
class Opened:
    """A city with those rules, its front door, and the headers of one who sees all."""

    city: City
    front: Any
    chief: dict[str, str]
    runner: asyncio.Runner

    def get(self, path: str, *, chief: bool = False, method: str = "GET", **more: Any) -> httpx.Response:
        """One request."""
        headers = {**(self.chief if chief else {}), **more.pop("headers", {})}

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.front)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, headers=headers, **more)

        return self.runner.run(run())


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder: Path = tmp_path_factory.mktemp("rights")
    (folder / "city.yml").write_text(template("Town"), "utf-8")
    city = app.open_city(folder, rights=Guests())
    fields = tuple(Field(name, "string") for name in ("name", "vault_code", "vault_made"))
    words = {"fields": (*fields, Field("height_m", "number"), Field("built", "date")), "time_field": "built"}
    more = {"height_m": 9.5, "built": "1999-03-02", "vault_code": "v123", "vault_made": "here"}
    rows = [{name: value for name, value in one.items() if name != "levels"} for one in grid(40, **more)]
    load(city.store, spec(**words), rows)
    load(city.store, spec("secret", title={"en": "Secret"}), grid(3))
    load(city.store, spec("open", kind="feature", title={"en": "Open"}), grid(1))
    with asyncio.Runner() as runner:
        yield Opened(city, app.build(city), {"authorization": f"Bearer {city.keys.add('chief')}"}, runner)
    city.live.stop()
    city.close()


#: Of everything that shows something of a layer: the address, and whether a hidden field's name, a hidden
#: value or a hidden feature stands in it for who sees all.
DOCUMENTS = (
    "",
    "/schema",
    "/schema/geojson",
    "/queryables",
    "/sortables",
    "/tiles",
    "/tiles/WebMercatorQuad",
)
PAGES = (
    "/ogc/collections",
    "/ogc/collections?f=html",
    "/ogc/api",
    "/ogc/api?f=html",
    *(f"/ogc/collections/buildings{part}" for part in DOCUMENTS),
    *(f"/ogc/collections/buildings{part}?f=html" for part in DOCUMENTS),
    *(f"{ITEMS}?limit=100&f={form}" for form in ("json", "html", "csv", "fgb")),
    f"{ITEMS}?limit=100&profile=jsonfg",
    f"{ITEMS}?limit=100&crs=EPSG:3879",
    f"{ITEMS}?limit=100&filter=name LIKE 'house%25'",
    f"{ITEMS}?limit=100&bbox=25,60,26,61",
    f"{ITEMS}?limit=100&sortby=-name",
    f"{ITEMS}/1",
    f"{ITEMS}/1?f=html",
    f"{ITEMS}/1?profile=jsonfg",
    *(f"/ogc/collections/buildings/download?f={form}" for form in FORMATS),
    "/search?q=house&limit=50",
    "/tiles/buildings.json",
    "/tiles/buildings/14/9329/4757.mvt",
    "/tiles/buildings,open/10/583/297.mvt",
    "/ogc/collections/buildings/tiles/WebMercatorQuad/14/4757/9329",
    "/3dtiles/buildings/tileset.json",
    "/config.json",
    "/health/ready",
)


@pytest.mark.parametrize("path", PAGES)
def test_nothing_hidden_stands_in_any_answer(opened, path):
    whole, part = opened.get(path, chief=True), opened.get(path)
    assert (whole.status_code, part.status_code) == (200, 200), (whole.text[:300], part.text[:300])
    for word in (b"secret", b"Secret", b"vault_code", b"v123", b"1999-03-02", b"house 7", b"house 39"):
        assert word not in part.content, word
    if "etag" in whole.headers:
        assert whole.headers["etag"] != part.headers["etag"] or whole.content == part.content
        assert part.headers.get("cache-control") in ("private, no-cache", None)
        again = opened.get(path, headers={"if-none-match": whole.headers["etag"]})
        assert again.status_code == 200 or whole.content == part.content
        assert opened.get(path, headers={"if-none-match": part.headers["etag"]}).status_code == 304


def test_hidden_words_do_stand_in_what_the_chief_reads(opened):
    told = b"".join(opened.get(path, chief=True).content for path in PAGES)
    for word in (b"secret", b"Secret", b"vault_code", b"v123", b"1999-03-02", b"house 7", b"house 39"):
        assert word in told


def test_only_the_seen_features_and_fields_are_counted_and_given(opened):
    page = opened.get(f"{ITEMS}?limit=100").json()
    assert (page["numberMatched"], page["numberReturned"]) == (20, 20)
    assert set(page["features"][0]["properties"]) == {"source_id", "name", "height_m"}
    described = opened.get("/config.json").json()["layers"]
    assert [(one["id"], one["count"], one["edits"] != []) for one in described] == [
        ("buildings", 20, False),
        ("open", 1, True),
    ]
    assert opened.get("/ogc/collections/buildings").json()["extent"]["spatial"]["bbox"][0][2] <= 25.0455
    assert opened.get("/health/ready").json()["features"] == 21


PLACES = (
    "/ogc/collections/{}",
    "/ogc/collections/{}/schema",
    "/ogc/collections/{}/items",
    "/ogc/collections/{}/items/1",
    "/ogc/collections/{}/items/1?f=html",
    "/ogc/collections/{}/download",
    "/ogc/collections/{}/changes?from=@1",
    "/ogc/collections/{}/tiles/WebMercatorQuad/14/4757/9329",
    "/tiles/{}.json",
    "/tiles/{}/14/9329/4757.mvt",
    "/tiles/open,{}/14/9329/4757.mvt",
    "/3dtiles/{}/tileset.json",
    "/3dtiles/{}/14/9329/4757.glb",
)


@pytest.mark.parametrize("path", PLACES)
def test_a_hidden_layer_is_answered_as_one_that_is_not_there(opened, path):
    hidden, missing = opened.get(path.format("secret")), opened.get(path.format("absent"))
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text.replace("secret", "absent") == missing.text
    assert opened.get(path.format("secret"), chief=True).status_code in (200, 204, 404)
    assert opened.get(path.format("secret"), chief=True).text.count("no layer") == 0


#: A place of the city for each value in the path of a route.
VALUES = {
    "feature": "1",
    **dict.fromkeys(("z", "tileMatrix"), "14"),
    "item": "one-1",
    **dict.fromkeys(("x", "tileCol"), "9329"),
    **dict.fromkeys(("y", "tileRow"), "4757"),
    "sha": "0" * 64,
    "number": "0",
    "path": "tileset.json",
    # of the quadtrees of implicit tiling: a root, and a place in it
    **{"rz": "13", "rx": "4664", "ry": "2378", "set": "0", "level": "0"},
}


def test_no_route_of_any_room_tells_a_hidden_layer_from_one_that_is_not_there(opened):
    routes = [route for room in opened.front.site.rooms for route in room.routes if "{layer" in route.path]
    assert len(routes) > 10
    for route in routes:
        path = re.sub(r"\{layers?\}", "{}", route.path)
        path = re.sub(r"\{(\w+)(?:\.\.\.)?\}", lambda found: VALUES[found[1]], path)
        for method in (*route.methods, "OPTIONS"):
            hidden, missing = (opened.get(path.format(one), method=method) for one in ("secret", "absent"))
            assert hidden.status_code == missing.status_code, (method, path)
            assert hidden.text.replace("secret", "absent") == missing.text, (method, path)
            assert hidden.status_code in (401, 404) or method == "OPTIONS", (method, path)


def test_a_hidden_feature_is_answered_as_one_that_is_not_there(opened):
    east = opened.get(f"{ITEMS}?limit=1&filter=name='house 7'", chief=True).json()["features"][0]["id"]
    hidden, missing = opened.get(f"{ITEMS}/{east}"), opened.get(f"{ITEMS}/99999")
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text.replace(str(east), "99999") == missing.text
    for form in ("?f=html", "?profile=jsonfg"):
        assert opened.get(f"{ITEMS}/{east}{form}").status_code == 404


@pytest.mark.parametrize(
    "query", ["vault_code=7", "filter=vault_code>'3'", "sortby=vault_code", "properties=vault_code"]
)
def test_a_hidden_field_is_answered_as_one_that_is_not_there(opened, query):
    hidden, missing = (
        opened.get(f"{ITEMS}?{query}"),
        opened.get(f"{ITEMS}?{query.replace('vault_code', 'nosuch')}"),
    )
    assert hidden.status_code == missing.status_code == 400
    assert hidden.text.replace("vault_code", "nosuch") == missing.text


def test_free_text_and_time_do_not_search_what_is_hidden(opened):
    assert opened.get(f"{ITEMS}?q=house 7", chief=True).json()["numberMatched"] > 0
    assert opened.get(f"{ITEMS}?q=house 7").json()["numberMatched"] == 0
    assert opened.get(f"{ITEMS}?datetime=2021-01-01T00:00:00Z/..").json()["numberMatched"] == 20
    assert opened.get("/search?q=house 7").json()["features"] == []
    assert opened.get("/search?q=house 7", chief=True).json()["features"]


def test_who_sees_a_part_does_not_edit_it(opened):
    editor = {"x-api-key": "wrong"}
    body = {"type": "Feature", "geometry": None, "properties": {"name": "x"}}
    media = {"content-type": "application/geo+json"}
    assert opened.get(ITEMS, method="POST", json=body, headers={**editor, **media}).status_code == 401
    assert opened.get(ITEMS, method="OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"
    assert "POST" in opened.get(ITEMS, method="OPTIONS", chief=True).headers["allow"]


async def _listen(front: Any, headers: dict[str, str], until: bytes, ready: asyncio.Event) -> bytes:
    """What a stream sends, up to a word in it."""
    heard, done = bytearray(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        heard.extend(message.get("body", b""))
        if b"event: snapshot" in heard:
            ready.set()
        if until in heard:
            done.set()

    given = [(b"host", b"localhost"), *((k.encode(), v.encode()) for k, v in headers.items())]
    scope = {"type": "http", "method": "GET", "path": "/stream", "query_string": b"", "headers": given}
    async with asyncio.timeout(20):
        await front({**scope, "http_version": "1.1", "scheme": "http"}, receive, send)
    return bytes(heard)


def guarded(folder: Path) -> City:
    """A city of which guests see a part: one layer without a field, and not the other one."""
    (folder / "city.yml").write_text(template("Town"), "utf-8")
    city = app.open_city(folder, rights=Guests())
    fields = tuple(Field(name, "string") for name in ("name", "vault_code"))
    rows = [{name: value for name, value in one.items() if name != "levels"} for one in grid(10)]
    load(city.store, spec(fields=fields), rows)
    load(city.store, spec("secret"), grid(3))
    return city


def test_a_stream_tells_of_what_its_reader_sees(tmp_path):
    city = guarded(tmp_path)
    front, chief = app.build(city), {"authorization": f"Bearer {city.keys.add('chief')}"}

    def edit(layer: str, number: int) -> None:
        (fid,) = (
            one["id"] for one in features(city.store, layer) if one["properties"]["name"] == f"house {number}"
        )
        city.store.patch(layer, fid, {"properties": {"name": f"house {number}"[::-1]}})

    async def main() -> tuple[bytes, bytes, httpx.Response]:
        ends, started = asyncio.Queue[dict[str, Any]](), asyncio.Event()
        ends.put_nowait({"type": "lifespan.startup"})

        async def said(message: Any) -> None:
            started.set()

        life = asyncio.create_task(front({"type": "lifespan"}, ends.get, said))
        await started.wait()
        readies = asyncio.Event(), asyncio.Event()
        last = b"tiles/buildings/14/9329/4757.mvt"
        heard = [
            asyncio.create_task(_listen(front, h, last, r)) for h, r in zip(({}, chief), readies, strict=True)
        ]
        for ready in readies:
            await ready.wait()
        edit("secret", 1)
        edit("buildings", 7)
        edit("buildings", 0)
        guest, other = await asyncio.gather(*heard)
        transport = httpx.ASGITransport(app=front)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            tile = await client.get("/" + last.decode())
        ends.put_nowait({"type": "lifespan.shutdown"})
        await life
        return guest, other, tile

    guest, other, tile = asyncio.run(main())
    for hidden in (b"secret", b"tiles/buildings/14/9332/4757.mvt"):
        assert hidden in other
        assert hidden not in guest
    # the version that it was told of is the one that it is served
    assert f'.mvt","version":{tile.headers["etag"]}'.encode() in guest
    assert tile.headers["etag"].encode() not in other


def test_the_feed_tells_of_what_its_reader_sees_and_saw(tmp_path):
    city = guarded(tmp_path)
    load(city.store, spec("open", kind="feature"), grid(1))
    found = {one["properties"]["name"]: one for one in features(city.store)}
    west, east = found["house 0"], found["house 7"]
    guest, chief = city.catalogue.view("guest"), city.catalogue.whole
    begun = {view: city.feed.page(view, None).cursor for view in (guest, chief)}

    def told(view: Any) -> Any:
        return city.feed.page(view, begun[view])

    city.store.patch("secret", 1, {"properties": {"name": "x"}})
    city.store.patch("buildings", west["id"], {"properties": {"vault_code": "v9"}})
    assert (told(guest).features, told(guest).layers) == ([], [])
    assert told(guest).cursor.seq == city.store.seq()
    assert len(told(chief).features) == 2
    city.store.patch("buildings", west["id"], {"geometry": east["geometry"]})
    city.store.patch("buildings", east["id"], {"geometry": west["geometry"]})
    seen = {one["id"]: one for one in told(guest).features}
    assert {fid: one["change"] for fid, one in seen.items()} == {west["id"]: "removed", east["id"]: "added"}
    assert (seen[west["id"]]["seq"], seen[west["id"]]["set"]) == (None, None)
    assert {one["change"] for one in told(chief).features} == {"changed"}
    assert told(guest).tiles
    assert not any("secret" in tile["url"] for tile in told(guest).tiles)
    assert city.feed.page(guest, begun[chief]).reset
    city.store.drop("secret")
    assert told(guest).layers == []
    gone = {"id": "secret", "generation": None, "listed": False}
    assert told(chief).layers == [gone]
    city.store.drop("open")
    assert told(guest).layers == [gone | {"id": "open"}]
    city.live.stop()
    city.close()


def test_a_session_sees_what_its_key_sees(opened):
    answer = opened.get("/session", method="POST", chief=True)
    cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
    for path in ("/tiles/secret.json", "/3dtiles/secret/tileset.json", "/tiles/secret/14/9329/4757.mvt"):
        assert (opened.get(path).status_code, opened.get(path, headers=cookie).status_code) == (404, 200)
    mine, theirs = opened.get("/config.json", headers=cookie), opened.get("/config.json", chief=True)
    assert mine.content == theirs.content


def test_a_stream_ends_when_the_key_of_its_session_is_removed(opened, monkeypatch):
    monkeypatch.setattr(sse, "RECHECK_SECONDS", 0.05)
    key = opened.city.keys.add("leaver")
    answer = opened.get("/session", method="POST", headers={"authorization": f"Bearer {key}"})
    cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}

    async def main() -> None:
        ready = asyncio.Event()
        heard = asyncio.create_task(_listen(opened.front, cookie, b"never said", ready))
        await ready.wait()
        opened.city.keys.remove("leaver")
        await heard

    opened.runner.run(main())


def test_a_key_that_is_not_known_reads_a_stream_as_nobody(opened, monkeypatch):
    monkeypatch.setattr(sse, "RECHECK_SECONDS", 0.01)
    looks, again, of = itertools.count(), asyncio.Event(), opened.city.callers.of

    def counted(scope: Any) -> Caller:
        if next(looks) == 3:
            again.set()
        found: Caller = of(scope)
        return found

    monkeypatch.setattr(opened.city.callers, "of", counted)

    async def main() -> None:
        ready = asyncio.Event()
        reader = {"authorization": "Bearer twk_wrong"}
        heard = asyncio.create_task(_listen(opened.front, reader, b"event: incident", ready))
        await ready.wait()
        await again.wait()
        opened.city.bus.bind(asyncio.get_running_loop())
        opened.city.bus.publish("incident", {"id": 1})
        assert b"event: incident" in await heard

    opened.runner.run(main())


def test_no_room_of_http_reads_the_store_past_the_catalogue():
    for file in (Path(app.__file__).parent / "http").rglob("*.py"):
        assert "city.store" not in file.read_text("utf-8"), file.name


def test_an_image_is_kept_for_the_caller_who_may_see_it(opened):
    """A browser may keep it for ever, but not give it to another caller unasked."""
    store, shown = opened.city.store, Texture.of(image(), "image/png")
    for layer in ("open", "secret"):
        stage = store.stage(spec(layer, fields=()))
        stage.texture(shown)
        store.publish(stage, mode="append")
    path = f"/3dtiles/{{}}/textures/{shown.sha}.png"
    for layer, chief in (("open", False), ("open", True), ("secret", True)):
        answer = opened.get(path.format(layer), chief=chief)
        assert answer.content == shown.data
        assert answer.headers["cache-control"].startswith("private, ")
        assert "authorization" in answer.headers["vary"].lower()
    assert opened.get(path.format("secret")).status_code == 404
    held = {"if-none-match": f'"{shown.sha}"'}
    assert opened.get(path.format("secret"), headers=held).status_code == 404
    again = opened.get(path.format("open"), headers=held)
    assert (again.status_code, again.headers["cache-control"]) == (304, answer.headers["cache-control"])


def test_bodies_are_looked_through_once_for_who_asks_at_one_time(opened, monkeypatch):
    """Which images the seen features of a layer name is looked up by one thread; the others wait for it."""
    view = opened.city.catalogue.view("guest")
    looked: list[str] = []
    own = type(view)._find_textures

    def find(self: object, layer_id: str) -> frozenset[str]:
        looked.append(layer_id)
        time.sleep(0.1)
        return own(self, layer_id)

    monkeypatch.setattr(type(view), "_find_textures", find)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: view._textures("buildings"), range(8)))) == 1
    assert looked == ["buildings"]


def test_what_was_is_hidden_as_what_is_and_kept_by_nobody_else(opened):
    """The last of this file, for it edits."""
    store = opened.city.store
    seq = store.seq()
    hidden = next(one for one in features(store) if one["properties"]["name"] == "house 7")
    store.patch("buildings", hidden["id"], {"properties": {"vault_code": "v999"}})
    store.patch("secret", 1, {"properties": {"name": "moved"}})
    store.delete("secret", 2)
    taking = [path for path in PAGES if not path.startswith(("/ogc/api", "/config", "/health"))]
    for path in taking:
        moment = f"{path}{'&' if '?' in path else '?'}at=@{seq}"
        whole, part = opened.get(moment, chief=True), opened.get(moment)
        assert (whole.status_code, part.status_code) == (200, 200), (moment, part.text[:300])
        for word in (b"secret", b"Secret", b"vault_code", b"v123", b"1999-03-02", b"house 7", b"house 39"):
            assert word not in part.content, (moment, word)
        # who sees a part may see another one tomorrow; what the chief sees is for no shared cache
        assert part.headers.get("cache-control", "private, no-cache") == "private, no-cache", moment
        kept = whole.headers.get("cache-control", "no-cache")
        assert kept in ("no-cache", "private, max-age=31536000, immutable"), moment
        if "immutable" in kept:
            assert "authorization" in whole.headers["vary"].lower()
    told = b"".join(opened.get(f"{path}?at=@{seq}", chief=True).content for path in (ITEMS, f"{ITEMS}/1"))
    assert b"v123" in told
    for path in (f"{ITEMS}/{hidden['id']}", "/ogc/collections/secret/items/1", "/tiles/secret.json"):
        for suffix in (f"?at=@{seq}", f"?at=@{store.seq()}"):
            assert opened.get(path + suffix).status_code == 404, path
            assert opened.get(path + suffix, chief=True).status_code == 200, path
    for path, status in ((f"{ITEMS}/1/versions", 403), ("/ogc/collections/secret/items/1/versions", 404)):
        assert opened.get(path).status_code == status
        assert opened.get(path, chief=True).status_code == 200
    led = opened.get(f"{ITEMS}/{hidden['id']}", headers={"accept-datetime": "Mon, 01 Jan 2001 00:00:00 GMT"})
    assert led.status_code in (403, 404)
