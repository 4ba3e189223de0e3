"""Files that a program spoilt: bytes changed, cut out, doubled, swapped. Each is read or refused with a
reason; no reader dies of one, and none takes for ever."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from layers import load
from layers.errors import BadFile
from layers.read.base import ReadLimits
from tests.support import ROOT

ROUNDS = int(os.environ.get("TWIN_FUZZ_FILES", "4"))
SEED = os.environ.get("TWIN_FUZZ_SEED", "1")
FOUND = ROOT / "tests" / "found"
#: One of each form that a byte can harm, the main file of several first.
SAMPLES: tuple[tuple[Path, ...], ...] = (
    (FOUND / "load" / "13-newline.geojson",),
    (FOUND / "load" / "13c-newline.ndjson",),
    (FOUND / "load" / "15-tin.gpkg",),
    (FOUND / "load" / "02-views.gpkg",),
    (FOUND / "load" / "14-templates.city.json",),
    (FOUND / "load" / "10-long-codes.csv",),
    tuple(FOUND / "load" / f"19-polyline-zm.{end}" for end in ("shp", "shx", "dbf", "prj", "cpg")),
    (FOUND / "hostile" / "flip13.fgb",),
    (FOUND / "load" / "20-columns.parquet",),
)
#: Values that lengths and counts are often wrong about.
EDGES = (*(b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x01\x00\x00\x80", b"[" * 40, b"\x00" * 64),)
SECONDS = 20.0


def spoilt(raw: bytes, noise: random.Random) -> bytes:
    """The bytes with one to four places changed."""
    data = bytearray(raw)
    for _ in range(noise.randint(1, 4)):
        at, size = noise.randrange(len(data) + 1), noise.choice((1, 1, 2, 8, 64))
        match noise.randrange(6):
            case 0:
                data[at : at + size] = bytes(noise.randrange(256) for _ in range(size))
            case 1:
                edge = noise.choice(EDGES)
                data[at : at + len(edge)] = edge
            case 2:
                del data[at : at + size * 8]
            case 3:
                data[at:at] = data[at : at + size * 8]
            case 4:
                del data[at:]
            case 5:
                other = noise.randrange(len(data) + 1)
                data[at : at + size], data[other : other + size] = (
                    data[other : other + size],
                    data[at : at + size],
                )
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("files", SAMPLES, ids=lambda files: files[0].name)
def test_a_spoilt_file_is_read_or_refused_with_a_reason(files: tuple[Path, ...], tmp_path: Path) -> None:
    noise = random.Random(f"{SEED} {files[0].name}")
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        target = folder / noise.choice(files).name
        target.write_bytes(spoilt(target.read_bytes(), noise))
        begun = time.monotonic()
        rule, told = refused(folder / files[0].name)
        assert rule not in ("reader.died", "limit.time"), (target, told)
        assert str(tmp_path) not in told, told
        assert "Traceback" not in told, told
        assert time.monotonic() - begun < SECONDS, target


def refused(path: Path) -> tuple[str, str]:
    """The rule and the reason by which a file is refused; nothing where it is read."""
    try:
        load.check(path, limits=ReadLimits())
    except BadFile as error:
        return error.rule, str(error)
    return "", ""
