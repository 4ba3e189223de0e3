"""Values of JSON as columns of one type each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa


@dataclass(slots=True)
class Column:
    """What the values of a column are, learnt one by one; ``present`` counts those that are named at all."""

    present: int = 0
    types: set[type] = field(default_factory=set)
    #: Whether all whole numbers fit into 64 bits.
    fits: bool = True
    #: Whether all lists hold scalars only.
    flat: bool = True

    def add(self, value: Any) -> None:
        """Learn of a value."""
        self.present += 1
        kind = type(value)
        self.types.add(kind)
        if kind is int:
            self.fits = self.fits and -(2**63) <= value < 2**63
        elif kind is list:
            self.flat = self.flat and not any(isinstance(member, list | dict) for member in value)

    def type(self) -> pa.DataType:
        """The type that all values share: bool, int64, float64, a list of JSON scalars, else text."""
        kinds = self.types - {type(None)}
        if not kinds:
            return pa.null()
        if kinds == {bool}:
            return pa.bool_()
        if kinds == {int} and self.fits:
            return pa.int64()
        if float in kinds and kinds <= {int, float} and self.fits:
            return pa.float64()
        return pa.list_(pa.string()) if kinds == {list} and self.flat else pa.string()

    def array(self, values: Sequence[Any]) -> pa.Array:
        """Some values as :meth:`type` says."""
        kind = self.type()
        if kind == pa.float64():
            values = [None if v is None else float(v) for v in values]
        elif kind == pa.string():
            values = [None if v is None else text(v) for v in values]
        elif pa.types.is_list(kind):
            values = [None if v is None else [text(m, quoted=True) for m in v] for v in values]
        return pa.array(values, kind)


def text(value: Any, *, quoted: bool = False) -> str:
    """A text as it is, unless ``quoted``; anything else as JSON."""
    if isinstance(value, str) and not quoted:
        return value
    if type(value) is int:
        return str(value)
    return orjson.dumps(value, default=str).decode()
