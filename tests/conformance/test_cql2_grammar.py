"""OGC 21-065r2 (CQL2), Annex B: spellings of the grammar that parsers leave out, by what they select."""

from __future__ import annotations

import pytest
from shapely.geometry import Point

from tests.conformance.city import ODD
from tests.conformance.filters import value
from tests.conformance.outside import GEOJSON, MANY, geometry, told


@pytest.fixture
def odd(api):
    """The layer of odd features: its items address, and its features."""
    if not api.ours:
        pytest.skip("the controls do not have the layer")
    collection = next(one for one in api.collections if one["id"] == ODD)
    return api.items(collection), api.features(collection)


def selected(api, items, text):
    """The ids that a filter in text selects. AssertionError when it is refused."""
    answer = api.ask(items, GEOJSON, filter=text, limit=MANY)
    assert answer.status_code == 200, told(answer)
    return {one["id"] for one in answer.json()["features"]}


def right(features, check):
    return {one["id"] for one in features if check(one)}


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("A_EQUALS(tags,())", lambda tags: tags is not None and not tags),
        ("A_CONTAINS(tags, ( ))", lambda tags: tags is not None),
        ("NOT A_EQUALS(tags,())", bool),
        ("A_OVERLAPS((),tags)", lambda _: False),
        ("A_CONTAINEDBY((),tags) AND 'a()' = 'a()'", lambda tags: tags is not None),
    ],
)
def test_the_empty_array(api, odd, text, check):
    """Rule ``array``."""
    items, features = odd
    assert selected(api, items, text) == right(features, lambda one: check(one["properties"]["tags"]))


def test_an_array_of_properties(api, odd):
    """Rule ``arrayElement``: property names and CASEI among its members."""
    items, features = odd
    found = selected(api, items, """A_CONTAINEDBY(("名称",CASEI('FOO')),('foo','井盖','é'))""")
    assert found == right(features, lambda one: one["properties"]["名称"] in ("井盖", "é")) != set()
    found = selected(api, items, """A_OVERLAPS(tags,("已启用",'foo',"管径_mm"))""")
    assert found == right(features, lambda one: "foo" in (one["properties"]["tags"] or [])) != set()


@pytest.mark.parametrize(
    ("left", "other", "same"),
    [
        ("(built)", "(DATE('2003-02-23'))", lambda one: one["built"] == "2003-02-23"),
        ("(built,'x')", "('x',built,built)", lambda _: True),
        ("(checked)", "(checked,checked)", lambda _: True),
        ("(TIMESTAMP('2020-01-01T08:00:00+08:00'))", "('2020-01-01T00:00:00.000Z')", lambda _: True),
        ("(tags)", "(('foo'))", lambda one: one["tags"] == ["foo"]),
        ("((1,2),(1+1))", "((2.0),(1,2))", lambda _: True),
        ("((1,2))", "((2,1))", lambda _: False),
        ("((tags,1),())", "((),(tags,1))", lambda _: True),
        ("(POINT(1 2))", "(BBOX(1,2,1,2))", lambda _: True),
        ("(POINT(1 2))", "(POINT(2 1))", lambda _: False),
        ("(INTERVAL(built,'..'))", "((built,'..'))", lambda _: True),
        ("(9007199254740993,(TRUE))", "(9007199254740992,(TRUE))", lambda _: False),
    ],
)
def test_members_of_arrays(api, odd, left, other, same):
    """Rule ``arrayElement``: times, geometries, arrays in arrays and arithmetic among its members."""
    items, features = odd
    expected = right(features, lambda one: same(one["properties"]))
    assert selected(api, items, f"A_EQUALS({left},{other})") == expected
    assert selected(api, items, f"NOT A_EQUALS({left},{other})") == right(features, lambda _: True) - expected


@pytest.mark.parametrize("number", [".25", "+.25", ".25E0", "2.5e-1", "25.E-2", "0000.250"])
def test_numbers(api, odd, number):
    """Rule ``decimalNumericLiteral``: a digit before the point is not needed."""
    items, features = odd
    for sign, limit in (("", 0.25), ("-", -0.25)):
        if sign and number[0] == "+":
            continue
        found = selected(api, items, f"ratio < {sign}{number}")
        assert found == right(features, lambda one, limit=limit: (value(one, "ratio") or 0) < limit) - right(
            features, lambda one: value(one, "ratio") is None
        )


@pytest.mark.parametrize("point", ["2.494E1 6.017e1", "24.94 60.17", "+24.940 .6017E+2", "2494.e-2 60.17"])
def test_coordinates(api, odd, point):
    """Rule ``signedNumericLiteral``: a coordinate may have an exponent."""
    items, features = odd
    found = selected(api, items, f"S_INTERSECTS(geometry,POINT({point}))")
    place = Point(24.94, 60.17)
    assert found == right(features, lambda one: (g := geometry(one)) is not None and g.intersects(place))
    assert found


def unknown(feature):
    """Whether ratio and 管径_mm, both above 0, is neither true nor false: one is null, none is false."""
    values = [feature["properties"][name] for name in ("ratio", "管径_mm")]
    return None in values and all(one is None or one > 0 for one in values)


@pytest.mark.parametrize(
    ("operand", "check"),
    [
        ("(ratio > 0)", lambda one: one["properties"]["ratio"] is None),
        ("(ratio > 0 OR TRUE)", lambda _: False),
        ('(ratio > 0 AND "管径_mm" > 0)', unknown),
        ('(NOT "已启用")', lambda one: one["properties"]["已启用"] is None),
        ("(S_INTERSECTS(geometry,POINT(0 0)))", lambda one: one["geometry"] is None),
        ("(A_OVERLAPS(tags,('foo')))", lambda one: one["properties"]["tags"] is None),
        ("(\"名称\" LIKE '%')", lambda one: one["properties"]["名称"] is None),
        ("ratio + 1", lambda one: one["properties"]["ratio"] is None),
        ('CASEI("名称")', lambda one: one["properties"]["名称"] is None),
        ("INTERVAL(built,'..')", lambda one: one["properties"]["built"] is None),
        ("INTERVAL(checked,checked)", lambda one: one["properties"]["checked"] is None),
        ("'text'", lambda _: False),
        ("3.14", lambda _: False),
        ("DATE('2020-01-01')", lambda _: False),
        ("INTERVAL('2020-01-01','2021-01-01')", lambda _: False),
        ("POINT(1 1)", lambda _: False),
        ("BBOX(1,1,2,2)", lambda _: False),
    ],
)
def test_what_is_null(api, odd, operand, check):
    """Rule ``isNullOperand``: any expression."""
    items, features = odd
    found = selected(api, items, f"{operand} IS NULL")
    assert found == right(features, check)
    assert selected(api, items, f"{operand} IS NOT NULL") == right(features, lambda _: True) - found


def test_a_six_number_box_is_ordered(api, odd):
    """Rule ``bboxText``: the lower height comes first, as in the parameter bbox."""
    items, _ = odd
    assert selected(api, items, "S_INTERSECTS(geometry,BBOX(-1,-1,0,1,1,9))") == selected(
        api, items, "S_INTERSECTS(geometry,BBOX(-1,-1,1,1))"
    )
    answer = api.ask(items, GEOJSON, filter="S_INTERSECTS(geometry,BBOX(-1,-1,9,1,1,0))")
    assert answer.status_code == 400
    assert "height" in answer.json()["detail"]
