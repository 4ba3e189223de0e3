"""What GDAL reads, through pyogrio's Arrow stream. Importing this loads GDAL: see ``layers.read.gdal``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import pyogrio.raw
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError

from layers import wkb as wkb_
from layers.batch import FID, ROW, SOURCE_ID, WKB, properties
from layers.errors import BadFile, listed, scrubbed, shown
from layers.read import days, storage, undecoded
from layers.read.base import AGAIN, BATCH_ROWS, ReadOptions, Sink
from layers.read.days import Odd
from layers.read.dbf import RAW, Texts
from layers.read.encodings import codec
from layers.read.frame import is_degrees
from layers.read.plain import bounded, plain, with_bodies
from layers.read.views import untyped
from layers.source import SeveralLayers, SourceLayer, unknown_layer
from layers.types import FieldType

#: Drivers whose formats have types for dates and times: what they give as text is text.
_TYPED = frozenset({"GPKG", "FlatGeobuf"})
#: Layers a file may list before it is taken for hostile.
_MOST_LAYERS = 1000
#: What programs call the number of a row that they give it; a key of another name is a column of its owner's.
_ROW_NUMBERS = frozenset({"fid", "ogc_fid", "rowid"})


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer that is read: what GDAL calls it, its feature ids and its columns."""

    path: Path
    name: str
    driver: str
    #: The column of the feature ids, where they are the file's own: a view without a key has none.
    key: str | None
    #: Whether rows are told apart by their order alone: those of a view have no number, or one several times.
    ordered: bool
    #: The column of the geometries, where the format has a name for it.
    place: str
    #: Where the .shx of a Shapefile lies.
    index: Path | None
    #: The columns that are read; None for all.
    columns: list[str] | None
    #: The texts of a format whose encoding is not fixed.
    texts: Texts | None
    #: Whether its coordinates are degrees.
    degrees: bool


def read(
    path: Path,
    options: ReadOptions,
    sink: Sink,
    driver: str,
    *,
    texts: Texts | None = None,
    index: Path | None = None,
    views: frozenset[str] = frozenset(),
    crs: str | None = None,
) -> None:
    """Read one layer of a file. ``texts``: its names and cells are in that encoding, not in UTF-8;
    ``index``: where the .shx of a Shapefile lies; ``views``: layers that are read only where they are named;
    ``crs``: what the file says of it where GDAL does not know that.
    Raises BadFile."""
    declared = options.declared
    with _damage(path):
        name = _choose(path, declared.layer, driver, views)
        info = pyogrio.read_info(path, layer=name, encoding=RAW if texts else None)
        _check_driver(info["driver"], driver)
        encoding = texts.encoding.title if texts else "UTF-8"
        sink.meta.update(driver=driver, crs=info["crs"] or crs, encoding=encoding, layer=name)
        if texts is None and declared.encoding is not None:
            sink.encoding = codec(declared.encoding)
            if sink.encoding != "utf-8":
                reason = f"texts of a {driver} are UTF-8; {declared.encoding} is used where they are not"
                sink.note("encoding.fixed", reason)
        fields = [str(each) for each in info["fields"]]
        if driver == "GPKG":
            known = {*fields, info["fid_column"], info["geometry_name"]}
            for each, kind in untyped(path, name, known):
                reason = f"{shown(each)} is of the type {shown(kind)}, which is not read; it is left out"
                sink.note("column.untyped", reason)
        binary = [n for n, kind in zip(fields, info["ogr_types"], strict=True) if kind == "OFTBinary"]
        for each in binary:
            sink.note("column.binary", f"{shown(each)} holds bytes, which no property can; it is left out")
        if driver == "FlatGeobuf" and not info["capabilities"]["fast_spatial_filter"]:
            # without an index geometries may be null, for which GDAL 3.12 gives arrays that end the reader
            pyogrio.set_gdal_config_options({"OGR_FLATGEOBUF_STREAM_BASE_IMPL": "YES"})
        columns = [each for each in fields if each not in binary] if binary else None
        key = (info["fid_column"] or None) if driver == "GPKG" else None
        degrees = is_degrees(declared.crs or info["crs"] or crs)
        ordered = driver == "GPKG" and (key is None or name in views)
        place = info["geometry_name"] or ""
        layer = _Layer(path, name, driver, key, ordered, place, index, columns, texts, degrees)
        _stream(layer, options, sink)


