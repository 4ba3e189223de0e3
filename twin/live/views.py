"""What is in view of each open page: the cells that it asked for, and what of the live data lies in them.

A page names a box. It is widened to whole cells of the quadtree (of zoom 14, finer where more than
:data:`MOST` sensors are in them), so that neighbours share a view and what is told is encoded once for all
of them; of a city with few sensors everything is in view. Where more than :data:`MOST` are in view, the view
has counts by state of finer cells instead. Used in the event loop, but for :meth:`Views.content`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from layers.types import Bbox
from twin.live.client import Client, encode
from twin.live.places import Cells, Clusters, Places, cells, position
from twin.live.registry import Datastream

#: So many sensors are told one by one; of more there are counts.
MOST = 2_000
#: The cells of a view: those of this zoom where they are not too full, and the finest.
USUAL, FINEST = 14, 20
#: A view is at most so many cells across at the zoom that its box gives.
ACROSS = 8
#: A cell of counts is so many zooms finer.
FINER = 2
WORLD = Cells(0, 0, 0, 0, 0)
type Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page asks for: a box (degrees), and a datastream that it wants wherever that is."""

    box: Bbox
    also: int | None = None


@dataclass(eq=False, slots=True)
class View:
    """Some cells, and the clients who see them."""

    cells: Cells
    also: int | None
    #: Datastreams that are told one by one.
    ids: set[int]
    #: The zoom of the cells whose counts are told; None where all are told one by one.
    zoom: int | None = None
    told: Clusters | None = None
    clients: set[Client] = field(default_factory=set)

    def holds(self, lon: float | None, lat: float | None) -> bool:
        """Whether a place (degrees) is in it; the whole world holds also what has none."""
        if self.cells.zoom == 0 or lon is None or lat is None:
            return self.cells.zoom == 0
        west, north, east, south = self.cells.steps()
        x, y = position(lon, lat)
        return west <= x < east and north <= y < south


