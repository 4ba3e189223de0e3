"""Whole layers as files: what is in them, how they break off, what they cost the others."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from layers.store.base import SOURCE_ID, WKB, Store
from layers.store.open import Database, open_store
from layers.write import FORMATS
from tests import gdal_edit
from tests.gdal_read import Gdal
from tests.postgres import Cluster
from tests.storing import load, row, spec
from tests.support import Server, copy_city, until

type Start = Callable[..., Server]
MANY = 40_000
DOWNLOAD = "/ogc/collections/buildings/download"
STREAMED = [name for name, form in FORMATS.items() if form.streamed]
FILES = [name for name, form in FORMATS.items() if not form.streamed]


def fill(store: Store) -> None:
    """A layer whose GeoJSON is longer than what sockets hold, and a small one with a Chinese title."""
    stage = store.stage(spec(title={"en": "Buildings", "zh-CN": "建筑/物"}))
    n = np.arange(MANY)
    west, south = 25 + n % 200 * 0.001, 60 + n // 200 * 0.001
    shapes = shapely.box(west, south, west + 0.0005, south + 0.0005)
    stage.add(
        pa.table(
            {
                SOURCE_ID: pa.array([f"b{i}" for i in n]),
                WKB: pa.array(shapely.to_wkb(shapes, flavor="iso").tolist(), pa.binary()),
                "name": pa.array([f"房子 {i}" if i % 3 else None for i in n]),
                "height_m": pa.array(n * 0.5),
                "levels": pa.array(n % 7),
                "seen": pa.array(["2024-02-29T12:00:00.000Z"] * MANY),
            }
        )
    )
    store.publish(stage, mode="create")
    points = [row(f"p{i}", shapely.Point(25 + i / 1e4, 60), name=f"point {i}") for i in range(5000)]
    load(store, spec("points", geometry_type="Point"), points)


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def city(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled city on each store."""
    folder = tmp_path_factory.mktemp("download") / "city"
    folder.mkdir()
    text, database = "title: {en: Test}\nlanguages: [en, zh-CN]\n", None
    if request.param == "postgis":
        database = Database(request.getfixturevalue("postgres").database())
        text += f"store: {database.url}\n"
    (folder / "city.yml").write_text(text, "utf-8")
    store = open_store(folder, database)
    fill(store)
    store.close()
    return folder


@pytest.fixture(scope="module")
def served(city: Path) -> Iterator[Server]:
    """A server on it; its log must be clean at the end."""
    running = Server.start(city)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gdal() -> Iterator[Gdal]:
    child = Gdal()
    yield child
    child.close()


def get(server: Server, path: str = DOWNLOAD, **parameters: str) -> httpx.Response:
    return server.http.get(path, params=parameters, timeout=120)


def left(server: Server) -> list[Path]:
    """What lies in the folder of files that are being made."""
    folder = server.folder / "derived" / "downloads"
    return list(folder.iterdir()) if folder.exists() else []


def fids(name: str, body: bytes, folder: Path, gdal: Gdal) -> list[int]:
    """The ids of the features of a file."""
    path = folder / f"got.{FORMATS[name].extension}"
    path.write_bytes(body)
    if name == "geojson":
        return [f["id"] for f in json.loads(body)["features"]]
    if name == "csv":
        return [int(r["fid"]) for r in csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""))]
    if name == "parquet":
        return list(pq.read_table(path)["fid"].to_pylist())
    (read,) = gdal.read(f"/vsizip/{path}" if name == "shp" else path)
    return [f[0] for f in read.features] if name == "gpkg" else read.column("fid")


class Slow:
    """A client that takes the head of an answer and then only what it is told to."""

    def __init__(self, server: Server, path: str) -> None:
        address = urlsplit(server.url)
        assert address.hostname is not None
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.socket.settimeout(60)
        self.socket.connect((address.hostname, address.port))
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        self.answer = http.client.HTTPResponse(self.socket)
        self.answer.begin()

    def close(self) -> None:
        self.answer.close()
        self.socket.close()


