"""Addresses: points with street, number and the full text that people search."""

from __future__ import annotations

import re

from layers.errors import shown
from layers.kinds import kind_table
from layers.kinds.base import Columns, SourceBatch

TABLE = kind_table.of("address")

_HAN = re.compile(r"[\u4e00-\u9fff]")


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


def normalise(batch: SourceBatch) -> Columns:
    """street, number, unit, postcode, city, name, full_address."""
    out: Columns = {name: list(TABLE.texts(batch, name)) for name in TABLE.rows}
    for i, full in enumerate(out["full_address"]):
        street, number = out["street"][i], out["number"][i]
        if full is None:
            out["full_address"][i] = compose(
                street, number, out["unit"][i], out["postcode"][i], out["city"][i]
            )
        if out["full_address"][i] is None:
            batch.note(i, "address.empty", "the row has neither street nor house number")
        elif full is None and not street:
            batch.note(i, "address.no_street", "the row has a house number but no street")
        if (out["city"][i] or "").isdigit():
            batch.note(i, "address.city", f"city {shown(out['city'][i])} is a number")
    return out


KIND = TABLE.kind("address", normalise)
