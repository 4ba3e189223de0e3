"""What each script must lead to, for ``truth.json``: alarms, cases, units, affected features."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer

from twin.demo.lanjiang import devices, scripts
from twin.demo.lanjiang.frame import GEOGRAPHIC
from twin.demo.lanjiang.observations import Stream, observed
from twin.demo.lanjiang.scripts import Scene
from twin.demo.lanjiang.subject import SHAPE, City, Made, Subject
from twin.live import themes
from twin.live.rules import Rule

#: The start that the truth is told of: a dry morning on which people work.
START = "2026-05-13T09:00:00+08:00"
#: Minutes that are looked at, and from one look to the next.
_MINUTES, _STEP = 180, 1.0


def expected(city: City) -> Made:
    """The truth of all scripts."""
    streams = list(_streams(city))
    start = datetime.fromisoformat(START).timestamp()
    rules = themes.load(Path(), devices.THEMES)
    told = {}
    for name in scripts.SCRIPTS:
        scene = scripts.scene(name, streams, start)
        told[name] = _told(scene, [one for one in streams if scene.affects(one)], city.seed, rules)
    return Made(truth={"start": START, "played": told})


def _told(scene: Scene, affected: list[Stream], seed: int, rules: themes.Themes) -> dict[str, Any]:
    script = scene.script
    return {
        "title": script.title,
        "drill": script.drill,
        "at": scene.at.code,
        "lonlat": [scene.at.lon, scene.at.lat],
        "affected": sorted(one.code for one in affected),
        "alarms": [
            alarm for one in affected for alarm in _alarms(scene, one, seed, rules.rule(one.property))
        ],
        "reports": len(script.told),
        "cases": script.cases,
        "units": list(script.units),
    }


def _alarms(scene: Scene, stream: Stream, seed: int, rule: Rule) -> Iterator[dict[str, Any]]:
    """The first minute at which a stream is in each state that it would not be in without the script."""
    times = scene.start + np.arange(0, _MINUTES + _STEP, _STEP) * 60
    usual = set(_states(observed(seed, stream, times).tolist(), rule))
    seen = {"ok"} | usual
    for minute, state in enumerate(_states(scene.observed(seed, stream, times).tolist(), rule)):
        if state not in seen:
            seen.add(state)
            yield {"stream": stream.code, "property": stream.property, "level": state, "minute": minute}


def _states(values: list[float], rule: Rule) -> Iterator[str]:
    raised = 0
    for value in values:
        raised = rule.step(value, raised)
        yield rule.state(raised)


def _streams(city: City) -> Iterator[Stream]:
    """The sensors of the middle of the city, where the scripts are played, and around it."""
    back = Transformer.from_crs(city.frame.epsg, GEOGRAPHIC, always_xy=True)
    for layer in devices.LISTS:
        for part in city.tables(layer):
            x, y = shapely.get_coordinates(shapely.from_wkb(part[SHAPE].to_pylist())).T
            lon, lat = (np.round(values, 8).tolist() for values in back.transform(x, y))
            named = (part[name].to_pylist() for name in ("测点编码", "监测项目", "标称值"))
            for code, title, nominal, *at in zip(*named, lon, lat, strict=True):
                yield Stream(code, devices.PROPERTIES[title].property, at[0], at[1], nominal or 0.0)


SUBJECT = Subject("scripts", whole=expected)
