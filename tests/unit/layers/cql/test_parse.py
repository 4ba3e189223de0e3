"""CQL2 text and JSON → typed expressions: what is accepted, what is refused and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
import shapely

from layers.cql import ast
from layers.cql.limits import MAX_BYTES
from layers.cql.parse import parse
from layers.errors import BadParameter
from layers.model import FeatureLayer
from layers.types import Field
from tests.unit.layers.cql.places import LAYER

NAME, LEVELS, HEIGHT = (ast.PropertyRef(LAYER.fields[i]) for i in (1, 4, 5))
OPEN, BUILT, SEEN, TAGS, MARK = (ast.PropertyRef(LAYER.fields[i]) for i in (6, 7, 8, 9, 10))
EMPTY = ast.Array("a_overlaps", ast.Json("[]"), TAGS)
HIGH = ast.Compare("=", HEIGHT, ast.Value(5, "integer"))
WGS84 = "http://www.opengis.net/def/crs/EPSG/0/4326"
GK25 = "http://www.opengis.net/def/crs/EPSG/0/3879"


def text(filter_: str, **more: str) -> ast.Predicate:
    return parse(filter_, "cql2-text", LAYER, **more)


def from_json(value: Any) -> ast.Predicate:
    return parse(json.dumps(value), "cql2-json", LAYER)


def number(value: float) -> ast.Value:
    return ast.Value(value, "number")


def whole(value: float) -> ast.Value:
    return ast.Value(value, "integer")


def string(value: str) -> ast.Value:
    return ast.Value(value, "string")


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("TRUE", ast.Constant(True)),
        ("open", ast.Truth(OPEN)),
        ("not open", ast.Not(ast.Truth(OPEN))),
        ("name = 'it''s'", ast.Compare("=", NAME, string("it's"))),
        ("名称 <> '医院'", ast.Compare("<>", ast.PropertyRef(LAYER.fields[2]), string("医院"))),
        ('"say ""x""" = \'😀\'', ast.Compare("=", ast.PropertyRef(LAYER.fields[3]), string("😀"))),
        ("levels = 3", ast.Compare("=", LEVELS, whole(3))),
        ("levels = 3.0", ast.Compare("=", LEVELS, whole(3))),
        ("levels = 9007199254740993", ast.Compare("=", LEVELS, whole(9007199254740993))),
        ("levels = -9007199254740993", ast.Compare("=", LEVELS, whole(-9007199254740993))),
        ("levels < 9223372036854775807", ast.Compare("<", LEVELS, whole(2**63 - 1))),
        ("levels < 1e30", ast.Compare("<", LEVELS, whole(1e30))),
        ("levels = 9223372036854775808", ast.Compare("=", LEVELS, whole(2.0**63))),
        ("levels = -9223372036854775808", ast.Compare("=", LEVELS, whole(-(2**63)))),
        ("levels = -9223372036854775809", ast.Compare("=", LEVELS, whole(-(2.0**63) * (1 + 2**-52)))),
        ("height >= 1.5", ast.Compare(">=", HEIGHT, number(1.5))),
        ("height > levels", ast.Compare(">", HEIGHT, LEVELS)),
        ("id = 7", ast.Compare("=", ast.PropertyRef(ast.FID), whole(7))),
        ("-levels < 3", ast.Compare("<", ast.Arith("*", whole(-1), LEVELS), whole(3))),
        (
            "levels + 2 * 3 = 1",
            ast.Compare("=", ast.Arith("+", LEVELS, ast.Arith("*", whole(2), whole(3))), whole(1)),
        ),
        ("levels DIV 2 = 1", ast.Compare("=", ast.Arith("div", LEVELS, whole(2)), whole(1))),
        ("name LIKE 'a%'", ast.Like(NAME, string("a%"))),
        ("name NOT LIKE 'a\\%'", ast.Not(ast.Like(NAME, string("a\\%")))),
        (
            "CASEI(name) LIKE casei('A%')",
            ast.Like(ast.Folded("casei", NAME), ast.Folded("casei", string("A%"))),
        ),
        (
            "accenti(name) IN (accenti('é'), name)",
            ast.In(ast.Folded("accenti", NAME), (ast.Folded("accenti", string("é")), NAME)),
        ),
        ("levels BETWEEN 1 AND 2.5", ast.Between(LEVELS, whole(1), number(2.5))),
        ("levels NOT IN (1, 2)", ast.Not(ast.In(LEVELS, (whole(1), whole(2))))),
        ("name IS NOT NULL", ast.Not(ast.IsNull(NAME))),
        ("geometry IS NULL", ast.IsNull(ast.GeometryProperty())),
        ("tags IS NULL", ast.IsNull(TAGS)),
        ("open < TRUE", ast.Compare("<", OPEN, ast.Value(True, "boolean"))),
        ("name = 'O\\'Hare'", ast.Compare("=", NAME, string("O'Hare"))),
        ("name IN ('\\'', 'C:\\\\')", ast.In(NAME, (string("'"), string("C:\\\\")))),
        ("name = 'C:\\'", ast.Compare("=", NAME, string("C:\\"))),
        (
            "name = 'C:\\' AND name = 'x'",
            ast.And((ast.Compare("=", NAME, string("C:\\")), ast.Compare("=", NAME, string("x")))),
        ),
        ("floor(height) = 2", ast.Compare("=", ast.FunctionCall("floor", (HEIGHT,), "number"), whole(2))),
        ("year(seen) = 2020", ast.Compare("=", ast.FunctionCall("year", (SEEN,), "integer"), whole(2020))),
        ("built = DATE('2020-01-01')", ast.Compare("=", BUILT, ast.Value("2020-01-01", "date"))),
        ("built = '2020-01-01'", ast.Compare("=", BUILT, ast.Value("2020-01-01", "date"))),
        (
            "seen > TIMESTAMP('2020-01-01T02:00:00+02:00')",
            ast.Compare(">", SEEN, ast.Value("2020-01-01T00:00:00.000Z", "datetime")),
        ),
        (
            "seen > DATE('2020-01-01')",
            ast.Compare(">", SEEN, ast.Value("2020-01-01T23:59:59.999Z", "datetime")),
        ),
        ("'2020-01-01' > seen", ast.Compare("<", SEEN, ast.Value("2020-01-01T00:00:00.000Z", "datetime"))),
        (
            "seen = DATE('2020-01-01')",
            ast.Between(
                SEEN,
                ast.Value("2020-01-01T00:00:00.000Z", "datetime"),
                ast.Value("2020-01-01T23:59:59.999Z", "datetime"),
            ),
        ),
        (
            "T_DURING(seen, INTERVAL('2020-01-01', '..'))",
            ast.Temporal("t_during", SEEN, ast.Interval(ast.Value("2020-01-01", "date"), None)),
        ),
        (
            "t_finishedby(INTERVAL(built, '2020-01-01'), built)",
            ast.Temporal("t_finishedBy", ast.Interval(BUILT, ast.Value("2020-01-01", "date")), BUILT),
        ),
        ("A_CONTAINS(tags, ('x', 1.0, TRUE))", ast.Array("a_contains", TAGS, ast.Json('["x",1,true]'))),
        ("A_EQUALS(tags, tags)", ast.Array("a_equals", TAGS, TAGS)),
        (
            "S_INTERSECTS(geometry, POINT(25 60))",
            ast.Spatial("s_intersects", ast.GeometryProperty(), ast.Shape(shapely.Point(25, 60))),
        ),
        (
            "S_WITHIN(POINT Z(25 60 9), geom)",
            ast.Spatial("s_within", ast.Shape(shapely.Point(25, 60)), ast.GeometryProperty()),
        ),
        ("S_WITHIN(POINT(1 1), POLYGON((0 0, 2 0, 2 2, 0 2, 0 0)))", ast.Constant(True)),
        (
            "A_CONTAINS(tags, (name, CASEI('X'), 1))",
            ast.Array(
                "a_contains", TAGS, ast.Members((NAME, ast.Folded("casei", string("X")), ast.Json("1")))
            ),
        ),
        ("A_EQUALS(tags, (('x'), ()))", ast.Array("a_equals", TAGS, ast.Json('[["x"],[]]'))),
        (
            "A_EQUALS(tags, (DATE('2020-01-01'), TIMESTAMP('2020-01-01T02:00:00+02:00')))",
            ast.Array("a_equals", TAGS, ast.Json('["2020-01-01","2020-01-01T00:00:00.000Z"]')),
        ),
        (
            "A_EQUALS(tags, (INTERVAL('2020-01-01','..'), POINT(1 2)))",
            ast.Array(
                "a_equals",
                TAGS,
                ast.Json('[["2020-01-01",".."],{"type":"Point","coordinates":[1.0,2.0]}]'),
            ),
        ),
        (
            "A_EQUALS(tags, (built, (tags, 1.0), INTERVAL(built,'..'), 18446744073709551615))",
            ast.Array(
                "a_equals",
                TAGS,
                ast.Members(
                    (
                        BUILT,
                        ast.Members((TAGS, ast.Json("1"))),
                        ast.Members((BUILT, ast.Json('".."'))),
                        ast.Json("18446744073709551615"),
                    )
                ),
            ),
        ),
        ("A_EQUALS(tags, ())", ast.Array("a_equals", TAGS, ast.Json("[]"))),
        ("a_overlaps(( ), tags) AND name = '()'", ast.And((EMPTY, ast.Compare("=", NAME, string("()"))))),
        ("height > -.5", ast.Compare(">", HEIGHT, number(-0.5))),
        ("height = .5E1 OR name = 'O\\'.5'", ast.Or((HIGH, ast.Compare("=", NAME, string("O'.5"))))),
        ("height = .1e-300", ast.Compare("=", HEIGHT, number(1e-301))),
        ("_mark = 'x'", ast.Compare("=", MARK, string("x"))),
        ("井（深） < 3", ast.Compare("<", ast.PropertyRef(LAYER.fields[11]), whole(3))),
        ("NOT _mark LIKE '_x'", ast.Not(ast.Like(MARK, string("_x")))),
        (
            "S_INTERSECTS(geometry, POINT(2.5E1 .6e+2))",
            ast.Spatial("s_intersects", ast.GeometryProperty(), ast.Shape(shapely.Point(25, 60))),
        ),
        (
            "S_INTERSECTS(geometry, POINT(-1e-07 .5))",
            ast.Spatial("s_intersects", ast.GeometryProperty(), ast.Shape(shapely.Point(-1e-07, 0.5))),
        ),
        ("(levels = 1) IS NULL", ast.IsNull(ast.Compare("=", LEVELS, whole(1)))),
        ("(NOT open) IS NOT NULL", ast.Not(ast.IsNull(ast.Not(ast.Truth(OPEN))))),
        ("(open) IS NULL", ast.IsNull(OPEN)),
        ("POINT(1 1) IS NULL", ast.Constant(False)),
        ("BBOX(1, 1, 2, 2) IS NULL", ast.Constant(False)),
        ("INTERVAL(built, '..') IS NULL", ast.IsNull(BUILT)),
        (
            "INTERVAL('2020-01-01', built) IS NULL",
            ast.Or((ast.IsNull(ast.Value("2020-01-01", "date")), ast.IsNull(BUILT))),
        ),
        (
            "name = 'a' AND levels = 1 AND open",
            ast.And(
                (ast.Compare("=", NAME, string("a")), ast.Compare("=", LEVELS, whole(1)), ast.Truth(OPEN))
            ),
        ),
    ],
)
def test_text(filter_: str, expected: ast.Predicate) -> None:
    assert text(filter_) == expected


