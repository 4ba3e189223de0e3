"""OGC 21-065r2, Common Query Language (CQL2), Annex A: every class, over its own data and every collection.

``test-data`` evaluates the predicates of the standard on its test dataset and compares the numbers;
every predicate goes as CQL2 text and as CQL2 JSON, converted by a parser of another maker.
"""

from __future__ import annotations

import pytest

from tests.conformance.city import ODD, PLACES
from tests.conformance.filters import OPERATORS, TABLE, VALUES, Evaluator, data, logical, plain, quoted
from tests.conformance.outside import GEOJSON, told

# -- Basic CQL2 -----------------------------------------------------------------------------------------


def test_basic_cql2_basic_test(api):
    """/conf/basic-cql2/basic-test: every collection has typed queryables, one of them a plain value."""
    for collection in api.collections:
        queryables = api.queryables(collection)
        kinds = [one.get("format") or one.get("type") or one.get("$ref") for one in queryables.values()]
        assert kinds
        assert all(kinds), collection["id"]
        assert set(kinds) & set(VALUES)


def test_basic_cql2_comparison(ask):
    """/conf/basic-cql2/comparison: every queryable with every operator; opposites have nothing in common."""
    ask.needs("basic-cql2")
    for collection, name, kind in ask.queryables(*VALUES):
        found = {op: ask.ids(collection, f"{name} {op} {VALUES[kind]}") for op in OPERATORS}
        opposites(found, (collection["id"], name))
        present = ask.ids(collection, f"{name} IS NOT NULL")
        assert found["="] | found["<>"] == found["<"] | found[">="] == present


def opposites(found, where):
    """No feature is on both sides of a comparison."""
    for one, other in (("=", "<>"), (">", "<="), ("<", ">=")):
        assert not found[one] & found[other], (*where, one)


def test_basic_cql2_is_null(ask):
    """/conf/basic-cql2/is-null: no feature has a value and has none; every one is either."""
    ask.needs("basic-cql2")
    for collection in ask.collections():
        everything = {one["id"] for one in ask.api.features(collection)}
        for name in map(quoted, plain(ask.api, collection)):
            absent = ask.ids(collection, f"{name} IS NULL")
            present = ask.ids(collection, f"{name} is not null")
            assert not absent & present
            assert absent | present == everything, (collection["id"], name)


def test_basic_cql2_boolean(ask):
    """/conf/basic-cql2/boolean: true is everything and false is nothing."""
    ask.needs("basic-cql2")
    for collection in ask.collections():
        assert ask.count(collection, "false") == 0
        assert ask.count(collection, "true") == len(ask.api.features(collection))


def test_basic_cql2_test_data(ask):
    """/conf/basic-cql2/test-data"""
    data(ask, "basic-cql2")


def test_basic_cql2_logical(ask):
    """/conf/basic-cql2/logical: the combinations of the standard with their numbers."""
    ask.needs("basic-cql2")
    places = next((one for one in ask.collections() if one["id"] == PLACES), None)
    if places is None:
        pytest.skip("the API does not have the test dataset")
    wrong = []
    for p1, p2, p3, p4, expected in TABLE["combinations"]:
        text = f"(NOT ({p2}) AND {p1}) OR ({p3} and {p4}) or not ({p1} OR {p4})"
        found = ask.count(places, text)
        if found != expected:
            wrong.append((text, expected, found))
    assert wrong == []


# -- Advanced comparison operators ----------------------------------------------------------------------


def test_advanced_comparison_operators_like(ask):
    """/conf/advanced-comparison-operators/like"""
    ask.needs("advanced-comparison-operators")
    for collection, name, _ in ask.queryables("string"):
        some, one, none, twice = (
            ask.ids(collection, f"{name} LIKE '{pattern}'") for pattern in ("%", "_%", "", "%%")
        )
        assert some == twice == ask.ids(collection, f"{name} IS NOT NULL")
        assert not one & none
        assert one | none == some
        escaped = ask.ids(collection, f"{name} like '\\%\\_'")
        assert escaped == ask.ids(collection, f"{name} = '%_'")


def test_advanced_comparison_operators_between(ask):
    """/conf/advanced-comparison-operators/between: both ends belong to it; from high to low it is empty."""
    ask.needs("advanced-comparison-operators")
    for collection, name, _ in ask.queryables("number", "integer"):
        inside = ask.ids(collection, f"{name} BETWEEN 0 AND 100")
        assert inside == ask.ids(collection, f"{name} >= 0 AND {name} <= 100")
        assert ask.ids(collection, f"{name} between 100.0 and 1.0") == frozenset()


