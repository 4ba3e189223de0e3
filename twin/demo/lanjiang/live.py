"""The sensors of a city that was loaded, as its device lists have them, for whoever plays them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from twin.demo.cast import Role
from twin.demo.lanjiang import scripts
from twin.demo.lanjiang.devices import LISTS, PROPERTIES, THEMES
from twin.demo.lanjiang.observations import Stream, observed
from twin.demo.lanjiang.scripts import Scene
from twin.demo.places import PAGE, Place
from twin.live import themes
from twin.live.rules import Rule

type Values = Callable[[Sequence[float]], list[float]]


def lists(http: httpx.Client) -> list[str]:
    """The device lists that a server has as layers."""
    answer = http.get("/ogc/collections", params={"f": "json"}).raise_for_status().json()
    there = {one["id"] for one in answer["collections"]}
    return [layer for layer in LISTS if layer in there]


def cast(
    http: httpx.Client, layers: Sequence[str], seed: int, script: str, start: float
) -> tuple[list[Role], Scene | None]:
    """The sensors of device lists, and the scene of a script, if one is named. Raises BadParameter."""
    observable = themes.load(Path(), THEMES).properties
    listed = [one for layer in layers for one in _listed(http, layer)]
    scene = scripts.scene(script, (stream for stream, *_ in listed), start) if script else None
    return [
        _role(stream, name, at, observable[stream.property], partial(_values, seed, stream, scene))
        for stream, name, at in listed
    ], scene


def _listed(http: httpx.Client, layer: str) -> Iterator[tuple[Stream, str, str]]:
    """Each stream, its name and what it stands at. Rows that are of no property known here are left out."""
    url: str | None = f"/ogc/collections/{layer}/items"
    params: dict[str, Any] | None = {"limit": PAGE, "f": "json"}
    while url:
        page = http.get(url, params=params).raise_for_status().json()
        for feature in page["features"]:
            row = feature["properties"]
            one = PROPERTIES.get(row.get("监测项目"))
            if one is not None and feature["geometry"]:
                lon, lat = feature["geometry"]["coordinates"][:2]
                stream = Stream(str(row["source_id"]), one.property, lon, lat, float(row.get("标称值") or 0))
                yield stream, str(row.get("name") or row["source_id"]), str(row.get("安装位置") or "")
        url = next((one["href"] for one in page["links"] if one["rel"] == "next"), None)
        params = None


def _role(stream: Stream, name: str, at: str, prop: themes.ObservedProperty, values: Values) -> Role:
    return Role(
        stream.code,
        stream.property,
        prop.title["zh-CN"],
        name,
        (prop.unit.name, prop.unit.symbol, prop.unit.definition),
        Place(stream.lon, stream.lat, at),
        values,
        partial(_alarms, prop.rule()),
    )


def _values(seed: int, stream: Stream, scene: Scene | None, times: Sequence[float]) -> list[float]:
    at = np.array(times)
    read = scene.observed(seed, stream, at) if scene else observed(seed, stream, at)
    values: list[float] = read.tolist()
    return values


def _alarms(rule: Rule, _at: float, value: float) -> bool:
    return rule.state(rule.step(value, 0)) in ("orange", "red")