@pytest.mark.parametrize(
    ("filter_", "reason"),
    [
        ("", "is not CQL2 text from line 1, character 1"),
        ("name = ", "line 1, character 8"),
        ("nam = 'x'", "there is no property nam; did you mean name? allowed are source_id, name"),
        ("NAME = 'x'", "did you mean name?"),
        ("buffer(name) = 1", "there is no function buffer; allowed are lower"),
        ("flor(height) = 1", "did you mean floor?"),
        ("floor(name) = 1", "floor takes integer or number; name is string"),
        ("floor(height, 1) = 1", "floor takes 1 operand, not 2"),
        ("levels = 'x'", "= compares values of one type; levels is integer, 'x' is string"),
        ("name = 1", "= compares values of one type"),
        ("name > open", "one type"),
        ("tags = tags", "A_EQUALS"),
        ("name = NULL", "IS NULL"),
        ("levels = 1e999", "finite"),
        ("name LIKE name", "the pattern of LIKE is a text"),
        ("levels LIKE 'x'", "LIKE takes a string; levels is integer"),
        ("name LIKE 'x\\'", "does not end with the escape character"),
        ("levels BETWEEN 1 AND 'x'", "BETWEEN compares values of one type"),
        ("open BETWEEN TRUE AND FALSE", "BETWEEN does not order values of type boolean"),
        ("tags IN ('x')", "IN compares values of one type"),
        ("casei(levels) = 'x'", "CASEI takes a string"),
        ("name + 1 = 2", "+ takes numbers; name is none"),
        ("levels", "levels is not a condition"),
        ("NOT name", "name is not a condition"),
        ("1", "1 is not a condition"),
        ("levels > height > 1", "line 1, character 17"),
        ("name = (levels = 1)", "= stands where a value is expected"),
        ("geometry = 'x'", "geometry is no value"),
        ("built = '2020-02-30'", "is not a date of the calendar"),
        ("built = DATE('2020-1-1')", "YYYY-MM-DD"),
        ("built = '2020-01-01T00:00:00Z'", "is not a date (YYYY-MM-DD), as built is"),
        ("built > TIMESTAMP('2020-01-01T00:00:00Z')", "one type"),
        ("seen > '2020-01-01T00:00:00'", "with a zone"),
        ("seen > '2020'", "with a zone"),
        ("seen = built", "one type"),
        ("DATE(built) = 'x'", "DATE takes a text"),
        ("T_AFTER(name, DATE('2020-01-01'))", "name is neither a date nor a timestamp"),
        ("T_AFTER(built, INTERVAL('..', '..'))", "an end that is not open"),
        ("T_AFTER(built, INTERVAL('2021-01-01', '2020-01-01'))", "begins before it ends"),
        ("T_AFTER(built, INTERVAL(seen, built))", "both ends of an interval"),
        ("A_CONTAINS(name, ('x'))", "name is not an array"),
        ("A_CONTAINS(tags, (geometry, 'x'))", "geometry is no value"),
        ("A_CONTAINS(tags, (POINT(1 99), 'x'))", "within longitude ±180 and latitude ±90"),
        ("A_CONTAINS(tags, (DATE('2020-02-30')))", "not a date of the calendar"),
        ("A_CONTAINS(tags, (INTERVAL('..','..')))", "an end that is not open"),
        ("A_CONTAINS(tags, (('x', NULL), 'x'))", "does not hold null"),
        ("A_CONTAINS(tags, (name, (1e999)))", "a number must be finite"),
        ("A_CONTAINS(tags, (" + "name," * 99 + "name))", "at most 99 members"),
        ("S_INTERSECTS(name, POINT(1 2))", "S_INTERSECTS takes the property geometry and a geometry"),
        ("S_INTERSECTS(geometry, 'POINT(1 2)')", "takes the property geometry and a geometry"),
        ("S_INTERSECTS(geometry, POINT(181 2))", "longitude ±180"),
        ("S_INTERSECTS(geometry, POINT EMPTY)", "a geometry of a filter is not empty"),
        ("S_INTERSECTS(geometry, POINT(1 2, 3 4))", "line 1, character 33"),
        ("S_INTERSECTS(geometry, POINT(1 2 3 4))", "line 1, character 36"),
        ("S_INTERSECTS(geometry, POLYGON((0 0, 2 2, 2 0, 0 2, 0 0)))", "not valid: Self-intersection"),
        ("S_INTERSECTS(geometry, POLYGON((0 0, 1 1, 0 1)))", "ends where it began"),
        ("S_INTERSECTS(geometry, BBOX(2, 3, 1))", "4 or 6 numbers"),
        ("S_INTERSECTS(geometry, BBOX(2, 3, 4, 1))", "south comes before north"),
        ("S_INTERSECTS(geometry, BBOX(2, 3, 9, 4, 5, 1))", "the lower height comes before the upper"),
        ("S_RELATE(geometry, POINT(1 2), 'T')", "there is no function s_relate"),
        ("S_TOUCHES(geometry, POINT(1 2)) = 1", "S_TOUCHES stands where a value is expected"),
        ("name IN ()", "line 1, character 10"),
        ("A_EQUALS(name, ())", "name is not an array"),
        ("() = name", "an array is compared by A_EQUALS"),
        ("levels = . 5", "line 1, character 10"),
        ("POLYGON((0 0, 1 1, 0 1)) IS NULL", "ends where it began"),
        (
            "S_WITHIN(geometry, GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(3 4, 5 6)))",
            "no meaning for a collection of different dimensions",
        ),
        ("(" * 33 + "open" + ")" * 33, "at most 32 levels"),
        ("NOT " * 33 + "open", "at most 32 levels"),
        ("levels = " + "-" * 40 + "1", "at most 32 levels"),
        ("levels = 1" + " + 1" * 40, "at most 32 levels"),
        ("name = '" + "x" * MAX_BYTES + "'", "at most 8192 bytes"),
        ("name = '" + "医" * 3000 + "'", "at most 8192 bytes"),
        ("name = 'a\x00b'", "null character"),
    ],
)
def test_text_is_refused_with_a_reason(filter_: str, reason: str) -> None:
    with pytest.raises(BadParameter) as raised:
        text(filter_)
    assert raised.value.name == "filter"
    assert reason in str(raised.value)
    assert len(str(raised.value)) < 800


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "IS NULL"),
        ([], "array"),
        ({}, "stands where a value is expected"),
        ({"op": "="}, "= takes 2 operands, not 0"),
        ({"op": "=", "args": 3}, "args, a list"),
        ({"op": 1, "args": []}, "op, a text"),
        ({"op": "=", "args": [1, 1], "more": 2}, "more does not belong beside op"),
        ({"op": "and", "args": [True]}, "AND joins two conditions or more"),
        ({"op": "not", "args": [True, True]}, "NOT takes 1 operand, not 2"),
        ({"op": "in", "args": [{"property": "levels"}, []]}, "a list with a value or more"),
        ({"op": "in", "args": [{"property": "levels"}, 3]}, "a list with a value or more"),
        ({"op": "=", "args": [{"property": 3}, 1]}, "there is no property 3"),
        ({"op": "=", "args": [{"property": "name", "x": 1}, "a"]}, "x does not belong beside property"),
        ({"op": "a_contains", "args": [{"property": "tags"}, [None]]}, "does not hold null"),
        ({"op": "a_contains", "args": [{"property": "tags"}, [["a", [None]]]]}, "does not hold null"),
        ({"op": "a_contains", "args": [{"property": "tags"}, [{"x": 1}]]}, "an object stands where a value"),
        ({"op": "t_after", "args": [{"property": "seen"}, {"interval": ["2020-01-01"]}]}, "two ends"),
        ({"op": "s_within", "args": [{"property": "geometry"}, {"type": "Circle"}]}, "Circle is not a type"),
        (
            {"op": "s_within", "args": [{"property": "geometry"}, {"type": "Point", "coordinates": [1]}]},
            "a position of 2 or 3 numbers",
        ),
        (
            {
                "op": "s_within",
                "args": [{"property": "geometry"}, {"type": "Point", "coordinates": [1, "2"]}],
            },
            "2 is not a finite number",
        ),
        (
            {
                "op": "s_within",
                "args": [{"property": "geometry"}, {"type": "LineString", "coordinates": [[1, 2]]}],
            },
            "two positions or more",
        ),
    ],
)
def test_json_is_refused_with_a_reason(value: Any, reason: str) -> None:
    with pytest.raises(BadParameter) as raised:
        from_json(value)
    assert raised.value.name == "filter"
    assert reason in str(raised.value)


