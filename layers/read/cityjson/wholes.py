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
        if _is_group(thing) or not (named(thing, "parents") or named(thing, "children")):
            return None
        top = self._top(object_id)
        if top not in self._known:
            self._known[top] = self._ground(top)
        return self._known[top]

    def _top(self, object_id: str) -> str:
        for _ in range(_DEEPEST):
            above = [name for name in parents(self.objects, self.objects[object_id]) if name in self.objects]
            if not above:
                break
            object_id = above[0]
        return object_id

    def _ground(self, top: str) -> Ground | None:
        members, seen = [top], {top}
        for each in members:  # it grows
            children = named(self.objects[each], "children")
            fresh = [name for name in children if name in self.objects and name not in seen]
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
            if at.ndim != 1 or at.min(initial=0) < 0:
                return None
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


def named(thing: Any, member: str) -> list[str]:
    """The ids that ``parents`` or ``children`` of a city object list; what is no id is passed over."""
    names = thing.get(member) if isinstance(thing, dict) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def parents(objects: Mapping[str, Any], thing: Thing) -> list[str]:
    """The ids of what an object is a part of: a group (section 2.2, CityObjectGroup) is no whole."""
    return [name for name in named(thing, "parents") if not _is_group(objects.get(name))]


def _is_group(thing: Any) -> bool:
    return isinstance(thing, dict) and thing.get("type") == "CityObjectGroup"
