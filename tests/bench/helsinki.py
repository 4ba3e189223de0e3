"""Features and tiles of the loaded Helsinki city, against the floor and pygeoapi's path over our store."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench import nginx
from tests.bench.measure import Case, Connection, Pair, Target, pair, turns
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
        sent = _etag(us, path)
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


def to_nginx(us: Target, floor: Target, folder: Path) -> Iterator[Row]:
    """The same tiles, and a 304, as nginx answers them: it knows neither rights nor edits.

    The floor's 304 is told beside ours, for on a slow machine no server reaches a figure in microseconds."""
    asks = [("accept-encoding", "gzip")]
    bodies = {
        "tile": Connection(us.url).request(TILE, asks)[2],
        "node": Connection(us.url).request(GLB, asks)[2],
    }
    if nginx.PROGRAM is None:
        yield Row("cached vector tile: CPU to nginx", "—", "≤ 3 ×", "without nginx")
        return
    with nginx.serving(folder, bodies) as peer:
        for name, path, file in (("vector", TILE, "/tile"), ("3D", GLB, "/node")):
            found = pair(Case(us, [path], asks), Case(peer, [file], asks), 1000, 1000)
            detail = f"{told(found)}, {nginx.told()}"
            yield at_most(f"cached {name} tile: CPU to nginx", found.ratio, 3, detail)
        ours, theirs = _etag(us, TILE), _etag(peer, "/tile")
        cases = (
            Case(us, [TILE], ours, 304),
            Case(peer, ["/tile"], theirs, 304),
            Case(floor, ["/304"], ours, 304),
        )
        unchanged = turns([(case, 1000) for case in cases], 9)
    detail = f"nginx {unchanged.median(1):.0f} µs, the floor {unchanged.median(2):.0f} µs"
    yield at_most("304 of a vector tile (CPU)", unchanged.median(0), 33, detail, " µs")


def _etag(of: Target, path: str) -> list[tuple[str, str]]:
    _, headers, _ = Connection(of.url).request(path, [("accept-encoding", "gzip")])
    return [("if-none-match", headers["etag"]), ("accept-encoding", "gzip")]


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
