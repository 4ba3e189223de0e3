"""Archives with any bytes changed: unpacked inside their folder, or refused; nothing else."""

from __future__ import annotations

import contextlib
import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import BadFile
from layers.guard import ReadLimits
from layers.read import zipped
from layers.read.sample import Sample


def _archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a/streets.geojson", b'{"type": "FeatureCollection", "features": []}' * 20)
        out.writestr("b.csv", b"lon,lat\n1,2\n")
        out.writestr(zipfile.ZipInfo("c/"), b"")
    return made.getvalue()


WHOLE = _archive()
LIMITS = ReadLimits(size=1 << 20)


@settings(max_examples=400, deadline=None)
@given(
    changes=st.dictionaries(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), max_size=4),
    end=st.integers(len(WHOLE) // 2, len(WHOLE)) | st.just(len(WHOLE)),
)
def test_whatever_is_changed(changes: dict[int, int], end: int) -> None:
    raw = bytearray(WHOLE)
    for at, value in changes.items():
        raw[at] = value
    with tempfile.TemporaryDirectory() as name:
        file, folder = Path(name) / "a.zip", Path(name) / "unpacked"
        file.write_bytes(raw[:end])
        with contextlib.suppress(BadFile):
            if Sample.of(file).inside == "zip":
                zipped.unpack(file, folder, LIMITS)
        assert {each.name for each in Path(name).iterdir()} <= {"a.zip", "unpacked"}
        assert sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) <= LIMITS.size


@pytest.mark.parametrize(("at", "value"), [(6, 99), (8, 1 << 5)], ids=["version 9.9", "patched data"])
def test_a_zip_of_a_newer_kind(tmp_path: Path, at: int, value: int) -> None:
    """For which the standard library raises NotImplementedError."""
    raw, file = bytearray(WHOLE), tmp_path / "a.zip"
    raw[WHOLE.index(b"PK\x01\x02") + at] = value
    file.write_bytes(raw)
    with pytest.raises(BadFile, match=r"zip\.damaged"):
        zipped.unpack(file, tmp_path / "unpacked", LIMITS)
