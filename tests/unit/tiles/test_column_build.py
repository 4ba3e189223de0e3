"""Columns made at once and piece by piece are those that a parser and a loop a cell give."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import wkb
from layers.model import Rows
from layers.types import Field, FieldType
from tiles import batch as batches
from tiles import column_build, columnfile, dictionary
from tiles.batch import Batch

VALUES = b"\x22"
INT64 = range(-(2**63), 2**63)


def encoded(column: Sequence[Any], type_: FieldType) -> list[bytes | None]:
    """The entry of each cell in a tile's table of values (MVT 2.1, clause 4.4), made one by one."""
    kind = {"integer": int, "number": float, "boolean": bool}.get(type_, str)
    return [entry(typed(value, kind)) for value in column]


def typed(value: Any, kind: type) -> Any:
    if value is None:
        return None
    if kind is str:
        return str(value)
    try:
        number = float(value) if kind is float else int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if kind is float:
        return number
    return bool(number) if kind is bool else number if number in INT64 else None


def entry(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        text = value.encode("utf-8", "replace")
        message = b"\x0a" + varint(len(text)) + text
    elif isinstance(value, bool):
        message = b"\x38" + bytes([value])
    elif isinstance(value, float):
        message = b"\x19" + struct.pack("<d", value)
    else:
        message = b"\x30" + varint(-2 * value - 1) if value < 0 else b"\x20" + varint(value)
    return VALUES + varint(len(message)) + message


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**66), 2**66),
    st.floats(),
    st.sampled_from(["", "a", "宅", "1", "1.5", "x" * 130, "half \ud800", "7"]),
    st.text(max_size=4),
    st.binary(max_size=3),
)
PLAIN: dict[FieldType, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=200),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(),
    "boolean": st.booleans(),
    "date": st.dates().map(str),
}


@given(data=st.data(), type_=st.sampled_from(list(PLAIN)))
@settings(max_examples=80, deadline=None)
def test_a_dictionary_has_the_entries_that_a_loop_gives_in_order_of_first_use(
    data: st.DataObject, type_: FieldType
) -> None:
    of = data.draw(st.sampled_from([ANY, PLAIN[type_] | st.none()]))
    pieces = data.draw(st.lists(st.lists(of, max_size=12), max_size=4))
    encoder = dictionary.Encoder(type_)
    for piece in pieces:
        encoder.add(piece)
    made = encoder.column()
    expected = [one for piece in pieces for one in encoded(piece, type_)]
    entries = made.values.entries()
    assert [None if code < 0 else entries[code] for code in made.codes.tolist()] == expected
    assert entries == list(dict.fromkeys(one for one in expected if one is not None))
    known = [value for value in expected if value is not None]
    if made.values.kind == "s":
        assert [made.values.text_of(code).encode() for code in made.codes.tolist() if code >= 0] == [
            one[len(one) - size :] for one, size in zip(known, text_sizes(made), strict=True)
        ]


def text_sizes(made: dictionary.DictionaryColumn) -> list[int]:
    return [int(made.values.text[code]) for code in made.codes.tolist() if code >= 0]


def parsed(rows: Rows) -> Batch:
    """The geometries of some rows as columns, all of them through a parser."""
    shapes = shapely.force_2d(wkb.shapes(rows.wkb))
    placed = [one is not None and np.isfinite(shapely.get_coordinates(one)).all() for one in shapes]
    present = np.flatnonzero(~shapely.is_empty(shapes) & np.array(placed, bool))
    present, dims = column_build._dimensions(shapes, present)
    return batches.from_shapes(np.asarray(rows.fids)[present], shapes[present], dims)


def rows_of(geometries: Sequence[bytes | None]) -> Rows:
    return Rows(np.arange(len(geometries)) * 3 + 1, list(geometries), {"n": list(range(len(geometries)))})


def same(one: Batch, other: Batch) -> None:
    for name in columnfile._ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


NUMBERS = st.floats(-170, 170, allow_nan=False).map(lambda x: round(x, 4))


