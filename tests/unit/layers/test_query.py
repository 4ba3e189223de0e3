"""Strict parameters: every malformed one is refused by name, every good one is typed."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.cql.parse import parse as parse_filter
from layers.errors import BadParameter
from layers.model import FeatureLayer
from layers.query import (
    MAX_LIMIT,
    PARAMETERS,
    Query,
    cursor_text,
    filters,
    parse,
    parse_download,
    parse_item,
    sortables,
)
from layers.types import CRS84, Cursor, Field, Sort

LAYER = FeatureLayer(
    id="buildings",
    kind="building",
    title={"en": "Buildings"},
    fields=(
        Field("source_id", "string"),
        Field("name", "string", {"en": "Name"}),
        Field("levels", "integer"),
        Field("height_m", "number"),
        Field("listed", "boolean"),
        Field("built", "date"),
        Field("seen", "datetime"),
        Field("limit", "string"),
        Field("use", "string", codes={"a": {"en": "A"}}),
        Field("tags", "array"),
        Field("名称", "string"),
    ),
    geometry_type="Polygon",
    extent=None,
    crs="EPSG:3879",
    count=0,
    generation=1,
    seq=1,
)
GK25 = "http://www.opengis.net/def/crs/EPSG/0/3879"
WGS84 = "http://www.opengis.net/def/crs/EPSG/0/4326"


def q(**pairs: str) -> Query:
    return parse(LAYER, [(k.replace("__", "-"), v) for k, v in pairs.items()])


def test_nothing_asked() -> None:
    assert q() == Query()


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"limit": "1"}, {"limit": 1}),
        ({"limit": "99999"}, {"limit": MAX_LIMIT}),
        ({"limit": "9" * 30}, {"limit": MAX_LIMIT}),
        ({"limit": "9" * 5000}, {"limit": MAX_LIMIT}),
        ({"limit": "+007"}, {"limit": 7}),
        ({"offset": "0"}, {}),
        ({"offset": "100000"}, {"offset": 100_000}),
        ({"after": "17"}, {"after": (17,)}),
        ({"bbox": "24.9,60.1,25,60.2"}, {"bbox": (24.9, 60.1, 25.0, 60.2)}),
        ({"bbox": "24.9,60.1,-5,25,60.2,1e2"}, {"bbox": (24.9, 60.1, 25.0, 60.2)}),
        ({"bbox": "170,-10,-170,10"}, {"bbox": (170.0, -10.0, -170.0, 10.0)}),
        ({"bbox": "-200,-100,200,100"}, {"bbox": (-200.0, -100.0, 200.0, 100.0)}),
        ({"bbox": "60.1,24.9,60.2,25", "bbox__crs": WGS84}, {"bbox": (24.9, 60.1, 25.0, 60.2)}),
        ({"bbox": "24.9,60.1,25,60.2", "bbox__crs": CRS84}, {"bbox": (24.9, 60.1, 25.0, 60.2)}),
        ({"bbox": "-10,170,10,-170", "bbox__crs": WGS84}, {"bbox": (170.0, -10.0, -170.0, 10.0)}),
        ({"crs": GK25}, {"crs": GK25}),
        ({"crs": "EPSG:3879"}, {"crs": GK25}),
        ({"crs": "[EPSG:3879]"}, {"crs": GK25}),
        ({"crs": "CRS84"}, {}),
        ({"datetime": "2024-01-02T03:04:05Z"}, {"datetime": ("2024-01-02T03:04:05.000Z",) * 2}),
        (
            {"datetime": "2024-01-02"},
            {"datetime": ("2024-01-02T00:00:00.000Z", "2024-01-02T23:59:59.999Z")},
        ),
        ({"datetime": "2024-01-02T03:04:05+02:00/.."}, {"datetime": ("2024-01-02T01:04:05.000Z", None)}),
        ({"datetime": "/2024-01-02"}, {"datetime": (None, "2024-01-02T23:59:59.999Z")}),
        (
            {"datetime": "0000-01-01T00:00:00Z/2024-01-02T00:00:00Z"},
            {"datetime": (None, "2024-01-02T00:00:00.000Z")},
        ),
        (
            {"datetime": "2024-01-02T00:00:00Z/9999-12-31T00:00:00Z"},
            {"datetime": ("2024-01-02T00:00:00.000Z", None)},
        ),
        ({"datetime": "../.."}, {}),
        (
            {"datetime": "9999-12-31"},
            {"datetime": ("9999-12-31T00:00:00.000Z", "9999-12-31T23:59:59.999Z")},
        ),
        ({"datetime": "9999-12-31T00:00:00Z/.."}, {"datetime": ("9999-12-31T00:00:00.000Z", None)}),
        ({"datetime": "2016-12-31t23:59:60.5z"}, {"datetime": ("2017-01-01T00:00:00.500Z",) * 2}),
        ({"datetime": "2017-01-01T07:59:60+08:00"}, {"datetime": ("2017-01-01T00:00:00.000Z",) * 2}),
        ({"filter": "levels > 3"}, {"filter": parse_filter("levels > 3", "cql2-text", LAYER)}),
        (
            {"filter": '{"op":">","args":[{"property":"levels"},3]}', "filter__lang": "cql2-json"},
            {"filter": parse_filter("levels > 3", "cql2-text", LAYER)},
        ),
        (
            {"filter": "S_INTERSECTS(geometry, POINT(60 25))", "filter__crs": WGS84},
            {"filter": parse_filter("S_INTERSECTS(geometry, POINT(25 60))", "cql2-text", LAYER)},
        ),
        ({"filter__lang": "cql2-json"}, {}),
        ({"sortby": "levels"}, {"sort": (Sort("levels"),)}),
        ({"sortby": "+levels,-name"}, {"sort": (Sort("levels"), Sort("name", True))}),
        ({"sortby": " levels,-名称"}, {"sort": (Sort("levels"), Sort("名称", True))}),
        ({"sortby": "-id"}, {"sort": (Sort("id", True),)}),
        ({"properties": "name,名称"}, {"properties": ("name", "名称")}),
        ({"q": "医院, Str"}, {"words": ("医院", "Str")}),
        ({"name": "a, b"}, {"equals": (("name", "a, b"),)}),
        ({"id": "7"}, {"equals": (("id", 7),)}),
        ({"levels": "-3"}, {"equals": (("levels", -3),)}),
        ({"height_m": "1.5e1"}, {"equals": (("height_m", 15.0),)}),
        ({"listed": "true", "name": ""}, {"equals": (("listed", True), ("name", ""))}),
        ({"built": "2001-02-03"}, {"equals": (("built", "2001-02-03"),)}),
        ({"seen": "2001-02-03T04:05:06Z"}, {"equals": (("seen", "2001-02-03T04:05:06.000Z"),)}),
    ],
)
def test_good(pairs: dict[str, str], expected: dict[str, Any]) -> None:
    assert q(**pairs) == Query(**expected)


def test_projected_box() -> None:
    box = q(bbox="6672000,25496000,6673000,25497000", bbox__crs=GK25).bbox
    assert box == pytest.approx((24.9279, 60.1609, 24.946, 60.1699), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nosuch", "1"),
        ("Name", "x"),
        ("filter", ""),
        ("filter", "nosuch > 3"),
        ("filter", "levels > 'x'"),
        ("filter-lang", "ecql"),
        ("filter-lang", ""),
        ("filter-crs", "EPSG:28992"),
        ("sortby", ""),
        ("sortby", "nosuch"),
        ("sortby", "-"),
        ("sortby", "levels,"),
        ("sortby", "levels,-levels"),
        ("sortby", "tags"),
        ("sortby", "--levels"),
        ("sortby", ",".join(f"p{i}" for i in range(9))),
        ("properties", ""),
        ("properties", "name,"),
        ("properties", "name,name"),
        ("properties", "nosuch"),
        ("q", ""),
        ("q", "a,,b"),
        ("q", " "),
        ("q", "a\x01b"),
        ("q", "x" * 101),
        ("q", ",".join("abcdefghijk")),
        ("tags", "x"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "unlimited"),
        ("limit", ""),
        ("limit", "1.5"),
        ("limit", "٣"),
        ("limit", "0" * 50),
        ("limit", "++1"),
        ("offset", "-1"),
        ("offset", "1" + "0" * 23),
        ("offset", "100001"),
        ("after", "-1"),
        ("after", str(2**63)),
        ("after", "x"),
        ("bbox", ""),
        ("bbox", "1,2"),
        ("bbox", "1,2,3,4,5"),
        ("bbox", "nan,1,2,3"),
        ("bbox", "nan"),
        ("bbox", "inf,1,2,3"),
        ("bbox", "1e999,1,2,3"),
        ("bbox", "a,b,c,d"),
        ("bbox", "4.9,52.4,4.8,52.3"),
        ("bbox", "200,1,20,3"),
        ("bbox", "1,2,9,3,4,8"),
        ("bbox", "1 ,2,3,4"),
        ("crs", "EPSG:28992"),
        ("crs", "http://www.opengis.net/def/crs/EPSG/0/28992"),
        ("crs", "http://evil.example/def/crs/EPSG/0/4326"),
        ("crs", "+proj=longlat"),
        ("crs", ""),
        ("crs", "x" * 100_000),
        ("bbox-crs", "EPSG:28992"),
        ("bbox-crs", "EPSG:"),
        ("datetime", "foo"),
        ("datetime", ""),
        ("datetime", ".."),
        ("datetime", "2024-02-30"),
        ("datetime", "2024-01-02T03:04:05"),
        ("datetime", "2024-01-02/2024-01-01"),
        ("datetime", "2024-01-01/2024-01-02/2024-01-03"),
        ("datetime", "2024-13-01T00:00:00Z"),
        ("datetime", "9999-foo/.."),
        ("datetime", "../0000-01-01T00:00:00Z"),
        ("datetime", "2024-06-15T23:59:60Z"),
        ("datetime", "2016-12-31T23:59:61Z"),
        ("datetime", "9999-12-31T23:59:60Z"),
        ("datetime", "0001-01-01T00:00:00+14:00"),
        ("id", "x"),
        ("id", str(2**63)),
        ("levels", "three"),
        ("levels", "1.5"),
        ("levels", str(2**70)),
        ("height_m", "nan"),
        ("height_m", "1e999"),
        ("listed", "1"),
        ("built", "2024"),
        ("seen", "2024-01-01"),
        ("name", "a\x00"),
    ],
)
def test_bad(name: str, value: str) -> None:
    with pytest.raises(BadParameter) as raised:
        parse(LAYER, [(name, value)])
    assert raised.value.name == name
    assert name in str(raised.value)
    assert len(str(raised.value)) < 700


def test_a_parameter_is_given_once() -> None:
    for name in ("limit", "name"):
        with pytest.raises(BadParameter, match="once"):
            parse(LAYER, [(name, "5"), (name, "5")])


def test_a_download_is_whole() -> None:
    pairs = [("sortby", "levels"), ("name", "a"), ("properties", "name")]
    assert parse_download(LAYER, pairs) == replace(parse(LAYER, pairs), limit=None)
    for name in ("limit", "offset", "after"):
        with pytest.raises(BadParameter, match=f"{name}=1: unknown parameter; allowed are bbox"):
            parse_download(LAYER, [(name, "1")])


def test_everything_but_arrays_can_be_sorted() -> None:
    names = [f.name for f in sortables(LAYER)]
    assert names == ["id", *(f.name for f in LAYER.fields if f.name != "tags")]


# Cursors


SORTED = "name,-levels,height_m,listed,built,seen"
KEYS: Cursor = ("医院 ?&", 2**63 - 1, 0.1, True, "2001-02-03", "2001-02-03T04:05:06.000Z", 7)


def test_a_cursor_comes_back_from_its_text() -> None:
    query = q(sortby=SORTED)
    for cursor in (KEYS, (None,) * 6 + (7,), ("", -(2**63), 1e300, 0, None, None, 2**63 - 1)):
        text = cursor_text(query, cursor)
        assert re.fullmatch("[A-Za-z0-9_-]+", text)
        found = q(sortby=SORTED, after=text)
        assert found == replace(query, after=cursor)
    assert cursor_text(q(), (17,)) == "17"


def forged(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "after",
    [
        "",
        "7",
        "=",
        "????",
        "医",
        forged(),
        forged(1, 7),
        forged("a", 7.5),
        forged("a", "7"),
        forged("a", True),
        forged("a", 2**63),
        forged("a", 1, 7),
        forged(["a"], 7),
        forged({"a": 1}, 7),
        forged("a\x00", 7),
        base64.urlsafe_b64encode(b'{"a": 7}').decode(),
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
        "A" * 40_000,
    ],
)
def test_a_forged_cursor_is_refused(after: str) -> None:
    with pytest.raises(BadParameter, match=r"^after="):
        q(sortby="name", after=after)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("levels", 1.5),
        ("levels", "1"),
        ("levels", 2**63),
        ("height_m", "x"),
        ("listed", 2),
        ("listed", "true"),
        ("built", "2001-02-30"),
        ("built", 5),
        ("seen", "2001-02-03"),
        ("id", True),
    ],
)
def test_the_values_of_a_cursor_have_the_types_of_the_order(field: str, value: Any) -> None:
    with pytest.raises(BadParameter, match="is no place in this order"):
        q(sortby=field, after=forged(value, 7))


def test_item_has_one_parameter() -> None:
    assert parse_item(LAYER, []) == CRS84
    assert parse_item(LAYER, [("crs", "EPSG:3879")]) == GK25
    for pairs in ([("limit", "1")], [("crs", "CRS84"), ("crs", "CRS84")], [("crs", "EPSG:28992")]):
        with pytest.raises(BadParameter):
            parse_item(LAYER, pairs)


def test_openapi_is_complete_and_plain_json() -> None:
    table = {**PARAMETERS, **filters(LAYER)}
    assert "limit" not in filters(LAYER)
    described = json.loads(json.dumps([p.openapi() for p in table.values()]))
    for parameter in described:
        assert parameter["in"] == "query"
        assert (parameter["style"], parameter["explode"], parameter["required"]) == ("form", False, False)
        assert parameter["schema"].keys() & {"type", "oneOf"}
    limit = PARAMETERS["limit"].openapi()["schema"]
    assert (limit["minimum"], limit["default"], limit["maximum"]) == (1, 100, 10_000)
    assert "enum" not in filters(LAYER)["use"].schema, "rows may hold values that are not in the list"
    assert filters(LAYER)["id"].schema == {"type": "integer", "format": "int64"}


@given(
    st.lists(
        st.tuples(st.sampled_from([*PARAMETERS, "name", "levels", "x"]), st.text(max_size=30)), max_size=4
    )
)
def test_any_text_is_a_query_or_a_named_mistake(pairs: list[tuple[str, str]]) -> None:
    wrong = None
    try:
        parse(LAYER, pairs)
    except BadParameter as error:
        wrong = error.name
    assert wrong is None or wrong in {name for name, _ in pairs}
