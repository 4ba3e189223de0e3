"""Small layers for the tests of stores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from layers.batch import MESH, SOURCE_ID, WKB
from layers.errors import TwinError
from layers.mesh import Mesh
from layers.model import Outcome
from layers.query import Query
from layers.store.base import LayerSpec, Published, Store
from layers.textures import Texture
from layers.types import Field

FIELDS = (
    Field("name", "string", {"en": "Name", "zh-CN": "名称"}),
    Field("height_m", "number", {"en": "Height"}, "m"),
    Field("levels", "integer"),
    Field("listed", "boolean"),
    Field("built", "date"),
    Field("seen", "datetime"),
)


def spec(layer: str = "buildings", **changes: Any) -> LayerSpec:
    """What a load says of a layer of polygons."""
    words: dict[str, Any] = {
        "id": layer,
        "kind": "building",
        "title": {"en": "Buildings"},
        "fields": FIELDS,
        "geometry_type": "Polygon",
        "crs": "EPSG:3879",
    }
    return LayerSpec(**(words | changes))


def square(lon: float, lat: float, size: float = 0.001) -> Any:
    """A square with its south-west corner there."""
    return shapely.box(lon, lat, lon + size, lat + size)


def row(source: str | None, shape: Any, **properties: Any) -> dict[str, Any]:
    """One staged row."""
    return {SOURCE_ID: source, WKB: shapely.to_wkb(shape, flavor="iso"), **properties}


def batch(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as the Arrow table a stage takes."""
    names = list(dict.fromkeys(name for r in rows for name in r))
    types = {SOURCE_ID: pa.string(), WKB: pa.binary(), MESH: pa.binary()}
    columns = {n: pa.array([r.get(n) for r in rows], types.get(n)) for n in names}
    return pa.table(columns)


def load(
    store: Store,
    words: LayerSpec,
    rows: Sequence[Mapping[str, Any]],
    mode: str = "replace",
    textures: Iterable[Texture] = (),
) -> Published:
    """Stage rows and the images of their bodies, and publish them."""
    stage = store.stage(words)
    if rows:
        stage.add(batch(rows))
    for one in textures:
        stage.texture(one)
    return store.publish(stage, mode=mode)


def grid(n: int, **properties: Any) -> list[dict[str, Any]]:
    """n squares in rows of ten near 25° E 60° N; source ids b0, b1, …, name and levels by number."""
    return [
        row(
            f"b{i}",
            square(25 + i % 10 * 0.01, 60 + i // 10 * 0.01),
            name=f"house {i}",
            levels=i,
            **properties,
        )
        for i in range(n)
    ]


def tetrahedron(lon: float, lat: float, height: float = 10.0) -> Mesh:
    """A small closed body."""
    base = [(lon, lat, 0.0), (lon + 0.001, lat, 0.0), (lon, lat + 0.001, 0.0), (lon, lat, height)]
    faces = [(0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)]
    return Mesh(np.array(base), np.array(faces, np.uint32), np.array([1, 2, 3, 2], np.uint8))


def features(store: Store, layer: str = "buildings", **query: Any) -> list[dict[str, Any]]:
    """The decoded features of one page."""
    page = store.items(layer, Query(**({"limit": 10_000} | query)))
    return list(json.loads(b"[" + page.features + b"]"))


def one(store: Store, fid: int, layer: str = "buildings") -> dict[str, Any]:
    """One decoded feature."""
    return dict(json.loads(store.item(layer, fid).body))


def fids(store: Store, layer: str = "buildings", **query: Any) -> list[int]:
    """Ids of one page."""
    return [f["id"] for f in features(store, layer, **query)]


def count(base: int, generation: int) -> int:
    """How many rows a generation of the crash test has."""
    return base + generation % 7


def signed(store: Store, layer: str, fid: int) -> list[tuple[int, str]]:
    """(number, name) of each change of a feature by somebody with a name, newest first."""
    made = [(one.since, one.set) for one in store.versions(layer, fid)]
    return [(since, of.actor) for since, of in made if of is not None and of.actor is not None]


def kinds(outcomes: Sequence[Outcome]) -> list[type[TwinError] | None]:
    """Why each operation of a transaction was refused; None of one that was not."""
    return [None if one.error is None else type(one.error) for one in outcomes]
