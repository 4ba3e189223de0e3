"""The registry: what every format says of itself, and whom a sample belongs to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from layers.errors import BadFile
from layers.guard import ReadLimits
from layers.read import registry, warm
from layers.read.format import Reader, Refused
from layers.read.sample import Sample

HEADS = {
    "gpkg": ("a.gpkg", b"SQLite format 3\x00" + b"\0" * 52 + b"GPKG" + b"\0" * 100),
    "fgb": ("a.fgb", b"fgb\x03fgb\x00"),
    "shp": ("A.SHP", b"\x00\x00\x27\x0a" + b"\0" * 96),
    "geojson": ("a.json", b'\xef\xbb\xbf {"type": "FeatureCollection", "features": []}'),
    "geojsonseq": ("a.geojsonl", b'\x1e{"type": "Feature"}\n'),
    "cityjson": ("a.city.json", b'{"type": "CityJSON"}'),
    "citygml": ("a.gml", b'<?xml version="1.0"?>\n<!-- a -->\n<core:CityModel xmlns:core="x"/>'),
    "ifc": ("a.IFC", b"ISO-10303-21;\nHEADER;"),
    "3dtiles": ("a.json", b'{"asset": {"version": "1.0"}, "geometricError": 9, "root": {}}'),
    "glb": ("a.glb", b"glTF\x02\x00\x00\x00"),
    "gltf": ("a.gltf", b'{"scene": 0, "asset": {"version": "2.0"}}'),
    "obj": ("a.OBJ", b"# made by hand\nmtllib a.mtl\nv 0 0 0\n"),
    "ply": ("a.ply", b"ply\r\nformat ascii 1.0\r\n"),
    "stl": ("a.stl", b"\0" * 80 + b"\1\0\0\0" + b"\0" * 50),
    "dae": ("a.dae", b"<?xml version='1.0'?><COLLADA version='1.4.1'/>"),
    "3ds": ("a.3ds", b"MM\x10\0\0\0\2\0\x0a\0\0\0\3\0\0\0"),
    "dxf": ("a.dxf", b"999\nmade by hand\n  0\nSECTION\n  2\n"),
    "csv": ("a.csv", b"lon,lat\n1,2\n"),
    "parquet": ("a.parquet", b"PAR1\x15\x04\x15\x10"),
    "tif": ("a.TIF", b"II+\x00\x08\x00\x00\x00"),
    "asc": ("a.asc", b"NCOLS 4\r\nNROWS 3\r\nXLLCORNER 0\r\n"),
    "img": ("a.img", b"EHFA_HEADER_TAG\x00"),
    "jp2": ("a.jp2", b"\x00\x00\x00\x0cjP  \r\n\x87\n"),
    "jpg": ("a.jpeg", b"\xff\xd8\xff\xe0"),
    "png": ("a.png", b"\x89PNG\r\n\x1a\n"),
}


def chosen(path: Path, content: bytes) -> Reader | None:
    path.write_bytes(content)
    return registry.choose(Sample.of(path), ReadLimits())


@pytest.mark.parametrize("name", HEADS)
def test_each_reader_is_chosen_by_content(tmp_path: Path, name: str) -> None:
    file, content = HEADS[name]
    reader = chosen(tmp_path / file, content)
    assert reader is not None
    assert reader.name == name


def test_each_declares_what_a_person_and_gdal_need() -> None:
    readers = list(registry.readers())
    assert {reader.name for reader in readers} == set(HEADS)
    assert len({reader.name for reader in readers}) == len(readers)
    for reader in readers:
        assert {"en", "zh-CN"} <= set(reader.titles)
        assert all(ending.startswith(".") and ending == ending.casefold() for ending in reader.endings)
    assert registry.drivers() == {"GPKG", "FlatGeobuf", "ESRI Shapefile", "DXF"}


def test_what_is_never_read_is_asked_first_and_what_has_no_mark_last() -> None:
    turns = [
        ("refused" if each.first else "refused later")
        if isinstance(each, Refused)
        else ("last" if each.last else "reader")
        for each in registry.known()
    ]
    order = ["refused", "reader", "refused later", "last"]
    assert turns == sorted(turns, key=order.index)
    assert set(turns) == set(order)


@pytest.mark.parametrize(
    ("content", "rule", "said"),
    [
        (b"7z\xbc\xaf\x27\x1c\x00", "file.compressed", "7z"),
        (b"Rar!\x1a\x07\x00", "file.compressed", "RAR"),
        (b"\x1f\x8b\x08", "file.compressed", "gzip"),
        (b"\x89PNG\r\n\x1a\n", "file.disguised", "PNG"),
        (b"<ifcXML/>", "file.type", "ifcXML"),
        (b"<kml/>", "file.type", "XML"),
        (b"\x00\x01", "file.type", "binary"),
    ],
)
def test_what_is_refused_says_what_it_is(tmp_path: Path, content: bytes, rule: str, said: str) -> None:
    with pytest.raises(BadFile) as caught:
        chosen(tmp_path / "a.geojson", content)
    assert (caught.value.rule, said in caught.value.reason) == (rule, True)


def test_a_driver_that_cannot_be_switched_off_ends_the_reading_process() -> None:
    """GDAL that is loaded already takes no OGR_SKIP any more."""
    code = "import pyogrio\nfrom layers.read.__main__ import limit_drivers\nlimit_drivers()\n"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=warm.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert "a reader loads GDAL when it is imported" in run.stderr
