"""Which features meet a box: by the R-tree alone for almost every one of them.

The geometry is read only for those whose box meets a corner of the query's or reaches across it. A feature
without a place meets every box (17-069r4, /req/core/fc-bbox-response C).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layers.cql import geometry
from layers.model import FeatureLayer
from layers.query import Query
from layers.store import compile
from layers.store.counting import holds
from layers.store.geopackage import blob
from layers.store.geopackage.read_view import ReadView, RowSource
from layers.types import Bbox

_HANDFUL = 300
_GEOMETRIES = 1_000  # read at once for the exact test


@dataclass(frozen=True, slots=True)
class BoxCondition:
    """What the R-tree is asked: features whose boxes overlap all of these.

    ``exact``: a feature must meet the first of them, not just its box."""

    boxes: tuple[Bbox, ...]
    exact: bool

    @property
    def sql(self) -> str:
        """The condition on the alias ``r`` of the R-tree."""
        return " AND ".join([_OVERLAP] * len(self.boxes))

    @property
    def values(self) -> list[float]:
        """What :attr:`sql` binds."""
        return [value for box in self.boxes for value in _overlapping(box)]

    def outside(self, view: ReadView, source: RowSource, about: int | None = None) -> set[int]:
        """The features that the R-tree gives but that do not meet the box; of ``about`` so many it gives."""
        return _outside(view, source, self.boxes[0], about) if self.exact and about != 0 else set()


def parts(query: Query, layer: FeatureLayer) -> tuple[BoxCondition, ...]:
    """What a query asks of places: nothing; a part; or two, for a box across the antimeridian.

    Beside the box itself there is the one outside which no feature can match the filter. One that holds
    every feature, as the first box of a map client often does, is nothing to ask."""
    near = compile.envelope(query)
    beside = () if near is None or holds(near, layer.extent) else (near,)
    if query.bbox is None or holds(query.bbox, layer.extent):
        return (BoxCondition(beside, False),) if beside else ()
    return tuple(BoxCondition((box, *beside), True) for box in compile.boxes(query.bbox))


_OVERLAP = "r.maxx >= ? AND r.minx <= ? AND r.maxy >= ? AND r.miny <= ?"


def _overlapping(box: Bbox) -> tuple[float, ...]:
    west, south, east, north = box
    return west, east, south, north


# A feature touches every side of its own box. So it meets the query's box for certain when its box
# lies between two opposite sides of it and has one of its own other sides inside, the more when it
# lies inside whole. What is left crosses a corner, or reaches across. The R-tree's 32-bit boxes are
# rounded outward by less than 2**-21 of the number, hence the margin on the side that must be inside.
_SURE = (
    "r.minx >= ? AND r.maxx <= ? AND (r.maxy BETWEEN ? AND ? OR r.miny BETWEEN ? AND ?)"
    " OR r.miny >= ? AND r.maxy <= ? AND (r.maxx BETWEEN ? AND ? OR r.minx BETWEEN ? AND ?)"
)
_ROUNDING = 2.0**-21


def _surely(box: Bbox) -> tuple[float, ...]:
    west, south, east, north = box
    dx, dy = _margins(box)
    across = (west, east, south + dy, north, south, north - dy)
    return (*across, south, north, west + dx, east, west, east - dx)


def _margins(box: Bbox) -> tuple[float, float]:
    west, south, east, north = box
    return max(abs(west), abs(east)) * _ROUNDING, max(abs(south), abs(north)) * _ROUNDING


def _frame(box: Bbox) -> list[Bbox]:
    """The four sides of a box, within it: whatever lies between them is certain."""
    west, south, east, north = box
    dx, dy = _margins(box)
    return [
        (west, south, min(west + dx, east), north),
        (max(east - dx, west), south, east, north),
        (west, south, east, min(south + dy, north)),
        (west, max(north - dy, south), east, north),
    ]


def _outside(view: ReadView, source: RowSource, box: Bbox, about: int | None) -> set[int]:
    sql = (
        f"SELECT r.id, (SELECT t.geom FROM {source.name} t WHERE t.fid = r.id) FROM {source.rtree} r"
        f" WHERE {_OVERLAP} AND NOT ({_SURE})"
    )
    outside: set[int] = set()
    # to look at all of a handful of features costs less than to ask four times
    for part in [box] if about is not None and about < _HANDFUL else _frame(box):
        cursor = view.con.execute(sql, (*_overlapping(part), *_surely(box)))
        while rows := cursor.fetchmany(_GEOMETRIES):
            outside.update(_apart(box, rows))
    return outside


def _apart(box: Bbox, rows: Sequence[tuple[int, bytes]]) -> list[int]:
    """Those of the features, fid and blob, whose geometry does not meet the box."""
    import shapely

    area = geometry.box(*box)
    if len(rows) > 10:  # preparing costs what ten tests do
        shapely.prepare(area)
    hits = shapely.intersects(area, blob.shapes([row[1] for row in rows]))
    return [row[0] for row, hit in zip(rows, hits.tolist(), strict=True) if not hit]
