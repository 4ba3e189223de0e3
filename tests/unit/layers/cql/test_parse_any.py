"""Whatever is given as a filter is an expression, the same in text and JSON, or a mistake that is named."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.cql import ast
from layers.cql.parse import parse
from layers.errors import BadParameter
from layers.model import FeatureLayer
from layers.types import Field
from tests import queries
from tests.unit.layers.cql import writing
from tests.unit.layers.cql.places import LAYER

EVERYTHING = FeatureLayer(
    id="everything",
    kind="feature",
    title={},
    fields=(Field("source_id", "string"), *queries.FIELDS),
    geometry_type="Geometry",
    extent=None,
    crs="",
    count=0,
    generation=1,
    seq=1,
)


@settings(max_examples=250, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_text_and_json_of_one_expression_are_the_same(seed: int) -> None:
    node = queries.Maker(Random(seed), EVERYTHING).predicate(3)
    written = writing.text(node)
    found, reason = attempt(written, "cql2-text", EVERYTHING)
    if found is None:  # a text is longer and has parentheses where JSON needs none
        assert re.search("32 levels|8192 bytes", reason)
    else:
        assert found == parse(orjson.dumps(node).decode(), "cql2-json", EVERYTHING)


def attempt(filter_: str, lang: str, layer: FeatureLayer = LAYER) -> tuple[ast.Predicate | None, str]:
    """The expression, or the reason against it; a mistake names the parameter."""
    try:
        return parse(filter_, lang, layer), ""
    except BadParameter as error:
        return None, str(error)


_WORDS = """
name levels 名称 open built seen tags geometry id nosuch " ' casei accenti floor upper foo
'x' '%' 1 -1 1e5 9007199254740993 TRUE NULL .. '..' ( ) ( ) , ,
= <> < >= + - * / % ^ DIV AND OR NOT LIKE IN BETWEEN IS S_INTERSECTS S_WITHIN T_AFTER T_DURING A_CONTAINS
POINT LINESTRING POLYGON MULTIPOINT GEOMETRYCOLLECTION EMPTY Z BBOX DATE TIMESTAMP INTERVAL
'2020-01-01' '2020-01-01T00:00:00Z' \\ 😀 ; --
"""
_TOKENS = [*_WORDS.split(), '"say ""x"""', "((0 0, 1 0, 1 1, 0 0))", "(1 2)"]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_TOKENS), max_size=14).map(" ".join) | st.text(max_size=40))
def test_any_text_is_an_expression_or_a_named_mistake(filter_: str) -> None:
    found, reason = attempt(filter_, "cql2-text")
    assert found is not None or reason.startswith("filter=")


_OPERATIONS = (
    *("and", "or", "not", "=", "<", "+", "div", "like", "in", "between", "isNull", "casei", "floor", "year"),
    *("s_within", "t_during", "a_overlaps", "foo"),
)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["name", "..", "2020-01-01", "x", "Point"])
    | st.builds(
        lambda n: {"property": n}, st.sampled_from([f.name for f in LAYER.fields] + ["geometry", "x"])
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.builds(
            lambda op, args: {"op": op, "args": args},
            st.sampled_from(_OPERATIONS),
            st.lists(inner, max_size=3),
        )
        | st.dictionaries(
            st.sampled_from(
                ["op", "args", "property", "date", "timestamp", "interval", "bbox", "type", "coordinates"]
            ),
            inner,
            max_size=2,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(_JSON)
def test_any_json_is_an_expression_or_a_named_mistake(value: Any) -> None:
    found, reason = attempt(json.dumps(value), "cql2-json")
    assert found is not None or reason.startswith("filter=")
