"""Three servers on one database: they answer alike, hear of each other, and never say 304 wrongly."""

from __future__ import annotations

import itertools
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import psycopg
import pytest

from tests.support import HELSINKI, Server, twin, until

LAYERS = ["addresses", "building_parts", "buildings", "pipelines", "roads", "street_assets"]
TILE = "16/37308/18969"
PATHS = [
    "/ogc/collections",
    "/ogc/conformance",
    "/ogc/api",
    "/config.json",
    *(
        path.format(layer=layer)
        for layer in LAYERS
        for path in (
            "/ogc/collections/{layer}",
            "/ogc/collections/{layer}/items?limit=10000",
            "/ogc/collections/{layer}/items?limit=20&bbox=24.94,60.168,24.95,60.172",
            "/ogc/collections/{layer}/items?limit=10&offset=20&crs=http://www.opengis.net/def/crs/EPSG/0/3857",
            "/ogc/collections/{layer}/items/1",
            "/ogc/collections/{layer}/schema",
            "/ogc/collections/{layer}/queryables",
            "/tiles/{layer}.json",
            "/tiles/{layer}/" + TILE + ".mvt",
            "/tiles/{layer}/14/9327/4742.mvt",
        )
    ),
    *(
        f"/3dtiles/{layer}/{end}"
        for layer in ("buildings", "building_parts", "pipelines")
        for end in ("tileset.json", f"{TILE}.glb")
    ),
    "/search?q=mannerheimintie%205",
]
ROUNDS = 36


@pytest.fixture(scope="module")
def three(start_at: Callable[..., Server]) -> Iterator[list[Server]]:
    """Three servers, each with a folder of its own."""
    return [start_at() for _ in range(3)]


def plain(server: Server, path: str) -> tuple[int, str | None, bytes]:
    """Status, ETag and body of an answer, without the server's address and the time of the answer."""
    answer = server.http.get(path)
    assert answer.status_code in (200, 204), f"{path}: {answer.text[:500]}"
    body = answer.content.replace(server.url.encode(), b"")
    body = re.sub(rb'"timeStamp":"[^"]*"', b"", body)
    own_address = server.url.encode() in answer.content
    return answer.status_code, None if own_address else answer.headers.get("etag"), body


@pytest.mark.parametrize("path", PATHS)
def test_they_answer_alike(three: list[Server], path: str):
    first, *others = [plain(server, path) for server in three]
    assert others == [first, first]


def test_etags_of_features_and_tiles_are_the_same(three: list[Server]):
    for path in (
        "/ogc/collections/buildings/items?limit=10",
        "/ogc/collections/buildings/items/1",
        f"/tiles/buildings/{TILE}.mvt",
        f"/3dtiles/buildings/{TILE}.glb",
    ):
        etags = {server.http.get(path).headers["etag"] for server in three}
        assert len(etags) == 1, path
        etag = etags.pop()
        for server in three:
            assert server.http.get(path, headers={"if-none-match": etag}).status_code == 304


def patch(server: Server, path: str, name: str) -> None:
    done = server.http.patch(
        path,
        content=json.dumps({"properties": {"name": name}}),
        headers={**server.auth, "content-type": "application/merge-patch+json"},
    )
    assert done.status_code in (200, 204), done.text


def editors(three: list[Server], url: str, item: str, fid: int) -> Iterator[Callable[[str], int | None]]:
    """Ways to change the feature, in turn: over each server, and in SQL by another program. Each gives
    the number of the server that did it."""

    def over(number: int) -> Callable[[str], int | None]:
        def edit(name: str) -> int | None:
            patch(three[number], item, name)
            return number

        return edit

    def in_sql(name: str) -> int | None:
        with psycopg.connect(url, connect_timeout=5) as con:
            con.execute("UPDATE city.buildings SET name = %s WHERE fid = %s", (name, fid))
        return None

    return itertools.cycle((over(0), over(1), in_sql, over(2)))


