"""What GDAL reads, through pyogrio's Arrow stream. Importing this loads GDAL: see ``layers.read.gdal``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import pyogrio.raw
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError

from layers.batch import MESH, ROW, SOURCE_ID, WKB
from layers.errors import BadFile, scrubbed, shown
from layers.read import surfaces
from layers.read.base import AGAIN, BATCH_ROWS, Options, Sink
from layers.read.frame import is_degrees
from layers.source import SeveralLayers, SourceLayer, unknown_layer
from layers.types import FieldType

#: Drivers whose formats have types for dates and times: what they give as text is text.
_TYPED = frozenset({"GPKG", "FlatGeobuf"})
#: Layers a file may list before it is taken for hostile.
_MOST_LAYERS = 1000
#: Layers that a reason names.
_LISTED = 20


def read(
    path: Path,
    options: Options,
    sink: Sink,
    driver: str,
    *,
    encoding: str | None,
    numbered: bool = False,
    views: frozenset[str] = frozenset(),
) -> None:
    """Read one layer of a file. ``numbered``: the driver's feature ids are the file's own; ``views``: layers
    that are read only where they are named. Raises BadFile."""
    with _damage(path):
        layer = _choose(path, options.declared.layer, driver, views)
        info = pyogrio.read_info(path, layer=layer, encoding=encoding)
        _check_driver(info["driver"], driver)
        sink.meta.update(
            driver=driver, crs=info["crs"], encoding=encoding or info["encoding"] or "UTF-8", layer=layer
        )
        degrees = is_degrees(options.declared.crs or info["crs"])
        fields = [str(name) for name in info["fields"]]
        binary = [n for n, kind in zip(fields, info["ogr_types"], strict=True) if kind == "OFTBinary"]
        for name in binary:
            sink.note("column.binary", f"{shown(name)} holds bytes, which no property can; it is left out")
        columns = [name for name in fields if name not in binary] if binary else None
        _stream(path, layer, encoding, options, sink, driver, numbered, columns, degrees)


def layers(path: Path, driver: str, views: frozenset[str] = frozenset()) -> list[SourceLayer]:
    """The layers of a file that have geometry, or all where none has, but for ``views``. Raises BadFile."""
    with _damage(path):
        listed = []
        for name in _spatial(path, views):
            info = pyogrio.read_info(path, layer=name, force_feature_count=True)
            _check_driver(info["driver"], driver)
            listed.append(SourceLayer(name, info["features"], str(info["geometry_type"])))
        return listed


def _spatial(path: Path, views: frozenset[str]) -> list[str]:
    """The names of the layers that have geometry, or of all where none has, without ``views``.

    Raises BadFile limit.layers, layer.view (there are views only)."""
    every = pyogrio.list_layers(path)
    if len(every) > _MOST_LAYERS:
        raise BadFile("limit.layers", f"the file lists {len(every)} layers")
    spatial = [str(name) for name, geometry in every if geometry is not None]
    found = [name for name in spatial or [str(name) for name, _ in every] if name not in views]
    if spatial and not found:
        listed = ", ".join(shown(name) for name in spatial[:_LISTED])
        raise BadFile(
            "layer.view", f"the file has views only; name one that you trust with --layer: {listed}"
        )
    return found


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What GDAL cannot read is refused."""
    try:
        yield
    except (DataSourceError, DataLayerError, FeatureError, pa.ArrowException, OSError, RuntimeError) as error:
        why = scrubbed(str(error), str(path.parent)).split("; It might help")[0] or type(error).__name__
        reason = f"GDAL cannot read the file: {shown(why)}; {AGAIN}"
        raise BadFile("file.damaged", reason) from error


def _check_driver(opened: str, wanted: str) -> None:
    if opened != wanted:
        raise BadFile("file.disguised", f"the content was opened as {opened}, not as {wanted}")


def _choose(path: Path, wanted: str | None, driver: str, views: frozenset[str]) -> str:
    """The layer to read: the wanted one, or the only one that has geometry."""
    if wanted is not None:
        names = [str(name) for name, _ in pyogrio.list_layers(path)]
        if wanted not in names:
            raise unknown_layer(wanted, names)
        return wanted
    names = _spatial(path, views)
    if not names:
        raise BadFile("layer.none", "the file has no layer")
    if len(names) > 1:
        raise SeveralLayers(layers(path, driver, views))
    return names[0]


