"""A drawing of features as SVG, for pages that run no script and load nothing."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from layers import crs as crs_

#: Pixels of the drawing; its height follows the features.
WIDE, HIGH, MARGIN = 1000, 440, 12
type Part = Sequence[Sequence[float]]


def draw(features: Sequence[Mapping[str, Any]], crs: str, label: str) -> str:
    """The outlines of GeoJSON features in this CRS (a URI), each a link to ``#f{id}``.

    North is up; a drawing in degrees is as wide as it is at its middle latitude. What is smaller than a
    pixel is left out, so its size is bounded by what can be seen. Nothing where no feature has a place."""
    drawn = [(int(one["id"]), list(_parts(one.get("geometry")))) for one in features]
    x, y = (1, 0) if crs_.swaps(crs) else (0, 1)
    places = [point for _, parts in drawn for part, _ in parts for point in part]
    if not places:
        return ""
    west, east = min(p[x] for p in places), max(p[x] for p in places)
    south, north = min(p[y] for p in places), max(p[y] for p in places)
    narrow = math.cos(math.radians((south + north) / 2)) if crs_.is_geographic(crs) else 1.0
    width, height = (east - west) * narrow, north - south
    sizes = [room / size for room, size in ((WIDE, width), (HIGH, height)) if size > 0]
    scale = min(sizes, default=1.0)

    def pixels(part: Part) -> Iterator[tuple[int, int]]:
        last = None
        for point in part:
            pixel = round((point[x] - west) * narrow * scale), round((north - point[y]) * scale)
            if pixel != last:
                yield pixel
            last = pixel

    paths = (
        f'<a href="#f{fid}">{_path([(list(pixels(part)), area) for part, area in parts])}</a>'
        for fid, parts in drawn
        if parts
    )
    box = f"{-MARGIN} {-MARGIN} {width * scale + 2 * MARGIN:.0f} {height * scale + 2 * MARGIN:.0f}"
    begin = f'<svg class="sketch" viewBox="{box}" role="img" aria-label="{html.escape(label)}">'
    return begin + "".join(paths) + "</svg>"


def _path(parts: list[tuple[list[tuple[int, int]], bool]]) -> str:
    """The parts of a feature; a single pixel is a line without length, which round ends show as a dot."""
    path = ""
    for (begin, *rest), area in parts:
        lines = "".join(f"L{x} {y}" for x, y in rest)
        path += f"M{begin[0]} {begin[1]}{lines or 'h0'}{'Z' if area and lines else ''}"
    dot = all(len(pixels) == 1 for pixels, _ in parts)
    looks = "dot" if dot else "area" if any(area for _, area in parts) else "line"
    return f'<path class="{looks}" d="{path}"/>'


def _parts(geometry: Mapping[str, Any] | None) -> Iterator[tuple[Part, bool]]:
    """The lines, rings and points of a GeoJSON geometry, and whether each bounds an area."""
    if geometry is None:
        return
    if geometry["type"] == "GeometryCollection":
        for one in geometry["geometries"]:
            yield from _parts(one)
        return
    kind: str = geometry["type"]
    level = [geometry["coordinates"]]
    # each "Multi" and the rings of an area are one list more around the positions
    for _ in range(kind.startswith("Multi") + kind.endswith("Polygon")):
        level = [one for inner in level for one in inner]
    for part in level:
        if part:
            yield ([part] if kind.endswith("Point") else part), kind.endswith("Polygon")
