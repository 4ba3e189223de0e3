"""$filter, $orderby, $expand: what they mean, and that nothing else gets through."""

import contextlib
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import BadParameter
from layers.observations.livefile import LiveFile
from layers.observations.series import Observation, Series
from twin.things import options
from twin.things.expression import compile_filter, compile_orderby
from twin.things.model import SETS

THINGS, OBSERVATIONS, STREAMS = SETS["Things"], SETS["Observations"], SETS["Datastreams"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = LiveFile(tmp_path_factory.mktemp("live"))
    conn = file.writer()
    conn.execute("BEGIN")
    for i, (name, properties) in enumerate(
        [
            ("pump one", '{"depth": 3, "owner": "city", "on": true}'),
            ("pump two", '{"depth": "deep", "owner": null, "on": false}'),
            ("O'Neil", '{"nested": {"a-b": 7}, "ключ": "да"}'),
            ("", None),
        ],
        1,
    ):
        conn.execute("INSERT INTO thing VALUES (?, ?, 'd', ?)", (i, name, properties))
        conn.execute(
            "INSERT INTO datastream VALUES (?, ?, 'd', 'o', '{\"symbol\": \"m\"}', NULL, NULL, ?, 1, 1)",
            (i, f"stream {i}", i),
        )
    kept = Series(conn)
    rows = [Observation(i % 2 + 1, i * 1000, float(i)) for i in range(10)]
    kept.append(conn, [*rows, Observation(3, 1_795_000_000_000, None, '"open"')])
    conn.execute("COMMIT")
    yield file
    file.close()


def ids(file, entity, text):
    sql, params = compile_filter("$filter", text, entity)
    with file.reading() as conn:
        rows = conn.execute(f"SELECT a.id FROM {entity.table} a WHERE {sql} ORDER BY 1", params)
        return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name eq 'pump one'", [1]),
        ("name eq 'O''Neil'", [3]),
        ("'pump one' eq name", [1]),
        ("id gt 1 and id lt 4", [2, 3]),
        ("@iot.id eq 2", [2]),
        ("id eq 1 or id eq 2 and name eq 'nobody'", [1]),
        ("(id eq 1 or id eq 2) and name eq 'nobody'", []),
        ("not id eq 1", [2, 3, 4]),
        ("not (startswith(name,'pump') or name eq '')", [3]),
        ("startswith(name, 'pump')", [1, 2]),
        ("endswith(name, 'two')", [2]),
        ("substringof('ump', name)", [1, 2]),
        ("contains(name, '%')", []),
        ("tolower(name) eq 'o''neil'", [3]),
        ("length(name) eq 0", [4]),
        ("indexof(name, 'one') eq 5", [1]),
        ("concat(name, '!') eq 'pump two!'", [2]),
        ("substring(name, 5) eq 'one'", [1]),
        ("substring(name, 0, 4) eq 'pump'", [1, 2]),
        ("substring(name, 99) eq ''", [1, 2, 3, 4]),
        ("substring(name, -2, -1) eq ''", [1, 2, 3, 4]),
        ("substring(name, 4.9) eq ' two'", [2]),
        ("round(id div 2) eq 2", [3, 4]),
        ("round(0 sub id div 2) eq -2", [3, 4]),
        ("floor(id div 2) eq 1", [2, 3]),
        ("floor(0 sub id div 2) eq -2", [3, 4]),
        ("ceiling(id div 2) eq 2", [3, 4]),
        ("ceiling(0 sub id div 2) eq -1", [2, 3]),
        ("floor(id mul 1e300) eq id mul 1e300 and ceiling(-1e300) eq -1e300", [1, 2, 3, 4]),
        ("round(properties/depth) eq 3", [1]),
        ("mindatetime() lt now() and now() lt maxdatetime()", [1, 2, 3, 4]),
        ("time(maxdatetime()) gt 23:59:59.998 and date(mindatetime()) eq 0001-01-01", [1, 2, 3, 4]),
        ("second(1969-12-31T23:59:58.250Z) eq 58 and minute(1969-12-31T23:59:59.9Z) eq 59", [1, 2, 3, 4]),
        ("fractionalseconds(1969-12-31T23:59:58.250Z) eq 0.25", [1, 2, 3, 4]),
        ("properties/depth ge 3", [1]),
        ("properties/depth eq 'deep'", [2]),
        ("properties/depth lt 'zzz'", [2]),
        ("properties/on eq true", [1]),
        ("properties/on ne true", [2]),
        ("properties/owner eq null", [2, 3, 4]),
        ("properties/owner ne null", [1]),
        ("properties/nested/a-b eq 7", [3]),
        ("properties/ключ eq 'да'", [3]),
        ("id mul 2 add 1 eq 5", [2]),
        ("id add 2 mul 2 eq 6", [2]),
        ("id mod 2 eq 0", [2, 4]),
        ("id div 2 eq 1.5", [3]),
        ("id div 0 eq 1", []),
        ("id sub -1 eq 3", [2]),
        ("Datastreams/name eq 'stream 2'", [2]),
        ("Datastreams/Observations/result gt 8.5", [2]),
        ("1 eq 1", [1, 2, 3, 4]),
        ("true", [1, 2, 3, 4]),
    ],
)
def test_filters_of_things(file, text, expected):
    assert ids(file, THINGS, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("result gt 7", [9, 10]),
        ("result eq 'open'", [11]),
        ("phenomenonTime ge 1970-01-01T00:00:09Z and phenomenonTime lt 1980-01-01T00:00:00Z", [10]),
        ("phenomenonTime eq 1970-01-01T08:00:05+08:00", [6]),
        ("phenomenonTime eq 1970-01-01T08:00:05 08:00", [6]),
        ("Datastream/id eq 1 and result lt 3", [1, 3]),
        ("Datastream/Thing/name eq 'pump two' and result ge 7", [8, 10]),
        ("year(phenomenonTime) gt 2020", [11]),
        ("phenomenonTime lt now() and result ge 9", [10]),
        ("second(phenomenonTime) gt 7 and result lt 9", [9]),
        ("fractionalseconds(phenomenonTime) eq 0 and result ge 8", [9, 10]),
        ("date(phenomenonTime) gt 1970-01-01", [11]),
        ("date(phenomenonTime) eq 1970-01-01 and result gt 8", [10]),
        ("date(resultTime) eq 1970-01-01", []),
        ("time(phenomenonTime) ge 00:00:08 and result le 9", [9, 10]),
        ("time(phenomenonTime) eq 00:00:08.000 or 00:00:09 eq time(phenomenonTime)", [9, 10]),
        ("totaloffsetminutes(phenomenonTime) eq 0 and result gt 8", [10]),
    ],
)
def test_filters_of_observations(file, text, expected):
    assert ids(file, OBSERVATIONS, text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nme eq 1", "position 1: Thing has no 'nme'"),
        ("name eq", "position 8: expected a value"),
        ("name eq 5", "cannot be compared"),
        ("name", "not a condition"),
        ("id eq 1 id", "position 9"),
        ("name eq 'open", "position 9: unexpected"),
        ("foo(name)", "no function foo"),
        ("startswith(name)", "takes 2 arguments"),
        ("startswith(name, 5)", "not a text"),
        ("substring(name)", "takes 2 or 3 arguments"),
        ("round(name) eq 1", "not a number"),
        ("now(1) gt now()", "now takes 0 arguments"),
        ("date(now()) eq 2026-02-30", "position 16: day"),
        ("date(now()) eq now()", "a date cannot be compared with a time"),
        ("time(now()) lt 25:00", "position 16: hour"),
        ("time(now()) lt 2026-01-01", "a time of day cannot be compared with a date"),
        ("name gt null", "eq and ne"),
        ("(id eq 1", "position 9: expected"),
        ("id eq 1; DROP TABLE thing", "position 8"),
        ("(" * 17 + "1 eq 1" + ")" * 17, "nested deeper than 16"),
        ("not " * 40 + "true", "nested deeper than 16"),
        ("tolower(" * 40 + "name" + ")" * 40, "nested deeper than 16"),
        ("true and " * 500 + "true", "at most 4096"),
        ("name/x eq 1", "has no members"),
        ("Datastreams eq 1", "expected a property of Datastream"),
        ("st_within(name, geography'POINT(1 2)')", "no function|unexpected"),
        ("id eq 1 and and id eq 2", "position 13"),
        ("", "expected a value"),
    ],
)
def test_a_mistake_names_its_position(text, words):
    with pytest.raises(BadParameter, match=words):
        compile_filter("$filter", text, THINGS)


