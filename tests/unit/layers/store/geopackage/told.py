"""What a store said at each of its moments, and whether it still says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import shapely

from layers.errors import Unreadable
from layers.model import Layer, has_features
from layers.query import Query, parse
from layers.store.base import Readable
from layers.store.geopackage import GeoPackageStore
from layers.types import Sort
from tests.storing import features, square

#: Asked of a layer: all, boxes at a side and across, a filter, an order, pages.
QUERIES: tuple[dict[str, Any], ...] = (
    {"limit": 1000},
    {"limit": 3},
    {"limit": 3, "offset": 2},
    {"limit": 1000, "bbox": (25.0, 60.0, 25.035, 60.0005)},
    {"limit": 2, "bbox": (-180.0, -90.0, 25.055, 90.0)},
    {"limit": 1000, "equals": (("levels", 4),)},
    {"limit": 1000, "sort": (Sort("name", descending=True),)},
    {"limit": 1000, "properties": ("name",)},
    {"limit": 1000, "crs": "EPSG:3879"},
    {"limit": 1000, "words": ("house",)},
)


def words(layer: Layer) -> Layer:
    """What is told of a layer, but for what is done to the present only; boxes to 32 bits."""
    box = None if layer.extent is None else tuple(round(side, 4) for side in layer.extent)
    if has_features(layer):
        layer = replace(layer, edits=(), fixed_because="")
    return replace(layer, extent=box)  # type: ignore[arg-type]


def of_layer(store: Readable, layer: str) -> dict[str, Any]:
    """Everything that a store says of a layer of features."""
    every: dict[str, Any] = {"words": words(store.layer(layer)), "interval": store.interval(layer)}
    names = {field.name for field in store.feature_layer(layer).fields}
    for number, one in enumerate(QUERIES):
        if {"name", "levels"} - names and {"equals", "sort", "properties"} & one.keys():
            continue
        query = Query(**one)
        page = store.items(layer, query)
        chosen = store.select(layer, query)
        every[f"page {number}"] = page.features, page.returned, page.matched, page.next_after
        every[f"columns {number}"] = chosen.rows.fids.tolist(), list(chosen.rows.wkb), chosen.rows.properties
        every[f"count {number}"] = store.count(layer, replace(query, limit=None, offset=0), 1000)
        scanned = list(store.scan(layer, replace(query, limit=None), 4))
        every[f"scan {number}"] = [(r.fids.tolist(), list(r.wkb), r.properties) for r in scanned]
    text = "S_INTERSECTS(geometry, POLYGON((25 59.9, 25.025 59.9, 25.025 60.1, 25 60.1, 25 59.9)))"
    found = parse(store.feature_layer(layer), [("filter", text), ("limit", "100")])
    every["filter"] = store.items(layer, found).features
    rows = store.rows(layer, meshes=True)
    every["rows"] = rows.fids.tolist(), list(rows.wkb), rows.properties
    every["meshes"] = {fid: mesh.to_bytes() for fid, mesh in rows.meshes.items()}
    for fid in [f["id"] for f in features(store, layer)][:6]:  # type: ignore[arg-type]
        every[f"item {fid}"] = of_feature(store, layer, fid)
    return every


def of_feature(store: Readable, layer: str, fid: int) -> tuple[Any, ...]:
    """What a store says of a feature; of one that cannot be read why."""
    revision = store.revision(layer, fid)
    try:
        item, projected = store.item(layer, fid), store.item(layer, fid, "EPSG:3857")
    except Unreadable as error:
        return str(error), revision
    return item.body, item.revision, revision, projected.body


def state(store: Readable) -> dict[str, Any]:
    """Everything that a store says of its layers."""
    layers = store.layers()
    every: dict[str, Any] = {"layers": [words(layer) for layer in layers], "seq": store.seq()}
    assert [layer.id for layer in store.feature_layers()] == [
        layer.id for layer in layers if has_features(layer)
    ]
    return every | {layer.id: of_layer(store, layer.id) for layer in layers if has_features(layer)}


class Told:
    """A store, and what it said after each step."""

    def __init__(self, path: Path, store: GeoPackageStore) -> None:
        self.path, self.store = path, store
        self.was: dict[int, dict[str, Any]] = {}

    def note(self) -> None:
        """What the store says now is what is to be said of this moment from now on."""
        self.was[self.store.seq()] = state(self.store)

    def check(self, *gone: int) -> None:
        """Every moment is as it was, asked twice: what was gathered first is at hand the second time."""
        for seq, was in self.was.items():
            if seq in gone:
                continue
            for _ in range(2):
                now = state(self.store.as_of(seq))
                for part in was.keys() | now.keys():
                    assert now.get(part) == was.get(part), (seq, part)


def polygon(lon: float, lat: float) -> Any:
    return json.loads(shapely.to_geojson(square(lon, lat)))


def edits(city: Told) -> None:
    store = city.store
    steps: list[Callable[[], object]] = [
        lambda: store.patch("buildings", 1, {"properties": {"name": "one", "levels": 2**53 + 1}}),
        lambda: store.patch("buildings", 5, {"geometry": polygon(-20, 50)}),  # loses its body; the box grows
        lambda: store.delete("buildings", 3),
        lambda: store.patch("buildings", 5, {"geometry": None}),
        lambda: store.create(
            "buildings", {"type": "Feature", "geometry": polygon(25.1, 60.1), "properties": {}}
        ),
        lambda: store.patch("buildings", 11, {"geometry": polygon(25.2, 60)}),
        lambda: store.patch("buildings", 1, {"properties": {"seen": "2020-01-01T00:00:00Z", "listed": True}}),
        lambda: store.delete("buildings", 5),
        lambda: store.patch("other", 2, {"properties": {"height_m": 0.1 + 0.2}}),
    ]
    for step in steps:
        step()
        city.note()
