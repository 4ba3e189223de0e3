"""A file in gzip is what it holds, in the same guarded child; a hostile one is refused within its bounds."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
import rasterio.shutil

from layers import guard
from layers.errors import BadFile
from layers.guard import ReadLimits
from layers.source import NOTHING, Declared
from tests import raster_sources

_POINT = (
    b'{"type": "Feature", "properties": {"n": 1}, "geometry": {"type": "Point", "coordinates": [25, 60]}}'
)
POINTS = b'{"type": "FeatureCollection", "features": [' + b",".join([_POINT] * 20) + b"]}"


def refused(path: Path, declared: Declared = NOTHING, limits: ReadLimits = ReadLimits()) -> BadFile:  # noqa: B008
    with pytest.raises(BadFile) as error, guard.read(path, declared, limits=limits):
        pass
    return error.value


def packed(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content))
    return path


@pytest.mark.parametrize(
    ("ending", "driver"),
    [("tif", "GTiff"), ("asc", "AAIGrid"), ("img", "HFA"), ("jp2", "JP2OpenJPEG"), ("png", "PNG")],
)
def test_a_raster_with_what_lies_beside_it(tmp_path: Path, ending: str, driver: str) -> None:
    cells = raster_sources.picture() if ending in ("jp2", "png") else raster_sources.hills()
    made = raster_sources.write(tmp_path / "made.tif", cells)
    plain = tmp_path / f"a.{ending}"
    rasterio.shutil.copy(made, plain, driver=driver, **({"WORLDFILE": "YES"} if ending == "png" else {}))
    (tmp_path / "a.prj").write_text(rasterio.crs.CRS.from_epsg(32631).to_wkt(version="WKT1_ESRI"))
    found = []
    for path in (plain, packed(tmp_path / f"a.{ending}.gz", plain.read_bytes())):
        with guard.read(path, NOTHING) as reading:
            found.append((reading.meta["driver"], reading.meta["crs"], reading.raster))
    assert found[0] == found[1]
    assert found[0][2] is not None


def test_features_and_an_archive_too(tmp_path: Path) -> None:
    with guard.read(packed(tmp_path / "a.geojson.gz", POINTS), NOTHING) as reading:
        assert sum(batch.num_rows for batch in reading.batches()) == 20
    several = tmp_path / "b.geojson.gz"
    several.write_bytes(gzip.compress(POINTS[:300]) + gzip.compress(POINTS[300:]))
    with guard.read(several, NOTHING) as reading:
        assert sum(batch.num_rows for batch in reading.batches()) == 20
    web = b"<html><body>Log in</body></html>"
    assert refused(packed(tmp_path / "a.tif.gz", web)).rule == "file.disguised"
    assert refused(packed(tmp_path / "c.tif.gz", POINTS)).rule == "file.disguised"


def test_what_is_no_honest_file(tmp_path: Path) -> None:
    whole = gzip.compress(POINTS * 50)
    (tmp_path / "cut.geojson.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bad.geojson.gz").write_bytes(whole[:-8] + bytes(8))
    (tmp_path / "head.tif").write_bytes(b"\x1f\x8b\x08\x00")
    for name in ("cut.geojson.gz", "bad.geojson.gz", "head.tif"):
        assert refused(tmp_path / name).rule == "gzip.damaged"
    bomb = refused(packed(tmp_path / "bomb.tif.gz", bytes(200 << 20)))
    assert (bomb.rule, "300 times" in bomb.reason) == ("gzip.bomb", True)
    large = refused(packed(tmp_path / "large.geojson.gz", POINTS * 50), limits=ReadLimits(size=10_000))
    assert (large.rule, "10000" in large.reason) == ("limit.bytes", True)
    parts = tmp_path / "parts.geojson.gz"
    parts.write_bytes(gzip.compress(POINTS * 50) + gzip.compress(POINTS))
    assert refused(parts, limits=ReadLimits(size=10_000)).rule == "limit.bytes"
    twice = refused(packed(tmp_path / "twice.geojson.gz", gzip.compress(POINTS)))
    assert (twice.rule, "load it alone" in twice.reason) == ("file.compressed", True)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(tmp_path / "head.tif", "a.tif")
    for name in ("a.tar.gz", "a.tgz"):
        told = refused(packed(tmp_path / name, made.getvalue()))
        assert (told.rule, "a tar archive" in told.reason) == ("file.compressed", True)
    assert refused(packed(tmp_path / "cog.tif.gz", POINTS), Declared(in_place=True)).rule == "raster.in_place"
    inside = tmp_path / "folder"
    inside.mkdir()
    packed(inside / "a.geojson.gz", POINTS)
    assert "load it alone" in refused(inside).reason