def test_advanced_comparison_operators_in(ask):
    """/conf/advanced-comparison-operators/in: of every type; times may be given as plain texts."""
    ask.needs("advanced-comparison-operators")
    lists = {
        "number": "1, 2, 3",
        "integer": "1, 2, 3",
        "string": "'foo', 'bar'",
        "boolean": "true",
        "date-time": "'2022-04-14T14:52:56Z', '2022-04-14T15:52:56Z'",
        "date": "'2022-04-14', '2022-04-15'",
    }
    for collection, name, kind in ask.queryables(*lists):
        among = ask.ids(collection, f"{name} IN ({lists[kind]})")
        assert not among & ask.ids(collection, f"{name} NOT IN ({lists[kind]})")


def test_advanced_comparison_operators_test_data(ask):
    """/conf/advanced-comparison-operators/test-data"""
    data(ask, "advanced-comparison-operators")


def test_advanced_comparison_operators_logical(ask):
    """/conf/advanced-comparison-operators/logical"""
    logical(ask, "advanced-comparison-operators")


# -- Case and accents -----------------------------------------------------------------------------------


def test_case_insensitive_comparison_casei(ask):
    """/conf/case-insensitive-comparison/casei"""
    ask.needs("case-insensitive-comparison")
    for collection, name, _ in ask.queryables("string"):
        same = ask.ids(collection, f"CASEI({name}) = casei('foo')")
        assert not same & ask.ids(collection, f"CASEI({name}) <> casei('FOO')")


def test_case_insensitive_comparison_casei_like(ask):
    """/conf/case-insensitive-comparison/casei-like"""
    ask.needs("case-insensitive-comparison")
    for collection, name, _ in ask.queryables("string"):
        low = ask.ids(collection, f"CASEI({name}) LIKE casei('b%')")
        assert low == ask.ids(collection, f"CASEI({name}) LIKE casei('B%')")


def test_case_insensitive_comparison_test_data(ask):
    """/conf/case-insensitive-comparison/test-data"""
    data(ask, "case-insensitive-comparison")


def test_case_insensitive_comparison_logical(ask):
    """/conf/case-insensitive-comparison/logical"""
    logical(ask, "case-insensitive-comparison")


def test_accent_insensitive_comparison_accenti(ask):
    """/conf/accent-insensitive-comparison/accenti"""
    ask.needs("accent-insensitive-comparison")
    for collection, name, _ in ask.queryables("string"):
        same = ask.ids(collection, f"ACCENTI({name}) = accenti('äöüéáí')")
        assert not same & ask.ids(collection, f"ACCENTI({name}) <> accenti('aoueai')")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ACCENTI({}) LIKE accenti('Ä%')", "ACCENTI({}) LIKE accenti('A%')"),
        ("ACCENTI(CASEI({})) = accenti(casei('ÄÉ'))", "ACCENTI(CASEI({})) = accenti(casei('ae'))"),
        ("ACCENTI(CASEI({})) LIKE accenti(casei('Ä%'))", "ACCENTI(CASEI({})) LIKE accenti(casei('a%'))"),
    ],
    ids=["accenti-like", "accenti-casei", "accenti-casei-like"],
)
def test_accent_insensitive_comparison_pairs(ask, one, other):
    """/conf/accent-insensitive-comparison/accenti-like, /conf/accent-insensitive-comparison/accenti-casei
    and /conf/accent-insensitive-comparison/accenti-casei-like: with and without the accent it is the same.
    """
    ask.needs("accent-insensitive-comparison")
    for collection, name, _ in ask.queryables("string"):
        assert ask.ids(collection, one.format(name)) == ask.ids(collection, other.format(name))


def test_accent_insensitive_comparison_test_data(ask):
    """/conf/accent-insensitive-comparison/test-data"""
    data(ask, "accent-insensitive-comparison")


def test_accent_insensitive_comparison_logical(ask):
    """/conf/accent-insensitive-comparison/logical"""
    logical(ask, "accent-insensitive-comparison")


# -- Properties on both sides ---------------------------------------------------------------------------


def test_property_property_comparison_value_property(ask):
    """/conf/property-property/comparison-value-property: the value on the left."""
    ask.needs("property-property")
    mirrored = {"=": "=", "<>": "<>", ">": "<", "<": ">", ">=": "<=", "<=": ">="}
    for collection, name, kind in ask.queryables(*VALUES):
        found = {op: ask.ids(collection, f"{VALUES[kind]} {op} {name}") for op in OPERATORS}
        opposites(found, (collection["id"], name))
        for op, other in mirrored.items():
            assert found[op] == ask.ids(collection, f"{name} {other} {VALUES[kind]}")


def test_property_property_comparison_property_property(ask):
    """/conf/property-property/comparison-property-property: a property is what it is."""
    ask.needs("property-property")
    for collection, name, _ in ask.queryables(*VALUES):
        found = {op: ask.ids(collection, f"{name} {op} {name}") for op in OPERATORS}
        assert found["<>"] == found["<"] == found[">"] == frozenset()
        assert found["="] == found[">="] == found["<="] == ask.ids(collection, f"{name} IS NOT NULL")


