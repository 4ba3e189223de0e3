"""Where a page ended, as text for a link: the feature's id, or with an order base64url of a JSON array."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import orjson

from layers.errors import BadParameter
from layers.types import Cursor, Field, Sort
from layers.values import stored

#: Characters of a cursor that is accepted; those of our own links are as long as the sorted values.
MAX_TEXT = 32_768
MAX_FID = 2**63 - 1


def encoded(sort: Sequence[Sort], cursor: Cursor) -> str:
    """A cursor as text."""
    if not sort:
        return str(cursor[-1])
    return base64.urlsafe_b64encode(orjson.dumps(cursor)).decode().rstrip("=")


def decoded(text: str, fields: Sequence[Field]) -> Cursor:
    """The cursor of an order by these fields. Raises BadParameter (after) for anything that is none."""
    if not fields:
        if not (text.isascii() and text.isdigit() and len(text) <= 19) or int(text) > MAX_FID:
            raise BadParameter(
                "after", text, f"a whole number from 0 to {MAX_FID}, as in the link to the next page"
            )
        return (int(text),)
    try:
        values = orjson.loads(_bytes(text))
        if not isinstance(values, list) or len(values) != len(fields) + 1:
            raise ValueError
        *keys, fid = values
        if isinstance(fid, bool) or not isinstance(fid, int) or abs(fid) > MAX_FID:
            raise ValueError
        return (*(_typed(f, v) for f, v in zip(fields, keys, strict=True)), fid)
    except (ValueError, binascii.Error):
        raise BadParameter(
            "after", text, "is no place in this order; follow the link to the next page"
        ) from None


def _bytes(text: str) -> bytes:
    if len(text) > MAX_TEXT or not text.isascii():
        raise ValueError
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _typed(field: Field, value: object) -> str | int | float | bool | None:
    if value is None:
        return None
    if field.type == "boolean":
        if value not in (0, 1) or not isinstance(value, bool | int):
            raise ValueError
        return bool(value)
    if isinstance(value, bool):
        raise ValueError
    return stored(field.type, value)
