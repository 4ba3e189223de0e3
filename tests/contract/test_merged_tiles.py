"""Every feature is in every zoom, drawn or counted: the filters of what is merged select exactly the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
import shapely.geometry

from layers.cql.parse import parse
from layers.store.base import Store
from layers.types import Field
from tests.storing import fids, load, row, spec
from tiles import scheme
from tiles.service import Tiles

ZOOMS = (0, 4, 9, 11, 12, 13, 14, 16)
MEDIA = ("water", "gas", "power", None, 'it\'s "new"')
ROADS = ("path", "street", "main", "service", None)
#: Name of the layer → kind, type of its geometries.
LAYERS = {
    "buildings": ("building", "Polygon"),
    "pipes": ("pipeline", "LineString"),
    "roads": ("road", "LineString"),
    "addresses": ("address", "Point"),
    "all": ("feature", "Geometry"),
}


def shapes(kind: str, n: int, rng: np.random.Generator) -> list[Any]:
    """A dense middle and an empty edge, near 25° E 60° N, of sizes from a shed to a district."""
    lon, lat = 25 + rng.normal(0, 0.02, n), 60 + rng.normal(0, 0.01, n)
    w, h = 10.0 ** rng.uniform(-4.5, -3, (2, n))
    w[: n // 50], h[: n // 50] = 0.02, 0.01
    if kind == "building":
        return list(shapely.box(lon, lat, lon + w, lat + h))
    if kind in ("pipeline", "road"):
        xy = np.stack([lon, lat, lon + w, lat, lon + w, lat + h], axis=1).reshape(n, 3, 2)
        return list(shapely.linestrings(xy))
    if kind == "address":
        return list(shapely.points(lon, lat))
    kinds = ("building", "pipeline", "address")
    return [shapes(kinds[i % 3], n, np.random.default_rng(7))[i] for i in range(n)]


def fill(store: Store, layer: str, n: int) -> None:
    kind, geometry = LAYERS[layer]
    rng = np.random.default_rng(5)
    names = {"pipeline": "medium", "building": "height_source", "road": "class"}
    fields = (Field(names.get(kind, "name"), "string"), Field("diameter_mm", "number"))
    texts = {"pipeline": MEDIA, "road": ROADS}.get(kind, ("measured", "levels", "default", None, None))
    wide = (1000.0, 100.0, 400.0, None, 100.0, 250.0, 600.0)
    rows = [
        row(f"s{i}", shape, **{fields[0].name: texts[i * i % 5], "diameter_mm": wide[i % 7]})
        for i, shape in enumerate(shapes(kind, n, rng))
    ]
    load(store, spec(layer, kind=kind, geometry_type=geometry, fields=fields, crs="EPSG:4326"), rows)


def tiles_of(tiles: Tiles, layer: str, z: int) -> Iterator[list[dict[str, Any]]]:
    """The features of every tile of a zoom that has any."""
    boxes = tiles._snapshot(layer).boxes
    for at in scheme.cells(scheme.hull(boxes), z):
        body = tiles.vector((layer,), *at).plain()
        if body:
            yield mapbox_vector_tile.decode(body)[layer]["features"]


def accounted(store: Store, tiles: Tiles, layer: str, z: int) -> tuple[set[int], int]:
    """Checks a zoom; the features that are drawn one by one, and how many are merged."""
    drawn: set[int] = set()
    groups: dict[int, dict[str, Any]] = {}
    for features in tiles_of(tiles, layer, z):
        for one in features:
            if "group_count" in one["properties"]:
                known = groups.setdefault(one["id"], one["properties"])
                assert known == one["properties"], "the same in every tile"
            else:
                drawn.add(one["id"])
    members: list[int] = []
    read = store.feature_layer(layer)
    for group in groups.values():
        mine = fids(store, layer, filter=parse(group["group_filter"], "cql2-text", read))
        assert len(mine) == group["group_count"], group
        classes = {name: n for name, n in group.items() if name.startswith("group_count_")}
        assert not classes or sum(classes.values()) == group["group_count"]
        members += mine
    assert len(set(members)) == len(members), "each in one group"
    assert drawn.isdisjoint(members)
    every = fids(store, layer)
    assert drawn | set(members) == set(every)
    return drawn, len(members)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_zoom_tells_every_feature(store: Store, tmp_path: Path, layer: str) -> None:
    fill(store, layer, 600)
    tiles = Tiles(store, tmp_path / "derived")
    merged = {z: accounted(store, tiles, layer, z)[1] for z in ZOOMS}
    assert merged[0] >= 588
    assert merged[9] >= max(merged[12], 1)
    assert merged[16] == 0
    # also after edits, which are patched into what is counted
    store.delete(layer, 7)
    store.delete(layer, 8)
    shape = shapes(LAYERS[layer][0], 3, np.random.default_rng(1))[2]
    store.create(layer, {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": {}})
    assert all(accounted(store, tiles, layer, z) for z in ZOOMS)
    fresh = Tiles(store, tmp_path / "again")
    for z in (4, 11, 13):
        assert list(tiles_of(tiles, layer, z)) == list(tiles_of(fresh, layer, z))
