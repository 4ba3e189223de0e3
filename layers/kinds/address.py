"""Addresses: points with street, number and the full text that people search."""

from __future__ import annotations

import re

from layers.errors import shown
from layers.kinds.base import GROUPS, NAME, Batch, Columns, Kind, plain_style, texts
from layers.types import Field

ALIASES = {
    "street": (
        "street",
        "addr:street",
        "addr:place",
        "thoroughfare",
        "openbareruimtenaam",
        "openbare_ruimte",
        "straatnaam",
        "街路巷",
        "道路名称",
        "街道名称",
    ),
    "number": (
        "number",
        "addr:housenumber",
        "housenumber",
        "house_number",
        "huisnummer",
        "门牌号",
        "门楼牌号",
    ),
    "unit": ("unit", "addr:unit", "addr:flats", "单元", "户室"),
    "postcode": ("postcode", "addr:postcode", "post_code", "zip", "邮政编码", "邮编"),
    "city": ("city", "addr:city", "woonplaats", "woonplaatsnaam", "城市"),
    "name": ("name", "addr:housename", "名称", "小区", "标准名称"),
    "full_address": ("full_address", "addr:full", "标准地址", "详细地址", "地址全称", "地址"),
}

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


def normalise(batch: Batch) -> Columns:
    """street, number, unit, postcode, city, name, full_address."""
    out: Columns = {name: list(texts(batch.first(names))) for name, names in ALIASES.items()}
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


KIND = Kind(
    id="address",
    title={"zh-CN": "地名地址", "en": "Addresses"},
    group=GROUPS["base"],
    body=None,
    fields=(
        Field("street", "string", {"zh-CN": "街路巷", "en": "Street"}),
        Field("number", "string", {"zh-CN": "门牌号", "en": "House number"}),
        Field("unit", "string", {"zh-CN": "单元", "en": "Unit"}),
        Field("postcode", "string", {"zh-CN": "邮政编码", "en": "Postcode"}),
        Field("city", "string", {"zh-CN": "城市", "en": "City"}),
        NAME,
        Field("full_address", "string", {"zh-CN": "详细地址", "en": "Full address"}),
    ),
    aliases=ALIASES,
    normalise=normalise,
    style=plain_style("#5c6bc0", "门牌", "House number", size=5),
    geometry=frozenset({"point"}),
    key=("full_address", "name"),
    signature=("addr:housenumber", "门牌号", "housenumber", "标准地址"),
    label=(("full_address",), ("street", "number", "unit"), ("name",)),
    searched=("full_address", "street", "number", "unit", "name", "postcode", "city"),
    locates=True,
)
