"""``city.yml``: what a city is called, where it lies, and how it is shown.

A key that is not known is an error that names the line and the nearest known key: a mistyped
setting that does nothing is worse than a server that does not start.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from layers.errors import BadInput, NotFound
from layers.store.database import Database, Registered
from layers.types import LAYER_ID
from twin import setting_values as values

type Lines = dict[tuple[str | int, ...], int]


class BadCity(BadInput):
    """``city.yml`` cannot be used; the message names the line and the nearest known key."""

    code = "InvalidCity"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _layer_ids(layers: dict[str, LayerSettings]) -> dict[str, LayerSettings]:
    for layer_id in layers:
        if not LAYER_ID.match(layer_id):
            raise ValueError(f"layer id {layer_id!r} must match {LAYER_ID.pattern}")
    return layers


def _store(given: object) -> object:
    if not isinstance(given, str | dict | None):
        raise ValueError("not an address such as postgresql://user@host/database, nor keys and values")
    return {"url": given} if isinstance(given, str) else given


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
    table: str | None = Field(default=None, min_length=1, max_length=200)
    kind: Annotated[str, AfterValidator(values.kind)] = "feature"
    fid: str | None = None
    geometry: str | None = None
    time_field: str | None = None

    @model_validator(mode="after")
    def _of_a_table(self) -> Self:
        said = sorted({"kind", "fid", "geometry", "time_field"} & self.model_fields_set)
        if said and self.table is None:
            raise ValueError(f"{', '.join(said)}: only beside `table`; a load records its own")
        return self

    def registered(self) -> Registered | None:
        """The table of the database that is published as this layer, if one is."""
        if self.table is None:
            return None
        return Registered(self.table, self.kind, self.title, self.fid, self.geometry, self.time_field)


class StoreSettings(_Strict):
    """The database that holds the features: PostgreSQL with PostGIS. Times are in seconds.

    ``read_url`` is the login of a role that can only read; without it ``url`` reads too."""

    url: Annotated[str, AfterValidator(values.database_url)] = Field(repr=False)
    read_url: Annotated[str | None, AfterValidator(lambda url: url and values.database_url(url))] = Field(
        default=None, repr=False
    )
    schema_: Annotated[str, AfterValidator(values.schema)] = Field(default="city", alias="schema")
    readers: int = Field(default=8, ge=1, le=100)
    writers: int = Field(default=4, ge=1, le=50)
    read_seconds: float = Field(default=5, gt=0, le=600)
    write_seconds: float = Field(default=30, gt=0, le=3600)


class Limits(_Strict):
    """What this server does at one time."""

    heavy_queries: int = Field(default=4, ge=1, le=64)


class CitySettings(_Strict):
    """The whole of ``city.yml``."""

    title: dict[str, str] = {"en": "City", "zh-CN": "城市"}
    url: Annotated[str | None, AfterValidator(values.address)] = None
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    crs: Annotated[str, AfterValidator(values.crs)] = "EPSG:4326"
    heights: Heights = Heights()
    languages: tuple[Literal["zh-CN", "en"], ...] = ("zh-CN", "en")
    time_zone: Annotated[str, AfterValidator(values.zone)] = "Asia/Shanghai"
    view: View | None = None
    surroundings: tuple[float, float, float, float] | None = None
    credits: tuple[Credit, ...] = ()
    map_approval_no: str | None = None
    layers: Annotated[dict[str, LayerSettings], AfterValidator(_layer_ids)] = {}
    themes: tuple[str, ...] = ()
    store: Annotated[StoreSettings | None, BeforeValidator(_store)] = Field(default=None, repr=False)
    limits: Limits = Limits()
    demo: str | None = None

    def database(self) -> Database | None:
        """The database of the features; None for a city that keeps them in its folder.

        Raises BadCity when the environment lacks what the address takes from it."""
        if self.store is None:
            return None
        told = self.store
        tables = {layer_id: said.registered() for layer_id, said in self.layers.items()}
        return Database(
            url=_resolved("url", told.url),
            read_url=told.read_url and _resolved("read_url", told.read_url),
            schema=told.schema_,
            readers=told.readers,
            writers=told.writers,
            read_seconds=told.read_seconds,
            write_seconds=told.write_seconds,
            tables={layer_id: table for layer_id, table in tables.items() if table is not None},
        )


def _resolved(name: str, url: str) -> str:
    try:
        return values.from_environment(url)
    except ValueError as error:
        raise BadCity(f"city.yml: store.{name}: {error}") from None


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
        settings = CitySettings.model_validate(value)
    except ValidationError as error:
        # not chained: pydantic's own message shows what was given, and that may be a password
        raise BadCity("\n".join(_fault(fault, lines) for fault in error.errors())) from None
    _check_tables(settings, lines)
    return settings


def _check_tables(settings: CitySettings, lines: Lines) -> None:
    for layer_id, said in settings.layers.items():
        if said.table is not None and settings.store is None:
            line = lines[("layers", layer_id, "table")]
            raise BadCity(
                f"city.yml line {line}: layers.{layer_id}.table: a table is a layer only where `store` is set"
            )


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
        return f"{place}: {fault['msg'].removeprefix('Value error, ')}"
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
        "store": StoreSettings,
        "limits": Limits,
    }
    model = models.get(str(path[0]), CitySettings) if path else CitySettings
    return [field.alias or name for name, field in model.model_fields.items()]
