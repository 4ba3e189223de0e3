"""Where known features of the demo city stand, from the server's own answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shapely import STRtree
from shapely.geometry import Point, shape
from shapely.geometry.base import BaseGeometry

from tests.support import Server

METRES = 111_320.0


@dataclass(frozen=True)
class Place:
    """A feature and a point on it; height in metres."""

    fid: int
    lon: float
    lat: float
    height: float
    geometry: BaseGeometry
    properties: dict[str, Any]


def items(server: Server, layer: str) -> list[dict[str, Any]]:
    """All features of a layer."""
    answer = server.http.get(f"/ogc/collections/{layer}/items", params={"limit": 10000})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["features"])


def place(item: dict[str, Any], point: Point, height: float) -> Place:
    """A place on an item."""
    return Place(item["id"], point.x, point.y, height, shape(item["geometry"]), item["properties"])


def building(server: Server, *, small: bool = False) -> Place:
    """A building that no other solid touches: the one with the largest roof, or one of middling size."""
    every = items(server, "buildings")
    solids = STRtree([shape(i["geometry"]) for i in [*every, *items(server, "building_parts")]])
    found = [i for i in every if len(solids.query(shape(i["geometry"]), predicate="intersects")) == 1]
    found.sort(key=lambda i: shape(i["geometry"]).area)
    chosen = found[len(found) // 2] if small else found[-1]
    point = shape(chosen["geometry"]).representative_point()
    return place(chosen, point, chosen["properties"]["height_m"])


def part(server: Server) -> Place:
    """The highest building part with a flat roof."""
    flat = [i for i in items(server, "building_parts") if i["properties"]["roof_shape"] == "flat"]
    chosen = max(flat, key=lambda i: (i["properties"]["height_m"], shape(i["geometry"]).area))
    point = shape(chosen["geometry"]).representative_point()
    return place(chosen, point, chosen["properties"]["height_m"])


def pipe(server: Server) -> Place:
    """A long pipe, at its middle."""
    chosen = max(items(server, "pipelines"), key=lambda i: shape(i["geometry"]).length)
    line = shape(chosen["geometry"])
    return place(chosen, line.interpolate(0.5, normalized=True), -chosen["properties"]["depth_m"])


def asset(server: Server) -> Place:
    """A street asset that stands clear of buildings and of other assets."""
    assets = items(server, "street_assets")
    roofs = [shape(i["geometry"]) for i in items(server, "buildings")]
    points = [shape(i["geometry"]) for i in assets]

    def clear(index: int) -> float:
        point = points[index]
        others = min(point.distance(p) for i, p in enumerate(points) if i != index)
        return min(others, min(point.distance(roof) for roof in roofs))

    best = max(range(0, len(assets), 7), key=clear)
    return place(assets[best], points[best], 0.0)
