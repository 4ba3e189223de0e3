"""Features against the peers: the same rows, the same questions, the same HTTP server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from layers.types import Bbox
from tests.bench.data import LAYER, Town
from tests.bench.measure import Case, Connection, Target, Turns, turns
from tests.bench.report import Row, at_most, part_of

GPKG, POSTGIS, PYGEOAPI, TIPG, FLOOR = "GeoPackage", "PostGIS", "pygeoapi", "tipg", "floor"
BOXES = 24
ROUNDS = 5
#: How often a server goes round the boxes in a turn: a turn should be long enough to be measured (≈ 0.3 s)
#: and short enough that five rounds of all of them end.
TIMES = {GPKG: 12, POSTGIS: 3, PYGEOAPI: 1, TIPG: 1, FLOOR: 30}
FILTER = "height > 30 AND use = 'office'"
ITEMS = {
    GPKG: f"/ogc/collections/{LAYER}/items",
    POSTGIS: f"/ogc/collections/{LAYER}/items",
    PYGEOAPI: f"/collections/{LAYER}/items",
    TIPG: f"/collections/public.{LAYER}/items",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the table: the paths below ``…/items`` that every server is asked.

    ``goals`` are (server, peer, part): our cost on that store must be at most 1/part of the peer's."""

    name: str
    paths: tuple[str, ...]
    goals: tuple[tuple[str, str, int], ...] = ()
    same: Callable[[bytes], object] | None = None


@dataclass(slots=True)
class Result:
    """What a question cost each server."""

    question: Question
    servers: list[str]
    turns: Turns
    size: int
    matched: float = field(default=0.0)

    def cost(self, server: str) -> float | None:
        """µs a request."""
        return self.turns.median(self.servers.index(server)) if server in self.servers else None

    def rows(self) -> list[Row]:
        """The goals of this question, as far as the servers were there."""
        found = []
        for server, peer, part in self.question.goals:
            if server in self.servers and peer in self.servers:
                ratio = self.turns.ratio(self.servers.index(server), self.servers.index(peer))
                detail = f"{self.cost(server):.0f} µs, {self.cost(peer):.0f} µs"
                found.append(part_of(f"{self.question.name}: {server} to {peer}", ratio, part, detail))
        return found


def counts(body: bytes) -> object:
    """What every server must agree on: how many match, how many are given."""
    page = json.loads(body)
    return page["numberMatched"], page["numberReturned"]


def ids(body: bytes) -> object:
    """Where everything that matches is given, the features themselves."""
    return sorted(feature["id"] for feature in json.loads(body)["features"])


def identity(body: bytes) -> object:
    """One feature: its id and a value of it."""
    feature = json.loads(body)
    return feature["id"], feature["properties"]["address"], feature["geometry"]["coordinates"]


def questions(town: Town) -> list[Question]:
    """Every row, with the goals that are set for it."""
    halves = ((POSTGIS, TIPG, 2),)
    found = []
    for matches in (50, 2000):
        boxes = town.boxes(matches, BOXES)
        for limit in (10, 100, 1000):
            goals = GOALS.get((matches, limit), ()) + halves
            whole = matches < limit
            name = f"items, ≈ {matches} matches, limit {limit}"
            found.append(
                Question(name, tuple(_page(box, limit) for box in boxes), goals, ids if whole else counts)
            )
    fids = tuple(f"/{fid}" for fid in town.fids(BOXES))
    item_goals = ((GPKG, PYGEOAPI, 40), (GPKG, TIPG, 15), *halves)
    found.append(Question("one item", fids, item_goals, identity))
    asked = f"&filter-lang=cql2-text&filter={quote(FILTER)}"
    boxes = town.boxes(2000, BOXES)
    paths = tuple(_page(box, 100) + asked for box in boxes)
    found.append(Question(f"CQL2 `{FILTER}` in a box of ≈ 2000, limit 100", paths, halves, counts))
    return found