@contextmanager
def slow(server: Server, path: str) -> Iterator[Slow]:
    client = Slow(server, path)
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize("name", FORMATS)
def test_everything_is_in_it_once(served: Server, name: str, tmp_path: Path, gdal: Gdal) -> None:
    answer = get(served, f=name)
    assert answer.status_code == 200, answer.text[:300]
    assert fids(name, answer.content, tmp_path, gdal) == list(range(1, MANY + 1))
    assert left(served) == []


@pytest.mark.parametrize("name", FORMATS)
def test_it_selects_as_a_page_does(served: Server, name: str, tmp_path: Path, gdal: Gdal) -> None:
    for query in (
        {"bbox": "25.01,60.01,25.02,60.02"},
        {"levels": "3", "bbox": "25,60,25.05,60.1"},
        {"filter": "levels = 2 AND height_m < 300"},
        {"q": "房子 100", "properties": "name"},
        {"filter": "levels > 90"},
    ):
        page = get(served, "/ogc/collections/buildings/items", limit="10000", **query).json()
        answer = get(served, f=name, **query)
        assert answer.status_code == 200, answer.text[:300]
        wanted = [f["id"] for f in page["features"]]
        assert fids(name, answer.content, tmp_path, gdal) == wanted
        assert len(wanted) == page["numberMatched"]


def test_the_geojson_is_that_of_the_pages(served: Server) -> None:
    page = get(served, "/ogc/collections/buildings/items", limit="500", bbox="25,60,25.01,60.01").content
    file = get(served, bbox="25,60,25.01,60.01").content
    assert file == page[: page.index(b'],"numberMatched"')] + b"]}\n"


@pytest.mark.parametrize("name", FORMATS)
def test_headers(served: Server, name: str) -> None:
    form = FORMATS[name]
    for method in ("GET", "HEAD"):
        answer = served.http.request(
            method, DOWNLOAD, params={"bbox": "25,60,25.01,60.01"}, headers={"accept": form.media}
        )
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == form.media
        told = answer.headers["content-disposition"]
        file = f"ildings.{form.extension}"
        assert told == f"attachment; filename=\"bu{file}\"; filename*=UTF-8''Bu{file}"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "accept" in answer.headers["vary"].lower()
        assert answer.headers["etag"].startswith('W/"')
        if method == "HEAD":
            assert answer.content == b""
        elif form.streamed:
            assert answer.headers["transfer-encoding"] == "chunked"
        else:
            assert int(answer.headers["content-length"]) == len(answer.content)
    again = served.http.get(DOWNLOAD, headers={"accept": form.media, "if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_name_is_the_title_in_the_language_of_the_client(
    served: Server, tmp_path: Path, gdal: Gdal
) -> None:
    answer = served.http.get(
        DOWNLOAD, params={"f": "gpkg", "bbox": "25,60,25.01,60.01"}, headers={"accept-language": "zh-CN"}
    )
    told = answer.headers["content-disposition"]
    assert unquote(told.partition("filename*=UTF-8''")[2]) == "建筑_物.gpkg"
    path = tmp_path / "got.gpkg"
    path.write_bytes(answer.content)
    (read,) = gdal.read(path)
    assert (read.name, read.title) == ("buildings", "建筑/物")
    assert {c[0]: c[3] for c in read.columns}["name"] == "名称"


def test_the_default_is_geojson_and_is_packed_where_the_client_takes_it(served: Server) -> None:
    box = {"bbox": "25,60,25.01,60.01"}
    plain = served.http.get(DOWNLOAD, params=box, headers={"accept": "*/*", "accept-encoding": "identity"})
    assert plain.headers["content-type"] == "application/geo+json"
    assert "content-encoding" not in plain.headers
    head = served.http.head(DOWNLOAD, params=box, headers={"accept-encoding": "gzip"})
    assert head.headers["content-encoding"] == "gzip"
    with served.http.stream("GET", DOWNLOAD, params=box, headers={"accept-encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content
    made = served.http.get(DOWNLOAD, params={**box, "f": "parquet"}, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in made.headers


def test_an_old_proxy_gets_a_length(served: Server) -> None:
    """HTTP/1.0 has no chunks: an answer that broke off would look whole."""
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port)) as plain:
        request = f"GET {DOWNLOAD}?bbox=25,60,25.01,60.01 HTTP/1.0\r\nHost: {address.netloc}\r\n\r\n"
        plain.sendall(request.encode())
        answer = http.client.HTTPResponse(plain)
        answer.begin()
        body = answer.read()
    assert int(answer.getheader("content-length", "0")) == len(body)
    assert body == get(served, bbox="25,60,25.01,60.01").content


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("f=xlsx", 400, "geojson, json, flatgeobuf"),
        ("f=csv&f=gpkg", 400, "more than once"),
        ("limit=10", 400, "limit"),
        ("offset=10", 400, "offset"),
        ("after=10", 400, "after"),
        ("nosuch=1", 400, "nosuch"),
        ("properties=nosuch", 400, "nosuch"),
        ("crs=EPSG:3857", 400, "crs"),
        ("filter=levels%20%3D", 400, "filter"),
    ],
)
def test_what_cannot_be_asked(served: Server, query: str, status: int, told: str) -> None:
    for method in ("GET", "HEAD"):
        answer = served.http.request(method, f"{DOWNLOAD}?{query}")
        assert answer.status_code == status
        if method == "GET":
            assert told in answer.json()["detail"]