@st.composite
def geometry(draw: st.DrawFn) -> Any:
    """Mostly what people draw; now and then nothing, a collection, something with heights or measures."""
    at = (draw(NUMBERS), draw(NUMBERS) / 2)
    size = draw(st.sampled_from([1e-5, 1e-3, 1.0]))
    square = shapely.box(*at, at[0] + size, at[1] + size, ccw=draw(st.booleans()))
    holed = shapely.Polygon(
        square.exterior.coords,
        [shapely.box(at[0] + size / 4, at[1] + size / 4, at[0] + size / 2, at[1] + size / 2).exterior.coords],
    )
    line = shapely.LineString([at, (at[0] + size, at[1]), (at[0], at[1] + size)])
    moved = shapely.affinity.translate(holed, 3 * size)
    made = draw(
        st.sampled_from(
            [
                shapely.Point(at),
                line,
                square,
                holed,
                shapely.MultiPoint([at, (0, 0)]),
                shapely.MultiLineString([line, shapely.LineString([(0, 0), at])]),
                shapely.MultiPolygon([square, moved]),
                shapely.MultiPolygon([moved, square, shapely.affinity.translate(square, -5 * size)]),
                shapely.GeometryCollection([line, square, shapely.Point(at)]),
                shapely.Polygon(),
                shapely.MultiPolygon(),
                shapely.Point(),
                shapely.Polygon([(0, 0), (1, 1), (2, 2), (0, 0)]),
            ]
        )
    )
    return shapely.force_3d(made, 4.5) if draw(st.booleans()) else made


@st.composite
def stored(draw: st.DrawFn) -> bytes | None:
    """A geometry as some program stores it, or bytes that are none."""
    shape = draw(geometry())
    order, flavor = draw(st.sampled_from([(1, "iso"), (1, "iso"), (1, "extended"), (0, "iso")]))
    raw: bytes = shapely.to_wkb(shape, byte_order=order, flavor=flavor)
    form = draw(st.integers(0, 11))
    if form == 0:
        return None
    if form == 1:
        return raw[: draw(st.integers(0, len(raw)))]
    if form == 2:
        at = draw(st.integers(0, min(len(raw), 24) - 1))
        return raw[:at] + bytes([draw(st.integers(0, 255))]) + raw[at + 1 :]
    if form == 3:
        return raw + b"\x00more"
    return raw


@given(given_=st.lists(stored(), max_size=20))
@settings(max_examples=80, deadline=None)
def test_geometries_are_read_as_a_parser_reads_them(given_: list[bytes | None]) -> None:
    rows = rows_of(given_)
    expected, made = parsed(rows), column_build.from_rows(rows, [Field("n", "integer")])
    same(made, expected)
    assert made.numbers("n").tolist() == ((expected.fids - 1) / 3).tolist()
    assert made.numbers("fid").tolist() == expected.fids.tolist()


@given(given_=st.lists(stored(), max_size=20), cuts=st.lists(st.integers(0, 20), max_size=3))
@settings(max_examples=40, deadline=None)
def test_piece_by_piece_it_is_the_same(given_: list[bytes | None], cuts: list[int]) -> None:
    rows = rows_of(given_)
    ends = sorted({0, len(given_), *(cut for cut in cuts if cut < len(given_))})
    pieces = [
        replace(
            rows,
            fids=rows.fids[a:b],
            wkb=rows.wkb[a:b],
            properties={name: column[a:b] for name, column in rows.properties.items()},
        )
        for a, b in itertools.pairwise(ends)
    ]
    whole = column_build.from_rows(rows, [])
    made = column_build.from_pieces(pieces, [])
    same(made, whole)
    for name, prop in whole.props.items():
        if name in made.props:
            assert made.props[name].codes.tolist() == prop.codes.tolist()
            assert made.props[name].values.entries() == prop.values.entries()


@given(given_=st.lists(stored().filter(lambda one: one is not None), min_size=70, max_size=90))
@settings(max_examples=15, deadline=None)
def test_many_geometries_have_the_faults_that_each_has(given_: list[bytes]) -> None:
    assert wkb.faults(given_) == [wkb.fault(one) for one in given_]


@pytest.mark.parametrize("parts", [1, 63, 64, 65, 200])
def test_a_geometry_of_many_parts_is_whole(parts: int) -> None:
    boxes = [shapely.box(i / 1000, 0, i / 1000 + 0.0005, 0.001) for i in range(parts)]
    rows = rows_of([shapely.to_wkb(shapely.MultiPolygon(boxes), flavor="iso")] * 2)
    same(column_build.from_rows(rows, []), parsed(rows))
