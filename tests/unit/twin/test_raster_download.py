"""Files of rasters: values in strips as the file has them, pictures with a world file, limits."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.windows import from_bounds

from layers.errors import BadParameter, Conflict, NotFound, TooLarge, Unavailable
from layers.raster import files, geotiff
from layers.raster.coverage import Coverage
from tests import imagery, rasters
from tests.support import event_loop
from twin import app
from twin.access.caller import CALLER, Caller
from twin.city import City
from twin.http.errors import NotAcceptable
from twin.http.ogc.download import Download
from twin.jobs.work import WorkContext
from twin.jobs.works import raster_download as work

type Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "city.yml").write_text("title: {en: Files}\nlanguages: [en]\n", "utf-8")
    rasters.write(folder / "rasters/dem.tif", [rasters.ramp(700, 1500)])
    rasters.record(folder, "dem", "rasters/dem.tif", form="surface")
    opened = app.open_city(folder)
    yield opened
    opened.live.stop()
    opened.close()


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """One event loop: the process that was started for one job does the next, too."""
    with event_loop() as call:
        yield call


def ask(city: City, run: Run, query: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a request for the file of ``dem``. Raises what the handler raises."""
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        messages.append(message)

    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "client": ("10.0.0.1", 1),
        "type": "http",
        "method": "GET",
        "path": "/ogc/collections/dem/download",
        "query_string": query.encode(),
        "headers": given,
        CALLER: Caller(),
    }
    run(Download(city).give(scope, receive, send, "dem"))
    body = b"".join(one.get("body", b"") for one in messages[1:])
    return messages[0]["status"], {k.decode(): v.decode() for k, v in messages[0]["headers"]}, body


def test_values_come_as_a_file(city: City, run: Run) -> None:
    status, headers, body = ask(city, run, "bbox=2776100,8430000,2778100,8432000&bbox-crs=EPSG:3857")
    assert (status, headers["content-type"]) == (200, "image/tiff; application=geotiff")
    assert headers["content-disposition"].startswith('attachment; filename="dem.tif"')
    with MemoryFile(body).open() as got, rasterio.open(city.folder / "rasters/dem.tif") as own:
        assert got.shape == (200, 200)
        assert np.array_equal(got.read(1), own.read(1, window=from_bounds(*got.bounds, own.transform)))
        assert (got.descriptions, got.units, got.nodata) == (("height",), ("m",), -9999)
    part, more, first = ask(
        city, run, "bbox=2776100,8430000,2778100,8432000&bbox-crs=EPSG:3857", range="bytes=0-99"
    )
    assert (part, first) == (206, body[:100])
    assert more["content-range"] == f"bytes 0-99/{len(body)}"
    other = ask(city, run, "crs=EPSG:4326&scale-factor=4&f=geotiff")[2]
    with MemoryFile(other).open() as got:
        assert got.crs.to_epsg() == 4326


def test_a_file_of_a_raster_that_was_replaced_is_made_anew(
    city: City, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "TRUSTED", 0.0)
    query, dem = "bbox=2776100,8430000,2776200,8430100&bbox-crs=EPSG:3857", city.folder / "rasters/dem.tif"
    _, first, before = ask(city, run, query)
    status, _, part = ask(city, run, query, **{"range": "bytes=0-9", "if-range": first["etag"]})
    assert (status, part) == (206, before[:10])
    own = dem.read_bytes()
    try:
        rasters.write(dem, [rasters.ramp(700, 1500) + np.float32(1)])
        status, second, after = ask(city, run, query, **{"range": "bytes=0-9", "if-range": first["etag"]})
        assert (status, second["etag"] == first["etag"]) == (200, False)
        with MemoryFile(before).open() as old, MemoryFile(after).open() as new:
            assert np.array_equal(new.read(1), old.read(1) + 1)
    finally:
        dem.write_bytes(own)


