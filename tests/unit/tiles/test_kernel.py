"""The compiled kernel beside numpy: the same bytes, or nothing at all where it cannot be used."""

from __future__ import annotations

import contextlib
import importlib
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.model import Rows
from layers.types import Field
from tests.support import ROOT
from tests.unit.tiles.test_encode import CLIPS, X, Y, Z, at, make, spot, stars
from tiles import batch as batches
from tiles import column_build, kernel
from tiles.batch import Batch
from tiles.kernel import Kernel, build
from tiles.levels import segments
from tiles.mesh import triangles
from tiles.vector import encode

built = pytest.mark.skipif(not build.FILE.exists(), reason="the kernel is not built: no C compiler")


@pytest.fixture
def forgotten() -> Iterator[None]:
    """The kernel is loaded anew, in the test and after it."""
    kernel.compiled.cache_clear()
    yield
    sys.modules.pop("tiles.kernel._kernel", None)
    kernel.compiled.cache_clear()


def the_kernel() -> Kernel:
    found = kernel.compiled()
    assert found is not None
    return found


TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "路灯", "x" * 200]), st.text(max_size=4))


@st.composite
def features(draw: st.DrawFn) -> Batch:
    """Points, lines and polygons of one or several parts around a tile, with values and nulls."""
    courses = st.lists(spot, min_size=2, max_size=6)
    one = st.one_of(
        stars(),
        spot.map(lambda p: shapely.Point(at(*p))),
        st.lists(spot, min_size=1, max_size=5).map(lambda ps: shapely.MultiPoint([at(*p) for p in ps])),
        courses.map(lambda ps: shapely.LineString([at(*p) for p in ps])),
        st.lists(courses, min_size=1, max_size=3).map(
            lambda several: shapely.MultiLineString([[at(*p) for p in ps] for ps in several])
        ),
        st.lists(stars(), min_size=1, max_size=3).map(shapely.MultiPolygon),
    )
    shapes = draw(st.lists(one, max_size=8))
    n = len(shapes)
    columns: dict[str, tuple[str, Any]] = {
        "name": ("string", TEXTS),
        "height": ("number", st.one_of(st.none(), st.floats())),
        "count": ("integer", st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))),
        "open": ("boolean", st.one_of(st.none(), st.booleans())),
    }
    fids = draw(st.lists(st.integers(0, 2**62), min_size=n, max_size=n, unique=True))
    rows = Rows(
        np.array(sorted(fids), np.int64),
        [shapely.to_wkb(shape) for shape in shapes],
        {name: draw(st.lists(value, min_size=n, max_size=n)) for name, (_, value) in columns.items()},
    )
    return column_build.from_rows(rows, [Field(name, kind) for name, (kind, _) in columns.items()])  # type: ignore[arg-type]