def layers(path: Path, driver: str, views: frozenset[str] = frozenset()) -> list[SourceLayer]:
    """The layers of a file that have geometry, or all where none has, but for ``views``. Raises BadFile."""
    with _damage(path):
        listed = []
        for name in _spatial(path, views):
            raw = RAW if driver == "ESRI Shapefile" else None
            info = pyogrio.read_info(path, layer=name, force_feature_count=True, encoding=raw)
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
    names = [name for name in spatial or [str(name) for name, _ in every] if name not in views]
    if spatial and not names:
        why = "the file has views and computed columns only; name one that you trust with --layer"
        raise BadFile("layer.view", f"{why}: {listed(spatial)}")
    return names


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What GDAL cannot read is refused."""
    try:
        yield
    except (DataSourceError, DataLayerError, FeatureError, pa.ArrowException, OSError, RuntimeError) as error:
        why = scrubbed(str(error), str(path.parent)).split("; It might help")[0] or type(error).__name__
        reason = f"GDAL cannot read the file: {shown(why)}; {AGAIN}"
        raise BadFile("file.damaged", reason) from error
    except UnicodeError as error:
        raise BadFile("file.damaged", f"a name or text of the file is no UTF-8; {AGAIN}") from error


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


def _stream(layer: _Layer, options: ReadOptions, sink: Sink) -> None:
    sink.meta["guess_times"] = layer.driver not in _TYPED
    sink.meta["rows"] = ("FID", 0)
    row, bodies = 1, 0
    with pyogrio.raw.open_arrow(
        layer.path,
        layer=layer.name,
        use_pyarrow=True,
        return_fids=True,
        batch_size=BATCH_ROWS,
        columns=layer.columns,
        datetime_as_string=True,  # as Arrow timestamps they lose whether they named a zone
        **({"encoding": RAW} if layer.texts else {}),
    ) as (meta, reader):
        if len(reader.schema.names) > options.limits.columns:
            raise BadFile("limit.columns", f"the file has more than {options.limits.columns} columns")
        named = _ColumnNames.of(reader.schema, meta["geometry_name"] or "wkb_geometry", layer, sink)
        sink.meta["times"] = _times(reader.schema, named.names)
        odd: Odd = {}
        odd_numbers: Odd = {}
        if layer.driver == "GPKG":
            dates = {to: name for to, name in named.columns.items() if sink.meta["times"].get(to) == "date"}
            odd_days = days.odd(layer.path, layer.name, None if layer.ordered else layer.key, dates.values())
            odd = {to: odd_days[name] for to, name in dates.items()}
            odd_numbers = _odd_numbers(reader.schema, named, layer, options)
        elif layer.texts is not None:
            dbf = layer.texts.table
            odd = {to: dbf.odd_dates(i) for i, to in enumerate(named.columns) if to in sink.meta["times"]}
        for batch in reader:
            table = named.table(pa.Table.from_batches([batch]), sink)
            keys = list(range(row - 1, row - 1 + len(table))) if layer.ordered else table[FID].to_pylist()
            # a driver may give offsets that lead out of the array, which ends whoever follows them
            for each in table[WKB].chunks if WKB in table.column_names else ():
                _storage(each).validate(full=True)
            table = days.as_written(table, keys, odd)
            table = storage.emptied(table, keys, odd_numbers, row, sink)
            table = _linear(table, layer, keys)
            table = _undecoded(table, layer, keys, row, sink)
            if len(table):
                made, count = with_bodies(_shape(table, row, layer, options, sink), row, sink, layer.degrees)
                sink.batch(made)
                bodies += count
            row += len(table)
            if sink.enough(options.limits, row - 1):
                break
    sink.meta["features"] = row - 1
    if bodies and bodies == row - 1:
        sink.meta["kind"] = "cim"


@dataclass(frozen=True, slots=True)
class _ColumnNames:
    """GDAL's columns under our names: the feature ids first, the geometry, where there is one, last."""

    layer: _Layer
    names: list[str]
    #: Our name of each column → GDAL's.
    columns: Mapping[str, str]

    @classmethod
    def of(cls, schema: pa.Schema, geometry: str, layer: _Layer, sink: Sink) -> _ColumnNames:
        """Notes which columns are called otherwise than in the file."""
        place = schema.names[-1] == geometry and not pa.types.is_string(schema.field(len(schema) - 1).type)
        raw = schema.names[1:-1] if place else schema.names[1:]
        read = [layer.texts.name(name) for name in raw] if layer.texts else raw
        called = sink.called(read)
        return cls(layer, [FID, *called, *((WKB,) if place else ())], dict(zip(called, raw, strict=True)))

    def table(self, source: pa.Table, sink: Sink) -> pa.Table:
        """A batch, its texts read as what they are."""
        table = source.rename_columns(self.names)
        texts = self.layer.texts
        if texts is not None:
            records = table[FID].to_numpy()
            for index, name in enumerate(self.columns):
                column = texts.column(index, table[name].combine_chunks(), records, name, sink)
                table = table.set_column(index + 1, name, column)
        return table


def _odd_numbers(schema: pa.Schema, named: _ColumnNames, layer: _Layer, options: ReadOptions) -> Odd:
    """Of the columns of numbers what is none."""
    kinds = dict(zip(named.names, schema.types, strict=True))
    whole = {
        to: pa.types.is_integer(kinds[to]) or pa.types.is_boolean(kinds[to])
        for to in named.columns
        if pa.types.is_integer(kinds[to]) or pa.types.is_floating(kinds[to]) or pa.types.is_boolean(kinds[to])
    }
    wanted = {named.columns[to]: is_whole for to, is_whole in whole.items()}
    key = None if layer.ordered else layer.key
    found = storage.odd(layer.path, layer.name, key, wanted, options.limits.rows)
    return {to: found[named.columns[to]] for to in whole}


