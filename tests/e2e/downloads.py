"""Downloads of a filled city on each store, fast clients and slow ones; for the tests of downloads."""

from __future__ import annotations

import csv
import http.client
import io
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from layers.batch import SOURCE_ID, WKB
from layers.store.base import Store
from layers.store.database import Database
from layers.store.open import open_store
from layers.write import FORMATS
from tests.gdal_read import Gdal
from tests.storing import load, row, spec
from tests.support import Server, copy_city

type Start = Callable[..., Server]
#: Six batches of rows.
MANY = 12_000
#: Random bytes in each long name: with them the GeoJSON is longer than what sockets hold, and no format packs
#: them small. Many features would do as well, at three times the work.
NAME_BYTES = 600
DOWNLOAD = "/ogc/collections/buildings/download"
FILES = [name for name, form in FORMATS.items() if not form.streamed]


def fill(store: Store, layer: str = "buildings", name_bytes: int = NAME_BYTES) -> None:
    """A layer with a Chinese title."""
    stage = store.stage(spec(layer, title={"en": "Buildings", "zh-CN": "建筑/物"}))
    n, draw = np.arange(MANY), np.random.default_rng(1)
    west, south = 25 + n % 200 * 0.001, 60 + n // 200 * 0.001
    shapes = shapely.box(west, south, west + 0.0005, south + 0.0005)
    stage.add(
        pa.table(
            {
                SOURCE_ID: pa.array([f"b{i}" for i in n]),
                WKB: pa.array(shapely.to_wkb(shapes, flavor="iso").tolist(), pa.binary()),
                "name": pa.array([f"房子 {i} {draw.bytes(name_bytes).hex()}" if i % 3 else None for i in n]),
                "height_m": pa.array(n * 0.5),
                "levels": pa.array(n % 7),
                "seen": pa.array(["2024-02-29T12:00:00.000Z"] * MANY),
            }
        )
    )
    store.publish(stage, mode="create")


def add_points(store: Store) -> None:
    """A small layer."""
    points = [row(f"p{i}", shapely.Point(25 + i / 1e4, 60), name=f"point {i}") for i in range(5000)]
    load(store, spec("points", geometry_type="Point"), points)


@pytest.fixture(scope="module")
def name_bytes() -> int:
    """A module whose clients are slow has long names; texts that are searched are short."""
    return 0


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def city(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, name_bytes: int) -> Path:
    """A filled city on each store."""
    folder = tmp_path_factory.mktemp("download") / "city"
    folder.mkdir()
    text, database = "title: {en: Test}\nlanguages: [en, zh-CN]\n", None
    if request.param == "postgis":
        database = Database(request.getfixturevalue("postgres").database())
        text += f"store: {database.url}\n"
    (folder / "city.yml").write_text(text, "utf-8")
    store = open_store(folder, database)
    fill(store, name_bytes=name_bytes)
    add_points(store)
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


@pytest.fixture
def own(city: Path, tmp_path: Path) -> Path:
    """A copy of the city folder, because one server has a folder to itself."""
    return copy_city(city, tmp_path / "own")


def get(server: Server, path: str = DOWNLOAD, **parameters: str) -> httpx.Response:
    return server.http.get(path, params=parameters, timeout=120)


def left(server: Server) -> list[Path]:
    """What lies in the folder of files that are being made."""
    folder = server.folder / "derived" / "jobs"
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

    def __init__(self, server: Server, path: str, key: str = "") -> None:
        address = urlsplit(server.url)
        assert address.hostname is not None
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.socket.settimeout(60)
        self.socket.connect((address.hostname, address.port))
        own = f"X-Api-Key: {key}\r\n" if key else ""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n{own}\r\n".encode())
        self.answer = http.client.HTTPResponse(self.socket)
        self.answer.begin()

    def close(self) -> None:
        self.answer.close()
        self.socket.close()


@contextmanager
def slow(server: Server, path: str, key: str = "") -> Iterator[Slow]:
    client = Slow(server, path, key)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def asked(server: Server, name: str) -> Iterator[None]:
    """A download that nobody reads: of a file, nothing comes before it is made."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as plain:
        plain.sendall(f"GET {DOWNLOAD}?f={name} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        yield
