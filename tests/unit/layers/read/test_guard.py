"""Hostile files: refused by content and name, and a child that cannot do harm."""

from __future__ import annotations

import gzip
import json
import os
import socket
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from layers import guard
from layers.batch import SOURCE_ID
from layers.errors import BadFile, BadParameter
from layers.guard import ReadLimits
from layers.read import registry, warm
from layers.source import Declared

POINT = {
    "type": "Feature",
    "id": "a",
    "properties": {"n": 1},
    "geometry": {"type": "Point", "coordinates": [1, 2]},
}
GEOJSON = json.dumps({"type": "FeatureCollection", "features": [POINT]})
VRT = """<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{0}</SrcDataSource>
<SrcLayer>secret</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"""


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(BadFile) as caught, guard.read(path, **options):
        pass
    assert str(path.parent) not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    return caught.value.rule


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_directory_a_missing_and_an_empty_file(tmp_path: Path) -> None:
    assert refused(tmp_path) == "file.directory"
    assert refused(tmp_path / "nothing.geojson") == "file.missing"
    assert refused(written(tmp_path / "e.geojson", "")) == "file.empty"
    os.symlink(tmp_path / "loop.geojson", tmp_path / "loop.geojson")
    assert refused(tmp_path / "loop.geojson") == "file.missing"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.geojson")
    assert refused(tmp_path / "pipe.geojson") == "file.special"
    assert refused(Path("/dev/zero")) == "file.special"


def test_a_vrt_under_any_name_reads_no_other_file(tmp_path: Path) -> None:
    written(tmp_path / "secret.geojson", GEOJSON)
    text = VRT.format(tmp_path / "secret.geojson")
    assert refused(written(tmp_path / "upload.geojson", text)) == "file.disguised"
    assert refused(written(tmp_path / "upload.vrt", "  \n" + text)) == "file.disguised"
    assert refused(written(tmp_path / "upload.csv", b"\xef\xbb\xbf" + text.encode())) == "file.disguised"


def test_gdal_itself_would_not_open_a_vrt_in_the_child(tmp_path: Path) -> None:
    written(tmp_path / "secret.geojson", GEOJSON)
    vrt = written(tmp_path / "upload.geojson", VRT.format(tmp_path / "secret.geojson"))
    code = (
        "import sys\nfrom layers.read.__main__ import limit_drivers\nlimit_drivers()\n"
        "import pyogrio.raw\n"
        "print(sorted(pyogrio.list_drivers()))\n"
        "try:\n    pyogrio.raw.read(sys.argv[1])\n    print('read')\n"
        "except pyogrio.errors.DataSourceError:\n    print('refused')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(vrt)],
        env=warm.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    drivers, answer = run.stdout.splitlines()
    assert set(eval(drivers)) == registry.drivers()
    assert answer == "refused"


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.geojson", b"SQLite format 3\x00" + b"\0" * 4000, "file.type"),
        ("a.geojson", b"%PDF-1.7", "file.type"),
        ("a.geojson", b"II*\x00abcd", "file.disguised"),
        ("a.geojson", b"\x00\x01\x02", "file.type"),
        ("a.geojson", "a,b\n1,2\n", "file.disguised"),
        ("a.gpkg", GEOJSON, "file.disguised"),
        ("a.csv", GEOJSON, "file.disguised"),
        ("a.shp", "lon,lat\n1,2\n", "file.disguised"),
        ("a.exe", GEOJSON, "file.type"),
        (
            "a.geojson",
            "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
            "xml.doctype",
        ),
        ("a.gml", "<gml/>", "file.type"),
        ("a.geojson", GEOJSON[:-20], "json.truncated"),
        ("a.geojson", '{"type": "Topology", "objects": {}}', "json.not_geojson"),
        ("a.geojson", '{"a": 1}', "json.not_geojson"),
        ("a.geojson", GEOJSON.replace('"n": 1', '"n": ,'), "file.damaged"),
        ("a.geojson", GEOJSON.replace("1}", "1e400}"), "file.damaged"),
        ("a.geojson", GEOJSON.replace("[1, 2]", "[" * 40 + "]" * 40), "json.depth"),
    ],
)
def test_refusals_by_content(tmp_path: Path, name: str, content: str | bytes, rule: str) -> None:
    assert refused(written(tmp_path / name, content)) == rule


def test_an_archive_under_another_name_and_a_gzip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.geojson", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.geojson", b" " * 10_000_000)
    assert refused(tmp_path / "a.geojson") == "file.disguised"
    assert refused(written(tmp_path / "b.geojson", gzip.compress(b"0" * 100_000))) == "file.disguised"


def test_a_database_that_only_looks_like_a_geopackage(tmp_path: Path) -> None:
    con = sqlite3.connect(tmp_path / "a.gpkg")
    con.execute("PRAGMA application_id=0x47504B47")
    con.execute("CREATE TABLE t (a)")
    con.commit()
    con.close()
    assert refused(tmp_path / "a.gpkg") in ("file.damaged", "layer.none")
    written(tmp_path / "b.gpkg", (tmp_path / "a.gpkg").read_bytes()[:1000] + b"\xff" * 3000)
    assert refused(tmp_path / "b.gpkg") in ("file.damaged", "layer.none")


def test_limits(tmp_path: Path) -> None:
    file = written(tmp_path / "a.geojson", GEOJSON)
    assert refused(file, limits=ReadLimits(size=10)) == "limit.bytes"
    assert refused(file, limits=ReadLimits(memory=64 << 20)) in ("reader.died", "limit.memory")
    line = {**POINT, "geometry": {"type": "LineString", "coordinates": [[i, 0] for i in range(100)]}}
    file = written(
        tmp_path / "b.geojson", json.dumps({"type": "FeatureCollection", "features": [POINT, line]})
    )
    with guard.read(file, limits=ReadLimits(vertices=50)) as reading:
        assert [(p.rule, p.row) for p in reading.problems] == [("limit.vertices", 2)]


def test_a_child_that_burns_time_is_killed(tmp_path: Path) -> None:
    cells = ",".join("1" for _ in range(200))
    header = ",".join(f"c{i}" for i in range(198)) + ",lon,lat"
    file = written(tmp_path / "a.csv", header + "\n" + (cells + "\n") * 100_000)
    assert refused(file, limits=ReadLimits(seconds=1)) == "limit.time"


def test_the_child_has_no_network(tmp_path: Path) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    code = (
        "import socket, sys\nfrom layers.read.child import confine\nconfine(2 << 30, 20, 1 << 20)\n"
        "try:\n    socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)\n    print('open')\n"
        "except OSError:\n    print('closed')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(server.getsockname()[1])],
        env=warm.environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    server.close()
    if run.stdout.strip() == "open":
        pytest.skip("this kernel gives no network namespace to this user")
    assert run.stdout.strip() == "closed"


def test_no_child_and_no_folder_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    file = written(tmp_path / "a.geojson", GEOJSON)
    with guard.read(file) as reading:
        (table,) = reading.batches()
        assert table[SOURCE_ID].to_pylist() == ["a"]
    assert refused(written(tmp_path / "b.geojson", GEOJSON[:-3])) == "json.truncated"
    assert list((tmp_path / "t").iterdir()) == []


def test_an_unknown_encoding_is_a_bad_parameter(tmp_path: Path) -> None:
    with (
        pytest.raises(BadParameter, match="encoding=klingon"),
        guard.read(written(tmp_path / "a.geojson", GEOJSON), Declared(encoding="klingon")),
    ):
        pass
