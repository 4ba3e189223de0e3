"""GeoParquet 1.1 (https://geoparquet.org) and its drafts, and Parquet whose columns say that they hold
geometries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from layers.batch import ROW, SOURCE_ID, WKB
from layers.errors import BadFile, scrubbed, shown
from layers.read import geoarrow, geocolumn
from layers.read.base import AGAIN, BATCH_ROWS, ReadLimits, ReadOptions, Sink
from layers.read.format import Format, Reader, Refused
from layers.read.frame import is_degrees
from layers.read.geocolumn import GeoColumn
from layers.read.plain import bounded, holds_bytes, is_bytes, plain, with_bodies
from layers.source import SourceLayer, unknown_layer
from layers.types import FieldType

#: Bytes of a batch, of a column chunk that are read at once, and of the number that each row gets.
_BATCH_BYTES, _BLOCK, _ROW_BYTES = 64 << 20, 1 << 20, 8
#: Rows that are unpacked at once.
_PIECE_ROWS = 1000


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read the rows of a file. Raises BadFile: file.damaged, layer.unknown, geometry.encoding, limit.columns,
    limit.bytes, limit.ratio."""
    with _opened(path) as file:
        schema = file.schema_arrow
        if len(schema.names) > options.limits.columns:
            raise BadFile("limit.columns", f"the file has more than {options.limits.columns} columns")
        places, is_geo = geocolumn.columns(file)
        place = _choose(places, options.declared.layer, sink)
        driver = "GeoParquet" if is_geo else "Parquet"
        sink.meta.update(driver=driver, encoding="UTF-8", guess_times=False)
        if place is not None:
            sink.meta.update(crs=place.crs, layer=place.name if len(places) > 1 else "")
        source = _Columns.of(schema, place, sink)
        sink.meta["times"] = source.times(schema)
        _write(file, source, options, sink)


def layers(path: Path, _options: ReadOptions) -> list[SourceLayer]:
    """The file as one layer; none where it has no geometry. Raises BadFile file.damaged."""
    with _opened(path) as file:
        places, _ = geocolumn.columns(file)
        return [SourceLayer("", file.metadata.num_rows)] if places else []


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """The file; what is wrong with it is a BadFile."""
    try:
        with pq.ParquetFile(
            path,
            buffer_size=_BLOCK,
            pre_buffer=False,
            page_checksum_verification=True,
            coerce_int96_timestamp_unit="us",
        ) as file:
            yield file
    except (pa.ArrowException, OSError, RuntimeError, UnicodeError) as error:
        if isinstance(error, MemoryError):
            raise
        why = scrubbed(str(error), str(path.parent)) or type(error).__name__
        raise BadFile("file.damaged", f"the Parquet file cannot be read: {shown(why)}; {AGAIN}") from error


def _choose(places: Sequence[GeoColumn], wanted: str | None, sink: Sink) -> GeoColumn | None:
    """The column of geometries that is read: the one that was named, else the first. Raises BadFile
    layer.unknown."""
    names = [place.name for place in places]
    if wanted is not None and wanted not in names:
        raise unknown_layer(wanted, names)
    chosen = places[names.index(wanted) if wanted is not None else 0] if places else None
    for each in places:
        if each is not chosen and chosen is not None:
            reason = f"{shown(each.name)} holds geometries, too; those of {shown(chosen.name)} are read"
            sink.note("column.geometry", reason)
    if chosen is not None and chosen.spherical:
        reason = "edges are geodesics on a sphere; they are read as straight in longitude and latitude"
        sink.note("geometry.edges", reason)
    if chosen is not None and chosen.encoding not in ("wkb", *geoarrow.ENCODINGS):
        reason = f"the geometries are encoded as {shown(chosen.encoding)}, which is not read"
        raise BadFile("geometry.encoding", f"{reason}; write them as WKB")
    return chosen


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns that are read: the number of each in the file and what it is called here; that of the
    geometries; and the names by which they are asked for (None: all are, since names do not tell which)."""

    called: Mapping[int, str]
    place: GeoColumn | None
    at: int | None
    asked: list[str] | None

    @classmethod
    def of(cls, schema: pa.Schema, place: GeoColumn | None, sink: Sink) -> _Columns:
        """Notes which columns are called otherwise than in the file, or left out."""
        at = schema.names.index(place.name) if place is not None else None
        boxes = place.boxes if place is not None else frozenset()
        chosen: list[int] = []
        for number, field in enumerate(schema):
            if number == at or (field.name in boxes and geocolumn.is_box(field.type)):
                continue
            if place is not None and field.name == "bbox" and geocolumn.is_box(field.type):
                sink.note("column.box", f"{shown(field.name)} is the box of each geometry; it is left out")
            elif is_bytes(field.type):
                reason = f"{shown(field.name)} holds bytes, which no property can; it is left out"
                sink.note("column.binary", reason)
            else:
                chosen.append(number)
                if holds_bytes(field.type):
                    reason = (
                        f"{shown(field.name)} has members of bytes, which no text can hold; they are null"
                    )
                    sink.note("column.binary", reason)
        called = dict(zip(chosen, sink.called(schema.names[number] for number in chosen), strict=True))
        # a name with a dot is asked for as if it were a path, and one of two alike as both
        plain_names = len(set(schema.names)) == len(schema) and not any("." in name for name in schema.names)
        wanted = [schema.names[number] for number in (*called, *(() if at is None else (at,)))]
        return cls(called, place, at, wanted if plain_names and wanted else None)

    def times(self, schema: pa.Schema) -> dict[str, FieldType]:
        """The columns that the file types as dates or times."""
        kinds: dict[str, FieldType] = {}
        for number, name in self.called.items():
            kind = schema.field(number).type
            if pa.types.is_date(kind):
                kinds[name] = "date"
            elif pa.types.is_timestamp(kind):
                kinds[name] = "datetime"
        return kinds

    def table(
        self, batch: pa.RecordBatch, row: int, schema: pa.Schema, options: ReadOptions, sink: Sink
    ) -> pa.Table:
        """The reader's table of a batch from row number ``row`` on."""
        held = {name: index for index, name in enumerate(batch.schema.names)} if self.asked else None

        def column(number: int) -> pa.Array:
            return batch.column(number if held is None else held[schema.names[number]])

        shapes = _shapes(None if self.at is None else column(self.at), self.place, len(batch))
        out: dict[str, Any] = {
            ROW: pa.array(np.arange(row, row + len(batch), dtype=np.int64)),
            WKB: bounded(shapes, row, options, sink),
            SOURCE_ID: pa.nulls(len(batch), pa.string()),
        }
        return pa.table(out | {name: plain(column(number)) for number, name in self.called.items()})


