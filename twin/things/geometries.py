"""The geometries of entities, indexed in memory: read when first asked for, then patched with each commit.

Each set has a tree of boxes over what was there when it was built, and beside it what came since, which is
looked at one by one; the tree is built anew when that is a tenth of all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Geometry, STRtree

from layers.errors import Unavailable
from layers.observations.livefile import LiveFile
from twin.things.model import SETS, Entity

#: Changes beside a tree before it is built anew: so many, or this share of all.
_BESIDE, _SHARE = 512, 0.1
#: Relations that the tree answers by itself: of what is asked to what is kept, and the other way round.
CONVERSE = {
    "within": "contains",
    "contains": "within",
    "intersects": "intersects",
    "touches": "touches",
    "overlaps": "overlaps",
    "crosses": "crosses",
}

type Ids = NDArray[np.int64]
type Geometries = NDArray[np.object_]


class Indexed:
    """The geometries of one set. Not for several threads at once."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._ids: list[int] = []
        # None where there is none, or where another slot has the newer one
        self._all: list[Geometry | None] = []
        self._tree = STRtree([])
        self._built = 0

    def put(self, rows: Iterable[tuple[int, str | None]]) -> None:
        """Ids, and their GeoJSON (a geometry, or a feature with one; all else has no place)."""
        some = list(rows)
        texts = np.array([text or "null" for _, text in some], object)
        found = shapely.from_geojson(texts, on_invalid="ignore")
        wrong = ~shapely.is_valid(found) & ~shapely.is_missing(found)
        found[wrong] = shapely.make_valid(found[wrong])
        for (id_, _), geometry in zip(some, found, strict=True):
            old = self._slots.get(id_)
            if old is not None:
                self._all[old] = None
            self._slots[id_] = len(self._all)
            self._ids.append(id_)
            self._all.append(None if geometry is None or geometry.is_empty else geometry)

    def get(self, id_: int) -> Geometry | None:
        """The geometry of an entity, None without one."""
        slot = self._slots.get(id_)
        return None if slot is None else self._all[slot]

    def all(self) -> tuple[Ids, Geometries]:
        """Ids and geometries of all that have one."""
        kept = [(id_, one) for id_, one in zip(self._ids, self._all, strict=True) if one is not None]
        geometries = np.empty(len(kept), object)
        geometries[:] = [one for _, one in kept]
        return np.array([id_ for id_, _ in kept], np.int64), geometries

    def near(self, asked: Geometry, distance: float) -> tuple[Ids, NDArray[np.float64]]:
        """Those within a distance (degrees), and how far each is."""
        ids, some = self._candidates(asked, "dwithin", distance)
        far = shapely.distance(some, asked)
        return ids[far <= distance], far[far <= distance]

    def related(self, relation: str, asked: Geometry, *, first: bool) -> Ids:
        """The ids of those that stand in a relation (a name of :data:`CONVERSE`, equals, disjoint) to what
        is asked; ``first``: of which that is the first of the two."""
        if relation == "disjoint":
            ids, _ = self.all()
            return np.setdiff1d(ids, self.related("intersects", asked, first=first))
        predicate = "intersects" if relation == "equals" else relation if first else CONVERSE[relation]
        ids, some = self._candidates(asked, predicate)
        test = getattr(shapely, relation)
        found: Ids = ids[test(asked, some) if first else test(some, asked)]
        return found

    def relate(self, pattern: str, asked: Geometry, *, first: bool) -> Ids:
        """The ids of those whose intersection matrix with what is asked (DE-9IM) is of a pattern."""
        ids, some = self.all()
        found: Ids = ids[shapely.relate_pattern(*((asked, some) if first else (some, asked)), pattern)]
        return found

    def _candidates(
        self, asked: Geometry, predicate: Any, distance: float | None = None
    ) -> tuple[Ids, Geometries]:
        """Those that the tree finds, and all that came since."""
        beside = len(self._all) - self._built
        if beside > max(_BESIDE, _SHARE * len(self._all)):
            self._build()
        slots = self._tree.query(asked, predicate=predicate, distance=distance)
        slots = np.concatenate([slots, np.arange(self._built, len(self._all))]).astype(np.int64)
        geometries = np.empty(len(slots), object)
        geometries[:] = [self._all[slot] for slot in slots.tolist()]
        there = ~shapely.is_missing(geometries)
        ids = np.array([self._ids[slot] for slot in slots.tolist()], np.int64)
        return ids[there], geometries[there]

    def _build(self) -> None:
        kept = [(id_, slot) for id_, slot in self._slots.items()]
        self._all = [self._all[slot] for _, slot in kept]
        self._ids = [id_ for id_, _ in kept]
        self._slots = {id_: slot for slot, id_ in enumerate(self._ids)}
        self._tree, self._built = STRtree(self._all), len(self._all)


class Located:
    """The indexed sets of a city. Its methods may be called from any thread."""

    def __init__(self, file: LiveFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._sets: dict[str, Indexed] = {}

    def put(self, set_: str, rows: Iterable[tuple[int, str | None]]) -> None:
        """Entities of a set were made or changed, and committed."""
        with self._lock:
            known = self._sets.get(set_)
            if known is not None:
                known.put(rows)

    def forget(self) -> None:
        """The file is another one: all is read anew when it is asked for."""
        with self._lock:
            self._sets.clear()

    def ready(self) -> None:
        """Read the sets that were not yet; not while the file is being read by this thread."""
        with self._lock:
            for set_, entity in SETS.items():
                if set_ in self._sets or geometry_of(entity) is None:
                    continue
                known = Indexed()
                # a commit that is not in what is read waits at the lock, and is put after it
                with self._file.reading() as conn:
                    known.put(conn.execute(_select(entity)))
                self._sets[set_] = known

    def ask(self, set_: str, question: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What a method of :class:`Indexed` answers of a set. Raises Unavailable when it is not there yet."""
        with self._lock:
            known = self._sets.get(set_)
            if known is None:
                raise Unavailable("the file of things was opened anew just now: try again")
            return question(known, *args, **options)


def geometry_of(entity: Entity) -> str | None:
    """The property of an entity that is a geometry."""
    return next((prop.name for prop in entity.props if prop.parts == "geometry"), None)


def _select(entity: Entity) -> str:
    return f"SELECT id, {geometry_of(entity)} FROM {entity.table}"  # noqa: S608
