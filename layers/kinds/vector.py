"""What a kind asks of the values of a source's column, asked of the whole column.

The rules are those of :mod:`layers.kinds.base`: a column of Arrow takes a short way where it can, and each
distinct value is looked at by itself where it must be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from layers.kinds.base import BLANKS, Columns, SourceBatch, blank, text

if TYPE_CHECKING:
    import pyarrow as pa

type Floats = NDArray[np.float64]
type Mask = NDArray[np.bool_]

#: Of a text that begins and ends with one of these bytes, nothing is trimmed: ASCII that is printed, and
#: in UTF-8 what begins a character from U+4000 to U+CFFF.
_INK = np.zeros(256, bool)
_INK[0x21:0x7F] = True
_LEAD = np.zeros(256, bool)
_LEAD[0xE4:0xED] = True
#: From here on a double has no decimals.
_WHOLE = 2.0**52
_BLANK_SIZES = np.array(sorted({len(word) for word in BLANKS}))
_BLANK_BEGINS = np.frombuffer("".join({w[:1] + w[:1].upper() for w in BLANKS}).encode(), np.uint8)


def array(values: Sequence[Any] | pa.Array) -> pa.Array | None:
    """Values as a column of Arrow; None where no type has them all."""
    import pyarrow as pa

    if isinstance(values, pa.Array):
        return values
    kinds = {type(value) for value in values} - {type(None)}
    if bool in kinds and len(kinds) > 1:
        return None  # of which Arrow would make numbers
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError):
        return None


def unsure(column: pa.Array) -> Mask:
    """(n): which of a column of strings may be blank, or have white space at an end; null may not."""
    count = len(column)
    _, ends, values = column.buffers()
    offsets = np.frombuffer(ends, np.int32, count + 1, column.offset * 4)
    data = np.frombuffer(values or b"\0", np.uint8)
    sizes = np.diff(offsets)
    first = data[np.minimum(offsets[:-1], len(data) - 1)]
    last = data[np.maximum(offsets[1:], 1) - 1]
    third = data[np.maximum(offsets[1:], 3) - 3]  # the first byte of a last character that has three
    begins = _INK[first] | _LEAD[first]
    stops = _INK[last] | ((last >= 0x80) & _LEAD[third] & (sizes > 2))
    like_blank = np.isin(sizes, _BLANK_SIZES) & np.isin(first, _BLANK_BEGINS)
    out: Mask = ~(begins & stops) | like_blank | (sizes == 0)
    if column.null_count:
        out &= column.is_valid().to_numpy(zero_copy_only=False)
    return out


def each[T](column: pa.Array | list[Any], of: Callable[[Any], T]) -> list[T]:
    """A function of every value, called once for each distinct one of a column of Arrow."""
    import pyarrow as pa

    if not isinstance(column, pa.Array):
        return [of(value) for value in column]
    if pa.types.is_null(column.type):
        return [of(None)] * len(column)
    known: dict[Any, T] = {}
    out = []
    for value in column.to_pylist():
        if value not in known:
            known[value] = of(value)
        out.append(known[value])
    return out


def distinct[K, T](values: Sequence[K], of: Callable[[K], T]) -> list[T]:
    """A function of every value, called once for each distinct one."""
    known = {value: of(value) for value in set(values)}
    return [known[value] for value in values]


def blanks(column: pa.Array) -> Mask:
    """(n): which values are blank (:func:`layers.kinds.base.blank`)."""
    import pyarrow as pa

    empty: Mask = column.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    if pa.types.is_string(column.type):
        chosen = unsure(column)
        if chosen.any():
            empty = empty.copy()
            empty[chosen] = [blank(value) for value in column.filter(pa.array(chosen)).to_pylist()]
    elif not (pa.types.is_primitive(column.type) or pa.types.is_null(column.type)):
        return np.array([blank(value) for value in column.to_pylist()], bool)
    return empty


def texts(column: pa.Array | list[Any]) -> pa.Array:
    """The values as trimmed text, null where blank (:func:`layers.kinds.base.text`)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(column, pa.Array):
        return pa.array([text(value) for value in column], pa.string())
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if not pa.types.is_string(column.type):
        return pa.array(each(column, text), pa.string())
    chosen = unsure(column)
    if not chosen.any():
        return column
    mask = pa.array(chosen)
    trimmed = [text(value) for value in column.filter(mask).to_pylist()]
    return pc.replace_with_mask(column, mask, pa.array(trimmed, pa.string()))


def chosen(mask: pa.Array) -> list[int]:
    """The places where a mask is true."""
    places: list[int] = np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist()
    return places


def result(batch: SourceBatch, columns: Mapping[str, pa.Array]) -> Columns:
    """What a kind makes of a batch: columns of Arrow where it has such, else lists."""
    return dict(columns) if batch.arrow else {name: c.to_pylist() for name, c in columns.items()}


def first(columns: Sequence[pa.Array], count: int) -> pa.Array | None:
    """The first filled value of each of ``count`` rows; None where the columns are of several types."""
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = [column for column in columns if not pa.types.is_null(column.type)]
    if not filled:
        return pa.nulls(count)
    if len({column.type for column in filled}) > 1:
        return None
    out = filled[-1]
    for column in reversed(filled[:-1]):
        out = pc.if_else(pa.array(blanks(column)), out, column)
    return out


def counted(column: pa.Array | list[Any]) -> Mapping[Any, int]:
    """How often each value comes."""
    if isinstance(column, list):
        return Counter(column)
    return {pair["values"]: pair["counts"] for pair in column.value_counts().to_pylist()}


@dataclass(slots=True)
class Notes:
    """What is noted of the rows of a batch, column by column, told row by row."""

    batch: SourceBatch
    found: list[tuple[int, int, str, str]] = field(default_factory=list)

    def add(self, row: int, rule: str, reason: str) -> None:
        """A finding on one row; the row is kept."""
        self.found.append((row, len(self.found), rule, reason))

    def tell(self) -> None:
        """Record them all."""
        for row, _, rule, reason in sorted(self.found):
            self.batch.note(row, rule, reason)


def rounded(values: Floats, decimals: int = 3) -> Floats:
    """Rounded as Python does, which looks at the decimal that a number is, not at its thousandfold."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * 10**decimals
        out: Floats = np.where(np.abs(scaled) < _WHOLE, np.rint(scaled) / 10**decimals, values)
        near = np.flatnonzero(np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) < 1e-6)
    out[near] = [round(value, decimals) for value in values[near].tolist()]
    return out


class ArrowLists(Mapping[str, list[Any]]):
    """Columns of Arrow as lists, each made when it is asked for."""

    def __init__(self, columns: Mapping[str, pa.Array]) -> None:
        self._columns = columns
        self._made: dict[str, list[Any]] = {}

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._made:
            self._made[name] = self._columns[name].to_pylist()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


class ArrowTexts(Sequence[str | None]):
    """A column of texts of which few are asked for."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.column = column

    @overload
    def __getitem__(self, at: int) -> str | None: ...
    @overload
    def __getitem__(self, at: slice) -> list[str | None]: ...
    def __getitem__(self, at: int | slice) -> Any:
        return self.column[at].to_pylist() if isinstance(at, slice) else self.column[at].as_py()

    def __len__(self) -> int:
        return len(self.column)