def test_broken_and_deep_json() -> None:
    for broken in (
        "{",
        '{"op":"not"',
        "[" * 2000,
        '{"op":"not","args":[' * 40 + "true" + "]}" * 40,
        "\ud800",
    ):
        with pytest.raises(BadParameter, match=r"filter=.*(is not JSON|at most 32 levels)"):
            parse(broken, "cql2-json", LAYER)


def test_the_language_is_one_of_two() -> None:
    with pytest.raises(BadParameter, match="filter-lang=ecql: one of cql2-text, cql2-json"):
        parse("TRUE", "ecql", LAYER)


def test_whole_numbers_of_json_are_exact() -> None:
    for n in (2**53 + 1, -(2**63), 2**63 - 1):
        found = from_json({"op": "=", "args": [{"property": "levels"}, n]})
        assert found == ast.Compare("=", LEVELS, whole(n))


def test_a_geometry_of_json_may_have_a_bbox() -> None:
    place = {"type": "Point", "coordinates": [25, 60], "bbox": [25, 60, 25, 60]}
    found = from_json({"op": "s_intersects", "args": [{"property": "geometry"}, place]})
    assert found == ast.Spatial("s_intersects", ast.GeometryProperty(), ast.Shape(shapely.Point(25, 60)))


def test_a_property_named_id_comes_before_the_id_of_the_feature() -> None:
    own = Field("id", "string")
    layer = FeatureLayer(
        id="x",
        kind="feature",
        title={},
        fields=(own,),
        geometry_type="Point",
        extent=None,
        crs="EPSG:4326",
        count=0,
        generation=1,
        seq=1,
    )
    assert parse("id = 'a'", "cql2-text", layer) == ast.Compare("=", ast.PropertyRef(own), string("a"))