@built
@given(features(), st.sampled_from(CLIPS), st.sampled_from([0, 9, 14, 16, 20]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_tile_has_the_same_bytes_by_either_way(batch: Batch, how: Any, z: int) -> None:
    x, y = (X, Y) if z == Z else (X << 4, Y << 4) if z > Z else (X >> (Z - z), Y >> (Z - z))
    expected = encode.by_arrays("layer", batch, z, x, y, how[0])
    assert encode.layer("layer", batch, z, x, y, how[0]) == expected
    rows = np.arange(0, len(batch), 2)
    expected = encode.by_arrays("layer", batch.take(rows), z, x, y, how[0])
    assert encode.layer("layer", batch, z, x, y, how[0], rows) == expected


@built
def test_a_dictionary_that_is_large_beside_the_tile_gives_the_same_bytes() -> None:
    n = 2000
    places = [at(0.5 + 0.4 * np.cos(i), 0.5 + 0.4 * np.sin(i * 1.7)) for i in range(n)]
    batch = make(
        [shapely.Point(p) for p in places],
        name=[f"n{i}" for i in range(n)],
        street=[f"s{i % 7}" for i in range(n)],
    )
    for step in (1, 3, 500):
        rows = np.arange(0, n, step)
        assert encode.layer("p", batch, Z, X, Y, "buffer", rows) == encode.by_arrays(
            "p", batch.take(rows), Z, X, Y, "buffer"
        )


@built
def test_many_identical_footprints_and_a_ring_of_many_corners() -> None:
    house = shapely.box(*at(0.4, 0.4), *at(0.5, 0.5))
    same = make([house] * 20_000, name=["a"] * 20_000)
    assert encode.layer("b", same, Z, X, Y) == encode.by_arrays("b", same, Z, X, Y, "buffer")
    angles = np.linspace(0, 2 * np.pi, 500_000, endpoint=False)
    ring = shapely.Polygon(np.column_stack(at(0.5 + 0.3 * np.cos(angles), 0.5 + 0.3 * np.sin(angles))))
    round_ = make([ring])
    assert encode.layer("b", round_, Z, X, Y) == encode.by_arrays("b", round_, Z, X, Y, "buffer")


@built
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_coordinates_that_are_no_place(value: float) -> None:
    batch = make([shapely.box(*at(0.1, 0.1), *at(0.4, 0.4)), shapely.Point(at(0.5, 0.5))])
    spoilt = batch.xy.copy()
    spoilt[[0, -1]] = value
    for boxes in (batch.boxes, np.full_like(batch.boxes, value)):
        odd = replace(batch, xy=spoilt, boxes=boxes)
        assert isinstance(encode.layer("b", odd, Z, X, Y), bytes)


@built
@pytest.mark.parametrize("name", ["parts", "coords", "fids", "dims", "outer", "xy"])
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_columns_that_do_not_fit_together_are_refused(name: str, data: st.DataObject) -> None:
    """Or read within their bounds: never beyond."""
    batch = make(
        [shapely.box(*at(0.1, 0.1), *at(0.4, 0.4)), shapely.LineString([at(0.2, 0.2), at(0.9, 0.9)])]
    )
    column: np.ndarray[Any, Any] = getattr(batch, name).copy()
    flat = column.reshape(-1)
    odd_value = [255, 0, 1, 3, 200] if name in ("dims", "outer") else [-(2**62), -1, 7, 2**40]
    flat[data.draw(st.integers(0, len(flat) - 1))] = data.draw(st.sampled_from(odd_value))
    if data.draw(st.booleans()):
        column = column[: data.draw(st.integers(0, len(column)))]
    odd = replace(batch, **{name: np.ascontiguousarray(column)})
    rows = data.draw(st.sampled_from([[0, 1], [0], [-1], [2], [2**62]]))
    compiled, wanted, nothing = the_kernel(), np.array(rows), np.empty(0, np.int64)
    cut = (None, np.zeros(1, np.int64), np.zeros(1, np.int64), np.empty(0, np.uint8), np.empty(0))
    shapes = (odd.dims, odd.parts, odd.coords, odd.outer, odd.xy)
    props = tuple((k.encode(), p.codes, p.values.blob, p.values.offsets) for k, p in odd.props.items())
    tile = (4096.0, 0.0, 0.0, 4096.0, (64.0, 64.0, 64.0))
    for chosen in ((wanted, nothing, nothing), (nothing, wanted, nothing), (nothing, wanted, wanted)):
        with contextlib.suppress(ValueError):
            assert isinstance(compiled.layer(b"b", odd.fids, shapes, chosen, cut, props, tile), bytes)
    room = np.empty((3, len(wanted)), np.int64)
    with contextlib.suppress(ValueError):
        assert sum(compiled.split(shapes, odd.boxes, wanted, tuple(room), tile)) <= 2 * len(wanted)
    made, left = np.empty((max(len(odd.xy), 1), 3), np.int64), np.empty(max(len(odd.outer), 1), np.int64)
    with contextlib.suppress(ValueError):
        compiled.triangles(odd.xy, odd.coords, odd.outer, made, left)


@built
def test_arrays_of_other_numbers_are_refused() -> None:
    batch = make([shapely.box(*at(0.1, 0.1), *at(0.4, 0.4))])
    made, left = np.empty((9, 3), np.int64), np.empty(9, np.int64)
    compiled = the_kernel()
    for xy, coords in (
        (batch.xy.astype(np.float32), batch.coords),
        (batch.xy, batch.coords.astype(np.int32)),
        (batch.xy, batch.coords[:-1]),
    ):
        with pytest.raises(ValueError, match=r"expected|fit together"):
            compiled.triangles(xy, coords, batch.outer, made, left)
    with pytest.raises(ValueError, match="fit together"):
        compiled.triangles(batch.xy, batch.coords, batch.outer, made[:1], left)
    with pytest.raises((BufferError, ValueError)):
        compiled.triangles(batch.xy[::-1], batch.coords, batch.outer, made, left)


def _turns(batch: Batch, found: Any) -> Any:
    near = (batch.xy - batch.xy[0]) * 1e7
    a, b, c = (near[found[:, i]] for i in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def _edges(found: Any) -> dict[tuple[int, int], int]:
    count: dict[tuple[int, int], int] = {}
    for a, b, c in found.tolist():
        for edge in ((a, b), (b, c), (c, a)):
            count[edge] = count.get(edge, 0) + 1
    return count


@built
@given(st.lists(stars(), min_size=1, max_size=5))
@settings(max_examples=120, deadline=None)
def test_triangles_cover_their_polygon_once_and_meet_every_wall(shapes: list[Any]) -> None:
    shapes = [shape for shape in shapes if shape.is_valid and shape.area > 1e-12]
    if not shapes:
        return
    batch = make(shapes)
    found = triangles.triangulate(batch)
    turns = _turns(batch, found)
    assert (turns <= 0).all()
    near = [shapely.Polygon(_ring(batch, i), _holes(batch, i)) for i in np.flatnonzero(batch.outer)]
    assert -turns.sum() / 2 == pytest.approx(sum(shape.area for shape in near), rel=1e-9)
    edges = _edges(found)
    if batch.outer.all():
        follow = batches.successor(batch.coords)
        # an edge of the ring is in one triangle, any other in two that run against each other
        for i, j in enumerate(follow.tolist()):
            assert edges.pop((j, i)) == 1
        assert all(edges[b, a] == count == 1 for (a, b), count in edges.items())


def _ring(batch: Batch, ring: int) -> Any:
    return (batch.xy[batch.coords[ring] : batch.coords[ring + 1]] - batch.xy[0]) * 1e7


def _holes(batch: Batch, exterior: int) -> list[Any]:
    after = np.flatnonzero(batch.outer[exterior + 1 :])
    end = exterior + 1 + int(after[0]) if len(after) else len(batch.outer)
    return [_ring(batch, hole) for hole in range(exterior + 1, end)]


@built
def test_corners_on_a_straight_edge_stay_corners() -> None:
    plain = [(0.1, 0.1), (0.2, 0.1), (0.3, 0.1), (0.3, 0.2), (0.3, 0.3), (0.2, 0.2), (0.1, 0.3), (0.1, 0.2)]
    batch = make([shapely.Polygon([at(*p) for p in plain])])
    assert len(triangles.triangulate(batch)) == len(batch.xy) - 2


@built
def test_triangles_of_a_comb_of_many_teeth_and_of_one_beyond_the_kernel() -> None:
    for teeth in (20, 60, 400):
        top = [(0.1 + 0.8 * i / (2 * teeth), 0.9 if i % 2 else 0.2) for i in range(2 * teeth + 1)]
        comb = make([shapely.Polygon([at(*p) for p in [(0.1, 0.1), *top, (0.9, 0.1)]])])
        found = triangles.triangulate(comb)
        assert -_turns(comb, found).sum() / 2 == pytest.approx(shapely.Polygon(_ring(comb, 0)).area, rel=1e-9)


def test_switched_off_it_is_not_used(forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel.SWITCH, "0")
    assert kernel.compiled() is None
    batch = make([shapely.Polygon([at(0.1, 0.1), at(0.4, 0.1), at(0.2, 0.2), at(0.1, 0.4)])], name=["a"])
    assert encode.layer("b", batch, Z, X, Y) == encode.by_arrays("b", batch, Z, X, Y, "buffer")
    assert -_turns(batch, triangles.triangulate(batch)).sum() > 0


def test_one_that_is_not_there_is_no_fault(
    forgotten: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tiles.kernel._kernel", None)
    with caplog.at_level(logging.INFO):
        assert kernel.compiled() is None
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_one_that_cannot_be_loaded_is_told_once(
    forgotten: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> None:
        raise ImportError(f"{name}: wrong ELF class")

    monkeypatch.setattr(importlib, "import_module", broken)
    assert kernel.compiled() is None
    assert kernel.compiled() is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "wrong ELF class" in record.getMessage()


@built
def test_one_of_other_sources_is_not_used(
    forgotten: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(build, "checksum", lambda: 1)
    assert kernel.compiled() is None
    assert "make env" in caplog.text


@built
def test_a_file_that_is_no_library_is_told_and_tiles_are_made(tmp_path: Path) -> None:
    for folder in ("layers", "tiles"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tiles" / "kernel" / build.FILE.name).write_bytes(b"not a library")
    code = "from tiles import kernel; print(kernel.compiled(), kernel.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"None {tmp_path}")
    assert "numpy does its work" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no C compiler is asked there")
def test_without_a_compiler_or_with_a_broken_one_the_build_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert build.build(tmp_path / "a.so") == "there is no C compiler"
    monkeypatch.setenv("CC", "false")
    assert build.build(tmp_path / "a.so") is not None
    assert list(tmp_path.iterdir()) == []


@built
@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(*[st.integers(40, 44)] * 4).filter(lambda s: s[:2] < s[2:]), unique=True, max_size=30
        ),
        max_size=4,
    )
)
def test_lines_are_joined_alike_by_either_way(features: list[list[tuple[int, int, int, int]]]) -> None:
    each = [(at, segment) for at, own in enumerate(features) for segment in sorted(own)]
    keys = np.array([sum(v << 7 * (3 - i) for i, v in enumerate(one)) for _, one in each], np.uint64)
    whose = np.array([at for at, _ in each], np.int64)
    corners = np.stack([whose * 32, -whose], axis=1).reshape(-1, 2)
    found = segments.paths(keys, whose, corners)
    if not len(keys):
        assert not len(found.xy)
        return
    expected = segments.by_arrays(keys, whose, corners)
    for name in ("feature", "offsets", "xy"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


@built
def test_segments_that_do_not_fit_together_are_refused() -> None:
    n = np.zeros(2, np.int64)
    room = n.copy(), np.zeros(3, np.int64), np.zeros((4, 2), np.int64)
    keys, corners = np.array([1, 2], np.uint64), np.zeros((2, 2), np.int64)
    assert the_kernel().lines(keys, n, corners, *room) == (1, 3)
    # a segment of no length ends where it begins
    assert the_kernel().lines(np.zeros(2, np.uint64), n, corners, *room)[0] == 2
    for wrong in range(6):
        given_ = [keys, n, corners, *room]
        given_[wrong] = given_[wrong][:-1].copy()
        with pytest.raises(ValueError, match="fit together"):
            the_kernel().lines(*given_)
