"""Lists in a source become array fields: loaded, kept, filtered, shown as JSON arrays, and text in tiles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import load
from layers.cql.parse import parse
from layers.errors import BadBody
from layers.query import Query
from layers.read.plain import arrays
from layers.store import geopackage
from layers.values import items, stored
from tiles import column_build, scheme
from tiles.vector import encode

LISTS: list[dict[str, Any]] = [
    {
        "tags": ["医院", 'say "x"'],
        "sizes": [1, 2],
        "mixed": ["a", 1, True, None],
        "nested": [[1], [2]],
        "loose": [1],
    },
    {"tags": [], "sizes": [2.5], "mixed": [], "nested": [[3]], "loose": "text"},
    {"tags": None, "sizes": None, "mixed": None, "nested": None, "loose": None},
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    features = [
        {
            "type": "Feature",
            "id": f"f{i}",
            "properties": p,
            "geometry": {"type": "Point", "coordinates": [25, 60]},
        }
        for i, p in enumerate(LISTS)
    ]
    file = tmp_path / "places.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    opened = geopackage.open(tmp_path / "city.gpkg")
    load.run(opened, file, layer_id="places")
    yield opened
    opened.close()


def test_lists_of_scalars_become_arrays(store: Any) -> None:
    types = {f.name: f.type for f in store.layer("places").fields}
    assert {name: types[name] for name in ("tags", "sizes", "mixed", "nested", "loose")} == {
        "tags": "array",
        "sizes": "array",
        "mixed": "array",
        "nested": "string",
        "loose": "string",
    }


def test_geojson_has_json_arrays(store: Any) -> None:
    page = store.items("places", Query())
    found = [f["properties"] for f in json.loads(b"[" + page.features + b"]")]
    for shown, given_ in zip(found, LISTS, strict=True):
        assert {n: shown[n] for n in ("tags", "sizes", "mixed")} == {
            n: given_[n] for n in ("tags", "sizes", "mixed")
        }
    assert json.loads(found[0]["nested"]) == [[1], [2]]
    assert [json.loads(found[0]["loose"]), found[1]["loose"]] == [[1], "text"]


def test_filters_see_them(store: Any) -> None:
    def find(filter_: str) -> list[int]:
        query = Query(filter=parse(filter_, "cql2-text", store.layer("places")))
        return [f["id"] for f in json.loads(b"[" + store.items("places", query).features + b"]")]

    assert find("A_CONTAINS(tags, ('医院'))") == [1]
    assert find("A_OVERLAPS(sizes, (2.5, 2))") == [1, 2]
    assert find("A_EQUALS(sizes, (2.0, 1))") == [1]
    assert find("A_CONTAINEDBY(tags, ('x'))") == [2]
    assert find("tags IS NULL") == [3]


def test_edits_are_checked(store: Any) -> None:
    store.patch("places", 1, {"properties": {"tags": ["new", 1.0]}})
    assert json.loads(store.item("places", 1).body)["properties"]["tags"] == ["new", 1]
    for wrong in ("new", {"a": 1}, [["a"]], [float("nan")], ["a\x00"], 5):
        with pytest.raises(BadBody, match="tags: "):
            store.patch("places", 1, {"properties": {"tags": wrong}})


def test_tiles_have_their_json_text(store: Any) -> None:
    rows = store.rows("places")
    assert list(rows.properties["tags"]) == ['["医院","say \\"x\\""]', "[]", None]
    made = column_build.from_rows(rows, store.layer("places").fields)
    x, y = scheme.world(25.0, 60.0)
    tile = encode.layer("places", made, 14, int(x * 2**14), int(y * 2**14))
    found = mapbox_vector_tile.decode(tile)["places"]["features"]
    assert [f["properties"].get("tags") for f in found] == ['["医院","say \\"x\\""]', "[]", None]


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.lists(_SCALARS | st.text(st.characters(exclude_characters="\x00", codec="utf-8"))))
def test_the_stored_text_is_canonical(values: list[Any]) -> None:
    text = stored("array", values)
    assert isinstance(text, str)
    assert stored("array", text) == text
    assert items(text) == values
    assert not any(isinstance(v, float) and v.is_integer() and abs(v) < 2**63 for v in items(text))


def test_a_column_of_lists_survives_arrow() -> None:
    found = arrays([["a", 1], None, []])
    assert found is not None
    assert pa.types.is_list(found.type)
    assert arrays([None, None]) is None
    assert arrays([["a"], {"b": 1}]) is None
