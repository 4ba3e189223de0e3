"""OGC 21-065r2 (CQL2), Annex A: spatial, temporal and array functions."""

from __future__ import annotations

import itertools

import pytest

from tests.conformance.filters import data, logical

# -- Spatial functions ----------------------------------------------------------------------------------

WORLD = ("BBOX(-180,-90,180,90)", "POLYGON((-180 -90,180 -90,180 90,-180 90,-180 -90))")
LINE = "LINESTRING(7 50,10 51)"
POINT = "POINT(7.02 49.92)"
OUTSIDE = "POINT(90 180)"


def test_basic_spatial_functions_s_intersects(ask):
    """/conf/basic-spatial-functions/s_intersects: a point beyond the pole is refused."""
    ask.needs("basic-spatial-functions")
    for collection, name in ask.geometries():
        assert ask.ids(collection, f"S_INTERSECTS({name},{WORLD[0]})") == everything(ask, collection)
        ask.ids(collection, f"S_INTERSECTS({name},{POINT})")
        if ask.lang == "cql2-text":
            ask.refused(collection, f"S_INTERSECTS({name},{OUTSIDE})")
        west = f"S_INTERSECTS({name},BBOX(-180,-90,-90,90))"
        east = f"S_INTERSECTS({name},BBOX(90,-90,180,90))"
        both = ask.ids(collection, f"{west} AND {east}")
        assert both == ask.ids(collection, west) & ask.ids(collection, east)


def everything(ask, collection):
    """The ids of the features that have a geometry."""
    return {one["id"] for one in ask.api.features(collection) if one["geometry"]}


def test_basic_spatial_functions_test_data(ask):
    """/conf/basic-spatial-functions/test-data"""
    data(ask, "basic-spatial-functions")


def test_basic_spatial_functions_logical(ask):
    """/conf/basic-spatial-functions/logical"""
    logical(ask, "basic-spatial-functions")


def test_basic_spatial_functions_plus_s_intersects(ask):
    """/conf/basic-spatial-functions-plus/s_intersects: every type of literal; none beyond a pole."""
    ask.needs("basic-spatial-functions-plus")
    ring = "(-180 -90, -90 -90, -90 90, -180 90, -180 -90)"
    hole = "(-120 -50, -100 -50, -100 -40, -120 -40, -120 -50)"
    square = "(0 0, 10 0, 10 10, 0 10, 0 0)"
    for collection, name in ask.geometries():
        ask.refused(collection, f"S_INTERSECTS({name},MULTIPOINT((7.02 49.92), (90 180)))")
        for literal in (
            "LINESTRING(-180 -45, 0 -45)",
            "MULTILINESTRING((-180 -45, 0 -45), (0 45, 180 45))",
            f"POLYGON({ring}, {hole})",
            f"MULTIPOLYGON(({ring}, {hole}),({square}))",
            f"GEOMETRYCOLLECTION({POINT}, POLYGON({square}))",
        ):
            ask.count(collection, f"S_INTERSECTS({name},{literal})")
        if ask.lang == "cql2-text":
            bare = ask.ids(collection, f"S_INTERSECTS({name},MULTIPOINT(7 50,10 51))")
            assert bare == ask.ids(collection, f"S_INTERSECTS({name},MULTIPOINT((7 50),(10 51)))")


def test_basic_spatial_functions_plus_test_data(ask):
    """/conf/basic-spatial-functions-plus/test-data"""
    data(ask, "basic-spatial-functions-plus")


def test_spatial_functions_s_intersects(ask):
    """/conf/spatial-functions/s_intersects: the world as a box and as a polygon is the same."""
    ask.needs("spatial-functions")
    for collection, name in ask.geometries():
        box, polygon = (ask.ids(collection, f"S_INTERSECTS({name},{world})") for world in WORLD)
        assert box == polygon
        ask.count(collection, f"S_INTERSECTS({name},{LINE})")
        ask.count(collection, f"S_INTERSECTS({name},{POINT})")
        ask.refused(collection, f"S_INTERSECTS({name},{OUTSIDE})")


def test_spatial_functions_s_disjoint(ask):
    """/conf/spatial-functions/s_disjoint: nothing is disjoint from the world, nor from what it meets."""
    ask.needs("spatial-functions")
    for collection, name in ask.geometries():
        for world in WORLD:
            assert ask.count(collection, f"S_DISJOINT({name},{world})") == 0
        for literal in (LINE, POINT):
            apart = ask.ids(collection, f"S_DISJOINT({name},{literal})")
            assert not apart & ask.ids(collection, f"S_INTERSECTS({name},{literal})")
        ask.refused(collection, f"S_DISJOINT({name},{OUTSIDE})")


def test_spatial_functions_s_equals(ask):
    """/conf/spatial-functions/s_equals"""
    ask.needs("spatial-functions")
    for collection, name in ask.geometries():
        for literal in (WORLD[1], LINE, POINT):
            assert ask.count(collection, f"S_EQUALS({name},{literal})") == 0


@pytest.mark.parametrize("function", ["S_TOUCHES", "S_CROSSES"], ids=["s_touches", "s_crosses"])
def test_spatial_functions_touching_and_crossing(ask, function):
    """/conf/spatial-functions/s_touches and /conf/spatial-functions/s_crosses"""
    ask.needs("spatial-functions")
    for collection, name in ask.geometries():
        found = [ask.ids(collection, f"{function}({name},{world})") for world in WORLD]
        assert found[0] == found[1]
        ask.count(collection, f"{function}({name},{LINE})")


