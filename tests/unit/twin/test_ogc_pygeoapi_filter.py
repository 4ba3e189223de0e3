"""A filter that pygeoapi has read says the same as the text it read."""

import orjson
import pytest
from pygeofilter.ast import DistanceWithin
from pygeofilter.parsers.cql2_text import parse as read_there

from layers.cql.parse import parse
from layers.errors import BadParameter
from layers.model import FeatureLayer
from layers.types import Field
from twin.http.ogc.pygeoapi_filter import as_cql2

LAYER = FeatureLayer(
    id="things",
    kind="feature",
    title={},
    fields=(
        Field("name", "string"),
        Field("名称", "string"),
        Field("size", "number"),
        Field("count", "integer"),
        Field("open", "boolean"),
        Field("seen", "datetime"),
    ),
    geometry_type="Point",
    extent=None,
    crs="EPSG:4326",
    count=1,
    generation=1,
    seq=1,
)


@pytest.mark.parametrize(
    "text",
    [
        "name = 'x'",
        "\"名称\" = '医院'",
        "size > 5.5 AND count <= 3",
        "name = 'a' OR name = 'b' OR NOT name = 'c'",
        "name LIKE 'x%_'",
        "name NOT LIKE 'x'",
        "size BETWEEN 1 AND 2.5",
        "size NOT BETWEEN 1 AND 2",
        "name IN ('x','y')",
        "count NOT IN (1, 2)",
        "name IS NULL",
        "name IS NOT NULL",
        "open = true",
        "casei(name) = casei('X')",
        "size + 1 > 2 * count",
        "S_INTERSECTS(geometry, POINT(24 60))",
        "S_WITHIN(geometry, POLYGON((0 0,1 0,1 1,0 0)))",
        "S_TOUCHES(geometry, LINESTRING(0 0,1 0))",
        "S_INTERSECTS(geometry, BBOX(1,2,3,4))",
        "seen = TIMESTAMP('2020-01-01T00:00:00Z')",
    ],
)
def test_the_tree_says_what_the_text_says(text):
    told = orjson.dumps(as_cql2(read_there(text))).decode()
    assert parse(told, "cql2-json", LAYER) == parse(text, "cql2-text", LAYER)


def test_what_has_no_word_in_cql2_is_refused():
    with pytest.raises(BadParameter, match="filter"):
        as_cql2(DistanceWithin("geometry", "POINT(0 0)", 5, "m"))
