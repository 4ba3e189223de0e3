"""Whole layers as files: what is in them, and how they are asked for."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import numpy as np
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from layers.write import FORMATS
from tests import gdal_edit
from tests.e2e import downloads
from tests.e2e.downloads import DOWNLOAD, MANY, Start, fids, get, left
from tests.gdal_read import Gdal
from tests.support import Server

city = downloads.city
name_bytes = downloads.name_bytes
served = downloads.served
gdal = downloads.gdal
own = downloads.own


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


@pytest.mark.parametrize("name", FORMATS)
def test_it_comes_in_the_grid_of_the_planner(served: Server, name: str, tmp_path: Path, gdal: Gdal) -> None:
    """Asked for by a box of that grid (north first, as EPSG has it) and sorted; x is first in the file."""
    grid = pyproj.Transformer.from_crs("EPSG:4258", "EPSG:3879", always_xy=True)
    west, south = grid.transform(25.0102, 60.0102)
    east, north = grid.transform(25.0148, 60.0148)
    query = {
        "bbox": f"{south},{west},{north},{east}",
        "bbox-crs": "EPSG:3879",
        "datetime": "2024-02-29T00:00:00Z/2024-03-01T00:00:00Z",
        "filter": "levels < 6",
        "sortby": "-height_m",
        "properties": "height_m,name",
    }
    page = get(served, "/ogc/collections/buildings/items", limit="1000", **query).json()["features"]
    assert len(page) > 10
    answer = get(served, f=name, crs="EPSG:3879", **query)
    assert answer.status_code == 200, answer.text[:300]
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/EPSG/0/3879>"
    sorted_ = [one["id"] for one in page]
    assert fids(name, answer.content, tmp_path, gdal) == (sorted(sorted_) if name == "gpkg" else sorted_)
    path = tmp_path / f"got.{FORMATS[name].extension}"
    if name == "csv":
        texts = csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline=""))
        found = {int(row["fid"]): shapely.from_wkt(row["geometry"]) for row in texts}
    elif name == "parquet":
        table = pq.read_table(path).to_pydict()
        assert list(table) == ["fid", "name", "height_m", "geometry", "bbox"]
        found = dict(zip(table["fid"], shapely.from_wkb(table["geometry"]), strict=True))
    else:
        (read,) = gdal.read(f"/vsizip/{path}" if name == "shp" else path)
        assert read.epsg == "3879"
        known = [f[0] for f in read.features] if name == "gpkg" else sorted_
        shapes = [shapely.from_wkb(f[1]) for f in read.features]
        found = dict(zip(known, shapes, strict=True))
    for one in page:
        wanted = shapely.geometry.shape(one["geometry"])
        wanted = shapely.transform(wanted, lambda xy: np.column_stack(grid.transform(*xy.T)))
        assert found[one["id"]].normalize().equals_exact(wanted.normalize(), 1e-3)


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
        if method == "GET":
            streamed = form.streamed
            assert answer.headers["etag"].startswith('W/"') == streamed
            assert ("accept-ranges" in answer.headers) != streamed
            length = len(answer.content)
            if streamed:
                assert answer.headers["transfer-encoding"] == "chunked"
            else:
                assert int(answer.headers["content-length"]) == length
        else:
            assert answer.content == b""
            assert answer.headers["accept-ranges"] == "bytes"
            assert int(answer.headers["content-length"]) == length
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
    box = {"bbox": "25,60,25.011,60.011"}  # which no other test has asked for as a file
    plain = served.http.get(DOWNLOAD, params=box, headers={"accept": "*/*", "accept-encoding": "identity"})
    assert plain.headers["content-type"] == "application/geo+json"
    assert "content-encoding" not in plain.headers
    with served.http.stream("GET", DOWNLOAD, params=box, headers={"accept-encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content
    # who was told the length of the file gets that file
    head = served.http.head(DOWNLOAD, params=box, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in head.headers
    whole = served.http.get(DOWNLOAD, params=box, headers={"accept-encoding": "gzip"})
    assert int(head.headers["content-length"]) == len(whole.content) == len(plain.content)
    assert whole.headers["etag"] == head.headers["etag"]
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


@pytest.mark.parametrize("name", FORMATS)
def test_a_part_of_a_file_is_of_the_file_whose_length_was_told(served: Server, name: str) -> None:
    query = {"f": name, "bbox": "25.02,60.02,25.03,60.03"}

    def part(given: str, **headers: str) -> httpx.Response:
        return served.http.get(DOWNLOAD, params=query, headers={"range": given, **headers})

    first = part("bytes=0-99")
    head = served.http.head(DOWNLOAD, params=query)
    size, etag = int(head.headers["content-length"]), head.headers["etag"]
    assert size > 400
    assert not etag.startswith("W/")
    assert (first.status_code, len(first.content)) == (206, 100)
    assert first.headers["content-range"] == f"bytes 0-99/{size}"
    assert first.headers["etag"] == etag
    assert "content-encoding" not in first.headers
    whole = served.http.get(DOWNLOAD, params=query).content
    assert len(whole) == size
    for given, wanted in (
        ("bytes=0-99", whole[:100]),
        ("bytes=100-", whole[100:]),
        ("bytes=-7", whole[-7:]),
        (f"bytes=-{size + 5}", whole),
        (f"bytes={size - 1}-{size + 500}", whole[-1:]),
        ("Bytes=5-5", whole[5:6]),
    ):
        found = part(given)
        assert (found.status_code, found.content) == (206, wanted), given
        assert int(found.headers["content-length"]) == len(wanted)
    for given in (f"bytes={size}-", "bytes=-0", f"bytes={size + 1}-{size + 9}"):
        found = part(given)
        assert (found.status_code, found.headers["content-range"]) == (416, f"bytes */{size}"), given
    # what is no single range of bytes is passed over, and so is one of another file
    for given in ("bytes=0-1,5-6", "bytes=9-5", "bytes=-", "items=0-5", "bytes=a-b", ""):
        assert part(given).status_code == 200, given
    assert part("bytes=0-9", **{"if-range": etag}).status_code == 206
    for given in ('"other"', f"W/{etag}", "Sat, 28 Nov 2026 00:00:00 GMT"):
        other = part("bytes=0-9", **{"if-range": given})
        assert (other.status_code, other.content) == (200, whole), given
    assert part("bytes=0-9", **{"if-none-match": etag}).status_code == 304
    assert left(served) == []


def test_programs_open_files_where_they_lie(served: Server, gdal: Gdal) -> None:
    """They ask for the length and read the parts that they need."""
    (read,) = gdal.read(f"/vsicurl/{served.url}{DOWNLOAD}?f=fgb")
    assert len(read.features) == MANY
    table = pq.ParquetFile(Parts(f"{served.url}{DOWNLOAD}?f=parquet"))
    assert table.metadata.num_rows == MANY


class Parts(io.RawIOBase):
    """A file on the web, read by ranges alone."""

    def __init__(self, url: str) -> None:
        self._url, self._at = url, 0
        self._size = int(httpx.head(url).headers["content-length"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        last = min(self._at + len(buffer), self._size) - 1
        if last < self._at:
            return 0
        found = httpx.get(self._url, headers={"range": f"bytes={self._at}-{last}"})
        assert found.status_code == 206
        buffer[: len(found.content)] = found.content
        self._at += len(found.content)
        return len(found.content)


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
        ("crs=EPSG:2393", 400, "EPSG/0/3879"),
        ("bbox-crs=EPSG:2393&bbox=1,2,3,4", 400, "EPSG/0/3879"),
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
