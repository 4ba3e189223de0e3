"""Features as a table of geopandas, which is imported here only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from layers.crs import LABEL84
from layers.model import FeatureLayer, Rows
from layers.query import Query
from layers.types import CRS84, Field
from layers.write import column_names, reference, shapes

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

#: The pandas types of fields that can lack a value; an array is an object, a text is pandas' own.
_TYPES = {"integer": "Int64", "number": "float64", "boolean": "boolean", "string": "string"}


def frame(layer: FeatureLayer, batches: Iterable[Rows], query: Query) -> GeoDataFrame:
    """The table; features without a geometry have none there. Raises BadFile for the CRS, ImportError."""
    import geopandas
    import pandas as pd

    fields, batches = column_names.begun(layer, reference.projected(batches, query.crs))
    fids: list[int] = []
    geometries: list[Any] = []
    values: dict[str, list[Any]] = {field.name: [] for field in fields}
    for rows in batches:
        fids += rows.fids.tolist()
        geometries += shapes.parse(shapes.iso(rows.wkb)).tolist()
        for field in fields:
            values[field.name] += rows.properties[field.name]
    geometry = column_names.free(column_names.GEOMETRY, values)
    columns = {field.name: _column(field, values.pop(field.name)) for field in fields}
    index = pd.Index(np.array(fids, np.int64), name=column_names.FID)
    shapes_ = geopandas.GeoSeries(geometries, index=index, crs=_crs(query.crs))
    table = pd.DataFrame({name: one.set_axis(index) for name, one in columns.items()}, index=index)
    table[geometry] = shapes_
    return geopandas.GeoDataFrame(table, geometry=geometry, crs=_crs(query.crs))


def _crs(uri: str) -> str:
    return LABEL84 if uri == CRS84 else reference.label(uri)


def _column(field: Field, values: Sequence[Any]) -> Any:
    import pandas as pd

    if field.type == "date":
        days = [None if value is None else column_names.calendar(value) for value in values]
        return pd.Series(np.array(days, "datetime64[s]"))
    if field.type == "datetime":
        instants = [None if value is None else column_names.instant(value) for value in values]
        clocks = [None if one is None else one.removesuffix("Z") for one in instants]
        return pd.Series(np.array(clocks, "datetime64[ms]")).dt.tz_localize("UTC")
    if field.type == "array":
        return pd.Series(list(values), dtype="object")
    return pd.Series(column_names.plain(field, values), dtype=_TYPES[field.type])
