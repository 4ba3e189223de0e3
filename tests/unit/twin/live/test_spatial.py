"""Geospatial functions of $filter and $orderby against shapely over every geometry."""

import json
import operator
import random

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import BadParameter
from layers.observations.livefile import LiveFile
from layers.observations.series import Observation, Series
from twin.things import options
from twin.things.expression import compile_filter, compile_orderby
from twin.things.geometries import Indexed, Located
from twin.things.model import SETS
from twin.things.spatial import FUNCTIONS, RELATIONS, Space
from twin.things.write import GEOJSON

MEDIA = sorted(GEOJSON)[0]
#: Coordinates on a grid, so that touching and equal ones are met.
STEP = st.integers(0, 6).map(float)
POINT = st.tuples(STEP, STEP).map(lambda at: shapely.Point(at))
LINE = st.lists(st.tuples(STEP, STEP), min_size=2, max_size=4, unique=True).map(shapely.LineString)
BOX = st.tuples(STEP, STEP, st.integers(1, 3), st.integers(1, 3)).map(
    lambda b: shapely.box(b[0], b[1], b[0] + b[2], b[1] + b[3])
)
SHAPE = st.one_of(POINT, LINE.filter(lambda one: one.is_valid), BOX)
PATTERNS = st.sampled_from(["T*F**F***", "FF*FF****", "T********", "F***1****", "212***212", "*" * 9])


def shapes(count):
    chance = random.Random(4)
    for _ in range(count):
        x, y = chance.randrange(7), chance.randrange(7)
        kind = chance.randrange(3)
        if kind == 0:
            yield shapely.Point(x, y)
        elif kind == 1:
            yield shapely.LineString([(x, y), (chance.randrange(7), chance.randrange(7) + 0.5)])
        else:
            yield shapely.box(x, y, x + chance.randrange(1, 4), y + chance.randrange(1, 4))


