"""Rain drains and sewers as an input file of SWMM 5.2: what lies in the ground, what rains, what drains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import shapely

from twin.demo.lanjiang import names
from twin.demo.lanjiang.pipelines import network, parts
from twin.demo.lanjiang.pipelines.parts import HOURS, LITRES, Pipe, Site
from twin.demo.lanjiang.subject import SHAPE, City

#: Share of the water used that is drained.
_DRAINED = 0.85
#: Of a unit grid with buildings and of one without: how much of it (%) lets no water in.
_SEALED, _OPEN = 65, 12
#: Millimetres an hour in each five minutes of two hours: of a storm whose peak comes after 0.4 of them.
STORM = (
    *(8, 10, 12, 15, 20, 28, 40, 62, 104, 88, 66, 52),
    *(42, 34, 28, 24, 20, 17, 15, 13, 11, 10, 9, 8),
)
_ROUGH = 0.013
#: From what several drains come to into an outfall or the works: length (m), fall (m), diameter (m).
_LAST = (12.0, 0.05, 2.0)
TABLES = ("rain", "sewage")
_DATE = "07/21/2026"


def write(city: City, file: Path) -> dict[str, float]:
    """Write the model; what is true of it: nodes, conduits, outfalls, catchments (ha), people."""
    sites: dict[str, Site] = {}
    pipes: list[Pipe] = []
    for table in TABLES:
        own = parts.sites(city, f"{table}_points")
        pipes += parts.pipes(city, f"{table}_pipes", own)
        sites |= own
    low = _lowest(sites, pipes)
    ends = [one for one in sites.values() if one.fitted in (network.OUTFALL, network.WORKS)]
    met = Counter(name for one in pipes for name in (one.start, one.end))
    alone = {one.id for one in ends if met[one.id] == 1}
    sewers = [one for one in sites.values() if one.id.startswith("WS")]
    people = parts.people(city, sewers)
    with file.open("w", encoding="utf-8", newline="\n") as out:
        print("\n".join(_settings(city)), file=out)
        hectares = _catchments(city, [one for one in sites.values() if one.id.startswith("YS")], out)
        print("\n[JUNCTIONS]\n;;Name Elevation MaxDepth InitDepth SurDepth Aponded", file=out)
        for one in sites.values():
            if one.id not in alone:
                print(f"{one.id} {low[one.id]:.3f} {one.ground_m - low[one.id]:.3f} 0 0 0", file=out)
        print("\n[OUTFALLS]\n;;Name Elevation Type Gated", file=out)
        for one in ends:
            name, fall = (one.id, 0.0) if one.id in alone else (f"Z{one.id}", _LAST[1])
            print(f"{name} {low[one.id] - fall:.3f} FREE NO", file=out)
        _conduits(pipes, [one.id for one in ends if one.id not in alone], low, out)
        print("\n[DWF]\n;;Node Constituent Baseline Patterns", file=out)
        for one, count in zip(sewers, people.tolist(), strict=True):
            if count and one.id not in alone:
                print(f'{one.id} FLOW {count * LITRES * _DRAINED / 86_400:.5f} "DAY"', file=out)
        print("\n[PATTERNS]", file=out)
        for at in range(0, len(HOURS), 6):
            first = "HOURLY " if at == 0 else ""
            print(f"DAY {first}" + " ".join(f"{value:.2f}" for value in HOURS[at : at + 6]), file=out)
        print("\n[COORDINATES]", file=out)
        for one in sites.values():
            print(f"{one.id} {one.x:.3f} {one.y:.3f}", file=out)
        for one in ends:
            if one.id not in alone:
                print(f"Z{one.id} {one.x:.3f} {one.y - _LAST[0]:.3f}", file=out)
    return {
        "junctions": len(sites) - len(alone),
        "conduits": len(pipes) + len(ends) - len(alone),
        "outfalls": len(ends),
        "catchment_ha": round(hectares, 2),
        "people": int(people.sum()),
    }


def _lowest(sites: dict[str, Site], pipes: list[Pipe]) -> dict[str, float]:
    """The invert of each point: the lowest that meets there."""
    low = {one.id: one.low_m for one in sites.values()}
    for pipe in pipes:
        for name, level in ((pipe.start, pipe.first_m), (pipe.end, pipe.last_m)):
            low[name] = min(low[name], level)
    return low


def _catchments(city: City, rain: list[Site], out: TextIO) -> float:
    """Unit grids as what drains to the nearest rain drain; their area (ha)."""
    cells = [(row["网格编码"], shape) for row, shape in parts.rows(city, "units")]
    shapes = np.array([shape for _, shape in cells])
    tree, built = shapely.STRtree(shapes), np.zeros(len(cells), bool)
    for part in city.tables("buildings"):
        middles = shapely.centroid(shapely.from_wkb(part[SHAPE].to_pylist()))
        built[tree.query(middles, predicate="intersects")[1]] = True
    outlets = parts.nearest(rain, shapely.get_coordinates(shapely.centroid(shapes)))
    area = shapely.area(shapes) / 10_000
    print("\n[SUBCATCHMENTS]\n;;Name Rain Outlet Area Imperv Width Slope CurbLen", file=out)
    for (name, _), hectares, is_built, at in zip(cells, area, built, outlets, strict=True):
        sealed, wide = (_SEALED if is_built else _OPEN), math.sqrt(hectares * 10_000)
        print(f"S{name} GAUGE {rain[at].id} {hectares:.4f} {sealed} {wide:.1f} 0.5 0", file=out)
    print("\n[SUBAREAS]\n;;Name N-Imperv N-Perv S-Imperv S-Perv PctZero RouteTo", file=out)
    for name, _ in cells:
        print(f"S{name} 0.013 0.15 1.5 5 25 OUTLET", file=out)
    print("\n[INFILTRATION]\n;;Name MaxRate MinRate Decay DryTime MaxInfil", file=out)
    for name, _ in cells:
        print(f"S{name} 76 12 4 7 0", file=out)
    return float(area.sum())


def _conduits(pipes: list[Pipe], shared: list[str], low: dict[str, float], out: TextIO) -> None:
    print("\n[CONDUITS]\n;;Name From To Length Roughness InOffset OutOffset InitFlow MaxFlow", file=out)
    for pipe in pipes:
        into, from_ = pipe.last_m - low[pipe.end], pipe.first_m - low[pipe.start]
        size = f"{max(pipe.long_m, 1.0):.3f} {_ROUGH} {from_:.3f} {into:.3f} 0 0"
        print(pipe.id, pipe.start, pipe.end, size, file=out)
    for name in shared:
        print(f"L{name} {name} Z{name} {_LAST[0]} {_ROUGH} 0 0 0 0", file=out)
    print("\n[XSECTIONS]\n;;Link Shape Geom1 Geom2 Geom3 Geom4 Barrels", file=out)
    for pipe in pipes:
        print(f"{pipe.id} CIRCULAR {pipe.size_mm / 1_000:.3f} 0 0 0 1", file=out)
    for name in shared:
        print(f"L{name} CIRCULAR {_LAST[2]} 0 0 0 1", file=out)


def _settings(city: City) -> Iterator[str]:
    yield f"[TITLE]\n{names.CITY} {names.NOTICE} {city.size} seed {city.seed}\n"
    yield "[OPTIONS]\nFLOW_UNITS LPS\nINFILTRATION HORTON\nFLOW_ROUTING DYNWAVE\nLINK_OFFSETS DEPTH"
    yield f"START_DATE {_DATE}\nSTART_TIME 00:00:00\nREPORT_START_DATE {_DATE}\nREPORT_START_TIME 00:00:00"
    yield f"END_DATE {_DATE}\nEND_TIME 06:00:00\nREPORT_STEP 00:05:00\nWET_STEP 00:01:00\nDRY_STEP 00:10:00"
    yield "ROUTING_STEP 5\nLENGTHENING_STEP 10\nVARIABLE_STEP 0"
    yield "ALLOW_PONDING NO\nINERTIAL_DAMPING PARTIAL\nTHREADS 1\n"
    yield "[EVAPORATION]\nCONSTANT 0\n"
    yield "[RAINGAGES]\n;;Name Format Interval SCF Source\nGAUGE INTENSITY 0:05 1.0 TIMESERIES STORM\n"
    yield "[TIMESERIES]"
    for step, depth in enumerate((*STORM, 0)):
        minutes = 60 + 5 * step
        yield f"STORM {minutes // 60}:{minutes % 60:02d} {depth}"
    yield "\n[REPORT]\nINPUT NO\nCONTROLS NO"
