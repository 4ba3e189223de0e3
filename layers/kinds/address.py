"""Addresses: points with street, number and the full text that people search."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from layers.errors import shown
from layers.kinds import kind_table, vector
from layers.kinds.base import Columns, SourceBatch

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = kind_table.of("address")

_HAN = re.compile("[\u4e00-\u9fff]")
#: How a text of digits begins.
_DIGIT = r"^[\p{Nd}\p{No}]"


def compose(
    street: str | None, number: str | None, unit: str | None, postcode: str | None, city: str | None
) -> str | None:
    """One line: large to small in Chinese, street first elsewhere. None without street and number."""
    if not street and not number:
        return None
    if _HAN.search(street or city or ""):
        return "".join(p for p in (city, street, number, unit) if p)
    head = " ".join(p for p in (street, number, unit) if p)
    tail = " ".join(p for p in (postcode, city) if p)
    return f"{head}, {tail}" if tail else head


def _composed(texts: Mapping[str, pa.Array]) -> pa.Array:
    """:func:`compose` of every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def joined(names: tuple[str, ...], between: str) -> pa.Array:
        parts = [pc.fill_null(pc.binary_join_element_wise(between, texts[name], ""), "") for name in names]
        return pc.utf8_slice_codeunits(pc.binary_join_element_wise(*parts, ""), len(between))

    large_first = joined(("city", "street", "number", "unit"), "")
    head, tail = joined(("street", "number", "unit"), " "), joined(("postcode", "city"), " ")
    small_first = pc.if_else(pc.equal(tail, ""), head, pc.binary_join_element_wise(head, tail, ", "))
    telling = pc.fill_null(pc.coalesce(texts["street"], texts["city"]), "")
    han = pc.match_substring_regex(telling, _HAN.pattern)
    there = pc.or_(pc.is_valid(texts["street"]), pc.is_valid(texts["number"]))
    return pc.if_else(there, pc.if_else(han, large_first, small_first), pa.scalar(None, pa.string()))


def normalise(batch: SourceBatch) -> Columns:
    """street, number, unit, postcode, city, name, full_address."""
    import pyarrow.compute as pc

    texts = {name: vector.texts(TABLE.column(batch, name)) for name in TABLE.rows}
    given = texts["full_address"]
    full = texts["full_address"] = pc.coalesce(given, _composed(texts))
    empty = pc.is_null(full)
    homeless = pc.and_(pc.and_(pc.is_null(given), pc.is_null(texts["street"])), pc.is_valid(full))
    digits = pc.fill_null(pc.match_substring_regex(texts["city"], _DIGIT), False)
    for i in vector.chosen(pc.or_(pc.or_(empty, homeless), digits)):
        if empty[i].as_py():
            batch.note(i, "address.empty", "the row has neither street nor house number")
        elif homeless[i].as_py():
            batch.note(i, "address.no_street", "the row has a house number but no street")
        city = texts["city"][i].as_py()
        if city is not None and city.isdigit():
            batch.note(i, "address.city", f"city {shown(city)} is a number")
    return vector.result(batch, texts)


KIND = TABLE.kind("address", normalise)