class Views:
    """The views of all open pages over an index of places."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._views: dict[tuple[Cells, int | None, int | None], View] = {}
        self._of: dict[Client, tuple[View, Wanted]] = {}
        self._version = places.version

    def __contains__(self, client: Client) -> bool:
        return client in self._of

    def of(self, client: Client) -> View:
        """What a client sees."""
        return self._of[client][0]

    def join(self, client: Client, wanted: Wanted) -> View:
        """Have a client see what it wants."""
        chosen, zoom = self._cells(wanted.box)
        key = chosen, wanted.also, zoom
        view = self._views.get(key)
        if view is None:
            ids = set() if zoom is not None else {one.id for one in self.places.of_cells(chosen)}
            if wanted.also is not None:
                ids.add(wanted.also)
            view = self._views[key] = View(chosen, wanted.also, ids, zoom)
            if zoom is not None:
                if all(one.zoom is None for one in self._views.values() if one is not view):
                    self._version = self.places.version
                view.told = self.places.clusters(chosen, zoom)
        view.clients.add(client)
        self._of[client] = view, wanted
        return view

    def again(self, client: Client) -> View:
        """What a client sees, by how many sensors there are now."""
        _, wanted = self._of[client]
        self.leave(client)
        return self.join(client, wanted)

    def leave(self, client: Client) -> None:
        """A client sees nothing any more."""
        found = self._of.pop(client, None)
        if found is None:
            return
        view = found[0]
        view.clients.discard(client)
        if not view.clients:
            del self._views[view.cells, view.also, view.zoom]
            self.places.keep({one.zoom for one in self._views.values() if one.zoom is not None})

    def _cells(self, box: Bbox) -> tuple[Cells, int | None]:
        """The cells of a box, and the zoom of counts where there are too many in them."""
        if len(self.places) <= MOST:
            return WORLD, None
        west, south, east, north = box
        if west > east:
            west, east = -180.0, 180.0
        box = west, south, east, north
        near = _zoom(box)
        chosen = cells(box, min(near, USUAL))
        if near > USUAL and self.places.count(chosen) > MOST:
            chosen = cells(box, near)
        few = chosen.zoom == FINEST or self.places.count(chosen) <= MOST
        return chosen, None if few else near + FINER

    def content(self, view: View) -> dict[str, Any]:
        """What is in a view: sensors as columns, or counts, and counts of the whole city. From any thread."""
        streams = self.places.known(view.ids) if view.zoom is not None else self._single(view)
        clusters = None if view.zoom is None else self.places.clusters(view.cells, view.zoom).columns()
        return {
            "sensors": columns(streams),
            "view": {"box": view.cells.box(), "clusters": clusters},
            "states": self.places.totals(),
        }

    def _single(self, view: View) -> list[Datastream]:
        found = self.places.of_cells(view.cells)
        if view.also is not None and view.cells != WORLD:
            known = {one.id for one in found}
            found += [one for one in self.places.known([view.also]) if one.id not in known]
        return found

    # what happens

    def observed(self, data: Mapping[str, Any], whole: bytes, at: Position) -> None:
        """Datastreams have newer values, given as columns; ``whole`` is the event of all of them."""
        moved = self.places.restate(data["id"], data["state"])
        if not self._views:
            return
        rows = {id_: i for i, id_ in enumerate(data["id"])}
        for view in self._views.values():
            hit = [rows[id_] for id_ in rows.keys() & view.ids]
            if len(hit) == len(rows):
                _push(view, whole)
            elif hit:
                _push(view, encode("obs", _rows(data, sorted(hit)), at))
        if moved:
            self._counted(at)

    def made(self, data: Mapping[str, Any], whole: bytes, at: Position) -> None:
        """Datastreams were made or changed, given as columns; ``whole`` is the event of all of them."""
        for view in list(self._views.values()):
            hit = [
                i
                for i, (id_, lon, lat) in enumerate(zip(data["id"], data["lon"], data["lat"], strict=True))
                if id_ in view.ids or (view.zoom is None and view.holds(lon, lat))
            ]
            if view.zoom is None:
                view.ids.update(data["id"][i] for i in hit)
                if len(view.ids) > MOST and view.cells.zoom < FINEST:
                    # there are too many by now: what is told is begun anew
                    for client in view.clients:
                        client.lose()
                    continue
            if hit:
                _push(view, whole if len(hit) == len(data["id"]) else encode("sensors", _rows(data, hit), at))
        self._counted(at)

    def _counted(self, at: Position) -> None:
        """Tell of counts that changed."""
        changes = dict(self.places.changes())
        anew, self._version = self.places.version != self._version, self.places.version
        totals = encode("states", self.places.totals(), at)
        for view in self._views.values():
            _push(view, totals)
            if view.zoom is None:
                continue
            if anew:
                now = self.places.clusters(view.cells, view.zoom)
                if now != view.told:
                    view.told = now
                    _push(view, encode("clusters", now.columns() | {"whole": True}, at))
            elif view.zoom in changes:
                some = changes[view.zoom].inside(view.cells)
                if some.x:
                    _push(view, encode("clusters", some.columns() | {"whole": False}, at))


def _zoom(box: Bbox) -> int:
    """The finest zoom of which a box is at most :data:`ACROSS` cells across and down."""
    world = cells(box, FINEST)
    span = max(world.east - world.west, world.south - world.north) + 1
    return max(0, min(FINEST, FINEST - math.ceil(math.log2(span / ACROSS))))


def _rows(data: Mapping[str, Any], some: Iterable[int]) -> dict[str, list[Any]]:
    some = list(some)
    return {name: [column[i] for i in some] for name, column in data.items()}


def _push(view: View, data: bytes) -> None:
    for client in view.clients:
        client.push(data)


def columns(streams: Collection[Datastream]) -> dict[str, list[Any]]:
    """Sensors as columns, the form in which the page takes them."""
    return {
        "id": [s.id for s in streams],
        "name": [s.name for s in streams],
        "property": [s.property for s in streams],
        "unit": [s.unit for s in streams],
        "lon": [s.lon for s in streams],
        "lat": [s.lat for s in streams],
        "value": [s.value for s in streams],
        "time": [s.time for s in streams],
        "state": [s.state for s in streams],
        "simulated": [s.simulated for s in streams],
    }