def test_a_picture_lies_where_its_world_file_says(city: City, run: Run) -> None:
    query = "f=png&bbox=2776000,8430000,2778000,8431000&bbox-crs=EPSG:3857&width=100&colormap=viridis"
    status, headers, body = ask(city, run, query)
    assert (status, headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(body)) as files:
        assert sorted(files.namelist()) == ["dem.pgw", "dem.png", "dem.prj"]
        assert imagery.pixels(files.read("dem.png")).shape == (4, 50, 100)
        world = [float(line) for line in files.read("dem.pgw").decode().split()]
        assert world == [20, 0, 0, -20, 2_776_010, 8_430_990]
        assert files.read("dem.prj").decode().startswith('PROJCS["WGS_1984_Web_Mercator')
        folder = city.folder / "unpacked"
        files.extractall(folder)
    with rasterio.open(folder / "dem.png") as picture:
        assert picture.bounds == (2_776_000, 8_430_000, 2_778_000, 8_431_000)


@pytest.mark.parametrize(
    ("query", "error", "reason"),
    [
        ("f=shp", BadParameter, "geotiff"),
        ("limit=5", BadParameter, "no parameter here"),
        ("f=png&scale-factor=2", BadParameter, "no parameter here"),
        ("colormap=gray", BadParameter, "no parameter here"),
        ("f=png&colormap=plaid", BadParameter, "colour map"),
        ("bbox=0,0,1,1", NotFound, "nothing in that part"),
        ("f=png&width=9000&height=9000", TooLarge, "at most"),
        ("width=60000&height=60000", TooLarge, "scale-factor"),
        ("crs=EPSG:2154", BadParameter, "offered in"),
    ],
)
def test_what_cannot_be_given_is_told(
    city: City, run: Run, query: str, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        ask(city, run, query)


def test_other_media_types_are_refused(city: City, run: Run) -> None:
    with pytest.raises(NotAcceptable):
        ask(city, run, "", accept="text/csv")


def test_strips_are_the_whole(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "STRIP_BYTES", 1)
    context = WorkContext(city.catalogue.whole, tmp_path, [], city.folder)
    done = work.run(work.Input("dem", 1, "dem", [], "geotiff"), context)
    with rasterio.open(tmp_path / "dem.tif") as got, rasterio.open(city.folder / "rasters/dem.tif") as own:
        assert len(list(geotiff.strips(Coverage([own]).grid, Coverage([own]).bands, 1))) == 3
        assert np.array_equal(got.read(1), own.read(1))
        assert (got.crs, got.transform) == (own.crs, own.transform)
    assert done == {"file": "dem.tif", "size": (tmp_path / "dem.tif").stat().st_size}


def test_a_mask_is_kept_over_strips(tmp_path: Path) -> None:
    values = np.ma.masked_equal(np.arange(1200 * 520, dtype=np.uint16).reshape(1, 1200, 520) % 7, 3)
    source = rasters.write(tmp_path / "a.tif", [values[0].data], nodata=None)
    with rasterio.open(source) as file:
        coverage = Coverage([file])
        parts = [
            (first, values[:, first : first + part.height])
            for first, part in geotiff.strips(coverage.grid, coverage.bands, 1)
        ]
        assert len(parts) == 3
        geotiff.write(tmp_path / "b.tif", coverage, coverage.grid, coverage.bands, parts)
    with rasterio.open(tmp_path / "b.tif") as got:
        read = got.read(masked=True)
    assert np.array_equal(np.ma.getmaskarray(read), np.ma.getmaskarray(values))
    assert np.ma.allequal(read, values)


def test_limits_and_a_new_load(city: City, tmp_path: Path) -> None:
    context = WorkContext(city.catalogue.whole, tmp_path, [], city.folder)
    with pytest.raises(TooLarge, match="at most 0 MB"):
        work.run(work.Input("dem", 1, "dem", [], "geotiff", most_bytes=1000), context)
    with pytest.raises(Unavailable, match="no room"):
        work.run(work.Input("dem", 1, "dem", [], "geotiff", reserve=1 << 62), context)
    with pytest.raises(Conflict, match="loaded anew"):
        work.run(work.Input("dem", 7, "dem", [], "geotiff"), context)
    assert not list(tmp_path.iterdir())