@pytest.mark.parametrize(
    ("open", "close"),
    [("(", ")"), ("1 eq 2 or (", ")"), ("1 eq 2 or 1 eq 1 and (", ")"), ("not (", ")"), ("not not ", "")],
)
def test_the_deepest_nesting_taken_is_one_that_runs(file, open, close):
    depth = 16 if "not" not in open else 8
    assert ids(file, THINGS, open * depth + "id gt 0" + close * depth) == [1, 2, 3, 4]


def test_deep_values_run_too(file):
    assert ids(file, THINGS, "concat('', " * 16 + "name" + ")" * 16 + " eq 'pump one'") == [1]
    assert ids(file, THINGS, "1 add (" * 16 + "id" + ")" * 16 + " eq 17") == [1]
    hop = "Datastreams/Thing/Datastreams/name eq 'stream 1'"
    assert ids(file, THINGS, "(id eq 0 or " * 16 + hop + ")" * 16) == [1]


def test_a_long_chain_is_no_deeper_than_it_must_be(file):
    text = " or ".join(f"id eq {i}" for i in range(250))
    assert ids(file, THINGS, text) == [1, 2, 3, 4]
    assert ids(file, THINGS, "id" + " add 1" * 500 + " eq 501") == [1]


NAMES = ("name", "id", "properties/x", "Datastreams/name", "@iot.id", "null", "true")
OPERATORS = ("eq", "ne", "gt", "lt", "and", "or", "not", "add", "mul", "div", "mod", "startswith(", "length(")
MARKS = ("(", ")", ",", "/", "'", "$", "--", ";", "\x00", "é")
LITERALS = ("'a'", "''", "5", "-1", "1e5", "9" * 30, "2026-11-22T12:00:00Z")
WORDS = NAMES + OPERATORS + MARKS + LITERALS


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.text(string.printable, max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
    )
)
def test_any_text_is_a_condition_that_runs_or_a_bad_parameter(file, text):
    try:
        ids(file, THINGS, text)
    except BadParameter as error:
        told = str(error)
    else:
        return
    assert "at position" in told or "at most" in told