# Geometries


def shape(filter_: str, crs: str = "http://www.opengis.net/def/crs/OGC/1.3/CRS84") -> Any:
    found = text(filter_, crs=crs)
    assert isinstance(found, ast.Spatial)
    assert isinstance(found.right, ast.Shape)
    return found.right.shape


def test_a_bbox_across_the_antimeridian_is_two_boxes() -> None:
    found = shape("S_INTERSECTS(geometry, BBOX(170, -10, -170, 10))")
    assert found.geom_type == "MultiPolygon"
    assert found.equals(shapely.union(shapely.box(170, -10, 180, 10), shapely.box(-180, -10, -170, 10)))


def test_a_bbox_is_cut_at_the_edge_of_the_world_and_may_be_a_point() -> None:
    assert shape("S_INTERSECTS(geometry, BBOX(-200, -100, 200, 100))").bounds == (-180, -90, 180, 90)
    assert shape("S_INTERSECTS(geometry, BBOX(1, 2, -5, 1, 2, 5))").equals(shapely.Point(1, 2))


def test_literals_have_the_axis_order_of_their_crs() -> None:
    assert shape("S_INTERSECTS(geometry, POINT(60 25))", WGS84).equals(shapely.Point(25, 60))
    assert shape("S_INTERSECTS(geometry, BBOX(60, 25, 61, 26))", WGS84).equals(shapely.box(25, 60, 26, 61))
    found = shape("S_INTERSECTS(geometry, POINT(6672000 25496000))", GK25)
    assert (found.x, found.y) == pytest.approx((24.9279, 60.1609), abs=1e-3)


def test_a_long_edge_of_a_projected_crs_bends_in_degrees() -> None:
    found = shape("S_INTERSECTS(geometry, BBOX(6672000, 25470000, 6680000, 25530000))", GK25)
    south = [p for p in shapely.get_coordinates(found).tolist() if p[1] < 60.163]
    assert len(south) > 30, "the southern edge is 60 km long"
    middle = min(p[1] for p in south)
    ends = (found.bounds[1], max(p[1] for p in south))
    assert ends[1] - middle > 0.0001, "and departs by tens of metres from a straight line in degrees"


def test_a_collection_of_one_dimension_is_the_union() -> None:
    found = shape("S_WITHIN(geometry, GEOMETRYCOLLECTION(POINT(1 2), MULTIPOINT(3 4, 1 2)))")
    assert found.equals(shapely.MultiPoint([(1, 2), (3, 4)]))
    found = shape("S_INTERSECTS(geometry, GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(3 4, 5 6)))")
    assert found.geom_type == "GeometryCollection"


def test_a_literal_outside_the_area_of_its_crs_is_refused() -> None:
    with pytest.raises(BadParameter, match="outside the area of its CRS"):
        text("S_INTERSECTS(geometry, POINT(0 0))", crs=GK25)
