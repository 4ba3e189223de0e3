"""Property columns as codes into a dictionary of distinct typed values.

A value is kept as the bytes of its entry in a vector tile's value table (MVT 2.1, clause 4.4),
so making a tile gathers bytes and formats nothing.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from layers.types import FieldType

if TYPE_CHECKING:
    import pyarrow as pa

type Kind = Literal["s", "i", "d", "b"]

#: Field 4 of a layer (values), length-delimited.
_VALUES = b"\x22"
#: Values a row from which a dictionary is too large to be walked for a few rows.
_DENSE = 8
#: Rows up to which a loop costs less than calls of numpy.
_FEW = 500
#: Values from which a dictionary is not walked to be joined with another.
_MANY = 300
#: The varints of one byte.
_SHORT = [bytes([value]) for value in range(0x80)]
_TAIL = np.arange(8, 0, -1)
_ODD = np.uint64(0x9E3779B97F4A7C15)
#: What is before the eight bytes of a number (double_value).
_DOUBLE = _VALUES + b"\x09\x19"
_FALSE, _TRUE = _VALUES + b"\x02\x38\x00", _VALUES + b"\x02\x38\x01"
_NOTHING = np.empty(0, np.uint8)
_KINDS: Mapping[str, Kind] = {"integer": "i", "number": "d", "boolean": "b"}
_PYTHON = {"s": str, "i": int, "d": float, "b": bool}
_NUMBERS = {"s": np.uint8, "i": np.int64, "d": np.float64, "b": np.uint8}
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Values:
    """Distinct values of one kind: strings, int64, float64 or booleans.

    ``blob`` uint8 holds the MVT entries, entry i from ``offsets[i]`` to ``offsets[i + 1]``
    (int64, k + 1); ``text`` uint32 (k,) is the byte length of a string, which ends its entry;
    ``numbers`` (k,) int64, float64 or uint8, empty for strings.
    """

    kind: Kind
    blob: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    text: NDArray[np.uint32]
    numbers: NDArray[Any]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, codes: NDArray[np.int64]) -> Values:
        """The values of these codes, in that order."""
        blob, offsets = gather(self.blob, self.offsets, codes)
        text = self.text[codes] if self.kind == "s" else self.text
        numbers = self.numbers if self.kind == "s" else self.numbers[codes]
        return Values(self.kind, blob, offsets, text, numbers)

    def same(self, codes: NDArray[np.int64], others: Values, theirs: NDArray[np.int64]) -> bool:
        """Whether values are those that others of the same kind have at some codes, one by one."""
        if self.kind != "s":
            # as bits, which is what a tile has
            own, other = self.numbers[codes], others.numbers[theirs]
            return own.tobytes() == other.tobytes()
        if not np.array_equal(self.text[codes], others.text[theirs]):
            return False
        own, other = gather(self.blob, self.offsets, codes)[0], gather(others.blob, others.offsets, theirs)[0]
        return own.tobytes() == other.tobytes()

    def text_of(self, code: int) -> str:
        """One value as text."""
        if self.kind != "s":
            return str(self.numbers[code])
        end = int(self.offsets[code + 1])
        return self.blob[end - int(self.text[code]) : end].tobytes().decode()

    def entries(self) -> list[bytes]:
        """Each entry as bytes."""
        raw, ends = self.blob.tobytes(), self.offsets.tolist()
        return [raw[a:b] for a, b in itertools.pairwise(ends)]


@dataclass(frozen=True, slots=True)
class DictionaryColumn:
    """One property of n features: int32 codes, −1 for null, and their values."""

    codes: NDArray[np.int32]
    values: Values

    def take(self, rows: NDArray[np.int64]) -> DictionaryColumn:
        """The property of these rows; the dictionary is shared."""
        return DictionaryColumn(self.codes[rows], self.values)

    def compact(self) -> DictionaryColumn:
        """The same with a dictionary of the used values only, in order of first use."""
        if len(self.codes) < _FEW:
            seen: dict[int, int] = {}
            ranks = [-1 if code < 0 else seen.setdefault(code, len(seen)) for code in self.codes.tolist()]
            used = np.fromiter(seen, np.int64, len(seen))
            return DictionaryColumn(np.array(ranks, np.int32), self.values.take(used))
        if len(self.values) > _DENSE * len(self.codes):
            used, local = np.unique(self.codes.astype(np.int64), return_inverse=True)
            if len(used) and used[0] < 0:
                used, local = used[1:], local - 1
        else:
            used, local = np.arange(len(self.values)), self.codes.astype(np.int64)
        # written backwards, the first row that has a value is the one that stays
        first = np.full(len(used) + 1, len(local))
        first[local[::-1]] = np.arange(len(local))[::-1]
        # the last place is that of null, code −1
        order = np.argsort(first[:-1], kind="stable")
        order = order[: int((first[:-1] < len(local)).sum())]
        rank = np.full(len(used) + 1, -1, np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        return DictionaryColumn(rank[local], self.values.take(used[order]))


def gather(
    blob: NDArray[Any], offsets: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The slices ``rows`` of a ragged array, joined, with their new offsets."""
    index, out = slices(offsets, rows)
    return blob[index], out