def _shapes(array: pa.Array | None, place: GeoColumn | None, rows: int) -> pa.Array:
    """The geometries as WKB; all null where there are none."""
    if array is None or place is None:
        return pa.nulls(rows, pa.binary())
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    if place.encoding in geoarrow.ENCODINGS:
        return pa.array(geoarrow.to_wkb(storage, place.encoding), pa.binary())
    return storage if pa.types.is_large_binary(storage.type) else storage.cast(pa.binary())


def _write(file: pq.ParquetFile, source: _Columns, options: ReadOptions, sink: Sink) -> None:
    """The batches. Raises BadFile limit.bytes, limit.ratio."""
    degrees = is_degrees(options.declared.crs or sink.meta["crs"])
    rows = bodies = 0
    for batch in _batches(file, source, options):
        table = source.table(batch, rows + 1, file.schema_arrow, options, sink)
        table, count = with_bodies(table, rows + 1, sink, degrees)
        sink.batch(table)
        bodies += count
        rows += len(batch)
        if sink.enough(options.limits, rows):
            break
    sink.meta["features"] = rows
    if bodies and bodies == rows:
        sink.meta["kind"] = "cim"


def _batches(file: pq.ParquetFile, source: _Columns, options: ReadOptions) -> Iterator[pa.RecordBatch]:
    """Some rows at a time, read piece by piece: a few bytes may stand for any number of rows, or of bytes.
    Raises BadFile limit.bytes, limit.ratio."""
    packed = Path(options.path).stat().st_size
    held: list[pa.RecordBatch] = []
    unpacked = yielded = 0
    rows = _rows_of_a_piece(file.metadata)
    for piece in file.iter_batches(rows, columns=source.asked, use_threads=False):
        unpacked += sum(map(_size, piece.columns)) + len(piece) * _ROW_BYTES
        _check_size(unpacked, packed, options.limits)
        held += [piece] if len(piece) else []
        if sum(map(len, held)) >= BATCH_ROWS or unpacked - yielded >= _BATCH_BYTES:
            yield pa.concat_batches(held)
            held, yielded = [], unpacked
    if held:
        yield pa.concat_batches(held)


def _rows_of_a_piece(meta: pq.FileMetaData) -> int:
    """Fewer where each has many bytes."""
    size: int = sum(meta.row_group(number).total_byte_size for number in range(meta.num_row_groups))
    return max(1, min(_PIECE_ROWS, _BATCH_BYTES * int(meta.num_rows) // max(size, 1)))


def _size(array: pa.Array) -> int:
    """Bytes of a column; none of one that is null throughout, as those of a sparse table are."""
    if array.null_count == len(array):
        return 0
    if pa.types.is_dictionary(array.type) and _has_length(array.type.value_type):
        # a value that stands for many rows is as long in each of them
        lengths = pc.binary_length(array.dictionary).cast(pa.int64())
        return int(pc.sum(lengths.take(array.indices)).as_py() or 0)
    return int(array.nbytes)


def _has_length(kind: pa.DataType) -> bool:
    return bool(is_bytes(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_size(unpacked: int, packed: int, limits: ReadLimits) -> None:
    if unpacked > limits.size:
        raise BadFile("limit.bytes", f"the file unpacks to more than {limits.size} bytes; split it")
    if limits.bursts(unpacked, packed):
        raise BadFile("limit.ratio", f"the file unpacks to more than {limits.ratio} times its size")


FORMATS: tuple[Format, ...] = (
    Reader(
        name="parquet",
        titles={"en": "GeoParquet", "zh-CN": "GeoParquet"},
        endings=(".parquet", ".geoparquet"),
        recognise=lambda sample: sample.head.startswith(b"PAR1"),
        read=read,
        layers=layers,
    ),
    Refused(
        lambda sample: sample.head.startswith(b"PARE"),
        "parquet.encrypted",
        "an encrypted Parquet file; export it without encryption",
    ),
)