GOALS: dict[tuple[int, int], tuple[tuple[str, str, int], ...]] = {
    (50, 100): ((GPKG, PYGEOAPI, 50), (GPKG, TIPG, 10)),
    (2000, 1000): ((GPKG, PYGEOAPI, 20), (GPKG, TIPG, 10)),
}


def _page(box: Bbox, limit: int) -> str:
    return f"?limit={limit}&bbox={','.join(map(str, box))}"


def measure(question: Question, servers: Sequence[Target], floor: Target) -> Result:
    """Ask every server in turns, after they were seen to give the same answer."""
    cases = [Case(one, [ITEMS[one.name] + path for path in question.paths]) for one in servers]
    bodies = _agree(question, cases)
    sizes = [len(body) for body in bodies]
    cases.append(Case(floor, [f"/{size}" for size in sizes]))
    counted = [(case, TIMES[case.target.name] * len(question.paths)) for case in cases]
    result = Result(
        question, [case.target.name for case in cases], turns(counted, ROUNDS), sum(sizes) // len(sizes)
    )
    if question.same is not identity:
        result.matched = sum(json.loads(body).get("numberMatched", 0) for body in bodies) / len(bodies)
    return result


def _agree(question: Question, cases: Sequence[Case]) -> list[bytes]:
    """Ask everything once; the first server's bodies. Raises AssertionError where two differ."""
    told: list[list[bytes]] = []
    for case in cases:
        connection = Connection(case.target.url)
        told.append([case.ask(connection, index) for index in range(len(case.paths))])
        connection.close()
    assert question.same is not None
    for index, first in enumerate(told[0]):
        expected = question.same(first)
        for case, bodies in zip(cases, told, strict=True):
            given = question.same(bodies[index])
            if given != expected:
                path = case.paths[index]
                raise AssertionError(f"{case.target.name} {path}: {given!r:.200}, not {expected!r:.200}")
    return told[0]


def not_modified(servers: Sequence[Target], floor: Target, town: Town) -> tuple[Result, list[Row]]:
    """304 of an item and its goal: no peer answers one, so the floor's is the measure."""
    fid = town.fids(1)[0]
    cases = []
    for one in servers:
        connection = Connection(one.url)
        path = f"{ITEMS[one.name]}/{fid}"
        _, headers, _ = connection.request(path)
        connection.close()
        cases.append(Case(one, [path], [("if-none-match", headers["etag"])], 304))
    cases.append(Case(floor, ["/304"], [("if-none-match", '"0"')], 304))
    question = Question("304 of an item", (f"/{fid}",))
    names = [case.target.name for case in cases]
    found = turns([(case, 1000 if case.target.name != POSTGIS else 300) for case in cases], ROUNDS)
    result = Result(question, names, found, 0)
    rows = []
    if GPKG in names:
        ratio = found.ratio(names.index(GPKG), names.index(FLOOR))
        detail = f"{result.cost(GPKG):.0f} µs, {result.cost(FLOOR):.0f} µs"
        rows.append(at_most(f"304 of an item: {GPKG} to the floor's 304", ratio, 2, detail))
    return result, rows


def matrix(results: Sequence[Result], servers: Sequence[str]) -> str:
    """Every cost in one table, milliseconds of CPU a request."""
    lines = [
        "| CPU ms a request | " + " | ".join(_TITLES[name] for name in servers) + " | answer |",
        "|---|" + "---|" * (len(servers) + 1),
    ]
    for result in results:
        cells = []
        for name in servers:
            cost = result.cost(name)
            cells.append("—" if cost is None else f"{cost / 1000:.3g}")
        size = f"{result.size / 1000:.1f} kB" if result.size else "—"
        matched = f", {result.matched:.0f} match" if result.matched else ""
        lines.append(f"| {result.question.name} | {' | '.join(cells)} | {size}{matched} |")
    return "\n".join(lines)


_TITLES = {
    GPKG: "ours, GeoPackage",
    POSTGIS: "ours, PostGIS",
    PYGEOAPI: "pygeoapi + PostGIS",
    TIPG: "tipg + PostGIS",
    FLOOR: "floor",
}
