"""Bodies of requests against a layer: what a value of JSON may be for a field of each type."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from layers.errors import BadBody
from layers.store import feature
from layers.types import Field


@dataclass(frozen=True)
class Table:
    """A layer of one field."""

    fields: tuple[Field, ...]
    geometry_type: str = "Geometry"

    def field(self, name: str) -> Field | None:
        return next((one for one in self.fields if one.name == name), None)


TAGS = Table((Field("tags", "array"),))


@pytest.mark.parametrize(
    ("given", "kept"), [([], "[]"), (["a", 1.0, True, None], '["a",1,true,null]'), (None, None)]
)
def test_an_array_is_a_list(given: object, kept: object) -> None:
    assert feature.properties(TAGS, {"tags": given}) == {"tags": kept}


@pytest.mark.parametrize("given", ["[1]", "x", {"a": 1}, 1, True, ["a", ["b"]], [{"a": 1}]])
def test_what_is_no_list_is_refused(given: object) -> None:
    """A file may have a list as text; in JSON that is a text."""
    with pytest.raises(BadBody, match="tags: "):
        feature.properties(TAGS, {"tags": given})


@pytest.mark.parametrize("kind", ["Polygon", "MultiPolygon"])
def test_rings_are_turned_right(kind: str) -> None:
    ring = [[0, 0], [0, 1], [1, 1], [0, 0]]
    coordinates = [ring] if kind == "Polygon" else [[ring], [[[x + 5, y] for x, y in ring]]]
    found = feature.geometry(TAGS, {"type": kind, "coordinates": coordinates})
    assert all(part.exterior.is_ccw for part in getattr(found, "geoms", [found]))


def test_a_line_keeps_its_direction() -> None:
    found = feature.geometry(TAGS, {"type": "LineString", "coordinates": [[1, 1, 5], [0, 0, 6]]})
    assert list(found.coords) == [(1, 1, 5), (0, 0, 6)]
