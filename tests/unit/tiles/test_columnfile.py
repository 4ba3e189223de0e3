"""The file of a layer's columns: read whole and unaltered, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.tiles.conftest import square
from tiles import batch as batches
from tiles import columnfile, dictionary
from tiles.batch import Batch

TAG = {"epoch": "e", "seq": 7}


def columns(n: int = 50) -> Batch:
    """Squares with a text and a number each."""
    made = batches.from_shapes(
        np.arange(n, dtype=np.int64), np.array([square(24 + i / 100, 60) for i in range(n)])
    )
    names = dictionary.encode([f"house {i}" for i in range(n)], "string")
    return replace(made, props={"name": names, "height_m": dictionary.encode([1.5] * n, "number")})


@pytest.mark.parametrize("most", [0, 2**30])
def test_what_becomes_of_the_file_is_not_seen_by_who_reads_it(
    tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off and written over while it is served: the next page that was read ended the process."""
    monkeypatch.setattr(columnfile, "IN_MEMORY", most)
    file, made = tmp_path / "buildings.cols", columns()
    columnfile.write(file, made, TAG)
    found = columnfile.read(file)
    with file.open("r+b") as opened:
        opened.write(b"\xff" * 100)
        opened.truncate(200)
    assert found is not None
    assert found[1] == TAG
    assert same(found[0], made)
    assert columnfile.read(file) is None
    assert [path.name for path in tmp_path.iterdir()] == ["buildings.cols"]


def test_a_batch_of_nothing_is_kept_too(tmp_path: Path) -> None:
    none = batches.from_shapes(np.empty(0, np.int64), np.array([], dtype=object))
    columnfile.write(tmp_path / "none.cols", none, TAG)
    found = columnfile.read(tmp_path / "none.cols")
    assert found is not None
    assert len(found[0]) == 0


RAW: list[bytes] = []


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_an_altered_file_is_no_file(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.getbasetemp() / "harmed.cols"
    if not RAW:
        columnfile.write(file, columns(), TAG)
        RAW.append(file.read_bytes())
    (raw,) = RAW
    at = data.draw(st.integers(0, len(raw) - 1))
    file.write_bytes(raw[:at] if data.draw(st.booleans()) else flipped(raw, at))
    found = columnfile.read(file)
    # the bytes between two arrays are nobody's
    assert found is None or (same(found[0], columns()) and found[1] == TAG)


def same(one: Batch, other: Batch) -> bool:
    """Whether two batches hold the same bytes."""
    return [array.tobytes() for array in columnfile._flatten(one)] == [
        array.tobytes() for array in columnfile._flatten(other)
    ]


def flipped(raw: bytes, at: int, size: int = 20) -> bytes:
    """The bytes with some of them changed."""
    return raw[:at] + bytes(byte ^ 0x55 for byte in raw[at : at + size]) + raw[at + size :]