def test_errors_without_a_file(served: Server) -> None:
    assert get(served, "/ogc/collections/nosuch/download").status_code == 404
    assert served.http.get(DOWNLOAD, headers={"accept": "image/png"}).status_code == 406
    refused = served.http.post(DOWNLOAD)
    assert (refused.status_code, "GET" in refused.headers["allow"]) == (405, True)


def test_one_moment_whatever_happens_meanwhile(served: Server) -> None:
    """Edits made after the first byte change nothing of the rest."""
    last, gone = MANY, MANY - 1
    item = f"/ogc/collections/buildings/items/{last}"
    before = get(served, item).json()["properties"]["name"]
    etag = served.http.head(DOWNLOAD).headers["etag"]
    with slow(served, DOWNLOAD) as client:
        begin = client.answer.read(1000)
        changed = served.http.patch(
            item,
            json={"properties": {"name": "edited meanwhile"}},
            headers={**served.auth, "content-type": "application/merge-patch+json"},
        )
        assert changed.status_code in (200, 204), changed.text
        removed = served.http.delete(f"/ogc/collections/buildings/items/{gone}", headers=served.auth)
        assert removed.status_code in (200, 204), removed.text
        features = {f["id"]: f for f in json.loads(begin + client.answer.read())["features"]}
    assert len(features) == MANY
    assert features[last]["properties"]["name"] == before
    after = {f["id"]: f for f in get(served, filter="levels >= 0").json()["features"]}
    assert gone not in after
    assert after[last]["properties"]["name"] == "edited meanwhile"
    again = served.http.get(DOWNLOAD, params={"levels": "99"}, headers={"if-none-match": etag})
    assert (again.status_code, again.headers["etag"] != etag) == (200, True)
    back = {
        "type": "Feature",
        "geometry": features[gone]["geometry"],
        "properties": features[gone]["properties"],
    }
    posted = served.http.post(
        "/ogc/collections/buildings/items",
        json=back,
        headers={**served.auth, "content-type": "application/geo+json"},
    )
    assert posted.status_code == 201, posted.text


def test_two_at_a_time_and_a_client_that_goes_gives_its_place_back(served: Server) -> None:
    with ExitStack() as clients:
        for _ in range(2):
            clients.enter_context(slow(served, DOWNLOAD))
        refused = get(served)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert "2 downloads" in refused.json()["detail"]
        assert get(served, "/ogc/collections/buildings/items").status_code == 200
    assert until(lambda: get(served, bbox="25,60,25.01,60.01").status_code == 200, 20)


@pytest.fixture
def own(city: Path, tmp_path: Path) -> Path:
    """A copy of the city folder, because one server has a folder to itself."""
    return copy_city(city, tmp_path / "own")