def slices(
    offsets: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the elements of the slices ``rows`` of a ragged array, and new offsets."""
    lengths = offsets[rows + 1] - offsets[rows]
    out = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return np.arange(out[-1]) + np.repeat(offsets[rows] - out[:-1], lengths), out


class Encoder:
    """A property taken in piece by piece. What is held of a piece is codes and its distinct values."""

    def __init__(self, type_: FieldType) -> None:
        self._kind: Kind = _KINDS.get(type_, "s")
        self._pieces: list[pa.DictionaryArray] = []
        self._few: list[Any] = []

    def add(self, column: Sequence[Any]) -> None:
        """Python values (None for null) of the declared type; what cannot be of it is null."""
        if not self._pieces and len(self._few) + len(column) <= _FEW:
            self._few += column
            return
        few, self._few = self._few, []
        self._take_in([*few, *column] if few else column)

    def _take_in(self, column: Sequence[Any]) -> None:
        import pyarrow as pa

        array = _arrow(column, self._kind)
        if self._kind == "d":
            # as bits: 0.0 and -0.0 are two values of a tile
            array = pa.Array.from_buffers(pa.int64(), len(array), array.buffers(), array.null_count)
        self._pieces.append(array.dictionary_encode())

    def column(self) -> DictionaryColumn:
        """All that was taken in, with a dictionary in order of first use."""
        if not self._pieces:
            few, self._few = self._few, []
            return _of_few(few, self._kind)
        import pyarrow as pa

        pieces = self._pieces
        if len(pieces) > 1:
            pieces = pa.chunked_array(pieces).unify_dictionaries().chunks
        codes = [_codes(piece) for piece in pieces]
        distinct = pieces[-1].dictionary
        self._pieces = []
        return DictionaryColumn(np.concatenate(codes), _made(self._kind, distinct))


def _of_few(column: Sequence[Any], kind: Kind) -> DictionaryColumn:
    """As :meth:`Encoder.column`, of a few values: calls of Arrow and numpy would cost more than these."""
    entry_of = _ENTRIES[kind]
    seen: dict[bytes, int] = {}  # by entry: distinct values have distinct ones, 0.0 and -0.0 too
    distinct: list[Any] = []
    codes: list[int] = []
    for given in column:
        value = _exact(given, kind)
        if value is None:
            codes.append(-1)
            continue
        code = seen.setdefault(entry_of(value), len(distinct))
        if code == len(distinct):
            distinct.append(value)
        codes.append(code)
    offsets = np.zeros(len(seen) + 1, np.int64)
    np.cumsum([len(entry) for entry in seen], out=offsets[1:])
    blob = np.frombuffer(b"".join(seen), np.uint8)
    numbers = np.array([] if kind == "s" else distinct, _NUMBERS[kind])
    sizes = [len(text.encode()) for text in distinct] if kind == "s" else []
    values = Values(kind, blob, offsets, np.array(sizes, np.uint32), numbers)
    return DictionaryColumn(np.array(codes, np.int32), values)


def encode(column: Sequence[Any], type_: FieldType) -> DictionaryColumn:
    """A property from n Python values (None for null) of the declared type."""
    encoder = Encoder(type_)
    encoder.add(column)
    return encoder.column()


def integers(numbers: NDArray[np.int64]) -> Values:
    """A dictionary of distinct integers (k,)."""
    negative = numbers < 0
    # sint_value: a negative int_value takes ten bytes; -2n - 1 overflows for none of them
    coded = np.where(negative, ~numbers << 1 | 1, numbers).view(np.uint64)
    sizes = np.ones(len(numbers), np.int64)
    for bits in range(7, 64, 7):
        sizes += coded >= np.uint64(1 << bits)
    offsets = np.zeros(len(numbers) + 1, np.int64)
    np.cumsum(sizes + 3, out=offsets[1:])
    blob = np.empty(offsets[-1], np.uint8)
    start = offsets[:-1]
    blob[start], blob[start + 1] = _VALUES[0], sizes + 1
    blob[start + 2] = np.where(negative, 0x30, 0x20)
    rows = np.arange(len(numbers))
    for place in range(10):
        rows = rows[sizes[rows] > place]
        rest = coded[rows] >> np.uint64(7 * place)
        more = np.where(sizes[rows] > place + 1, 0x80, 0)
        blob[start[rows] + 3 + place] = (rest & np.uint64(0x7F)).astype(np.uint8) | more.astype(np.uint8)
    return Values("i", blob, offsets, np.empty(0, np.uint32), numbers)


def _doubles(numbers: NDArray[np.float64]) -> Values:
    entries = np.empty((len(numbers), len(_DOUBLE) + 8), np.uint8)
    entries[:, : len(_DOUBLE)] = np.frombuffer(_DOUBLE, np.uint8)
    entries[:, len(_DOUBLE) :] = numbers.astype("<f8").view(np.uint8).reshape(-1, 8)
    offsets = np.arange(len(numbers) + 1, dtype=np.int64) * entries.shape[1]
    return Values("d", entries.ravel(), offsets, np.empty(0, np.uint32), numbers)


def _booleans(numbers: NDArray[np.uint8]) -> Values:
    entries = np.tile(np.frombuffer(_FALSE, np.uint8), (len(numbers), 1))
    entries[:, -1] = numbers
    offsets = np.arange(len(numbers) + 1, dtype=np.int64) * entries.shape[1]
    return Values("b", entries.ravel(), offsets, np.empty(0, np.uint32), numbers)


def _strings(texts: pa.LargeStringArray) -> Values:
    """Each text behind the head that its length gives it."""
    if not len(texts):
        return Values("s", _NOTHING, np.zeros(1, np.int64), np.empty(0, np.uint32), _NOTHING)
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = texts.cast(pa.large_binary())
    sizes = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    known, which = np.unique(sizes, return_inverse=True)
    heads = pa.array([_head(size) for size in known.tolist()], pa.large_binary())
    between = pa.scalar(b"", pa.large_binary())
    _, ends, data = pc.binary_join_element_wise(heads.take(pa.array(which)), texts, between).buffers()
    offsets = np.frombuffer(ends, np.int64, len(texts) + 1)
    blob = np.frombuffer(data, np.uint8, int(offsets[-1]))
    return Values("s", blob, offsets, sizes.astype(np.uint32), np.empty(0, np.uint8))


def _head(size: int) -> bytes:
    """What is before a text of so many bytes (string_value)."""
    inner = b"\x0a" + varint(size)
    return _VALUES + varint(len(inner) + size) + inner


def _made(kind: Kind, distinct: pa.Array) -> Values:
    if kind == "s":
        return _strings(distinct)
    if kind == "b":
        return _booleans(np.array(distinct.to_pylist(), np.uint8))
    numbers = distinct.to_numpy(zero_copy_only=False)
    return integers(numbers) if kind == "i" else _doubles(numbers.view(np.float64))


def _codes(piece: pa.DictionaryArray) -> NDArray[np.int32]:
    codes: NDArray[np.int32] = piece.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int32)


def _arrow(column: Sequence[Any], kind: Kind) -> pa.Array:
    """Values as an Arrow array; those that are of the kind already are not looked at one by one."""
    import pyarrow as pa

    form = {"s": pa.large_string(), "i": pa.int64(), "d": pa.float64(), "b": pa.bool_()}[kind]
    types = set(map(type, column))
    if types <= {_PYTHON[kind], NoneType}:
        try:
            return pa.array(column, form)
        except (OverflowError, UnicodeEncodeError):
            # beyond 64 bits, or half a surrogate pair
            pass
    return pa.array([_typed(value, kind) for value in column], form)


def like(column: DictionaryColumn, other: DictionaryColumn) -> DictionaryColumn:
    """The column with the dictionary of another one, where each of its rows has the value that the other has
    in the same row; else as it is."""
    there = column.codes >= 0
    if column.values.kind != other.values.kind or not np.array_equal(there, other.codes >= 0):
        return column
    own, others = column.codes[there].astype(np.int64), other.codes[there].astype(np.int64)
    return other if column.values.same(own, other.values, others) else column


def merge(first: DictionaryColumn, second: DictionaryColumn) -> DictionaryColumn:
    """The rows of two properties one after the other, with a dictionary of distinct values: the one that both
    have, or of the first property those that are used, of the second all, unless they are more than its
    rows."""
    if first.values is second.values:
        return DictionaryColumn(np.concatenate([first.codes, second.codes]), first.values)
    a, b = first.compact(), second
    if len(b.values) > len(b.codes):  # a few rows of many
        b = b.compact()
    if a.values.kind != b.values.kind:
        raise ValueError("properties of different types cannot be merged")
    where = _where(a.values, b.values)
    entries = b.values.entries()
    fresh = [code for code, entry in enumerate(entries) if entry not in where]
    table = np.array([where.get(entry, -1) for entry in entries] + [-1], np.int32)
    table[fresh] = np.arange(len(a.values), len(a.values) + len(fresh), dtype=np.int32)
    extra = b.values.take(np.array(fresh, np.int64))
    joined = Values(
        a.values.kind,
        np.concatenate([a.values.blob, extra.blob]),
        np.concatenate([a.values.offsets, extra.offsets[1:] + a.values.offsets[-1]]),
        np.concatenate([a.values.text, extra.text]),
        np.concatenate([a.values.numbers, extra.numbers]),
    )
    return DictionaryColumn(np.concatenate([a.codes, table[b.codes]]), joined)


def _where(values_: Values, asked: Values) -> dict[bytes, int]:
    """The codes of a dictionary by entry: of a large one only those that may be asked for."""
    if len(values_) < _MANY:
        return {entry: code for code, entry in enumerate(values_.entries())}
    codes = np.flatnonzero(np.isin(_marks(values_), _marks(asked)))
    return dict(zip(values_.take(codes).entries(), codes.tolist(), strict=True))


def _marks(values_: Values) -> NDArray[np.uint64]:
    """A number of each entry, of its last eight bytes and its length."""
    starts, ends = values_.offsets[:-1, None], values_.offsets[1:, None]
    tails: NDArray[np.uint64] = values_.blob[np.maximum(ends - _TAIL, starts)].view(np.uint64)
    return tails.ravel() + (ends - starts).ravel().astype(np.uint64) * _ODD


def _text_entry(value: str) -> bytes:
    text = value.encode()
    return _head(len(text)) + text


def _integer_entry(value: int) -> bytes:
    # sint_value of a negative number, as in :func:`integers`
    coded = varint(~value << 1 | 1 if value < 0 else value)
    return _VALUES + varint(len(coded) + 1) + (b"\x30" if value < 0 else b"\x20") + coded


_ENTRIES: Mapping[Kind, Callable[[Any], bytes]] = {
    "s": _text_entry,
    "i": _integer_entry,
    "d": lambda value: _DOUBLE + struct.pack("<d", value),
    "b": lambda value: _TRUE if value else _FALSE,
}


def varint(value: int) -> bytes:
    """A base-128 varint of a number that is not negative."""
    if value < 0x80:
        return _SHORT[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _exact(value: Any, kind: Kind) -> Any:
    """As :func:`_typed`, at once for what is of the type already."""
    if type(value) is not _PYTHON[kind]:
        return _typed(value, kind)
    if isinstance(value, str):
        return value if value.isascii() else _typed(value, kind)
    return None if kind == "i" and value not in _INT64 else value


def _typed(value: Any, kind: Kind) -> Any:
    """The value as the declared type; null for what cannot be (SQLite columns hold any type)."""
    if value is None or kind == "s":
        # half a surrogate pair is no text
        return None if value is None else str(value).encode("utf-8", "replace").decode()
    try:
        if kind == "d":
            return float(value)
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return bool(number) if kind == "b" else number if number in _INT64 else None
