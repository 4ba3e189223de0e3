"""One city, the model of it and what was said of it: what all acts of a script work on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import shapely

from layers.cql.parse import parse
from layers.errors import TwinError
from layers.model import Author, FeatureLayer, FeaturePage
from layers.query import Query
from layers.store.base import Store
from layers.store.postgis.store import PostgisStore
from layers.types import Field
from tests import queries
from tests.histories import drawn, same
from tests.histories.foreign import Hand
from tests.histories.model import City, FormState, LayerState
from tests.storing import tetrahedron
from tiles.service import Tiles


@dataclass(frozen=True)
class Seen:
    """What a present city answered, and what was drawn of it: to be that of its moment for ever."""

    layers: Mapping[str, FeatureLayer]
    revisions: Mapping[tuple[str, int], int]
    intervals: Mapping[str, Any]
    pages: Sequence[tuple[str, Query, FeaturePage]]
    reports: Mapping[str, Any]
    picture: drawn.Picture


def repair(store: Store) -> None:
    """Have a store look for what programs did to its tables, as a PostGIS one does every few seconds and a
    GeoPackage one whenever it is read."""
    if isinstance(store, PostgisStore):
        store._catalogue.repair()
    store.layers()


class Acting:
    """One city and what was done to it. ``states`` has the model after each number of the change log at which
    an act ended, ``seen`` what the store said then; ``lost`` are fields with the number before which a
    program took them away with all that was in them, which no trigger sees. ``derived`` is a folder for what
    tiles are made from. ``repairing``: what a store
    repairs in its own time is repaired after each act, so that it has the same number every time."""

    def __init__(
        self,
        opener: Callable[[], Store],
        hand: Hand,
        derived: Path,
        seed: int,
        *,
        watched: bool = True,
        repairing: bool = False,
    ) -> None:
        self.watched, self.repairing = watched, repairing
        self.opener = opener
        self.store = opener()
        self.hand = hand
        self.rng = Random(seed)  # what is done follows from the seed alone
        self.eyes = Random(seed)  # what is looked at
        self.city: dict[str, LayerState | FormState] = {}
        self.states: dict[int, City] = {}
        self.seen: dict[int, Seen] = {}
        self.authors: dict[int, Author] = {}
        self.lost: dict[str, dict[str, int]] = {}  # by layer and field: since when
        self.said: list[str] = [f"seed {seed}"]
        self.generations: dict[str, int] = {}
        self.counter = 0
        self._derived = derived
        self._tiles: tuple[Store, Tiles] | None = None
        self.settle()

    def tiles(self) -> Tiles:
        """The tiles of what is now, as a server holds them from its start to its stop."""
        if self._tiles is None or self._tiles[0] is not self.store:
            self._tiles = self.store, Tiles(self.store, self._derived)
        return self._tiles[1]

    def go_on(self, store: Store, opener: Callable[[], Store], hand: Hand) -> None:
        """Go on with another city that is where this one is."""
        self.store.close()
        self.store, self.opener, self.hand = store, opener, hand

    def settle(self) -> None:
        """Hold what is true now: model and store agree. A store that finds out later what a program did to
        its tables logs that when it does: what was seen is of one number."""
        if self.repairing:
            repair(self.store)
        while True:
            seq = self.store.seq()
            self.states[seq] = dict(self.city)
            if not self.watched:
                break
            same.check(self.store, self.city, self.eyes)
            seen = self._look(drawn.check(self.tiles(), self.city, self.eyes))
            if self.store.seq() == seq:
                self.seen[seq] = seen
                break
        self.said.append(f"  now at {seq}")

    def lost_at(self, seq: int) -> dict[str, list[str]]:
        """The fields that programs have taken away since then, by layer."""
        found = {
            name: [field for field, since in fields.items() if seq < since]
            for name, fields in self.lost.items()
        }
        return {name: fields for name, fields in found.items() if fields}

    def logged(self) -> list[int]:
        """The change sets of all but what a store repairs in its own time."""
        return [one.id for one in self.store.change_sets(limit=10_000) if one.via != "repair"]

    def did(self, by: Author, number: int | None = None) -> None:
        """Hold who made the newest change, or the one with a number, and what it made."""
        if number is None:
            if self.store.seq() != max(self.states) + 1:
                return
            number = max(self.states) + 1
        assert number > max(self.states)
        self.authors[number] = by
        self.states[number] = dict(self.city)

    def _look(self, picture: drawn.Picture) -> Seen:
        names = [name for name, state in self.city.items() if isinstance(state, LayerState)]
        layers = {name: self.store.feature_layer(name) for name in names}
        revisions = {
            (name, fid): self.store.revision(name, fid) for name in names for fid in self.layer(name).bodies
        }
        pages = []
        for name in names:
            for _ in range(3):
                query = self._query(layers[name])
                pages.append((name, query, self.store.items(name, query)))
        return Seen(
            layers,
            revisions,
            {name: self.store.interval(name) for name in names},
            pages,
            {name: self.store.report(name) for name in names},
            picture,
        )

    def _query(self, layer: FeatureLayer) -> Query:
        """Any question that the layer can be asked."""
        maker = queries.Maker(self.eyes, layer)
        for _ in range(20):
            with suppress(TwinError):  # it names a field that this layer has not, or has of another type
                query = maker.query()
                if _can_be_asked(query, layer):
                    return query
        return Query(filter=parse("id > 3", "cql2-text", layer))

    def layer(self, name: str) -> LayerState:
        state = self.city[name]
        assert isinstance(state, LayerState)
        return state

    def any_layer(self) -> tuple[str, LayerState] | None:
        """A layer of features."""
        known = [(n, s) for n, s in self.city.items() if isinstance(s, LayerState)]
        return self.rng.choice(known) if known else None

    def any_feature(self) -> tuple[str, LayerState, int] | None:
        """A feature."""
        known = [(n, s) for n, s in self.city.items() if isinstance(s, LayerState) and s.bodies]
        if not known:
            return None
        name, state = self.rng.choice(known)
        return name, state, self.rng.choice(list(state.bodies))

    def by(self, via: Any = "api") -> Author:
        rng = self.rng
        return Author(
            actor=rng.choice((None, "anna", "李雷")),
            via=via,
            message=rng.choice(("", "why", "因为", 'it\'s "so"\n%s')),
            address=rng.choice(("", "192.0.2.7")),
        )

    # Values

    def wkb(self, name: str) -> bytes:
        """A geometry that no other feature has, of up to nine decimals."""
        self.counter += 1
        shape = queries.shape(self.rng)
        if name == "houses":
            x, y = self.rng.randrange(8) / 4 + 25, self.rng.randrange(8) / 4 + 60
            shape = shapely.box(x, y, x + 0.2, y + 0.2)
        elif name == "pipes":
            x, y = self.rng.randrange(8) / 4 + 25, self.rng.randrange(8) / 4 + 60
            shape = shapely.LineString([(x, y, 1.5), (x + 0.5, y + 0.25, -2)])
        high = bool(shapely.has_z(shape))
        numbers = shapely.get_coordinates(shape, include_z=high)
        numbers[:, 0] += self.counter * 1e-6
        shape = shapely.set_coordinates(shape, np.round(numbers, 9))
        return bytes(shapely.to_wkb(shapely.orient_polygons(shape), byte_order=1, flavor="iso"))

    def digits(self, wkb: bytes) -> bytes:
        """The same place with digits that GeoJSON does not show."""
        shape = shapely.from_wkb(wkb)
        numbers = shapely.get_coordinates(shape, include_z=bool(shapely.has_z(shape)))
        numbers[:, 1] += 1e-12
        shape = shapely.set_coordinates(shape, numbers)
        return bytes(shapely.to_wkb(shape, byte_order=1, flavor="iso"))

    def values(self, fields: Sequence[Field], chance: float = 1.0) -> dict[str, Any]:
        rng = self.rng
        return {
            f.name: rng.choice(queries.VALUES[f.type])
            for f in fields
            if f.name != "source_id" and rng.random() < chance
        }

    def source(self) -> str | None:
        self.counter += 1
        return f"s{self.counter}" if self.rng.random() < 0.7 else None

    def mesh(self) -> bytes | None:
        return tetrahedron(25, 60, self.rng.randrange(1, 99)).to_bytes() if self.rng.random() < 0.5 else None


def _can_be_asked(query: Query, layer: FeatureLayer) -> bool:
    """Whether a query made for the fields of all names is one of this layer."""
    types = {f.name: f.type for f in layer.fields}
    usual = {f.name: f.type for f in queries.FIELDS}
    return (
        (query.datetime is None or layer.time_field is not None)
        and all(types.get(key.field, "array") != "array" for key in query.sort)
        and all(name == "id" or types.get(name) == usual[name] for name, _ in query.equals)
        and set(query.properties or ()) <= set(types)
    )
