"""Where wholes of several city objects meet the ground: parts, rooms and installations keep their heights to
one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers import crs
from layers.errors import BadFile
from layers.read.cityjson.geometry import NESTING, flattened
from layers.read.cityjson.ground import Ground

type Floats = NDArray[np.float64]
type Thing = Mapping[str, Any]

#: Objects above one another that are followed, and how far above its lowest point (m) a whole still stands on
#: the ground.
_DEEPEST, _FOOT_M = 16, 0.1


@dataclass(slots=True)
class Wholes:
    """The wholes of one document, each measured once; ``best`` is the geometry of an object that is taken."""

    objects: Mapping[str, Any]
    vertices: Floats
    crs: str | None
    best: Callable[[Thing], Thing | None]
    _known: dict[str, Ground | None] = field(default_factory=dict)

    def of(self, object_id: str, thing: Thing) -> Ground | None:
        """The ground of the whole that an object is of; None for what is a whole of its own."""
        if not thing.get("parents") and not thing.get("children"):
            return None
        top = self._top(object_id)
        if top not in self._known:
            self._known[top] = self._ground(top)
        return self._known[top]

    def _top(self, object_id: str) -> str:
        for _ in range(_DEEPEST):
            parents = self._names(object_id, "parents")
            if not parents:
                break
            object_id = parents[0]
        return object_id

    def _names(self, object_id: str, member: str) -> list[str]:
        thing = self.objects.get(object_id)
        names = thing.get(member) if isinstance(thing, dict) else None
        return [name for name in names if name in self.objects] if isinstance(names, list) else []

    def _ground(self, top: str) -> Ground | None:
        members, seen = [top], {top}
        for each in members:  # it grows
            fresh = [name for name in self._names(each, "children") if name not in seen]
            seen.update(fresh)
            members += fresh
        corners = [found for each in members if (found := self._corners(each)) is not None]
        if len(corners) < 2:
            return None
        every = np.concatenate(corners)
        height = float(every[:, 2].min())
        return Ground(height, self._foot(every[every[:, 2] <= height + _FOOT_M].mean(axis=0)))

    def _corners(self, object_id: str) -> Floats | None:
        """The positions of an object that has surfaces of its own; what cannot be read is told elsewhere."""
        thing = self.objects[object_id]
        geometry = self.best(thing) if isinstance(thing, dict) else None
        if geometry is None or geometry["type"] not in NESTING:
            return None
        try:
            faces = flattened(geometry["boundaries"], NESTING[geometry["type"]])
            at = np.array(list(chain.from_iterable(chain.from_iterable(faces))), np.int64)
            found = self.vertices[at]
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
        return found if len(found) and np.isfinite(found).all() else None

    def _foot(self, middle: Floats) -> tuple[float, float] | None:
        if self.crs is None:
            return None
        try:
            ((lon, lat),) = crs.to_lonlat(middle[None, :2], self.crs).tolist()
        except BadFile:
            return None  # the load says so
        return (lon, lat) if np.isfinite([lon, lat]).all() else None
