"""Pyramids lie beside the columns in their file: opened, patched with them, and made anew where they lack."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.store.base import Store
from tests.unit.tiles.conftest import put, square
from tests.unit.tiles.test_encode import make
from tiles import columnfile
from tiles.layer_columns import LayerColumns
from tiles.levels import kept
from tiles.levels.build import Scheme
from tiles.levels.source import Ordered
from tiles.snapshots import Columns, Snapshot
from tiles.vector import documents, overview

SCHEME = Scheme("medium", ("water", "gas"))
#: Of EDITION: what is kept of the features below.
DIGEST = 2451698714


def drawn(seed: int = 0) -> list[Any]:
    """Footprints, lines and points in a small place."""
    places = np.random.default_rng(seed).uniform((24.9, 60.1), (24.95, 60.12), (300, 2))
    shapes: list[Any] = [square(*place) for place in places[:100]]
    shapes += [
        shapely.LineString([place, place + 0.001, place + np.array([0.002, 0])]) for place in places[100:200]
    ]
    return shapes + [shapely.Point(place) for place in places[200:]]


def arrays() -> dict[str, NDArray[Any]]:
    batch = make(drawn(), medium=["water", "gas", None] * 100)
    return kept.arrays(Ordered(batch, SCHEME))


def test_another_content_has_another_edition() -> None:
    digest = 0
    for name, array in sorted(arrays().items()):
        digest = zlib.crc32(name.encode() + np.ascontiguousarray(array).tobytes(), digest)
    assert digest == DIGEST, "raise kept.EDITION, so that files of before are made anew, and pin this one"


def test_what_is_kept_is_opened_as_it_was_made() -> None:
    batch = make(drawn(), medium=["water", "gas", None] * 100)
    found = arrays()
    assert kept.held(found, SCHEME)
    assert not kept.held(found, Scheme())
    again = kept.opened(batch, SCHEME, found)
    assert again._levels is not None
    same(found, kept.arrays(again))


def same(one: kept.Arrays, other: kept.Arrays) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], name)


def houses(store: Store, count: int) -> None:
    shapes = [square(24.94 + i * 0.0006, 60.17) for i in range(count)]
    put(store, "houses", "building", shapes, {"use": ["residential", "office"] * (count // 2)})


def of_file(store: Store, file: Path) -> kept.Arrays:
    """The pyramids that another server finds."""
    columns = Columns(store, "houses", file)
    snapshot = columns.snapshot()
    assert columns.builds == 0
    return {name: array for name, array in snapshot.index.kept.items() if name.startswith("levels/")}


def anew(store: Store, snapshot: Snapshot) -> kept.Arrays:
    scheme = documents.drawing(store.feature_layer("houses")).scheme
    return kept.arrays(Ordered(snapshot.base, scheme))


def test_a_file_from_before_is_opened_and_made_whole_beside_it(store: Store, tmp_path: Path) -> None:
    houses(store, 40)
    file = tmp_path / "columns" / "houses.cols"
    Columns(store, "houses", file).snapshot()
    whole = of_file(store, file)
    assert whole
    batch, tag, extras = columnfile.read(file) or (None, {}, {})
    assert batch is not None
    older = {name: array for name, array in extras.items() if not name.startswith("levels/")}
    columnfile.write(file, batch, tag, older)
    # nobody listens yet
    store.delete("houses", store.feature_layer("houses").count)
    server = LayerColumns(store, file.parent)
    server.freshness.update()
    snapshot = server.snapshot("houses")
    assert len(snapshot.fids) == 39
    assert server._columns["houses"].builds == 0
    assert server.behind() == ["houses"]
    server.prepare("houses")
    assert server.behind() == []
    assert server._columns["houses"].builds == 0
    now = server.snapshot("houses")
    assert now.patch is None
    same(of_file(store, file), anew(store, now))


def test_what_is_patched_in_is_added_up_not_counted_anew(
    store: Store, tmp_path: Path, monkeypatch: Any
) -> None:
    houses(store, 40)
    file = tmp_path / "columns" / "houses.cols"
    server = LayerColumns(store, file.parent)
    server.freshness.update()
    server.prepare("houses")
    store.patch("houses", 3, {"properties": {"use": "office"}})
    store.patch("houses", 4, {"geometry": shapely.geometry.mapping(square(24.9, 60.1))})
    store.delete("houses", 5)
    server.freshness.update()
    patched = server.snapshot("houses")
    drawing = documents.drawing(store.feature_layer("houses"))
    overview.prepare(patched, drawing)
    built: list[int] = []
    build = Ordered._build
    monkeypatch.setattr(Ordered, "_build", lambda self: built.append(len(self.batch)) or build(self))
    server._columns["houses"].compact()
    assert built == []
    now = server.snapshot("houses")
    assert (len(now.base), now.patch) == (39, None)
    monkeypatch.undo()
    same(of_file(store, file), anew(store, now))