KEPT = dict(enumerate(shapes(60), 1))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Thing and datastream i stand at location i, what their observations are of lies at i + 1 (of the last
    at the first); the 61st has a place that is no geometry."""
    file = LiveFile(tmp_path_factory.mktemp("live"))
    conn, count = file.writer(), len(KEPT)
    conn.execute("BEGIN")
    for i in range(1, count + 2):
        text = shapely.to_geojson(KEPT[i]) if i in KEPT else '{"room": 7}'
        if i % 5 == 0:
            text = json.dumps({"type": "Feature", "geometry": json.loads(text), "properties": {}})
        of = shapely.to_geojson(KEPT[i % count + 1])
        conn.execute("INSERT INTO thing VALUES (?, 't', '', NULL)", (i,))
        conn.execute("INSERT INTO location VALUES (?, 'l', '', ?, ?, NULL, NULL)", (i, MEDIA, text))
        conn.execute("INSERT INTO thing_location VALUES (?, ?)", (i, i))
        conn.execute("INSERT INTO feature_of_interest VALUES (?, 'f', '', ?, ?, NULL)", (i, MEDIA, of))
        area = text if i % 3 == 0 else None
        conn.execute("INSERT INTO datastream VALUES (?, 'd', '', 'o', '{}', ?, NULL, ?, 1, 1)", (i, area, i))
    rows = [Observation(i, 1000, 1.0, feature=i) for i in range(1, count + 2)]
    Series(conn).append(conn, rows)
    conn.execute("COMMIT")
    yield file
    file.close()


@pytest.fixture(scope="module")
def located(file):
    located = Located(file)
    located.ready()
    return located


def ids(file, located, set_, text, order=None):
    entity, space = SETS[set_], Space(located)
    sql, params = compile_filter("$filter", text, entity, space)
    by, more = ("a.id", ()) if order is None else compile_orderby("$orderby", order, entity, space)
    with file.reading() as conn:
        space.bind(conn)
        select = f"SELECT a.id FROM {entity.table} a WHERE {sql} ORDER BY {by}"
        return [row[0] for row in conn.execute(select, (*params, *more))]


def wkt(shape):
    return f"geography'{shapely.to_wkt(shape, rounding_precision=-1)}'"


@settings(deadline=None, max_examples=60)
@given(SHAPE, st.sampled_from([name for name in RELATIONS if name != "st_relate"]), st.booleans())
def test_relations_are_those_of_shapely(file, located, shape, name, first):
    test = getattr(shapely, RELATIONS[name])
    wanted = [i for i, one in KEPT.items() if (test(shape, one) if first else test(one, shape))]
    arguments = f"{wkt(shape)},{{0}}" if first else f"{{0}},{wkt(shape)}"
    condition = f"{name}({arguments})"
    assert ids(file, located, "Locations", condition.format("location")) == wanted
    assert ids(file, located, "Things", condition.format("Locations/location")) == wanted
    assert ids(file, located, "Datastreams", condition.format("Thing/Locations/location")) == wanted
    path = "Datastream/Thing/Locations/location"
    assert ids(file, located, "Observations", condition.format(path)) == wanted
    before = sorted((i - 2) % len(KEPT) + 1 for i in wanted)
    found = ids(file, located, "Observations", condition.format("FeatureOfInterest/feature"))
    assert [i for i in found if i in KEPT] == before
    areas = [i for i in wanted if i % 3 == 0]
    assert ids(file, located, "Datastreams", condition.format("observedArea")) == areas
    turned = ids(file, located, "Locations", f"not {condition.format('location')}")
    assert turned == [i for i in range(1, 62) if i not in wanted]


@settings(deadline=None, max_examples=30)
@given(SHAPE, PATTERNS, st.booleans())
def test_patterns_are_those_of_shapely(file, located, shape, pattern, first):
    def matches(one):
        return shapely.relate_pattern(*((shape, one) if first else (one, shape)), pattern)

    arguments = f"{wkt(shape)},location" if first else f"location,{wkt(shape)}"
    wanted = [i for i, one in KEPT.items() if matches(one)]
    assert ids(file, located, "Locations", f"st_relate({arguments},'{pattern}')") == wanted


@settings(deadline=None, max_examples=40)
@given(SHAPE, st.sampled_from(["lt", "le", "gt", "ge", "eq"]), st.sampled_from([0.0, 0.5, 1.0, 2.5, 9.0]))
def test_distances_are_in_degrees_and_order(file, located, shape, word, most):
    far = {i: shapely.distance(one, shape) for i, one in KEPT.items()}
    test = getattr(operator, word)
    wanted = [i for i, distance in far.items() if test(distance, most)]
    distance = f"geo.distance({{}},{wkt(shape)})"
    assert ids(file, located, "Locations", f"{distance.format('location')} {word} {most}") == wanted
    assert ids(file, located, "Things", f"{distance.format('Locations/location')} {word} {most}") == wanted
    turned = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}[word]
    assert ids(file, located, "Locations", f"{most} {turned} {distance.format('location')}") == wanted
    ordered = ids(file, located, "Locations", "id le 60", distance.format("location"))
    assert ordered == sorted(KEPT, key=lambda i: (far[i], i))


def test_lengths_are_of_lines(file, located):
    wanted = [i for i, one in KEPT.items() if one.geom_type == "LineString" and one.length > 2]
    assert ids(file, located, "Locations", "geo.length(location) gt 2") == wanted
    assert ids(file, located, "Locations", "geo.length(geography'LINESTRING (0 0, 3 4)') eq 5") == list(
        range(1, 62)
    )


def test_two_kept_geometries_are_held_against_one_another(file, located):
    there, of = "Datastream/Thing/Locations/location", "FeatureOfInterest/feature"
    pairs = {i: (KEPT[i], KEPT[i % len(KEPT) + 1]) for i in KEPT}
    crossing = [i for i, (a, b) in pairs.items() if a.intersects(b)]
    assert ids(file, located, "Observations", f"st_intersects({there},{of})") == crossing
    near = [i for i, (a, b) in pairs.items() if a.distance(b) < 1]
    assert ids(file, located, "Observations", f"geo.distance({of},{there}) lt 1") == near
    assert ids(file, located, "Locations", "st_within(geography'POINT(1 1)',geometry'POINT(1 1)')") == [
        *range(1, 62)
    ]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 12), st.one_of(st.none(), SHAPE)), max_size=30), SHAPE)
def test_what_is_put_anew_is_where_it_is_now(moves, asked):
    index, truth = Indexed(), {}
    for n, (id_, shape) in enumerate(moves):
        index.put([(id_, None if shape is None else shapely.to_geojson(shape))])
        truth[id_] = shape
        if n % 7 == 3:
            index._build()
    wanted = {i for i, one in truth.items() if one is not None and one.intersects(asked)}
    assert set(index.related("intersects", asked, first=False).tolist()) == wanted
    found, far = index.near(asked, 1.5)
    near = {
        i: one.distance(asked) for i, one in truth.items() if one is not None and one.distance(asked) <= 1.5
    }
    assert dict(zip(found.tolist(), far.tolist(), strict=True)) == near
    assert index.get(1) == truth.get(1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("st_within(name,geography'POINT(1 2)')", "name is not a geometry"),
        ("st_within(location)", "takes two geometries"),
        ("st_within(location,5)", "5 is not a geometry"),
        ("st_relate(location,geography'POINT(1 2)')", "two geometries and a pattern"),
        ("st_relate(location,geography'POINT(1 2)','TTT')", "nine of T, F"),
        ("geo.length(location,location)", "takes one geometry"),
        ("st_within(location,geography'POINT(1')", "WKT"),
        ("st_within(location,geography'POINT EMPTY')", "empty"),
        ("st_within(location,geography'POINT (500 2)')", "longitude, latitude"),
        ("st_within(location,geography'SRID=3857;POINT (5 2)')", "4326"),
        ("st_within(location,geography'POLYGON((0 0,1 1,1 0,0 1,0 0))')", "no valid geometry"),
        ("geo.distance(location,geography'POINT(1 2)')", "a value, not a condition"),
        ("st_far(location,geography'POINT(1 2)')", "no function st_far; known: .*st_within"),
        ("location eq geography'POINT(1 2)'", "compared"),
    ],
)
def test_what_is_no_question_of_geometries_is_told(located, text, why):
    with pytest.raises(BadParameter, match=why):
        compile_filter("$filter", text, SETS["Locations"], Space(located))


def test_options_below_options_know_them_too(located):
    query = "Locations($filter=st_within(location,geography'POLYGON((0 0,9 0,9 9,0 9,0 0))'))"
    parsed = options.parse([("$expand", query)], SETS["Things"], many=True, space=Space(located))
    assert parsed.expand["Locations"][1].filter is not None


def test_those_of_the_standard_are_there():
    assert set(FUNCTIONS) == {
        "geo.distance", "geo.length", "geo.intersects", "st_equals", "st_disjoint", "st_touches", "st_within",
        "st_overlaps", "st_crosses", "st_intersects", "st_contains", "st_relate",
    }  # fmt: skip
