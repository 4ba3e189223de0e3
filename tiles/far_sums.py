"""What the cells of far views hold, kept beside a layer's columns: added up once, for all of it.

Rows are those of :class:`tiles.scene.blocks.Cells` of every node of zoom :data:`ZOOM`, one node after the
other; what changed since is added up anew, node by node (:mod:`tiles.far`)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layers.kinds import Kind, Prism
from tiles.batch import Batch
from tiles.scene import blocks, build, tree
from tiles.scene.blocks import Cells
from tiles.scene.build import Style
from tiles.scene.tree import Node
from tiles.scheme import SCENE_ZOOMS, Floats

#: The deepest zoom of which sums hold all features: below it, larger ones are shown beside the blocks.
ZOOM = SCENE_ZOOMS[0] - 1
#: To be changed whenever the same features give other sums: those of before are then made anew.
EDITION = 1
#: Rows that are added up at a time.
_PIECE = 100_000
_NODES, _FIELDS = "nodes", ("keys", "sums", "boxes", "highest", "votes")

type Arrays = Mapping[str, NDArray[Any]]


def drawn(kind: Kind) -> bool:
    """Whether blocks stand for features of a kind that are far away: footprints that are raised."""
    return isinstance(kind.body, Prism) and not kind.body.stored


def style_of(kind: Kind) -> Style | None:
    """The field that a kind is drawn by, with the values that have a colour and, last, none."""
    color = kind.style["color"]
    name, values = color.get("property"), color.get("values")
    return (name, [*map(str, values), ""]) if name and values else None


def cells(kind: Kind, z: int, batch: Batch) -> Cells:
    """What features of a kind, which is drawn so, add up to in the cells of a zoom of nodes."""
    return _cells(kind, z, batch, np.arange(len(batch)))


def _cells(kind: Kind, z: int, batch: Batch, rows: NDArray[np.int64]) -> Cells:
    assert isinstance(kind.body, Prism)
    _, high = build.reach(kind.body, lambda name: batch.numbers(name, rows=rows))
    style = style_of(kind)
    value, k = np.zeros(len(rows), np.int64), 1
    if style is not None:
        value, k = _values(batch, rows, *style), len(style[1])
    return blocks.cells(z, batch.boxes[rows], batch.measure[rows], high, value, k)


def _values(batch: Batch, rows: NDArray[np.int64], name: str, known: Sequence[str]) -> NDArray[np.int64]:
    """Which of some values of a property each row has, the last for any other."""
    other = len(known) - 1
    prop = batch.props.get(name)
    if prop is None or prop.values.kind != "s" or not len(prop.values):
        return np.full(len(rows), other)
    numbers = {value: number for number, value in enumerate(known)}
    used, of = np.unique(prop.codes[rows], return_inverse=True)
    table = [other if code < 0 else numbers.get(prop.values.text_of(code), other) for code in used.tolist()]
    return np.array(table, np.int64)[of]


def nodes_of(boxes: Floats) -> NDArray[np.int64]:
    """The keys (n,) of the nodes of :data:`ZOOM` in which the middles of world boxes (n, 4) lie."""
    n = 1 << ZOOM
    at = np.clip(np.floor((boxes[:, :2] + boxes[:, 2:]) / 2 * n), 0, n - 1).astype(np.int64)
    return tree.keys(np.column_stack([np.full(len(at), ZOOM), at]))


def arrays(kind: Kind, batch: Batch) -> dict[str, NDArray[Any]]:
    """What is kept of the columns of a layer; nothing of a kind without blocks."""
    if not drawn(kind):
        return {}
    nodes = nodes_of(batch.boxes)
    order = np.argsort(nodes, kind="stable")
    # a piece ends where a node does
    ends = np.flatnonzero(np.diff(nodes[order], append=-1)) + 1
    cuts = np.unique(ends[np.searchsorted(ends, np.arange(_PIECE, len(order), _PIECE))])
    parts = [_cells(kind, ZOOM, batch, rows) for rows in np.split(order, cuts)]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS}
    of = _nodes_of(np.concatenate([part.places for part in parts]))
    order = np.argsort(of, kind="stable")
    return {_prefix(kind) + name: column[order] for name, column in (columns | {_NODES: of}).items()}


def held(kept: Arrays, kind: Kind) -> bool:
    """Whether all that is kept of a kind is among some arrays."""
    return not drawn(kind) or _prefix(kind) + _NODES in kept


def at(kept: Arrays, kind: Kind, node: Node) -> Cells | None:
    """The cells of a node of :data:`ZOOM`; None where none are kept."""
    prefix = _prefix(kind)
    nodes = kept.get(prefix + _NODES)
    if nodes is None:
        return None
    key = tree.keys(np.array([node], np.int64))[0]
    own = slice(*np.searchsorted(nodes, [key, key + 1]).tolist())
    return Cells(*(kept[prefix + name][own] for name in _FIELDS))


def _nodes_of(places: NDArray[np.int64]) -> NDArray[np.int64]:
    x, y = places[:, 0] >> tree.SPLIT, places[:, 1] >> tree.SPLIT
    return tree.keys(np.column_stack([np.full(len(places), ZOOM), x, y]))


def _prefix(kind: Kind) -> str:
    assert isinstance(kind.body, Prism)
    said = orjson.dumps([kind.body.low, kind.body.high, style_of(kind)])
    return f"far/{EDITION}/{zlib.crc32(said):08x}/"
