"""Awkward rasters: each gets a verdict, the same whether it is looked at or written."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate

from layers.errors import BadFile
from layers.read import registry
from layers.read.base import ReadLimits, ReadOptions, Sink
from layers.read.rasters import read
from layers.read.rasters.cells import missing_rows
from layers.read.sample import Sample
from layers.source import NOTHING, Declared
from tests.raster_sources import CELL, EAST, NORTH, hills, picture, write

TERRAIN = Declared(kind="terrain")
DRIVERS = {"tif": "GTiff", "asc": "AAIGrid", "img": "HFA", "jp2": "JP2OpenJPEG", "jpg": "JPEG", "png": "PNG"}
LIMITS = ReadLimits()


def looked(path: Path, declared: Declared, into: Path | None, limits: ReadLimits = LIMITS) -> Sink:
    sink = Sink(path.parent)
    reader = registry.choose(Sample.of(path), limits)
    assert reader is not None
    assert reader.raster
    wanted = None if into is None else str(into)
    read.look(path, ReadOptions(str(path), declared, limits, wanted), sink, DRIVERS[reader.name])
    return sink


def told(sink: Sink) -> set[str]:
    return {problem.rule for problem in sink.problems}


def refused(path: Path, declared: Declared = NOTHING, limits: ReadLimits = LIMITS) -> str:
    """The rule by which it is refused, looked at or written."""
    rules = set()
    for into in (None, path.parent / "refused"):
        with pytest.raises(BadFile) as error:
            looked(path, declared, into, limits)
        rules.add(error.value.rule)
    [rule] = rules
    return rule


@dataclass
class Taken:
    """A raster that was taken, what is told of it, and the COG that was made of it."""

    rules: set[str]
    meta: dict[str, Any]
    cog: Path

    def cells(self) -> Any:
        """Its cells, masked."""
        with rasterio.open(self.cog) as dataset:
            return dataset.read(masked=True)


def taken(path: Path, declared: Declared = NOTHING) -> Taken:
    checked = looked(path, replace(declared), None)
    made = looked(path, declared, path.parent / "into")
    assert told(checked) == told(made)
    assert checked.meta == made.meta
    cog = path.parent / "into/cog.tif"
    assert [each.name for each in cog.parent.iterdir()] == ["cog.tif"]
    assert cog_validate(cog, quiet=True)[:2] == (True, [])
    return Taken(told(made), made.meta, cog)


def test_holes_of_terrain_stay_holes_and_are_told(tmp_path: Path) -> None:
    cells = hills()
    cells[5:9, 7:20] = -9999
    found = taken(write(tmp_path / "a.tif", cells, nodata=-9999), TERRAIN)
    assert found.rules == {"height.holes", "datum.unknown"}
    assert (found.cells().mask[0] == (cells == -9999)).all()
    assert found.meta["raster"]["bands"][0]["filled"] == pytest.approx(100 - 100 * 52 / 2400, abs=0.01)


def test_a_wrong_nodata_value_is_told_and_of_terrain_refused(tmp_path: Path) -> None:
    cells = hills()
    cells[0, :5] = -9999
    path = write(tmp_path / "a.tif", cells, nodata=-32768)
    assert "nodata.suspect" in taken(path).rules
    assert refused(path, TERRAIN) == "nodata.undeclared"
    (tmp_path / "into/cog.tif").unlink()
    (tmp_path / "into").rmdir()
    found = taken(path, Declared(kind="terrain", nodata=-9999))
    assert "nodata.declared" in found.rules
    assert found.cells().mask.sum() == 5
    assert found.cells().min() >= 900


def test_a_nodata_value_that_no_cell_can_have(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", picture()[0])
    assert refused(path, Declared(nodata=-9999)) == "nodata.declared"


def test_numbers_that_are_none(tmp_path: Path) -> None:
    cells = hills()
    cells[3, 3:6] = np.nan
    cells[4, 3] = np.inf
    found = taken(write(tmp_path / "a.tif", cells))
    assert "nodata.nan" in found.rules
    assert math.isnan(rasterio.open(found.cog).nodata)
    with_value = tmp_path / "b"
    with_value.mkdir()
    found = taken(write(with_value / "a.tif", cells, nodata=-9999), TERRAIN)
    assert {"nodata.nan", "height.holes"} <= found.rules
    assert found.cells().mask.sum() == 4


@pytest.mark.parametrize("declared", [NOTHING, TERRAIN])
def test_nothing_but_holes(tmp_path: Path, declared: Declared) -> None:
    path = write(tmp_path / "a.tif", np.full((9, 9), -9999, np.float32), nodata=-9999)
    assert refused(path, declared) == "raster.empty"


def test_feet_become_metres(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", hills())
    found = taken(path, Declared(kind="terrain", vertical="EPSG:6360"))
    assert "height.converted" in found.rules
    assert found.meta["vertical_datum"] == "NAVD88 height (ftUS)"
    assert np.abs(found.cells()[0] - hills() * (1200 / 3937)).max() < 1e-3
    band = found.meta["raster"]["bands"][0]
    assert (band["unit"], band["maximum"]) == ("m", pytest.approx(found.cells().max()))
    in_file = tmp_path / "b"
    in_file.mkdir()
    path = write(in_file / "a.tif", np.round(hills()).astype(np.int16), nodata=-1)
    with rasterio.open(path, "r+") as out:
        out.units = ["ft"]
    found = taken(path, TERRAIN)
    assert np.abs(found.cells()[0] - np.round(hills()) * 0.3048).max() < 1e-3
    with rasterio.open(path, "r+") as out:
        out.units = ["furlong"]
    assert refused(path, TERRAIN) == "height.unit"


def test_the_vertical_part_of_a_crs_is_what_heights_count_from(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", hills(), crs="EPSG:25831+5782")
    found = taken(path, TERRAIN)
    assert found.meta["vertical_datum"] == "Alicante height"
    assert "datum.unknown" not in found.rules


def test_heights_of_another_datum_need_an_offset(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", hills())
    sink = Sink(tmp_path)
    declared = Declared(kind="terrain", vertical="EPSG:5736")
    with pytest.raises(BadFile) as error:
        read.look(path, ReadOptions(str(path), declared, vertical_datum="N2000 height"), sink, "GTiff")
    assert error.value.rule == "datum.differs"
    assert refused(path, Declared(kind="terrain", vertical="EPSG:4326")) == "datum.declared"
    assert refused(path, Declared(kind="terrain", vertical="EPSG:999999")) == "datum.declared"


def test_one_cell(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.full((1, 1), 7, np.float32))
    assert taken(path).cells().tolist() == [[[7]]]
    assert refused(path, TERRAIN) == "raster.size"


def test_without_a_crs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", hills(), crs=None)
    assert refused(path) == "crs.missing"
    found = taken(path, Declared(crs="EPSG:32631"))
    with rasterio.open(found.cog) as cog:
        assert cog.crs.to_epsg() == 32631
        assert (cog.read(1) == hills()).all()


def test_a_declared_crs_stands_above_that_of_the_file(tmp_path: Path) -> None:
    found = taken(write(tmp_path / "a.tif", hills()), Declared(crs="EPSG:25831"))
    assert "crs.declared" in found.rules
    assert rasterio.open(found.cog).crs.to_epsg() == 25831


@pytest.mark.parametrize(
    ("crs", "transform", "rule"),
    [
        ("EPSG:32631", Affine(10, 0, 2.0, 0, -10, 49.0), "crs.area"),
        ("EPSG:4326", Affine(10, 0, EAST, 0, -10, NORTH), "raster.extent"),
        ("EPSG:32631", None, "raster.unplaced"),
        ('LOCAL_CS["site",UNIT["m",1]]', Affine(10, 0, 1, 0, -10, 1), "crs.missing"),
    ],
)
def test_where_it_cannot_lie(tmp_path: Path, crs: str, transform: Affine | None, rule: str) -> None:
    assert refused(write(tmp_path / "a.tif", hills(), crs=crs, transform=transform)) == rule


def test_longitudes_beyond_half_a_cell_of_a_global_grid_are_sane(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tif", hills(19, 37), crs="EPSG:4326", transform=Affine(10, 0, -185, 0, -10, 95)
    )
    assert refused(path) == "raster.extent"
    path = write(
        tmp_path / "b.tif", hills(181, 361), crs="EPSG:4326", transform=Affine(1, 0, -180.5, 0, -1, 90.5)
    )
    assert taken(path).meta["extent"] == (-180, -90, 180, 90)


def test_rotated(tmp_path: Path) -> None:
    turned = Affine.translation(EAST, NORTH) @ Affine.rotation(30) @ Affine.scale(10, -10)
    found = taken(write(tmp_path / "a.tif", hills(), transform=turned), TERRAIN)
    assert "raster.rotated" in found.rules
    with rasterio.open(found.cog) as cog:
        assert (cog.transform.b, cog.transform.d) == (0, 0)
        x, y = turned @ (30.5, 20.5)
        [value] = next(cog.sample([(x, y)], masked=True))
    assert value == pytest.approx(hills()[20, 30], abs=15)
    assert found.cells().mask.any()


@pytest.mark.parametrize(
    "transform",
    [
        Affine(CELL, 0, EAST, 0, CELL, NORTH - 400),
        Affine(-CELL, 0, EAST + 600, 0, CELL, NORTH - 400),
    ],
)
def test_stored_from_the_other_side(tmp_path: Path, transform: Affine) -> None:
    cells = hills()[::-1, :: -1 if transform.a < 0 else 1]
    found = taken(write(tmp_path / "a.tif", cells, transform=transform), TERRAIN)
    assert "raster.flipped" in found.rules
    with rasterio.open(found.cog) as cog:
        assert cog.transform == Affine(CELL, 0, EAST, 0, -CELL, NORTH)
        assert (cog.read(1) == hills()).all()


def points() -> list[GroundControlPoint]:
    corners = [(0, 0), (0, 60), (40, 0), (40, 60)]
    return [GroundControlPoint(r, c, EAST + CELL * c, NORTH - CELL * r) for r, c in corners]


def test_control_points_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", hills(), transform=None, gcps=points())
    found = taken(path)
    assert "raster.gcps" in found.rules
    with rasterio.open(found.cog) as cog:
        assert cog.crs.to_epsg() == 32631
        [value] = next(cog.sample([(EAST + 305, NORTH - 205)]))
    assert value == pytest.approx(hills()[20, 30], abs=2)
    picked = tmp_path / "b"
    picked.mkdir()
    ortho = taken(write(picked / "a.tif", picture(), transform=None, gcps=points()))
    assert ortho.meta["raster"]["aligned"]


def test_rational_polynomials_alone(tmp_path: Path) -> None:
    ones = [1.0] + [0.0] * 19
    rpcs = RPC(
        100, 500, 42.5, 0.1, ones, [0.0, 0, 1] + [0] * 17, 20, 20, 1.5, 0.1, ones, [0.0, 1] + [0] * 18, 30, 30
    )
    path = write(tmp_path / "a.tif", hills(), transform=None, crs=None, rpcs=rpcs)
    assert refused(path) == "raster.rpcs"
    assert refused(path, Declared(crs="EPSG:4326")) == "raster.rpcs"


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "int32", "float64", "int8"])
def test_depths(tmp_path: Path, dtype: str) -> None:
    cells = np.round(hills(low=1, high=120)).astype(dtype)
    found = taken(write(tmp_path / "a.tif", cells))
    assert found.cells().dtype == dtype
    assert (found.cells()[0] == cells).all()


def test_complex_cells(tmp_path: Path) -> None:
    assert refused(write(tmp_path / "a.tif", hills().astype(np.complex64))) == "raster.type"


def test_two_hundred_bands(tmp_path: Path) -> None:
    cells = np.stack([hills(20, 30) + band for band in range(200)])
    path = write(tmp_path / "a.tif", cells, interleave="pixel")
    found = taken(path)
    assert (found.cells() == cells).all()
    assert len(found.meta["raster"]["bands"]) == 200
    assert refused(path, TERRAIN) == "raster.bands"


def test_a_palette_keeps_its_numbers_and_colours(tmp_path: Path) -> None:
    cells = (np.arange(2400).reshape(40, 60) // 600).astype(np.uint8)
    path = write(tmp_path / "a.tif", cells, photometric="palette")
    colours = {0: (0, 0, 0, 255), 1: (255, 0, 0, 255), 2: (0, 255, 0, 255), 3: (0, 0, 255, 255)}
    with rasterio.open(path, "r+") as out:
        out.write_colormap(1, colours)
    found = taken(path)
    with rasterio.open(found.cog) as cog:
        assert cog.colorinterp == (ColorInterp.palette,)
        assert {n: cog.colormap(1)[n] for n in range(4)} == colours
        assert (cog.read(1) == cells).all()


def test_a_sparse_one_beyond_the_limit_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    words: dict[str, Any] = {"width": 160_000, "height": 160_000, "count": 1, "dtype": "int16", "nodata": 0}
    place = {"crs": "EPSG:32631", "transform": Affine(1, 0, EAST, 0, -1, NORTH)}
    tiles = {"tiled": True, "sparse_ok": True, "bigtiff": "YES", "blockxsize": 512, "blockysize": 512}
    with rasterio.open(path, "w", driver="GTiff", **words, **place, **tiles):
        pass
    assert refused(path) == "limit.cells"


@pytest.mark.parametrize("tiles", [{"blockysize": 1}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
def test_badly_tiled(tmp_path: Path, tiles: dict[str, Any]) -> None:
    cells = hills(700, 900)
    found = taken(write(tmp_path / "a.tif", cells, TILED="YES" if "tiled" in tiles else "NO", **tiles))
    assert (found.cells()[0] == cells).all()


def test_one_piece_that_no_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.read.rasters.cells.MOST_BLOCK", 1 << 20)
    path = write(tmp_path / "a.tif", hills(704, 896), TILED="YES", blockysize=704, blockxsize=896)
    assert refused(path) == "raster.block"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("copy_src_overviews", [False, True])
def test_truncated(tmp_path: Path, share: float, copy_src_overviews: bool) -> None:
    path = write(tmp_path / "whole.tif", hills(500, 500), "COG" if copy_src_overviews else "GTiff")
    cut = tmp_path / "a.tif"
    cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert refused(cut) == "file.damaged"


@pytest.mark.parametrize("ending", ["asc", "img", "jp2", "png", "jpg"])
def test_other_formats(tmp_path: Path, ending: str) -> None:
    driver = DRIVERS[ending]
    cells: Any = picture() if ending in ("jp2", "png", "jpg") else np.round(hills())
    options = {"QUALITY": 100, "REVERSIBLE": "YES"} if ending == "jp2" else {}
    source = write(tmp_path / "made.tif", cells)
    path = tmp_path / f"a.{ending}"
    rasterio.shutil.copy(source, path, driver=driver, WORLDFILE="YES", **options)
    if ending in ("png", "jpg"):
        assert refused(path) == "crs.missing"
        (tmp_path / "a.prj").write_text(rasterio.crs.CRS.from_epsg(32631).to_wkt(version="WKT1_ESRI"))
    found = taken(path)
    assert found.meta["driver"] == driver
    if ending in ("asc", "img"):
        assert (found.cells() == cells).all()
    else:
        assert found.meta["raster"]["aligned"]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.98])
def test_a_grid_of_text_that_is_cut_off_is_found_without_reading_its_cells(
    tmp_path: Path, share: float
) -> None:
    source, path = write(tmp_path / "made.tif", hills(60, 40)), tmp_path / "whole.asc"
    rasterio.shutil.copy(source, path, driver="AAIGrid")
    assert missing_rows(path, 40, 60) == 0
    whole = path.read_bytes()
    for content in (whole.rstrip(), whole.replace(b"\n", b"\r\n")):
        path.write_bytes(content)
        assert missing_rows(path, 40, 60) == 0
    cut = tmp_path / "a.asc"
    cut.write_bytes(whole[: int(len(whole) * share)])
    gone = missing_rows(cut, 40, 60)
    assert gone == 60 - len([line for line in cut.read_bytes().splitlines()[-60:] if len(line.split()) == 40])
    with pytest.raises(BadFile, match=f"{gone} of its 60 rows") as error:
        looked(cut, Declared(crs="EPSG:32631"), None, ReadLimits(rows=10))
    assert error.value.rule == "file.damaged"
    # of one that has all its cells in a line GDAL says it
    header, cells = whole.split(b"\n", 5)[:5], whole.split(b"\n", 5)[5]
    path.write_bytes(b"\n".join(header) + b"\n" + b" ".join(cells.split()[:2000]))
    assert missing_rows(path, 40, 60) == 0
    assert refused(path, Declared(crs="EPSG:32631")) == "file.damaged"


def test_a_picture_without_a_world_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    rasterio.shutil.copy(write(tmp_path / "made.tif", picture()), path, driver="PNG")
    assert refused(path, Declared(crs="EPSG:32631")) == "raster.unplaced"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "file.disguised"),
        (b"<html>Not found</html>", "file.disguised"),
        (b'<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>', "file.disguised"),
        (b"/vsicurl/https://example.org/a.tif", "file.type"),
        (b"\x1f\x8b\x08\x00", "file.compressed"),
    ],
)
def test_what_is_no_raster(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(BadFile) as error:
        registry.choose(Sample.of(path), LIMITS)
    assert error.value.rule in (rule, "file.disguised")


def test_a_larger_one_is_sampled_by_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_SMALL", 1000)
    path = write(tmp_path / "a.tif", hills(100), blockysize=1)
    sink = looked(path, NOTHING, None, ReadLimits(rows=100_000))
    assert [one.reason[:9] for one in sink.problems if one.rule == "check.cells"] == ["48 blocks"]
    grid = tmp_path / "a.asc"
    rasterio.shutil.copy(path, grid, driver="AAIGrid")
    assert "check.cells" not in told(looked(grid, NOTHING, None, ReadLimits(rows=100_000)))


@pytest.fixture
def cog(tmp_path: Path) -> Callable[..., Path]:
    return lambda **words: write(tmp_path / "cog.tif", hills(), "COG", **words)


def test_a_cog_is_taken_where_it_lies(cog: Callable[..., Path], tmp_path: Path) -> None:
    sink = looked(cog(), Declared(in_place=True), None)
    assert (sink.meta["raster"]["in_place"], sink.meta["raster"]["aligned"]) == (True, False)
    assert looked(cog(nodata=math.nan), Declared(in_place=True, nodata=math.nan), None).meta["raster"]
    for declared in (
        Declared(in_place=True, crs="EPSG:25831"),
        Declared(in_place=True, nodata=0),
        Declared(in_place=True, kind="terrain", vertical="EPSG:6360"),
    ):
        assert refused(cog(), declared) == "raster.in_place"
    strips = write(tmp_path / "a.tif", hills(700, 900))
    assert refused(strips, Declared(in_place=True)) == "raster.in_place"


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", hills(500, 500))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(BadFile) as error:
            looked(path, NOTHING, tmp_path / "into")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.rule in ("limit.disk", "raster.unwritten")
