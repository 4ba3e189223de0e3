"""``city.yml``: what a city is called, where it lies, and how it is shown.

A key that is not known is an error that names the line and the nearest known key: a mistyped
setting that does nothing is worse than a server that does not start.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from layers.errors import BadInput, NotFound
from layers.model import LAYER_ID

type Lines = dict[tuple[str | int, ...], int]


class BadCity(BadInput):
    """``city.yml`` cannot be used; the message names the line and the nearest known key."""

    code = "InvalidCity"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("not a time zone name such as Asia/Shanghai") from error
    return name


def _address(url: str | None) -> str | None:
    try:
        parts = urlsplit(url or "http://none")
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise ValueError("not an address such as https://map.example.org")
    return url


def _layer_ids(layers: dict[str, LayerSettings]) -> dict[str, LayerSettings]:
    for layer_id in layers:
        if not LAYER_ID.match(layer_id):
            raise ValueError(f"layer id {layer_id!r} must match {LAYER_ID.pattern}")
    return layers


class View(_Strict):
    """Where the page opens: camera target in degrees, height in metres, angles in degrees."""

    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    height: float = Field(default=1200, gt=0)
    heading: float = 0
    pitch: float = Field(default=-45, ge=-90, le=0)


class Heights(_Strict):
    """The surface that bodies stand on: a constant height in metres (the drawn ellipsoid is 0)."""

    ground: float = 0.0


class Credit(_Strict):
    """A notice that the page and the landing page must show."""

    text: str
    url: str | None = None


class LayerSettings(_Strict):
    """What the city says of one layer beyond what its load recorded."""

    title: dict[str, str] = {}
    visible: bool = True
    locking: Literal["default", "strict"] = "default"
    style: dict[str, Any] | None = None


class CitySettings(_Strict):
    """The whole of ``city.yml``."""

    title: dict[str, str] = {"en": "City", "zh-CN": "城市"}
    url: Annotated[str | None, AfterValidator(_address)] = None
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    crs: str = "EPSG:4326"
    heights: Heights = Heights()
    languages: tuple[Literal["zh-CN", "en"], ...] = ("zh-CN", "en")
    time_zone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    view: View | None = None
    surroundings: tuple[float, float, float, float] | None = None
    credits: tuple[Credit, ...] = ()
    map_approval_no: str | None = None
    layers: Annotated[dict[str, LayerSettings], AfterValidator(_layer_ids)] = {}
    themes: tuple[str, ...] = ()
    demo: str | None = None


def load(folder: Path) -> CitySettings:
    """Read ``folder/city.yml``. Raises NotFound, BadCity."""
    file = folder / "city.yml"
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"no city.yml in this folder: run `twin init {folder}` first") from error
    except UnicodeDecodeError as error:
        raise BadCity(f"city.yml is not UTF-8 at byte {error.start}") from error
    return parse(text)


def parse(text: str) -> CitySettings:
    """Settings from YAML text. Raises BadCity with line and nearest key."""
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}" if mark else ""
        raise BadCity(f"city.yml{line}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise BadCity("city.yml is not YAML text") from error
    if value is None:
        return CitySettings()
    if not isinstance(value, dict):
        raise BadCity("city.yml line 1: expected keys and values at the top level")
    lines: Lines = {}
    _walk(node, (), lines)
    try:
        return CitySettings.model_validate(value)
    except ValidationError as error:
        faults = [_fault(fault, lines) for fault in error.errors()]
        raise BadCity("\n".join(faults)) from error


def _walk(node: yaml.Node | None, path: tuple[str | int, ...], lines: Lines) -> None:
    if node is None:
        return
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            lines[(*path, str(key.value))] = key.start_mark.line + 1
            _walk(child, (*path, str(key.value)), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(child, (*path, index), lines)


def _fault(fault: Any, lines: Lines) -> str:
    loc: tuple[str | int, ...] = tuple(fault["loc"])
    where = loc
    while where and where not in lines:
        where = where[:-1]
    place = f"city.yml line {lines.get(where, 1)}: {'.'.join(map(str, loc))}"
    if fault["type"] != "extra_forbidden":
        return f"{place}: {fault['msg']}"
    near = difflib.get_close_matches(str(loc[-1]), list(_known(loc[:-1])), n=1, cutoff=0.5)
    hint = f", did you mean `{near[0]}`?" if near else f"; known keys: {', '.join(sorted(_known(loc[:-1])))}"
    return f"{place}: unknown key{hint}"


def _known(path: tuple[str | int, ...]) -> Iterable[str]:
    """The keys allowed at a path of the settings."""
    models: dict[str, type[BaseModel]] = {
        "view": View,
        "heights": Heights,
        "credits": Credit,
        "layers": LayerSettings,
    }
    model = models.get(str(path[0]), CitySettings) if path else CitySettings
    return model.model_fields


TEMPLATE = """\
# The city. Every key may be left out; an unknown key is an error.
title:
  en: {title}
  zh-CN: {title}

# The public address, once the server stands behind a proxy: links in answers begin with it.
# url: https://map.example.org
# allowed_hosts: [map.example.org]       # further names that this server answers to
# trusted_proxies: [127.0.0.1]           # whose X-Forwarded-* headers are believed

time_zone: Asia/Shanghai
languages: [zh-CN, en]

# The height (m) of the surface that buildings stand on; the page draws the ellipsoid, 0.
heights:
  ground: 0

# Where the page opens; without it, on all layers.
# view: {{lon: 114.30, lat: 30.59, height: 1500, heading: 0, pitch: -45}}
# surroundings: [114.0, 30.3, 114.6, 30.8]   # zooming out stops here

# credits: [{{text: "© the surveyors", url: "https://example.org"}}]
# map_approval_no: GS(2026)0000              # 审图号, shown on the page

# What the page shows of a layer beyond what its load recorded.
# layers:
#   buildings: {{title: {{en: Buildings, zh-CN: 建筑物}}, visible: true, locking: default}}

# Sensors: thresholds, units and titles by theme (files in themes/ of this folder, or built-in names).
themes: [water, gas, air, traffic]
"""