def test_a_killed_server_is_seen_by_the_client_and_cleans_up(own: Path, serve: Start) -> None:
    server = serve(own, clean=False)
    with slow(server, DOWNLOAD) as client:
        client.answer.read(1000)
        server.kill()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            client.answer.read()
    server.stop()

    server = serve(own, clean=False)
    with asked(server, "gpkg"):
        until(lambda: left(server), 20, "a file being made")
        server.kill()
    server.stop()
    assert left(server) != []
    following = serve(own)
    assert left(following) == []
    following.stop()


def test_a_server_that_stops_says_so_and_removes_the_file(own: Path, serve: Start) -> None:
    server = serve(own)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, server, f="gpkg")
        until(lambda: left(server), 20, "a file being made")
        server.process.send_signal(signal.SIGTERM)
        answer = waiting.result(30)
    assert (answer.status_code, answer.json()["detail"]) == (503, "the server is stopping; try again soon")
    server.process.wait(10)
    assert left(server) == []


@contextmanager
def asked(server: Server, name: str) -> Iterator[None]:
    """A download that nobody reads: of a file, nothing comes before it is made."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as plain:
        plain.sendall(f"GET {DOWNLOAD}?f={name} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        yield


def test_a_client_that_goes_while_the_file_is_made(served: Server) -> None:
    with asked(served, "shp"):
        until(lambda: left(served), 20, "a file being made")
    until(lambda: not left(served), 20, "removing it")


def test_a_store_that_breaks_cuts_the_stream(own: Path, serve: Start) -> None:
    if not (own / "city.gpkg").exists():
        pytest.skip("a crash of the database has its own test")
    server = serve(own, clean=False)
    with slow(server, DOWNLOAD) as client:
        client.answer.read(1000)
        os.truncate(own / "city.gpkg", 2_000_000)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            client.answer.read()
    assert until(lambda: any("broke off" in line for line in server.log), 10)
    assert str(own) not in "".join(server.log)


def test_a_geometry_of_another_type_far_down(own: Path, serve: Start, tmp_path: Path, gdal: Gdal) -> None:
    """What the header of a FlatGeobuf says of all geometries holds for the last one too."""
    if not (own / "city.gpkg").exists():
        pytest.skip("the column of a PostGIS table takes no other type")
    polygon = shapely.force_3d(shapely.box(25, 60, 26, 61), 9)
    gdal_edit.edit(own / "city.gpkg", "insert", "points", json.dumps(shapely.geometry.mapping(polygon)))
    server = serve(own)
    path = tmp_path / "points.fgb"
    path.write_bytes(get(server, "/ogc/collections/points/download", f="flatgeobuf").content)
    (read,) = gdal.read(path)
    last = shapely.from_wkb(read.features[-1][1])
    assert (len(read.features), last.geom_type, last.has_z) == (5001, "Polygon", True)


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_is_told_and_leaves_nothing(own: Path, name: str, serve: Start) -> None:
    """A file may not grow beyond 400 kB here, which a writer cannot tell from a full disk."""
    server = serve(own, clean=False, prefix=("prlimit", "--fsize=400000"))
    answer = get(server, f=name)
    assert answer.status_code == 503, answer.text[:300]
    assert "no room" in answer.json()["detail"]
    assert str(own) not in answer.text
    assert left(server) == []
    assert get(server, f="csv").status_code == 200
    server.process.send_signal(signal.SIGTERM)
    server.stop()


def test_a_database_that_crashes_cuts_the_stream(postgres: Cluster, tmp_path: Path, serve: Start) -> None:
    found = Cluster.start(postgres.bin)
    try:
        folder = tmp_path / "city"
        folder.mkdir()
        url = found.database()
        (folder / "city.yml").write_text(f"title: {{en: Test}}\nstore: {url}\n", "utf-8")
        store = open_store(folder, Database(url))
        fill(store)
        store.close()
        server = serve(folder, clean=False)
        with slow(server, DOWNLOAD) as client:
            client.answer.read(1000)
            found.down(crash=True)
            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                client.answer.read()
        server.stop()
    finally:
        found.close()
