"""Property tables of EXT_structural_metadata: one row a feature of the tile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Part, Surface
from layers.types import Field
from tiles.batch import Batch
from tiles.dictionary import DictionaryColumn
from tiles.mesh.body import spread
from tiles.scheme import Floats

#: Stands for null in a number; no height, depth or count of a city is near it.
NO_NUMBER = -99999.0
NO_INTEGER = -(2**31)
#: The name of null in an enum, numbered where a code is called so.
NO_CODE = "null"
_ID = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class PropertyColumn:
    """One property: its schema entry and its buffers (values, and string offsets for text)."""

    schema: dict[str, Any]
    values: bytes
    offsets: bytes | None = None
    #: The enum that its ``enumType`` names.
    enum: dict[str, Any] | None = None


def table(batch: Batch, fields: Sequence[Field] = ()) -> dict[str, PropertyColumn]:
    """The properties of a batch by schema id; those without a value in the tile are left out.

    What ``fields`` say of them stands in the schema: the title and the unit as description, the unit in
    ``extras`` too (the extension knows no units), a code list as an enum whose names are the codes."""
    known = {field.name: field for field in fields}
    columns: dict[str, PropertyColumn] = {}
    for name, prop in batch.props.items():
        if (prop.codes >= 0).any():
            field = known.get(name)
            coded = field is not None and field.codes is not None and field.type == "string"
            key = _key(name, columns)
            column = _enum(prop, key, field) if field is not None and coded else _column(prop)
            if column is not None:
                schema = {"name": name, **_described(field), **column.schema}
                columns[key] = replace(column, schema=schema)
    return columns


def parts(named: Sequence[Part], surfaces: Sequence[int]) -> dict[str, PropertyColumn]:
    """The table of the parts of features (n > 0): what kind of surface each is, its class in the source, its
    own id and name; of the last three what any has."""
    names = [one.name for one in Surface]
    values = [{"name": name, "value": value} for value, name in enumerate(names)]
    columns = {
        "surface": PropertyColumn(
            {"type": "ENUM", "enumType": "surface", "description": "Kind of surface"},
            np.array(surfaces, np.uint8).tobytes(),
            enum={"name": "Kind of surface", "valueType": "UINT8", "values": values},
        )
    }
    for key, texts, description in (
        ("class", [one.type for one in named], "Class in the source"),
        ("id", [one.id for one in named], "Id in the source"),
        ("name", [one.name for one in named], "Name"),
    ):
        if any(texts):
            column = _words([text.encode() for text in texts])
            columns[key] = replace(column, schema={**column.schema, "description": description})
    return columns


def _described(field: Field | None) -> dict[str, Any]:
    """The title of a field with its unit (UCUM), as words of a schema."""
    if field is None:
        return {}
    title = field.title.get("en") or next(iter(field.title.values()), "")
    if field.unit is None:
        return {"description": title} if title else {}
    return {"description": f"{title} ({field.unit})" if title else field.unit, "extras": {"unit": field.unit}}


def _enum(prop: DictionaryColumn, key: str, field: Field) -> PropertyColumn | None:
    """Codes as an enum of those that the tile has, each called as it is itself; null is one more of them.

    A code that the list does not know has no description. None where all text is empty."""
    compact = prop.compact()
    count = len(compact.values.text)
    codes = [compact.values.text_of(code) or "" for code in range(count)]
    if not any(codes):
        return None
    null = next(name for name in _numbered(NO_CODE) if name not in codes)
    values: list[dict[str, Any]] = []
    for number, code in enumerate(codes):
        if code:
            title = (field.codes or {}).get(code, {}).get("en")
            values.append({"name": code, "value": number, **({"description": title} if title else {})})
    empty = np.array([not code for code in codes] + [True], bool)
    schema: dict[str, Any] = {"type": "ENUM", "enumType": key}
    if empty[compact.codes].any():
        schema["noData"] = null
        values.append({"name": null, "value": count})
    type_ = "UINT8" if count < 256 else "UINT16" if count < 65_536 else "UINT32"
    wide = {"UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4"}[type_]
    rows = np.where(empty[compact.codes], count, compact.codes).astype(wide)
    title = field.title.get("en") or field.name
    enum = {"name": title, "valueType": type_, "values": values}
    return PropertyColumn(schema, rows.tobytes(), enum=enum)


def blocks(
    count: Floats,
    height: Floats,
    highest: Floats,
    cells: tuple[int, NDArray[np.int64]] | None,
    style: tuple[str, Sequence[str], NDArray[np.int64]] | None,
) -> dict[str, PropertyColumn]:
    """The table of blocks: how many features each stands for, their mean and greatest height (m); the zoom of
    their cells, with column, row and whether they stand out (n, 3), by which their features are listed; the
    field that the style draws by, its values and which of them most of their area has (n,)."""
    all_known = np.ones(len(count), bool)
    columns = {
        "count": (_integers(count.astype(np.int64), all_known), "Features in the block"),
        "height": (_floats(np.round(height), all_known), "Mean height, by area (m)"),
        "highest": (_floats(np.round(highest), all_known), "Greatest height (m)"),
    }
    if cells is not None:
        z, places = cells
        said = "features are listed in ../../../members/{cell_z}/{cell_x}/{cell_y}.json?above={above}"
        for key, numbers in zip(
            ("cell_z", "cell_x", "cell_y", "above"), (np.full(len(count), z), *places.T), strict=True
        ):
            columns[key] = _integers(numbers, all_known), f"Cell of the block; its {said}"
    made = {
        key: replace(column, schema={**column.schema, "description": description})
        for key, (column, description) in columns.items()
    }
    if style is not None and any(style[1][i] for i in np.unique(style[2])):
        name, values, of = style
        made[_key(name, made)] = _named(name, values, of)
    return made


def _named(name: str, values: Sequence[str], of: NDArray[np.int64]) -> PropertyColumn:
    """An enum of some texts, fewer than 256, of which the empty one is none."""
    null = next(word for word in _numbered(NO_CODE) if word not in values)
    words = [value or null for value in values]
    schema: dict[str, Any] = {"name": name, "type": "ENUM", "enumType": _key(name, {}), "noData": null}
    named = [{"name": word, "value": number} for number, word in enumerate(words)]
    enum = {"name": name, "valueType": "UINT8", "values": named}
    return PropertyColumn(schema, of.astype(np.uint8).tobytes(), enum=enum)


def single(fid: int) -> dict[str, PropertyColumn]:
    """A table of one row with nothing but a feature id."""
    return {"fid": _integers(np.array([fid]), np.array([True]))}


def _column(prop: DictionaryColumn) -> PropertyColumn | None:
    known = prop.codes >= 0
    if prop.values.kind == "s":
        return _strings(prop)
    filled = prop.values.numbers[np.where(known, prop.codes, 0)]
    if prop.values.kind == "i":
        return _integers(filled, known)
    if prop.values.kind == "d":
        return _floats(filled, known)
    return _booleans(filled, known)


def _strings(prop: DictionaryColumn) -> PropertyColumn | None:
    """UTF-8 text; null is empty text. A column empty in the whole tile has no legal buffer."""
    values, known = prop.values, prop.codes >= 0
    codes = prop.codes[known].astype(np.int64)
    sizes = values.text[codes].astype(np.int64)
    bounds = np.zeros(len(known) + 1, np.uint32)
    bounds[1:][known] = sizes
    np.cumsum(bounds, out=bounds)
    # the text is the tail of an entry of the value table
    blob = values.blob[spread(values.offsets[codes + 1] - sizes, sizes)]
    if not len(blob):
        return None
    return PropertyColumn({"type": "STRING", "noData": ""}, blob.tobytes(), bounds.tobytes())


def _integers(numbers: NDArray[np.int64], known: NDArray[np.bool_]) -> PropertyColumn:
    """int32, or float64 beyond it: a 64-bit integer is a BigInt in JavaScript and breaks styles."""
    inside = ((numbers[known] > NO_INTEGER) & (numbers[known] < 2**31)).all()
    if not inside:
        return _floats(numbers.astype(float), known)
    schema: dict[str, Any] = {"type": "SCALAR", "componentType": "INT32"}
    if not known.all():
        schema["noData"] = NO_INTEGER
    return PropertyColumn(schema, np.where(known, numbers, NO_INTEGER).astype("<i4").tobytes())


def _floats(numbers: Floats, known: NDArray[np.bool_]) -> PropertyColumn:
    schema: dict[str, Any] = {"type": "SCALAR", "componentType": "FLOAT64"}
    if not known.all():
        schema["noData"] = NO_NUMBER
    return PropertyColumn(schema, np.where(known, numbers, NO_NUMBER).astype("<f8").tobytes())


def _booleans(numbers: NDArray[np.uint8], known: NDArray[np.bool_]) -> PropertyColumn:
    """Bits when every row has a value; the extension knows no null of a boolean, text has one."""
    if known.all():
        return PropertyColumn({"type": "BOOLEAN"}, np.packbits(numbers, bitorder="little").tobytes())
    return _words(np.array([b"", b"false", b"true"])[np.where(known, numbers + 1, 0)].tolist())


def _words(words: Sequence[bytes]) -> PropertyColumn:
    """UTF-8 text, one a row; null is empty text."""
    bounds = np.cumsum([0, *map(len, words)]).astype("<u4")
    return PropertyColumn({"type": "STRING", "noData": ""}, b"".join(words), bounds.tobytes())


def _key(name: str, columns: Mapping[str, PropertyColumn]) -> str:
    """A schema id (letters, digits, underscore) for a column name, told apart from those taken."""
    plain = _ID.sub("_", name)
    if not plain or not (plain[0].isalpha() or plain[0] == "_"):
        plain = f"_{plain}"
    return next(key for key in _numbered(plain) if key not in columns)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1