def test_spatial_functions_s_within(ask):
    """/conf/spatial-functions/s_within: everything but what lies on the world's edge is in the world."""
    ask.needs("spatial-functions")
    for collection, name in ask.geometries():
        box, polygon = (ask.ids(collection, f"S_WITHIN({name},{world})") for world in WORLD)
        assert box == polygon
        for literal in (LINE, "MULTIPOINT((7 50),(10 51))"):
            ask.count(collection, f"S_WITHIN({name},{literal})")


def test_spatial_functions_s_contains(ask):
    """/conf/spatial-functions/s_contains: what contains a thing is not in it, points aside."""
    ask.needs("spatial-functions")
    for collection, name in ask.geometries():
        box, polygon = (ask.ids(collection, f"S_CONTAINS({name},{world})") for world in WORLD)
        assert box == polygon == frozenset()
        for literal in (LINE, "MULTIPOINT((7 50),(10 51))"):
            around = ask.ids(collection, f"S_CONTAINS({name},{literal})")
            equal = ask.ids(collection, f"S_EQUALS({name},{literal})")
            assert around & ask.ids(collection, f"S_WITHIN({name},{literal})") == equal


def test_spatial_functions_s_overlaps(ask):
    """/conf/spatial-functions/s_overlaps"""
    ask.needs("spatial-functions")
    for collection, name in ask.geometries():
        for literal in ("MULTIPOINT((7 50),(10 51))", LINE, WORLD[1]):
            ask.count(collection, f"S_OVERLAPS({name},{literal})")


def test_spatial_functions_test_data(ask):
    """/conf/spatial-functions/test-data"""
    data(ask, "spatial-functions")


def test_spatial_functions_logical(ask):
    """/conf/spatial-functions/logical"""
    logical(ask, "spatial-functions")


# -- Temporal functions ---------------------------------------------------------------------------------

INTERVALS = {
    "date-time": "INTERVAL('2021-01-01T00:00:00Z','2021-12-31T23:59:59Z')",
    "date": "INTERVAL('2021-01-01','2021-12-31')",
}
INSTANTS = {"date-time": "TIMESTAMP('2022-04-24T07:59:57Z')", "date": "DATE('2022-04-24')"}
OF_INTERVALS = (
    *("AFTER", "BEFORE", "DISJOINT", "EQUALS", "INTERSECTS", "CONTAINS", "DURING", "FINISHEDBY"),
    *("FINISHES", "MEETS", "METBY", "OVERLAPPEDBY", "OVERLAPS", "STARTEDBY", "STARTS"),
)


def test_temporal_functions_temporal_functions_1(ask):
    """/conf/temporal-functions/temporal-functions-1: instants with instants and intervals."""
    ask.needs("temporal-functions")
    for collection, name, kind in ask.queryables("date-time", "date"):
        for other in (INSTANTS[kind], INTERVALS[kind]):
            found = {
                verb: ask.ids(collection, f"T_{verb}({name},{other})")
                for verb in ("AFTER", "BEFORE", "DISJOINT", "EQUALS", "INTERSECTS")
            }
            present = ask.ids(collection, f"{name} IS NOT NULL")
            assert found["DISJOINT"] == found["AFTER"] | found["BEFORE"]
            assert found["INTERSECTS"] == present - found["DISJOINT"]
            assert found["EQUALS"] <= found["INTERSECTS"]


def test_temporal_functions_temporal_functions_2(ask):
    """/conf/temporal-functions/temporal-functions-2: intervals of two properties with intervals."""
    ask.needs("temporal-functions")
    tried = 0
    for collection in ask.collections():
        for kind in INTERVALS:
            names = [name for at, name, _ in ask.queryables(kind) if at["id"] == collection["id"]]
            for start, end in itertools.permutations(names, 2):
                for verb in OF_INTERVALS:
                    ask.count(collection, f"T_{verb}(INTERVAL({start},{end}),{INTERVALS[kind]})")
                    tried += 1
    assert tried or not ask.api.ours


def test_temporal_functions_test_data(ask):
    """/conf/temporal-functions/test-data"""
    data(ask, "temporal-functions")


def test_temporal_functions_logical(ask):
    """/conf/temporal-functions/logical"""
    logical(ask, "temporal-functions")


# -- Array functions ------------------------------------------------------------------------------------


def test_array_functions_array_predicates(ask):
    """/conf/array-functions/array-predicates: arrays are compared as sets."""
    ask.needs("array-functions")
    tried = 0
    for collection, name, _ in ask.queryables("array"):
        plainly = name.strip('"')
        tags = {one["id"]: one["properties"][plainly] for one in ask.api.features(collection)}
        sets = {fid: set(values) for fid, values in tags.items() if values is not None}
        asked = {"foo", "bar"}
        for verb, right in (
            ("CONTAINS", set.issuperset),
            ("CONTAINEDBY", set.issubset),
            ("EQUALS", set.__eq__),
            ("OVERLAPS", set.intersection),
        ):
            found = ask.ids(collection, f"A_{verb}({name},('foo','bar'))")
            assert found == {fid for fid, have in sets.items() if right(have, asked)}, (
                collection["id"],
                verb,
            )
            tried += 1
    assert tried or not ask.api.ours


def test_array_functions_logical(ask):
    """/conf/array-functions/logical"""
    logical(ask, "array-functions")