def _times(schema: pa.Schema, names: list[str]) -> dict[str, FieldType]:
    """The columns that the file types as dates or times."""
    out: dict[str, FieldType] = {}
    for column, name in zip(schema, names, strict=True):
        if pa.types.is_date(column.type):
            out[name] = "date"
        elif (column.metadata or {}).get(b"GDAL:OGR:type") == b"DateTime":
            out[name] = "datetime"
    return out


def _linear(table: pa.Table, layer: _Layer, keys: list[int]) -> pa.Table:
    """The batch with curves as lines: GDAL makes them so only of features that are read one by one. ``keys``
    are the feature ids of the rows, or their numbers from 0 where the layer's rows are ordered."""
    if WKB not in table.column_names:
        return table
    index = table.column_names.index(WKB)
    column = pa.chunked_array([_storage(c) for c in table.column(index).chunks]).combine_chunks()
    heads = pc.binary_slice(column, 0, 5)
    curved = [h for h in pc.unique(heads).to_pylist() if h and _is_curve(h)]
    if not curved:
        return table
    chosen = np.flatnonzero(pc.is_in(heads, pa.array(curved, heads.type)).to_numpy(zero_copy_only=False))
    out = column.to_pylist()
    if layer.ordered:
        part = {"skip_features": keys[0], "max_features": len(table)}
        _, _, shapes, _ = pyogrio.raw.read(layer.path, layer=layer.name, columns=[], **part)
        by_fid = dict(enumerate(shapes.tolist(), keys[0]))
    else:
        fids = np.array(keys)[chosen]
        where = {"layer": layer.name, "fids": fids, "columns": [], "return_fids": True}
        _, read, shapes, _ = pyogrio.raw.read(layer.path, **where)
        by_fid = dict(zip(read.tolist(), shapes.tolist(), strict=True))
    for at in chosen.tolist():
        out[at] = by_fid[keys[at]]
    return table.set_column(index, WKB, pa.array(out, pa.binary()))


def _undecoded(table: pa.Table, layer: _Layer, keys: list[int], row: int, sink: Sink) -> pa.Table:
    """The batch, from row number ``row`` on, with the file's own bytes where it has some and GDAL gives no
    geometry: who reads them says what is wrong. Plain WKB, which lacks the format's header, is told."""
    column = _storage(table[WKB].combine_chunks()) if WKB in table.column_names else pa.array([])
    none = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
    chosen = [keys[at] for at in none.tolist()]
    if not chosen:
        return table
    if layer.driver == "GPKG" and layer.place:
        key = None if layer.ordered else layer.key
        raw = undecoded.of_geopackage(layer.path, layer.name, layer.place, key, chosen)
    elif layer.index is not None:
        raw = undecoded.of_shapefile(layer.path, layer.index, chosen)
    else:
        return table
    out = column.to_pylist()
    for at, one in zip(none.tolist(), chosen, strict=True):
        out[at] = raw.get(one)
        if out[at] is not None and wkb_.fault(out[at]) is None:
            sink.note("geometry.bare", "the geometry lacks the header of its format, and was read", row + at)
    return table.set_column(table.column_names.index(WKB), WKB, pa.array(out, pa.binary()))


def _is_curve(head: bytes) -> bool:
    """Whether WKB begins as a geometry with arcs does (ISO 13249-3: 8 to 12, with Z and M in thousands)."""
    code = int.from_bytes(head[1:5], "little" if head[0] else "big")
    return (code & 0xFFFFFFF) % 1000 in range(8, 13)


def _storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _shape(table: pa.Table, row: int, layer: _Layer, options: ReadOptions, sink: Sink) -> pa.Table:
    """The reader's table from GDAL's: reserved columns first, nested values as JSON text."""
    columns: dict[str, Any] = {ROW: pa.array(np.arange(row, row + len(table), dtype=np.int64))}
    wkb = table[WKB] if WKB in table.column_names else pa.nulls(len(table), pa.binary())
    whole = wkb.combine_chunks() if isinstance(wkb, pa.ChunkedArray) else wkb
    columns[WKB] = bounded(_storage(whole), row, options, sink)
    columns[SOURCE_ID] = pa.nulls(len(table), pa.string())
    if layer.key is not None:
        columns[FID] = pc.cast(table[FID], pa.string()).combine_chunks()
        if layer.key.casefold() not in _ROW_NUMBERS and layer.key not in table.column_names:
            columns[layer.key] = table[FID].combine_chunks()
    for name in properties(table.column_names):
        columns[name] = plain(table[name].combine_chunks())
    return pa.table(columns)