def _stream(
    path: Path,
    layer: str,
    encoding: str | None,
    options: Options,
    sink: Sink,
    driver: str,
    numbered: bool,
    columns: list[str] | None,
    degrees: bool,
) -> None:
    more: dict[str, Any] = {"encoding": encoding} if encoding and driver == "ESRI Shapefile" else {}
    if driver == "GeoJSON":
        more["DATE_AS_STRING"] = "YES"  # GDAL makes 1 March of 2020-02-30, and a time of a date among times
    sink.meta["guess_times"] = driver not in _TYPED
    row, bodies = 1, 0
    with pyogrio.raw.open_arrow(
        path,
        layer=layer,
        use_pyarrow=True,
        return_fids=True,
        batch_size=BATCH_ROWS,
        columns=columns,
        datetime_as_string=True,  # as Arrow timestamps they lose whether they named a zone
        **more,
    ) as (meta, reader):
        geometry = meta["geometry_name"] or "wkb_geometry"
        sink.meta["times"] = _times(reader.schema)
        if len(reader.schema.names) > options.limits.columns:
            raise BadFile("limit.columns", f"the file has more than {options.limits.columns} columns")
        fid = meta["fid_column"] or "OGC_FID"
        odd = _odd_days(path, layer, fid, sink.meta["times"]) if driver == "GPKG" else {}
        for batch in reader:
            table = _as_written(pa.Table.from_batches([batch]), fid, odd)
            table = _linear(table, geometry, fid, path, layer)
            if len(table):
                made = _shape(table, geometry, fid, row, numbered, driver, options, sink)
                made, count = _with_bodies(made, row, sink, degrees)
                sink.batch(made)
                bodies += count
            row += len(table)
            if sink.enough(options.limits, row - 1):
                break
    sink.meta["features"] = row - 1
    if bodies and bodies == row - 1:
        sink.meta["kind"] = "cim"


def _times(schema: pa.Schema) -> dict[str, FieldType]:
    """The columns that the file types as dates or times."""
    out: dict[str, FieldType] = {}
    for column in schema:
        if pa.types.is_date(column.type):
            out[column.name] = "date"
        elif (column.metadata or {}).get(b"GDAL:OGR:type") == b"DateTime":
            out[column.name] = "datetime"
    return out


