"""A source may be a folder or a zip archive, of one layer or several; a hostile archive is refused."""

from __future__ import annotations

import json
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers import guard
from layers.errors import BadFile
from layers.guard import ReadLimits
from layers.source import NOTHING, Declared, SeveralLayers, SourceLayer
from tests import apart
from tests.contract.test_reader import WRITE

CSV = b"name,lon,lat\nA,114.3,30.5\nB,114.4,30.6\n"


def geojson(*names: str) -> bytes:
    features = [
        {"type": "Feature", "properties": {"name": n}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
        for n in names
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def archive(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return path


def folder(path: Path, members: Mapping[str, bytes]) -> Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def rows(path: Path, layer: str | None = None) -> list[str]:
    with guard.read(path, Declared(layer=layer)) as reading:
        return [name for table in reading.batches() for name in table["name"].to_pylist()]


def refused(path: Path, declared: Declared = NOTHING, **limits: int) -> BadFile:
    with pytest.raises(BadFile) as caught, guard.read(path, declared, limits=ReadLimits(**limits)):
        pass
    assert str(path.parent) not in caught.value.reason
    return caught.value


@pytest.fixture(scope="module")
def shapefile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A set of files by name."""
    made = tmp_path_factory.mktemp("shp")
    apart.run(WRITE, made / "a.shp", "ESRI Shapefile")
    return {path.name: path.read_bytes() for path in made.iterdir()}


def test_a_zipped_shapefile_and_its_unpacked_folder(tmp_path: Path, shapefile: dict[str, bytes]) -> None:
    for source in (
        archive(tmp_path / "a.zip", shapefile),
        archive(tmp_path / "deep.zip", {f"town/data/{n}": c for n, c in shapefile.items()}),
        folder(tmp_path / "unpacked", shapefile),
    ):
        with guard.read(source) as reading:
            (table,) = reading.batches()
            assert table["label"].to_pylist() == ["泵站", "Brücke", "plain"]
            assert reading.meta["driver"] == "ESRI Shapefile"
            assert reading.meta["crs"] == "EPSG:4326"
            assert [p.rule for p in reading.problems] == []


def test_a_zipped_geojson_with_things_beside_it(tmp_path: Path) -> None:
    source = archive(
        tmp_path / "a.zip",
        {"streets.geojson": geojson("x"), "README.md": b"# Streets", "__MACOSX/._streets.geojson": b"\0"},
    )
    with guard.read(source) as reading:
        (ignored,) = [p.reason for p in reading.problems if p.rule == "source.ignored"]
        assert "README.md" in ignored
    assert rows(source) == ["x"]


def test_several_layers_are_listed_with_their_counts_and_one_is_named(tmp_path: Path) -> None:
    members = {"streets.geojson": geojson("x"), "town/houses.csv": CSV, "notes.txt": b"no,coordinates\n1,2\n"}
    for source in (archive(tmp_path / "a.zip", members), folder(tmp_path / "b", members)):
        error = refused(source)
        assert isinstance(error, SeveralLayers)
        assert error.layers == (SourceLayer("streets", 1, "Point"), SourceLayer("houses", 2, "Point"))
        assert "streets, houses" in error.reason
        assert rows(source, "houses") == ["A", "B"]
        assert rows(source, "streets") == ["x"]
        assert refused(source, Declared(layer="roofs")).rule == "layer.unknown"


def test_files_of_one_name_are_told_apart_by_their_path(tmp_path: Path) -> None:
    source = folder(tmp_path / "a", {"x/roads.geojson": geojson("x"), "y/roads.geojson": geojson("y")})
    error = refused(source)
    assert isinstance(error, SeveralLayers)
    assert [each.name for each in error.layers] == ["x/roads.geojson", "y/roads.geojson"]
    assert rows(source, "y/roads.geojson") == ["y"]


GEOPACKAGE = """
import sys, numpy as np, pyogrio.raw, shapely
for layer, count in (("pipes", 1), ("valves", 2)):
    points = shapely.to_wkb(shapely.points([(114.3, 30.5)] * count))
    pyogrio.raw.write(sys.argv[1], points, [np.array([layer] * count, dtype=object)], ["name"], layer=layer,
                      geometry_type="Point", crs="EPSG:4326", driver="GPKG", append=layer == "valves")
"""


def test_layers_of_a_geopackage_in_an_archive(tmp_path: Path) -> None:
    file = tmp_path / "water.gpkg"
    apart.run(GEOPACKAGE, file)
    error = refused(file)
    assert isinstance(error, SeveralLayers)
    assert error.layers == (SourceLayer("pipes", 1, "Point"), SourceLayer("valves", 2, "Point"))
    alone = archive(tmp_path / "alone.zip", {"water.gpkg": file.read_bytes()})
    assert rows(alone, "valves") == ["valves"] * 2
    city = (Path(__file__).parents[3] / "golden/two_houses.city.json").read_bytes()
    members = {"water.gpkg": file.read_bytes(), "city.json": city, "cut.shp": b"\0\0\x27\x0a"}
    source = archive(tmp_path / "town.zip", members)
    error = refused(source)
    assert isinstance(error, SeveralLayers)
    assert [(each.name, each.features) for each in error.layers] == [
        ("city", 4),
        ("water/pipes", 1),
        ("water/valves", 2),
    ]
    assert rows(source, "water/pipes") == ["pipes"]
    with guard.read(source, Declared(layer="city")) as reading:
        assert reading.meta["kind"] == "cim"
        assert any("cut.shp is not read" in p.reason for p in reading.problems)


def test_names_of_windows_in_chinese(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.zip", {"1.geojson": geojson("x"), "2.geojson": geojson("y")})
    raw = source.read_bytes()
    source.write_bytes(raw.replace(b"1.geojson", "道路".encode("gb18030") + b".json"))
    error = refused(source)
    assert isinstance(error, SeveralLayers)
    assert sorted(each.name for each in error.layers) == ["2", "道路"]


def test_nothing_to_read_inside(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty").rule == "file.directory"
    error = refused(archive(tmp_path / "a.zip", {"a.pdf": b"%PDF-1.7"}))
    assert (error.rule, "a PDF" in error.reason) == ("file.zip", True)
    assert refused(archive(tmp_path / "b.zip", {})).rule in ("file.zip", "file.type")
    office = archive(tmp_path / "c.xlsx", {"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<x/>"})
    assert "Office" in refused(office).reason
    assert "KMZ" in refused(archive(tmp_path / "d.kmz", {"doc.kml": b"<kml/>"})).reason


def _encrypted(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = raw.index(magic) + at
        raw[place : place + 2] = struct.pack("<H", struct.unpack("<H", raw[place : place + 2])[0] | 1)
    path.write_bytes(raw)


def test_hostile_archives(tmp_path: Path) -> None:
    good = geojson("x")
    for name in ("../a.geojson", "/tmp/a.geojson", "a/../../b.geojson", "c:evil.geojson", "..\\a.geojson"):
        assert refused(archive(tmp_path / "slip.zip", {name: good})).rule == "zip.path"
    assert refused(archive(tmp_path / "two.zip", {"a.geojson": good, "A.geojson": good})).rule == "zip.path"
    inner = archive(tmp_path / "inner.zip", {"a.geojson": good}).read_bytes()
    assert refused(archive(tmp_path / "nested.zip", {"b.zip": inner})).rule == "zip.nested"
    assert refused(archive(tmp_path / "hidden.zip", {"b.geojson": inner})).rule == "file.zip"
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as out:
        link = zipfile.ZipInfo("a.geojson")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(link, "/etc/passwd")
    assert refused(tmp_path / "link.zip").rule == "zip.link"
    locked = archive(tmp_path / "locked.zip", {"a.geojson": good})
    _encrypted(locked)
    assert refused(locked).rule == "zip.encrypted"
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as out:
        out.writestr("a.geojson", good)
    assert refused(tmp_path / "lzma.zip").rule == "zip.method"
    cut = archive(tmp_path / "cut.zip", {"a.geojson": good})
    cut.write_bytes(cut.read_bytes()[:-30])
    assert refused(cut).rule == "zip.damaged"
    wrong = archive(tmp_path / "wrong.zip", {"a.geojson": good})
    at = wrong.read_bytes().index(b"a.geojson") + 12
    wrong.write_bytes(wrong.read_bytes()[:at] + b"\xff\xff" + wrong.read_bytes()[at + 2 :])
    assert refused(wrong).rule == "zip.damaged"


def test_bombs_are_seen_before_they_are_unpacked(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "bomb.zip", {"a.geojson": b" " * (80 << 20)})
    assert refused(bomb).rule == "zip.bomb"
    assert refused(bomb, size=1 << 20).rule == "limit.bytes"
    many = archive(tmp_path / "many.zip", {f"{n}.txt": b"x" for n in range(40)})
    assert refused(many, members=30).rule == "limit.members"
    spread = folder(tmp_path / "spread", {f"{n}.txt": b"x" for n in range(40)})
    assert refused(spread, members=30).rule == "limit.members"
    # a member that is longer than the archive's directory says ends where that says
    lying = archive(tmp_path / "lying.zip", {"a.geojson": geojson("x") + b" " * 5000})
    size = struct.pack("<I", len(geojson("x")) + 5000)
    lying.write_bytes(lying.read_bytes().replace(size, struct.pack("<I", 10)))
    assert refused(lying).rule == "zip.damaged"


def test_what_gdal_must_not_open_is_not_opened_inside_either(tmp_path: Path) -> None:
    vrt = b'<OGRVRTDataSource><OGRVRTLayer name="x"/></OGRVRTDataSource>'
    assert refused(archive(tmp_path / "a.zip", {"a.geojson": vrt})).rule == "file.zip"
    source = archive(tmp_path / "b.zip", {"a.geojson": vrt, "b.geojson": geojson("x")})
    assert rows(source) == ["x"]