def test_an_edit_is_never_answered_by_a_stale_304(three: list[Server], helsinki_url: str):
    fid = 1
    item = f"/ogc/collections/buildings/items/{fid}"
    page = "/ogc/collections/buildings/items?limit=1000"
    west, south, east, north = box(three[0], item)
    small = f"/ogc/collections/buildings/items?bbox={west},{south},{east},{north}"
    tile = tile_of((west + east) / 2, (south + north) / 2)
    paths = [item, page, small, tile]
    held = {(path, n): server.http.get(path) for path in paths for n, server in enumerate(three)}
    for number, edit in zip(range(ROUNDS), editors(three, helsinki_url, item, fid), strict=False):
        name = f"round {number}"
        edit(name)
        for at in range(3):
            server = three[(number + at) % 3]
            n = (number + at) % 3
            for path in paths:
                etag = held[path, n].headers["etag"]
                answer = server.http.get(path, headers={"if-none-match": etag})
                assert answer.status_code == 200, f"{path} of server {n} in round {number}: stale 304"
                assert name.encode() in answer.content, f"{path} of server {n} in round {number}"
                held[path, n] = answer


def box(server: Server, item: str) -> tuple[float, float, float, float]:
    import shapely

    geometry = shapely.from_geojson(json.dumps(server.http.get(item).json()["geometry"]))
    west, south, east, north = geometry.bounds
    return west, south, east, north


def tile_of(lon: float, lat: float) -> str:
    """The uncompressed vector tile of zoom 16 at a place."""
    import numpy as np

    from tiles import scheme

    ((x, y, _, _),) = scheme.world_boxes(np.array([[lon, lat, lon, lat]])).tolist()
    ((z, column, row),) = scheme.cells((x, y, x, y), 16)
    return f"/tiles/buildings/{z}/{column}/{row}.mvt"


def test_writers_at_work_everywhere_at_once_never_hide_an_edit(three: list[Server], helsinki_url: str):
    """Each writer has features of its own; what it wrote must be in the next answer of every server,
    while the others commit in between."""
    end = time.monotonic() + 4
    last = end + 60  # for the rounds that a busy machine could not do by then
    faults: list[str] = []
    rounds = [0] * 4

    def work(writer: int) -> None:
        draw = random.Random(writer)
        with httpx.Client(timeout=30) as client:
            while time.monotonic() < (end if rounds[writer] > 5 else last):
                fid = 100 + writer * 50 + draw.randrange(50)
                path = f"/ogc/collections/buildings/items/{fid}"
                reader = three[draw.randrange(3)]
                etag = client.get(reader.url + path).headers["etag"]
                name = f"{writer}.{rounds[writer]}"
                if writer == 3:
                    with psycopg.connect(helsinki_url, connect_timeout=5) as con:
                        con.execute("UPDATE city.buildings SET name = %s WHERE fid = %s", (name, fid))
                else:
                    patch(three[writer], path, name)
                answer = client.get(reader.url + path, headers={"if-none-match": etag})
                if answer.status_code != 200 or answer.json()["properties"]["name"] != name:
                    faults.append(f"writer {writer}, {name}: {answer.status_code} {answer.text[:200]}")
                rounds[writer] += 1

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert min(rounds) > 5


def test_a_geometry_that_moved_by_sql_changes_tiles_and_3d_tiles_everywhere(
    three: list[Server], helsinki_url: str
):
    scenes = f"/3dtiles/buildings/{TILE}.glb"
    fids = inside(three[0])
    for number in range(8):
        held = [server.http.get(scenes).headers["etag"] for server in three]
        with psycopg.connect(helsinki_url, connect_timeout=5) as con:
            con.execute(
                "UPDATE city.buildings SET geom = ST_Translate(geom, 0.000001, 0) WHERE fid = %s",
                (fids[number % len(fids)],),
            )
        for server, etag in zip(three, held, strict=True):
            assert server.http.get(scenes, headers={"if-none-match": etag}).status_code == 200


def inside(server: Server) -> list[int]:
    """Buildings drawn by the 3D node under test: their whole box lies in its cell."""
    from tests.unit.tiles import gltf

    answer = server.http.get(f"/3dtiles/buildings/{TILE}.glb")
    return sorted({int(fid) for fid in gltf.read(answer.content).table["fid"]})