def test_property_property_comparison_value_value(ask):
    """/conf/property-property/comparison-value-value: a value is what it is."""
    ask.needs("property-property")
    collection = min(ask.collections(), key=lambda one: len(ask.api.features(one)))
    total = len(ask.api.features(collection))
    for value in VALUES.values():
        for op in OPERATORS:
            expected = total if op in ("=", ">=", "<=") else 0
            assert ask.count(collection, f"{value} {op} {value}") == expected, (value, op)


def test_property_property_test_data(ask):
    """/conf/property-property/test-data"""
    data(ask, "property-property")


def test_property_property_logical(ask):
    """/conf/property-property/logical"""
    logical(ask, "property-property")


# -- Functions and arithmetic ---------------------------------------------------------------------------


def test_functions_functions(ask):
    """/conf/functions/functions: every function that the API lists, on properties of its argument types."""
    ask.needs("functions")
    examples = {
        "string": "'Foo'",
        "number": "2.5",
        "integer": "7",
        "date": "DATE('2022-04-14')",
        "datetime": "TIMESTAMP('2022-04-14T14:48:46Z')",
        "timestamp": "TIMESTAMP('2022-04-14T14:48:46Z')",
        "boolean": "true",
        "geometry": "POINT(7.02 49.92)",
    }
    kinds = {"date-time": "datetime"}
    (collection,) = [one for one in ask.collections() if one["id"] == ODD] or ask.collections()[:1]
    properties = {
        kinds.get(kind, kind): name
        for at, name, kind in ask.queryables(*VALUES)
        if at["id"] == collection["id"]
    }
    functions = ask.api.get(f"{ask.api.root}/functions")["functions"]
    assert functions
    for one in functions:
        for source in (examples, properties):
            arguments = []
            for argument in one.get("arguments", []):
                if "literal" in argument.get("title", ""):
                    arguments.append("0")
                    continue
                kind = next((kind for kind in argument["type"] if kind in source), argument["type"][0])
                arguments.append(source.get(kind, examples[kind]))
            call = f"{one['name']}({','.join(arguments)})"
            back = next((kind for kind in one["returns"] if kind in examples), one["returns"][0])
            for op in ("=", "<>") if back == "boolean" else ("=", "<>", "<", ">="):
                ask.count(collection, f"{call} {op} {examples[back]}")
    ask.refused(collection, "no_such_function(1) = 1")


def test_arithmetic_arithmetic(ask):
    """/conf/arithmetic/arithmetic: sums that leave a value as it is select what it selects."""
    ask.needs("arithmetic")
    for collection, name, _ in ask.queryables("number", "integer"):
        right = ask.ids(collection, f"{name} > 50")
        for same in (f"{name} + 2 - 2", f"{name} * 4 / 4", f"({name} + {name}) / 2", f"{name} * 2 ^ 0"):
            assert ask.ids(collection, f"{same} > 50") == right, (collection["id"], same)
        ask.count(collection, f"{name} % 2 = 1 OR {name} div 2 = 3")
        assert ask.count(collection, f"{name} / 0 = 1 OR {name} % 0 = 1 OR {name} div 0 = 1") == 0


def test_arithmetic_test_data(ask):
    """/conf/arithmetic/test-data"""
    data(ask, "arithmetic")


def test_arithmetic_logical(ask):
    """/conf/arithmetic/logical"""
    logical(ask, "arithmetic")


# -- The encodings --------------------------------------------------------------------------------------


def test_cql2_text_escaping(api):
    """/conf/cql2-text/escaping: a quotation mark in a text is doubled, or has a backslash before it."""
    ask = Evaluator(api, "cql2-text")
    (odd,) = [one for one in api.collections if one["id"] == ODD] or [None]
    if odd is None:
        pytest.skip("the API does not have the test dataset")
    names = {one["properties"]["名称"]: one["id"] for one in api.features(odd)}
    for name, fid in names.items():
        if name is not None:
            doubled = name.replace("'", "''")
            assert ask.ids(odd, f"\"名称\" = '{doubled}'") == {fid}, name
            assert ask.ids(odd, f"名称 = '{doubled}'") == {fid}, name
    assert ask.ids(odd, "\"名称\" = 'O\\'Hare'") == {names["O'Hare"]}


def test_cql2_json_validate(api):
    """/conf/cql2-json/validate: JSON that is none, or not of the language, is refused."""
    ask = Evaluator(api, "cql2-json")
    collection = api.collections[0]
    href = api.items(collection)
    for wrong in (
        "{",
        "[]",
        "17",
        '"true"',
        "{}",
        '{"op":"="}',
        '{"op":"=","args":[]}',
        '{"op":"=","args":[1]}',
        '{"op":"nothing","args":[1,2]}',
        '{"op":"and","args":[1,2]}',
        '{"op":"like","args":[{"property":"source_id"},7]}',
        '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"Point","coordinates":[1]}]}',
    ):
        answer = api.ask(href, GEOJSON, filter=wrong, filter_lang="cql2-json")
        assert answer.status_code == 400, (wrong, told(answer))
    assert ask.count(collection, "true") == len(api.features(collection))
