"""A real store with layers of known shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import shapely

from layers import kinds
from layers.batch import MESH, SOURCE_ID, WKB
from layers.mesh import Mesh
from layers.store import geopackage
from layers.store.base import LayerSpec, Store
from layers.types import Field, FieldType, GeometryType

_ARROW = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}

type Put = Callable[..., None]


def put(
    store: Store,
    layer: str,
    kind: str,
    shapes: Sequence[Any],
    columns: Mapping[str, Sequence[Any]] | None = None,
    meshes: Sequence[Mesh | None] | None = None,
    mode: str = "create",
) -> None:
    """Publish shapely geometries as a layer, with the columns that its kind knows."""
    types = {field.name: field for field in kinds.get(kind).fields}
    given = dict(columns or {})
    fields = tuple(types.get(name, Field(name, _type(given[name]))) for name in given)
    family: GeometryType = shapes[0].geom_type
    stage = store.stage(LayerSpec(layer, kind, {"en": layer}, fields, family, "EPSG:4326"))
    table: dict[str, pa.Array] = {
        SOURCE_ID: pa.array([f"{layer}/{i}" for i in range(len(shapes))], pa.string()),
        WKB: pa.array([shapely.to_wkb(shape) for shape in shapes], pa.binary()),
    }
    if meshes is not None:
        table[MESH] = pa.array([mesh and mesh.to_bytes() for mesh in meshes], pa.binary())
    for field in fields:
        table[field.name] = pa.array(given[field.name], _ARROW[field.type])
    stage.add(pa.table(table))
    store.publish(stage, mode=mode)


def _type(column: Sequence[Any]) -> FieldType:
    return "boolean" if any(isinstance(value, bool) for value in column) else "string"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store in a folder of its own."""
    opened = geopackage.open(tmp_path / "city.gpkg")
    yield opened
    opened.close()


def square(lon: float, lat: float, side: float = 0.0002) -> Any:
    """A square with its south-west corner there (degrees)."""
    return shapely.box(lon, lat, lon + side, lat + side)
