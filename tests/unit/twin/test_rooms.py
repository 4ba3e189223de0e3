"""What every room declares is what is served: methods, headers, links, conformance, the API document."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import httpx
import jsonschema
import openapi_spec_validator
import pytest

from layers.errors import NotFound
from layers.textures import Texture, extension
from tests import rasters, tilesets
from tests.storing import spec
from tests.support import ROOT, twin
from tests.textured import image
from tests.unit.twin.live.rooms import thing
from twin import app
from twin.http import sse
from twin.http.context import Context
from twin.http.room import METHODS, Room, Route, Routes
from twin.jobs.job_table import JobRecord, JobTable, instant
from twin.live.clock import iso, now_ms

HOUSE = {
    "type": "Feature",
    "properties": {"source_id": "a", "height": 12.0},
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[24.94, 60.17], [24.941, 60.17], [24.941, 60.171], [24.94, 60.17]]],
    },
}
#: A value for every part of a path; z, x and y are of a tile that holds the house; those of
#: terrain count otherwise.
VALUES = {
    "{rz}/{rx}/{ry}/{set}/{level}/{x}/{y}": "13/4663/2371/0/0/0/0",
    "{rz}/{rx}/{ry}": "13/4663/2371",
    "{level}/{x}/{y}": "1/1/1",
    "{z}/{x}/{y}.terrain": "0/1/0.terrain",
    "{jobId}": "known",
    "{layer}": "houses",
    "{layers}": "houses",
    "{feature}": "1",
    "{featureId}": "1",
    "{colormap}": "viridis",
    "{item}": "relief-1",
    "{z}": "14",
    "{x}": "9327",
    "{y}": "4742",
    "{tileMatrix}": "14",
    "{tileCol}": "9327",
    "{tileRow}": "4742",
    "{tileMatrixSetId}": "WebMercatorQuad",
    "{incident}": "1",
    "{resource...}": "Things",
    "{file...}": "index.html",
    "{number}/{path...}": "0/tileset.json",
}
TEXTURES = Texture.of(image(form="JPEG"), "image/jpeg"), Texture.of(image(), "image/png")
VALUES |= {
    f"{{sha}}.{extension(one.media_type)}": f"{one.sha}.{extension(one.media_type)}" for one in TEXTURES
}
#: What layers of rasters have, and those of registered scenes.
OF_FILES = {
    re.compile(r"/(coverage|map|position|trajectory)\b|^/(imagery|stac|terrain)/"): "relief",
    re.compile(r"/sets/|/areas\.json"): "photo",
}
#: Parameters without which a path answers nothing.
NEEDED = {
    "/search": "q=a",
    "/ogc/dossiers": "code=a",
    "/ogc/changes": "from=@0",
    "houses/changes": "from=@0",
    "/position": "coords=POINT(24.95%2060.18)",
    "/trajectory": "coords=LINESTRING(24.95%2060.18,24.96%2060.18)",
}
#: Are read with a key only.
KEYED = ("/metrics",)
#: Without an end.
ENDLESS = "/stream"
URL = "http://127.0.0.1"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[app.Front]:
    folder = tmp_path_factory.mktemp("rooms")
    file = folder / "houses.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [HOUSE]}))
    twin("init", str(folder / "city"))
    twin("load", str(file), "--as", "houses", "--kind", "building", "--city", str(folder / "city"))
    rasters.write(folder / "city/rasters/relief.tif")
    rasters.record(folder / "city", "relief", "rasters/relief.tif", form="surface")
    tileset = tilesets.write(folder / "photo", tilesets.photo_mesh(24.94, 60.17))
    twin("load", str(tileset), "--as", "photo", "--city", str(folder / "city"))
    city = app.open_city(folder / "city")
    stage = city.store.stage(spec("houses", fields=()))
    for one in TEXTURES:
        stage.texture(one)
    city.store.publish(stage, mode="append")
    made = app.build(city)
    city.live.start()
    key = city.keys.add("tester")
    table = JobTable(city.folder)
    table.put(JobRecord("known", "download", {}, None, "", kept=False, created=instant(), state="successful"))
    table.close()

    async def report(client: httpx.AsyncClient) -> None:
        for path, body in (
            ("/incidents", {"title": "x"}),
            ("/sta/v1.1/Things", thing()),
            ("/sta/v1.1/Datastreams(1)/Observations", {"result": 1}),
        ):
            assert (await client.post(path, json=body, headers={"x-api-key": key})).status_code == 201

    with asyncio.Runner() as runner:
        RUNNERS[made] = runner
        ask(made, report)
        yield made
    city.live.stop()
    city.close()


def ask[T](front: app.Front, scenario: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    """Run a scenario against the application, all in one event loop, as in a server."""

    async def main() -> T:
        front.site.city.bus.bind(asyncio.get_running_loop())
        transport = httpx.ASGITransport(app=cast(Any, front))
        async with httpx.AsyncClient(transport=transport, base_url=URL, timeout=60) as client:
            return await scenario(client)

    return RUNNERS[front].run(main())


RUNNERS: dict[app.Front, asyncio.Runner] = {}


def routes(front: app.Front) -> list[Route]:
    return [route for room in front.site.rooms for route in room.routes]


def example(path: str) -> str:
    """An address that a template of a path fits."""
    for kind, layer in OF_FILES.items():
        if kind.search(path):
            path = path.replace("{layer}", layer)
    for name, value in VALUES.items():
        path = path.replace(name, value)
    assert "{" not in path, path
    needed = [query for end, query in NEEDED.items() if path.endswith(end)]
    return "?".join([path, *needed])


def check_headers(answer: httpx.Response) -> None:
    told = (answer.request.method, answer.request.url)
    assert answer.headers["access-control-allow-origin"] == "*", told
    assert answer.headers["x-content-type-options"] == "nosniff", told


def context(front: app.Front) -> Context:
    city = front.site.city
    return Context(city, city.catalogue.whole, f"{URL}/ogc", "en", "")


def document(front: app.Front) -> dict[str, Any]:
    async def read(client: httpx.AsyncClient) -> dict[str, Any]:
        return (await client.get("/ogc/api?f=json")).json()

    return ask(front, read)


def served(document: dict[str, Any]) -> dict[str, Any]:
    """The path items by path of the server."""
    found = {}
    for path, item in document["paths"].items():
        (server,) = item.get("servers", document["servers"])
        whole = server["url"].removeprefix(URL) + path
        found[whole.removesuffix("/") or "/"] = item
    return found


def path_parameters(item: dict[str, Any]) -> set[str]:
    """The names that a path item and its operations declare for the path."""
    holders = [item, *(one for one in item.values() if isinstance(one, dict))]
    given = [parameter for one in holders for parameter in one.get("parameters", [])]
    return {parameter["name"] for parameter in given if parameter["in"] == "path"}


def test_every_route_answers_options_and_refuses_other_methods(front: app.Front):
    async def walk(client: httpx.AsyncClient) -> None:
        for route in routes(front):
            path, have = example(route.path), {*route.methods, "OPTIONS"}
            have |= {"HEAD"} if "GET" in have else set()
            if "{file" in route.path and (await client.head(path)).status_code == 404:
                continue  # the page of this checkout is not built
            options = await client.options(path)
            assert options.status_code == 200, path
            assert options.content == b""
            check_headers(options)
            allow = options.headers["allow"].split(", ")
            assert set(allow) <= have, path
            assert {"GET", "HEAD"} <= set(allow) or "GET" not in route.methods
            assert allow == sorted(allow, key=METHODS.index)
            for name in ("methods", "headers"):
                assert options.headers[f"access-control-allow-{name}"]
            for method in {"POST", "PUT", "PATCH", "DELETE", "TRACE", "GET"} - have:
                refused = await client.request(method, path)
                assert refused.status_code == 405, (method, path)
                assert set(refused.headers["allow"].split(", ")) <= have, path
                assert refused.json()["code"] == "MethodNotAllowed"
                check_headers(refused)

    ask(front, walk)


def test_head_is_get_without_its_body(front: app.Front):
    async def walk(client: httpx.AsyncClient) -> None:
        for route in routes(front):
            path = example(route.path)
            if "GET" not in route.methods or "{file" in route.path:
                continue
            head = await client.head(path)
            assert head.content == b"", path
            check_headers(head)
            if path == ENDLESS:
                continue
            got = await client.get(path)
            expected = {401} if path.endswith(KEYED) else {200, 303}
            assert got.status_code in expected, f"{path}: {got.text[:200]}"
            check_headers(got)
            assert head.status_code == got.status_code
            # a page of features says when it was made
            moving = {"content-length"} if path.endswith("/items") else set()
            for name in set(got.headers) - moving:
                assert head.headers[name] == got.headers[name], (path, name)
            if path.endswith(KEYED):
                continue
            # what no cache keeps needs not say what it was chosen by
            assert "vary" in got.headers or got.headers["cache-control"] == "no-store", path

    ask(front, walk)


def test_a_parameter_that_nobody_knows_is_refused(front: app.Front):
    async def walk(client: httpx.AsyncClient) -> None:
        for route in routes(front):
            if "GET" in route.methods and route.paths(context(front)):
                answer = await client.get(example(route.path), params={"nobody": "1"})
                assert answer.status_code == 400, route.path
                assert "nobody" in answer.json()["detail"]

    ask(front, walk)


def test_what_can_be_read_as_it_was_is_now_what_it_is_and_nothing_else_takes_a_moment(front: app.Front):
    seq = front.site.city.store.seq()
    compared: set[str] = set()

    async def walk(client: httpx.AsyncClient) -> None:
        for route in routes(front):
            path = example(route.path)
            if "GET" not in route.methods or path.startswith(("/sta", "/incidents")):
                continue  # these have no views
            if route.past is None:
                if route.paths(context(front)):
                    answer = await client.get(path, params={"at": f"@{seq}"})
                    assert answer.status_code == 400, path
                    assert "at" in answer.json()["detail"]
                continue
            for form in ("json", "html"):
                address = f"{path}{'&' if '?' in path else '?'}f={form}" if "/ogc/" in path else path
                now = await client.get(address)
                # what is no part of the store has instants only
                moment = iso(now_ms()) if route.past == "live" else f"@{seq}"
                then = await client.get(f"{address}{'&' if '?' in address else '?'}at={moment}")
                assert then.status_code == now.status_code, f"{address}: {then.text[:200]}"
                if then.status_code == 200:
                    assert then.headers["memento-datetime"], address
                    assert then.headers["content-type"] == now.headers["content-type"], address
                    assert said(then) == said(now), address
                    compared.add(route.path.split("/{")[0])

    ask(front, walk)
    assert compared >= {"/ogc/collections", "/search", "/tiles", "/3dtiles"}


def said(answer: httpx.Response) -> Any:
    """What an answer says but for its links, and the time at which it was made."""
    if "json" not in answer.headers["content-type"]:
        return None if "html" in answer.headers["content-type"] else answer.content
    return without(answer.json(), "links", "timeStamp", "tiles", "uri", "$id")


def without(value: Any, *names: str) -> Any:
    if isinstance(value, dict):
        return {name: without(one, *names) for name, one in value.items() if name not in names}
    return [without(one, *names) for one in value] if isinstance(value, list) else value


def test_an_unknown_path_is_404_whatever_the_method(front: app.Front):
    async def walk(client: httpx.AsyncClient) -> None:
        for path in (
            *("/nothing", "/ogc/nothing", "/ogc/collections/houses/nothing", "/tiles", "/tiles/json"),
            *(
                "/tiles/houses/1/2/3.png",
                "/3dtiles/houses",
                "/sta",
                "/incidents/1/2",
                "/stream/x",
                "/searches",
            ),
            *("/search/", "/health", "/health/dead", "/config.json/", "//", "/ogc/collections/"),
        ):
            for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
                answer = await client.request(method, f"{URL}{path}")
                assert answer.status_code == 404, (method, path)
                check_headers(answer)
                if method == "GET":
                    assert answer.json()["code"] == "NotFound"

    ask(front, walk)


#: The official schema of AsyncAPI 3.0 (npm: @asyncapi/specs).
ASYNCAPI_SCHEMA = ROOT / "twin/web/app/node_modules/@asyncapi/specs/schemas/3.0.0.json"


def test_every_event_stream_is_in_a_document_of_asyncapi(front: app.Front):
    async def read(client: httpx.AsyncClient) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        links = (await client.get("/ogc")).json()["links"]
        found = [one for one in links if one["rel"] == "service-desc" and "asyncapi" in one["type"]]
        answer = await client.get(found[0]["href"])
        assert answer.headers["content-type"] == found[0]["type"]
        return answer.json(), found

    written, found = ask(front, read)
    assert len(found) == 1
    schema = json.loads(ASYNCAPI_SCHEMA.read_text("utf-8"))
    validator = jsonschema.Draft7Validator(schema)
    validator.validate(written)
    assert not validator.is_valid(written | {"operations": {"x": {"action": "say"}}})
    paths = served(document(front))
    streams = {
        path
        for path, item in paths.items()
        if "text/event-stream" in item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
    }
    assert {one["address"] for one in written["channels"].values()} == streams == {"/stream", "/changes"}
    text = json.dumps(written)
    for target in re.findall(r'"\$ref": ?"([^"]*)"', text):
        part = written
        for name in target.removeprefix("#/").split("/"):
            part = part[name]
    assert "nullable" not in text
    for channel in written["channels"].values():
        for message in channel["messages"].values():
            jsonschema.Draft7Validator.check_schema(message["payload"])


def test_every_path_that_is_served_is_in_the_api_document_and_the_other_way_round(front: app.Front):
    written = document(front)
    openapi_spec_validator.validate(written)
    assert "://" not in " ".join(re.findall(r'"\$ref": ?"([^"]*)"', json.dumps(written)))
    items = served(written)
    find = Routes(front.site.rooms).find
    verbs = {method.lower() for method in METHODS}
    for path, item in items.items():
        target, _ = find(re.sub(r"\{\w+\}", "1", path))
        assert target.route.paths(context(front)), path
        assert {verb.upper() for verb in verbs & set(item)} <= {*target.handlers, "OPTIONS"}, path
    for route in routes(front):
        paths = route.paths(context(front))
        assert paths or route.path in ("/", "/{file...}"), f"{route.path} is not in the API document"
        assert paths.keys() <= items.keys()
        said = {verb.upper() for item in paths.values() for verb in verbs & set(item)}
        assert not paths or set(route.methods) <= said, route.path
        names = {name for path in paths for name in re.findall(r"\{(\w+)\}", path)}
        assert names == {name for item in paths.values() for name in path_parameters(item)}, route.path


def test_each_operation_has_a_name_of_its_own(front: app.Front):
    found = [
        operation["operationId"]
        for item in document(front)["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "operationId" in operation
    ]
    assert len(found) == len(set(found))


def test_landing_page_and_collections_name_the_other_rooms(front: app.Front):
    async def read(client: httpx.AsyncClient) -> tuple[Any, Any]:
        landing = (await client.get("/ogc?f=json")).json()["links"]
        return landing, (await client.get("/ogc/collections/houses?f=json")).json()["links"]

    landing, collection = ask(front, read)
    by_href = {one["href"].removeprefix(URL): one["rel"] for one in landing}
    assert by_href["/sta/v1.1"] == "related"
    assert by_href["/incidents"] == "related"
    assert by_href["/stream"] == "monitor"
    assert by_href["/health/ready"] == "status"
    assert by_href["/search?q={q}"] == "search"
    tileset = next(one for one in collection if one["href"] == f"{URL}/3dtiles/houses/tileset.json")
    assert tileset["type"] == "application/json+3dtiles"
    # every link of either leads somewhere, but for those that are templates or have no end
    links = [one for one in [*landing, *collection] if not one.get("templated")]

    async def follow(client: httpx.AsyncClient) -> None:
        for one in links:
            headed = one["type"] == sse.MEDIA or "/download" in one["href"]
            answer = await (client.head if headed else client.get)(one["href"])
            assert answer.status_code == 200, one

    ask(front, follow)


def test_no_link_is_hidden(front: app.Front):
    """3D tiles, SensorThings, incidents, TileJSON: from the landing page, and what is of a layer from it."""

    async def read(client: httpx.AsyncClient) -> list[httpx.Response]:
        paths = "/ogc", "/ogc/collections/houses", "/ogc/collections/houses/tiles"
        return [await client.get(path, params={"f": f}) for path in paths for f in ("json", "html")]

    landing, landing_html, layer, layer_html, tiles, tiles_html = ask(front, read)
    template = f"{URL}/tiles/houses/{{z}}/{{x}}/{{y}}.mvt"
    of_layer = {f"{URL}/3dtiles/houses/tileset.json", f"{URL}/tiles/houses.json"}
    of_city = of_layer | {f"{URL}/sta/v1.1", f"{URL}/incidents", f"{URL}/incidents?f=html", f"{URL}/stream"}
    assert of_city <= {one["href"] for one in landing.json()["links"]}
    assert all(f'href="{href}"' in landing_html.text for href in of_city - {f"{URL}/stream"})
    links = {one["href"]: one for one in layer.json()["links"]}
    assert of_layer | {f"{URL}/ogc"} <= links.keys()
    assert links[template]["templated"] is True
    assert all(f'href="{href}"' in layer_html.text for href in of_layer)
    assert {one["href"] for one in tiles.json()["links"]} >= {template, f"{URL}/tiles/houses.json"}
    # shown to be copied
    assert f'<code class="address">{template}</code>' in tiles_html.text
    assert "/tiles/WebMercatorQuad/{tileMatrix}/{tileRow}/{tileCol}" in tiles_html.text


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/incidents", "/ogc/collections/incidents/items?f=html"),
        ("/incidents/1", "/ogc/collections/incidents/items?f=html"),
        ("/sta/v1.1", "/sta/v1.1/Datastreams"),
        ("/tiles/houses.json", "/tiles/houses/{z}/{x}/{y}.mvt"),
    ],
)
def test_a_person_can_read_it(front: app.Front, path: str, shown: str):
    async def read(client: httpx.AsyncClient) -> list[httpx.Response]:
        browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        asked = [await client.get(path, params={"f": f}) for f in ("html", "json", "xml")]
        return [*asked, await client.get(path), await client.get(path, headers=browser)]

    html, plain, bad, default, browser = ask(front, read)
    assert (html.status_code, html.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert URL + shown in html.text
    assert "default-src 'none'" in html.headers["content-security-policy"]
    assert plain.json() == default.json()
    assert bad.status_code == 400
    if not path.endswith(".json"):
        assert browser.headers["content-type"] == "text/html; charset=utf-8"
        assert "Accept" in default.headers["vary"]


def test_no_writing_method_is_announced_to_a_page_of_another_origin(front: app.Front):
    async def walk(client: httpx.AsyncClient) -> None:
        for path in ("/incidents", "/sta/v1.1/Things"):
            foreign = await client.options(path, headers={"origin": "https://elsewhere.example"})
            assert "POST" in foreign.headers["allow"]
            assert foreign.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
            assert "Authorization" in foreign.headers["access-control-allow-headers"]
            assert foreign.headers["accept-post"] == "application/json"

    ask(front, walk)


def test_every_address_is_in_the_readme(front: app.Front):
    readme = (ROOT / "README.md").read_text("utf-8")
    of_the_page = {"", "config.json", "models.json", "{file...}"}
    for first in {route.path.split("/")[1] for route in routes(front)} - of_the_page:
        assert f"`/{first}" in readme, first


async def nothing(*_: object) -> None:
    """A handler."""


def room(*paths: str) -> Room:
    return Room("x", ("x", "x"), tuple(Route(path, {"GET": nothing}) for path in paths))


@pytest.mark.parametrize(
    ("path", "route", "values"),
    [
        ("/a", "/a", []),
        ("/a/b", "/a/b", []),
        ("/a/c", "/a/{one}", ["c"]),
        ("/a/c/d", "/a/{one}/d", ["c"]),
        ("/a/c.json", "/a/{one}.json", ["c"]),
        ("/a/.json", "/a/{one}", [".json"]),
        ("/a/json", "/a/{one}", ["json"]),
        ("/a/c/1.mvt", "/a/{one}/{two}.mvt", ["c", "1"]),
        ("/t/", "/t/{rest...}", [""]),
        ("/t/x/y", "/t/{rest...}", ["x/y"]),
        ("/t/fixed", "/t/fixed", []),
        ("/t/fixed/more", "/t/{rest...}", ["fixed/more"]),
        ("/a/c/1.pbf", None, []),
        ("/a/c/d/e", None, []),
        ("/b", None, []),
        ("*", None, []),
        ("", None, []),
    ],
)
def test_the_route_of_a_path(path: str, route: str | None, values: list[str]):
    table = Routes(
        [
            room("/a", "/a/b", "/a/{one}", "/a/{one}/d", "/a/{one}.json"),
            room("/a/{one}/{two}.mvt", "/t/{rest...}", "/t/fixed"),
        ]
    )
    if route is None:
        with pytest.raises(NotFound):
            table.find(path)
        return
    target, found = table.find(path)
    assert (target.route.path, found) == (route, values)


def test_two_routes_of_one_path_are_a_mistake():
    with pytest.raises(ValueError, match="/a"):
        Routes([room("/a"), room("/a")])