def _odd_days(path: Path, layer: str, fid: str, times: Mapping[str, FieldType]) -> dict[str, dict[int, str]]:
    """Column → fid → text of what a GeoPackage holds in a DATE column beside dates.

    GDAL gives 1970-01-01 for it, and 1 March for 30 February."""
    odd: dict[str, dict[int, str]] = {}
    for name in (n for n, kind in times.items() if kind == "date"):
        column, key, table = (f'"{n.replace('"', '""')}"' for n in (name, fid, layer))
        sql = (
            f"SELECT {key} + 0 AS at, CAST({column} AS TEXT) AS text FROM {table}"  # noqa: S608
            f" WHERE {column} IS NOT NULL AND date({column}) IS NOT {column}"
        )
        _, found = pyogrio.raw.read_arrow(path, sql=sql, read_geometry=False)
        texts = [t.decode("utf-8", "replace") for t in found["text"].cast(pa.binary()).to_pylist()]
        odd[name] = dict(zip(found["at"].to_pylist(), texts, strict=True))
    return odd


def _as_written(table: pa.Table, fid: str, odd: Mapping[str, Mapping[int, str]]) -> pa.Table:
    """Days as text, those that GDAL could not read as the file has them."""
    for index, column in enumerate(table.schema):
        if not pa.types.is_date(column.type):
            continue
        days = table.column(index)
        texts = np.datetime_as_string(days.cast(pa.int32()).fill_null(0).to_numpy().astype("M8[D]"))
        found = pc.if_else(days.is_valid(), pa.chunked_array([pa.array(texts, pa.string())]), None)
        if written := odd.get(column.name):
            pairs = zip(table[fid].to_pylist(), found.to_pylist(), strict=True)
            found = pa.array([written.get(key, text) for key, text in pairs], pa.string())
        table = table.set_column(index, column.name, found)
    return table


def _linear(table: pa.Table, geometry: str, fid: str, path: Path, layer: str) -> pa.Table:
    """The batch with curves as lines: GDAL makes them so only of features that are read one by one."""
    if geometry not in table.column_names:
        return table
    index = table.column_names.index(geometry)
    column = pa.chunked_array([_storage(c) for c in table.column(index).chunks]).combine_chunks()
    heads = pc.binary_slice(column, 0, 5)
    curved = [h for h in pc.unique(heads).to_pylist() if h and _is_curve(h)]
    if not curved:
        return table
    chosen = np.flatnonzero(pc.is_in(heads, pa.array(curved, heads.type)).to_numpy(zero_copy_only=False))
    fids = table[fid].to_numpy()[chosen]
    _, read, shapes, _ = pyogrio.raw.read(path, layer=layer, fids=fids, columns=[], return_fids=True)
    by_fid = dict(zip(read.tolist(), shapes.tolist(), strict=True))
    out = column.to_pylist()
    for at, key in zip(chosen.tolist(), fids.tolist(), strict=True):
        out[at] = by_fid[key]
    return table.set_column(index, geometry, pa.array(out, pa.binary()))


def _is_curve(head: bytes) -> bool:
    """Whether WKB begins as a geometry with arcs does (ISO 13249-3: 8 to 12, with Z and M in thousands)."""
    code = int.from_bytes(head[1:5], "little" if head[0] else "big")
    return (code & 0xFFFFFFF) % 1000 in range(8, 13)


def _storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _shape(
    table: pa.Table,
    geometry: str,
    fid: str,
    row: int,
    numbered: bool,
    driver: str,
    options: Options,
    sink: Sink,
) -> pa.Table:
    """The reader's table from GDAL's: reserved columns first, nested values as JSON text."""
    columns: dict[str, Any] = {ROW: pa.array(np.arange(row, row + len(table), dtype=np.int64))}
    wkb = table[geometry] if geometry in table.column_names else pa.nulls(len(table), pa.binary())
    columns[WKB] = _bounded(
        wkb.combine_chunks() if isinstance(wkb, pa.ChunkedArray) else wkb, row, options, sink
    )
    names = [n for n in table.column_names if n not in (geometry, fid)]
    columns[SOURCE_ID] = pa.nulls(len(table), pa.string())
    if driver.startswith("GeoJSON") and "id" in names and pa.types.is_string(table["id"].type):
        columns[SOURCE_ID] = table["id"].combine_chunks()
        names.remove("id")
    elif numbered and fid in table.column_names and not (driver != "GPKG" and _told(names)):
        columns[SOURCE_ID] = pc.cast(table[fid], pa.string()).combine_chunks()
        if driver == "GPKG":
            columns["__fid"] = columns[SOURCE_ID]
            columns[SOURCE_ID] = pa.nulls(len(table), pa.string())
    for name in names:
        columns[name] = _flat(table[name].combine_chunks())
    return pa.table(columns)


def _with_bodies(table: pa.Table, row: int, sink: Sink, degrees: bool) -> tuple[pa.Table, int]:
    """The batch with surfaces in space as bodies over their footprints, and how many there are."""
    heads = pc.unique(pc.binary_slice(table[WKB], 0, 5)).to_pylist()
    if not any(head and surfaces.may_be(head) for head in heads):
        return table, 0
    found = surfaces.convert(table[WKB].to_pylist(), row, sink, degrees=degrees)
    table = table.set_column(table.column_names.index(WKB), WKB, pa.array(found.footprints, pa.binary()))
    if not any(found.bodies):
        return table, 0
    columns = {MESH: pa.array(found.bodies, pa.binary())}
    columns |= {name: pa.array(values, pa.float64()) for name, values in found.heights().items()}
    for name in columns.keys() - set(table.column_names):
        table = table.append_column(name, columns[name])
    return table, sum(one is not None for one in found.bodies)


def _told(names: Iterable[str]) -> bool:
    """Whether the properties have a source id: then numbers of features are those of a store, not the
    source's."""
    return any(name.casefold() == "source_id" for name in names)


def _bounded(wkb: pa.Array, row: int, options: Options, sink: Sink) -> pa.Array:
    """The geometries with those of too many vertices taken out (16 bytes a vertex at least)."""
    wkb = _storage(wkb)
    sizes = pc.fill_null(pc.binary_length(wkb), 0)
    large = pc.greater(sizes, options.limits.vertices * 16 + 64)
    if not pc.any(large).as_py():
        return pc.cast(wkb, pa.binary())
    for index in np.flatnonzero(large.to_numpy(zero_copy_only=False)).tolist():
        sink.note(
            "limit.vertices", f"the geometry has more than {options.limits.vertices} vertices", row + index
        )
    return pc.cast(pc.if_else(large, pa.scalar(None, wkb.type), wkb), pa.binary())


def _flat(array: pa.Array) -> pa.Array:
    """A column of plain values: lists of scalars by :func:`arrays`, other nested ones as JSON text, binary
    ones left out, times of day as ISO text."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        json = getattr(array.type, "extension_name", "") == "arrow.json"
        array, kind = array.storage, array.type.storage_type
        if (
            json
            and (found := arrays([None if t is None else _json(t) for t in array.to_pylist()])) is not None
        ):
            return found
    if pa.types.is_nested(kind):
        if (found := arrays(array.to_pylist())) is not None:
            return found
        texts = [None if v is None else orjson.dumps(v, default=str).decode() for v in array.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_temporal(kind):
        return pa.array([None if v is None else v.isoformat() for v in array.to_pylist()], pa.string()).cast(
            pa.string()
        )
    if pa.types.is_dictionary(kind):
        return array.dictionary_decode()
    return array


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def arrays(values: list[Any]) -> pa.Array | None:
    """Lists of scalars as an Arrow column of lists, each member in JSON so that they can be of different
    types; None where a value is no such list, or all are null."""
    lists = [v for v in values if v is not None]
    if not lists or any(not isinstance(v, list) or any(isinstance(m, list | dict) for m in v) for v in lists):
        return None
    texts = [None if v is None else [orjson.dumps(m, default=str).decode() for m in v] for v in values]
    return pa.array(texts, pa.list_(pa.string()))