def test_a_load_is_seen_by_all_without_a_stale_304(three: list[Server], tmp_path):
    path = "/ogc/collections/pipelines/items?limit=1000"
    tile = f"/tiles/pipelines/{TILE}.mvt"
    features = json.loads((HELSINKI / "pipelines.geojson").read_text("utf-8"))
    wide = "/tiles/pipelines/12/2331/1185.mvt"
    for count in (60, 78):
        held = {(at, n): s.http.get(at) for at in (path, tile, wide) for n, s in enumerate(three)}
        file = tmp_path / "pipelines.geojson"
        file.write_text(json.dumps({**features, "features": features["features"][:count]}), "utf-8")
        twin("load", str(file), "--as", "pipelines", "--kind", "pipeline", "--replace",
             "--city", str(three[count % 3].folder))  # fmt: skip
        for (at, n), before in held.items():
            answer = three[n].http.get(at, headers={"if-none-match": before.headers["etag"]})
            if at == path:
                assert answer.json()["numberMatched"] == count
            elif at == wide:
                assert answer.status_code == 200
            # a tile that no changed pipeline lies in may be kept
            if answer.status_code == 304:
                assert three[n].http.get(at).content == before.content, f"{at} of server {n}: stale 304"


class Listener:
    """An open stream, read up to its snapshot."""

    def __init__(self, server: Server, stack: ExitStack) -> None:
        client = stack.enter_context(httpx.Client(base_url=server.url, timeout=2))
        self._lines = stack.enter_context(client.stream("GET", "/stream")).iter_lines()
        assert self._told("snapshot", "", time.monotonic() + 5)

    def told(self, event: str, about: str, since: float) -> bool:
        """Whether an event that mentions this text comes within a second of an instant."""
        return self._told(event, about, since + 1.0)

    def _told(self, event: str, about: str, until: float) -> bool:
        name = ""
        try:
            for line in self._lines:
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: ") and name == event and about in line:
                    return time.monotonic() < until
        except httpx.ReadTimeout:
            pass
        return False


def test_the_streams_of_the_others_tell_of_an_edit_within_a_second(three: list[Server], helsinki_url: str):
    with ExitStack() as stack:
        listeners = [Listener(server, stack) for server in three]
        for number, edit in zip(
            range(8), editors(three, helsinki_url, "/ogc/collections/buildings/items/2", 2), strict=False
        ):
            edit(f"told {number}")
            done = time.monotonic()
            for n, listener in enumerate(listeners):
                assert listener.told("tiles", "tiles/buildings/16/", done), f"server {n} in round {number}"


def test_a_load_is_told_to_every_stream(three: list[Server]):
    before = three[1].http.get("/config.json").json()
    with ExitStack() as stack:
        listeners = [Listener(server, stack) for server in three]
        twin("load", str(HELSINKI / "street_assets.geojson"), "--as", "more_assets", "--kind", "component",
             "--city", str(three[0].folder))  # fmt: skip
        done = time.monotonic()
        for listener in listeners:
            assert listener.told("layers", "more_assets", done)
    for server in three:
        after = server.http.get("/config.json").json()
        assert len(after["layers"]) == len(before["layers"]) + 1


def test_a_search_finds_what_another_server_named(three: list[Server]):
    patch(three[0], "/ogc/collections/buildings/items/3", "Observatorium Ultimum")
    for server in three:
        found = server.http.get("/search", params={"q": "observatorium ultimum"}).json()["features"]
        assert [one["properties"]["fid"] for one in found] == [3]


def test_ready_tells_the_same_everywhere(three: list[Server]):
    def same() -> bool:
        return len({json.dumps(server.http.get("/health/ready").json()) for server in three}) == 1

    until(same, seconds=2, what="one state on all servers")


def test_a_server_that_was_killed_and_started_again_keeps_the_etags(
    three: list[Server], start_at: Callable[..., Server], serve: Callable[..., Server]
):
    path = "/ogc/collections/roads/items/1"
    extra = start_at(clean=False)
    etag = extra.http.get(path).headers["etag"]
    extra.kill()
    again = serve(extra.folder)
    assert again.http.get(path, headers={"if-none-match": etag}).status_code == 304
    for server in three:
        assert server.http.get(path, headers={"if-none-match": etag}).status_code == 304
