"""Values of JSON as columns of one type each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa


@dataclass(slots=True)
class ColumnProfile:
    """What the values of a column are, learnt one by one; ``present`` counts those that are named at all."""

    present: int = 0
    types: set[type] = field(default_factory=set)
    #: Whether all whole numbers fit into 64 bits.
    fits: bool = True
    #: Whether all lists hold scalars only.
    flat: bool = True
    #: Texts that hold half a character (a surrogate without its other), which is replaced.
    halves: int = 0

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
            values = [None if v is None or not math.isfinite(v) else float(v) for v in values]
        elif kind == pa.string():
            values = [None if v is None else self._text(v) for v in values]
        elif pa.types.is_list(kind):
            values = [None if v is None else [self._member(m) for m in v] for v in values]
        return pa.array(values, kind)

    def _text(self, value: Any) -> str:
        """A text as it is, anything else as JSON."""
        if isinstance(value, str):
            return value if value.isascii() else self._whole(value)
        if type(value) is int:
            return str(value)
        try:
            return orjson.dumps(value).decode()
        except TypeError:  # a number beyond 64 bits, or half a character
            return self._whole(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def _member(self, value: Any) -> str:
        """A member of a list as JSON; no array keeps a null character."""
        plain = self._whole(value).replace("\x00", "") if isinstance(value, str) else value
        return orjson.dumps(plain).decode() if isinstance(plain, str) else self._text(plain)

    def _whole(self, text: str) -> str:
        """A text without halves of characters, which are counted."""
        try:
            text.encode()
        except UnicodeEncodeError:
            self.halves += 1
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text