@given(st.text(min_size=1, max_size=40))
def test_no_text_of_a_client_is_in_the_statement(text):
    quoted = "'" + text.replace("'", "''") + "'"
    sql, params = compile_filter("$filter", f"name eq {quoted}", THINGS)
    assert sql == "((a.name = ?))"
    assert params == (text,)


def test_ordering(file):
    sql, params = compile_orderby("$orderby", "properties/depth desc,name asc", THINGS)
    with file.reading() as conn:
        rows = conn.execute(f"SELECT a.id FROM thing a ORDER BY {sql}", params).fetchall()
    assert sorted(r[0] for r in rows) == [1, 2, 3, 4]
    assert compile_orderby("$orderby", "phenomenonTime desc", OBSERVATIONS)[0] == "a.t DESC, a.n DESC, a.id"
    for bad in ("name up", "Datastreams/name", "", "name,", ",".join(["name"] * 5)):
        with pytest.raises(BadParameter):
            compile_orderby("$orderby", bad, THINGS)


@pytest.mark.parametrize(
    ("set_", "order", "why"),
    [
        ("Locations", "location", "geometry"),
        ("Locations", "name,location desc", "geometry"),
        ("Locations", "location/coordinates", "geometry"),
        ("FeaturesOfInterest", "feature/geometry/coordinates", "geometry"),
        ("Datastreams", "observedArea", "geometry"),
        ("Datastreams", "unitOfMeasurement asc", "unitOfMeasurement/name"),
        ("Things", "properties", "properties/name"),
        ("Observations", "parameters", "parameters/name"),
    ],
)
def test_what_has_no_order_is_refused_with_the_reason(set_, order, why):
    with pytest.raises(BadParameter, match=why):
        compile_orderby("$orderby", order, SETS[set_])


def test_members_of_objects_have_an_order():
    for set_, order in (
        ("Locations", "location/type"),
        ("Sensors", "metadata"),
        ("Datastreams", "unitOfMeasurement/symbol"),
    ):
        assert compile_orderby("$orderby", order, SETS[set_])


def test_the_newest_of_one_stream_is_read_along_the_key(file):
    order = compile_orderby("$orderby", "phenomenonTime desc", OBSERVATIONS)[0]
    with file.reading() as conn:
        plan = conn.execute(
            f"EXPLAIN QUERY PLAN SELECT a.num FROM observation a WHERE a.ds = ? ORDER BY {order} LIMIT 1",
            (1,),
        ).fetchall()
    assert "PRIMARY KEY (ds=?)" in plan[0][3]
    assert not any("TEMP B-TREE FOR ORDER BY" in row[3] for row in plan)


def parse(entity=THINGS, **given):
    return options.parse([(f"${k}", v) for k, v in given.items()], entity, many=True)


def test_nested_options():
    found = parse(
        expand="Datastreams($top=2;$orderby=id desc;"
        "$expand=Observations($top=1;$filter=result gt 1)),Locations"
    )
    nav, inner = found.expand["Datastreams"]
    assert (nav.name, inner.top) == ("Datastreams", 2)
    assert inner.expand["Observations"][1].top == 1
    assert "Locations" in found.expand
    slashed = parse(expand="Datastreams/Sensor,Datastreams/ObservedProperty").expand["Datastreams"][1]
    assert set(slashed.expand) == {"Sensor", "ObservedProperty"}


@pytest.mark.parametrize(
    "given",
    [
        {"top": "-1"},
        {"top": "abc"},
        {"top": "1" + "0" * 23},
        {"skip": "-1"},
        {"skip": "99999999999"},
        {"count": "yes"},
        {"select": "nope"},
        {"expand": "Nope"},
        {"expand": "Datastreams($top=1"},
        {"expand": "Datastreams($nope=1)"},
        {"expand": "Datastreams($top)"},
        {"expand": "Datastreams/Observations/FeatureOfInterest/Observations"},
        {"expand": "Locations($expand=Things($expand=Locations($expand=Things)))"},
        {"expand": ""},
        {"resultFormat": "dataArray"},
        {"apply": "x"},
    ],
)
def test_a_wrong_option_is_refused_by_name(given):
    with pytest.raises(BadParameter, match=r"^\$"):
        parse(**given)


def test_large_pages_are_cut_with_a_next_link():
    found = parse(top="1000000000")
    assert found.top == options.MAX_TOP
    assert found.next_query(1000) == "$top=1000000000&$skip=1000"


@settings(max_examples=200, deadline=None)
@given(st.text("Datstreams(/)$top=1;,'\" expandLocio", max_size=50))
def test_any_expansion_is_parsed_or_refused(text):
    with contextlib.suppress(BadParameter):
        parse(expand=text)
