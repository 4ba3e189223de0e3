"""A whole R-tree written at once, its nodes packed: four times as fast as row by row, and fuller.

The nodes are those of SQLite (ext/rtree/rtree.c): a depth (of the root) and a count of cells, 16 bits
each, then cells of a 64-bit number and four 32-bit floats, big-endian throughout. Packing is
Sort-Tile-Recursive (Leutenegger, Lopez, Edgington: STR, ICDE 1997).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from layers.store.geopackage.connection import quoted

_CELL = np.dtype([("id", ">i8"), ("box", ">f4", 4)])
_FILL = 0.9  # room for the first edits, before a node must be split
_READ = 50_000
_ROOT = 1

type Boxes = NDArray[np.float32]
type Numbers = NDArray[np.int64]


def fill(con: sqlite3.Connection, index: str, source: str, schema: str = "main") -> None:
    """Write an R-tree of that name anew, within the caller's transaction; what it held is gone.

    ``source`` selects (fid, minx, maxx, miny, maxy), none of them null, and may read the R-tree itself.
    Needs 40 bytes of memory a row."""
    write(con, index, *_read(con, source), schema)


def write(con: sqlite3.Connection, index: str, ids: Numbers, boxes: Boxes, schema: str = "main") -> None:
    """As :func:`fill`, of fids (n) and boxes (n, 4) as :func:`outward` makes them."""
    nodes = _part(schema, index, "node")
    size = con.execute(f"SELECT length(data) FROM {nodes} WHERE nodeno = {_ROOT}").fetchone()[0]
    for part in ("node", "rowid", "parent"):
        con.execute(f"DELETE FROM {_part(schema, index, part)}")
    capacity = max(2, int((size - 4) // _CELL.itemsize * _FILL))
    next_node, depth, leaves = _ROOT + 1, 0, True
    entered = {True: _part(schema, index, "rowid"), False: _part(schema, index, "parent")}
    while len(ids) > capacity:
        order = _tiles(boxes, capacity)
        ids, boxes = ids[order], boxes[order]
        starts = np.arange(0, len(ids), capacity)
        numbers = np.arange(next_node, next_node + len(starts))
        _write(con, nodes, numbers, starts, ids, boxes, size)
        _enter(con, entered[leaves], ids, np.repeat(numbers, np.diff([*starts, len(ids)])))
        ids, boxes = numbers, _unions(boxes, starts)
        next_node, depth, leaves = next_node + len(starts), depth + 1, False
    _write(con, nodes, np.array([_ROOT]), np.array([0]), ids, boxes, size, depth)
    _enter(con, entered[leaves], ids, np.full(len(ids), _ROOT))


def _read(con: sqlite3.Connection, source: str) -> tuple[Numbers, Boxes]:
    ids, boxes = [np.empty(0, np.int64)], [np.empty((0, 4), np.float32)]
    cursor = con.execute(source)
    while rows := cursor.fetchmany(_READ):
        ids.append(np.array([row[0] for row in rows], np.int64))
        boxes.append(outward(np.array([row[1:] for row in rows], float)))
    return np.concatenate(ids), np.concatenate(boxes)


def outward(boxes: NDArray[np.float64]) -> Boxes:
    """Doubles as floats, each box no smaller than it was."""
    floats = boxes.astype(np.float32)
    for side, away in ((0, -np.inf), (1, np.inf), (2, -np.inf), (3, np.inf)):
        inside = (floats[:, side] > boxes[:, side]) if away < 0 else (floats[:, side] < boxes[:, side])
        floats[inside, side] = np.nextafter(floats[inside, side], np.float32(away))
    return floats


def _tiles(boxes: Boxes, capacity: int) -> Numbers:
    """The order in which every ``capacity`` boxes lie together: strips of x, each from south to north."""
    x, y = boxes[:, 0] + boxes[:, 1], boxes[:, 2] + boxes[:, 3]
    strips = int(np.ceil(np.sqrt(len(boxes) / capacity)))
    width = int(np.ceil(len(boxes) / strips / capacity)) * capacity
    strip = np.empty(len(boxes), np.int32)
    strip[np.argsort(x, kind="stable")] = np.arange(len(boxes)) // width
    return np.lexsort((y, strip))


def _unions(boxes: Boxes, starts: Numbers) -> Boxes:
    sides = [(np.minimum, 0), (np.maximum, 1), (np.minimum, 2), (np.maximum, 3)]
    return np.stack([reach.reduceat(boxes[:, side], starts) for reach, side in sides], axis=1)


def _write(
    con: sqlite3.Connection,
    table: str,
    numbers: Numbers,
    starts: Numbers,
    ids: Numbers,
    boxes: Boxes,
    size: int,
    depth: int = 0,
) -> None:
    cells = np.empty(len(ids), _CELL)
    cells["id"], cells["box"] = ids, boxes
    ends = [*starts[1:].tolist(), len(ids)]

    def nodes() -> Iterator[tuple[int, bytes]]:
        for number, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True):
            head = depth.to_bytes(2) + (end - start).to_bytes(2)
            yield number, (head + cells[start:end].tobytes()).ljust(size, b"\0")

    con.executemany(f"INSERT INTO {table} VALUES (?,?)", nodes())


def _part(schema: str, index: str, part: str) -> str:
    return f"{schema}.{quoted(f'{index}_{part}')}"


def _enter(con: sqlite3.Connection, table: str, ids: Numbers, nodes: Numbers) -> None:
    """Note in which node each feature, or each node, lies."""
    order = np.argsort(ids)
    pairs = zip(ids[order].tolist(), nodes[order].tolist(), strict=True)
    con.executemany(f"INSERT INTO {table} VALUES (?,?)", pairs)
