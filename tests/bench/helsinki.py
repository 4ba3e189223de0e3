"""Features and tiles of the loaded Helsinki city, against the floor and pygeoapi's path over our store."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence

from tests.bench.measure import Case, Connection, Pair, Target, pair
from tests.bench.report import Row, at_most
from tests.mercator import cell

CENTRE = (24.9443, 60.1716)


def items(us: Target, floor: Target, peer: Target) -> Iterator[Row]:
    """Items: ≈ 50 matches with limit 100, and limit 1000."""
    small = [f"/collections/addresses/items?limit=100&bbox={box}" for box in _boxes(us)]
    large = ["/collections/addresses/items?limit=1000"]
    for name, paths, ours, theirs in (
        ("items, ≈ 50 matches, limit 100", small, 160, 16),
        ("items, limit 1000", large, 40, 4),
    ):
        case = Case(us, ["/ogc" + path for path in paths])
        found = pair(Case(peer, paths), case, theirs, ours)
        detail = f"{found.second:.0f} µs, {found.first:.0f} µs"
        less = f"{name}: CPU less than pygeoapi's path"
        yield Row(less, f"{found.ratio:.1f} ×", "≥ 8 ×", detail, found.ratio >= 8)
        found = pair(case, Case(floor, [f"/{_mean_size(us, case.paths)}"]), ours, 700)
        yield Row(f"{name}: CPU to the floor", f"{found.ratio:.1f} ×", "this is the bar", told(found))


def told(found: Pair) -> str:
    """Both sides, as the table has them."""
    return f"{found.first:.0f} µs, {found.second:.0f} µs"


def not_modified(us: Target, floor: Target, _peer: Target) -> Iterator[Row]:
    """304 of an item and of a tile against a constant 304."""
    for name, path in (
        ("304 of an item", "/ogc/collections/buildings/items/1"),
        ("304 of a vector tile", TILE),
    ):
        _, headers, _ = Connection(us.url).request(path, [("accept-encoding", "gzip")])
        sent = [("if-none-match", headers["etag"]), ("accept-encoding", "gzip")]
        ours = Case(us, [path], sent, 304)
        found = pair(ours, Case(floor, ["/304"], sent, 304), 1000, 1000)
        yield at_most(f"{name}: CPU to the floor's 304", found.ratio, 2, told(found))


def cached_tile(us: Target, floor: Target, _peer: Target) -> Iterator[Row]:
    """A cached vector tile, and a cached 3D tile, against constant bytes of their size."""
    for name, path in (("cached vector tile", TILE), ("cached 3D tile", GLB)):
        asks = [("accept-encoding", "gzip")]
        _, _, body = Connection(us.url).request(path, asks)
        found = pair(Case(us, [path], asks), Case(floor, [f"/{len(body)}"], asks), 1000, 1000)
        detail = f"{told(found)}, {len(body)} bytes"
        yield at_most(f"{name}: CPU to the floor", found.ratio, 3, detail)


HTTP = (items, not_modified, cached_tile)


def _boxes(us: Target) -> list[str]:
    """Sixteen boxes with 40 to 60 addresses each."""
    rng = random.Random(7)
    connection = Connection(us.url)
    boxes: list[str] = []
    while len(boxes) < 16:
        lon = CENTRE[0] + rng.uniform(-0.006, 0.006)
        lat = CENTRE[1] + rng.uniform(-0.004, 0.004)
        for half in (0.0006, 0.0008, 0.001, 0.0013, 0.0016, 0.002):
            box = f"{lon - half:.6f},{lat - half / 2:.6f},{lon + half:.6f},{lat + half / 2:.6f}"
            _, _, body = connection.request(f"/ogc/collections/addresses/items?limit=1&bbox={box}")
            if 40 <= json.loads(body)["numberMatched"] <= 60:
                boxes.append(box)
                break
    return boxes


def _mean_size(us: Target, paths: Sequence[str]) -> int:
    connection = Connection(us.url)
    sizes = [len(connection.request(path)[2]) for path in paths]
    return sum(sizes) // len(sizes)


def _cell(z: int) -> str:
    return "/".join(map(str, cell(z, *CENTRE)))


TILE = f"/tiles/buildings/{_cell(15)}.mvt"
GLB = f"/3dtiles/buildings/{_cell(16)}.glb"
