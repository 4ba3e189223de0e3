"""The water network as an input file of EPANET 2.2: what lies in the ground, who draws, what feeds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from twin.demo.lanjiang import names, plan
from twin.demo.lanjiang.pipelines import network, parts
from twin.demo.lanjiang.pipelines.media import WATER
from twin.demo.lanjiang.pipelines.parts import HOURS, LITRES
from twin.demo.lanjiang.pipelines.trunks import BANKS
from twin.demo.lanjiang.subject import City

#: Head (m, 1985) that the water works keep, columns of crossings from one to the next along each bank, and
#: the pipe from there (m, mm).
HEAD, APART, OUTLET = 82.0, 3, (60.0, 1000)
#: Roughness after Hazen and Williams: ductile iron, lined.
ROUGH = 130


def write(city: City, file: Path) -> dict[str, float]:
    """Write the model; what is true of it: people, junctions, pipes, works, mean demand (L/s)."""
    sites = parts.sites(city, "water_points")
    pipes = parts.pipes(city, "water_pipes", sites)
    order = list(sites.values())
    people = parts.people(city, order)
    works = [name for name in _works(city.size) if name in sites]
    with file.open("w", encoding="utf-8", newline="\n") as out:
        for line in (
            *("[TITLE]", f"{names.CITY} {names.NOTICE} {city.size} seed {city.seed}", ""),
            *("[JUNCTIONS]", ";ID Elevation Demand Pattern"),
        ):
            print(line, file=out)
        for one, count in zip(order, people.tolist(), strict=True):
            demand = count * LITRES / 86_400
            print(one.id, f"{one.low_m:.3f} {demand:.5f} DAY ;{one.fitted}", file=out)
        print("\n[RESERVOIRS]\n;ID Head", file=out)
        for name in works:
            print(f"R{name} {HEAD}", file=out)
        print("\n[PIPES]\n;ID Node1 Node2 Length Diameter Roughness MinorLoss Status", file=out)
        for pipe in pipes:
            size = f"{pipe.long_m:.3f} {pipe.size_mm} {ROUGH} 0 OPEN"
            print(pipe.id, pipe.start, pipe.end, size, file=out)
        for name in works:
            print(f"P{name} R{name} {name} {OUTLET[0]} {OUTLET[1]} {ROUGH} 0 OPEN", file=out)
        print("\n[COORDINATES]", file=out)
        for one in order:
            print(f"{one.id} {one.x:.3f} {one.y:.3f}", file=out)
        for name in works:
            print(f"R{name} {sites[name].x - 30:.3f} {sites[name].y - 30:.3f}", file=out)
        print("\n".join(_settings()), file=out)
    return {
        "people": int(people.sum()),
        "junctions": len(order),
        "pipes": len(pipes) + len(works),
        "works": len(works),
        "mean_demand_l_s": round(float(people.sum()) * LITRES / 86_400, 3),
    }


def _works(size: str) -> Iterator[str]:
    """Points at which water works feed the network: crossings along both banks."""
    (west, east), _ = plan.SIZES[size]
    for bank in BANKS:
        for i in range(west, east + 2):
            if i % APART == 0:
                yield network.crossing_id(WATER, i, bank)


def _settings() -> Iterator[str]:
    yield "\n[PATTERNS]"
    for at in range(0, len(HOURS), 6):
        yield " ".join(["DAY", *(f"{value:.2f}" for value in HOURS[at : at + 6])])
    yield "\n[TIMES]\nDuration 24:00\nHydraulic Timestep 1:00\nPattern Timestep 1:00\nReport Timestep 1:00"
    yield "\n[REPORT]\nStatus No\nSummary No"
    yield "\n[OPTIONS]\nUnits LPS\nHeadloss H-W\nTrials 200\nAccuracy 0.001\nUnbalanced Continue 10"
    yield "\n[END]"
