"""``city.yml``: what a city is called, where it lies, and how it is shown.

A key that is not known is an error that names the line and the nearest known key: a mistyped
setting that does nothing is worse than a server that does not start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from layers import strict
from layers.errors import NotFound
from layers.store.database import Database, Registered, StoreSettings, resolved
from layers.store.history import DAYS, Retention
from layers.strict import Strict
from layers.types import LAYER_ID, LIVE_LAYERS
from tiles.scheme import DEEPEST_ZOOM, MAX_ZOOM
from tiles.vector.options import Options
from twin import setting_values as values
from twin.access.caller import WRONG_KEYS

FILE = "city.yml"
#: Each has a thread.
MOST_WEBHOOKS = 16
#: A tile from afar holds thousands of features with each of them.
MOST_PROPERTIES = 8


def _layer_ids(layers: dict[str, LayerSettings]) -> dict[str, LayerSettings]:
    for layer_id in layers:
        if not LAYER_ID.match(layer_id):
            raise ValueError(f"layer id {layer_id!r} must match {LAYER_ID.pattern}")
        if layer_id in LIVE_LAYERS:
            raise ValueError(f"layer id {layer_id!r} is taken by a collection of live data")
    return layers


def _of_a_table(value: object) -> object:
    """Refuses what is said of a table where no table is named."""
    if isinstance(value, dict) and "table" not in value:
        members = sorted({"kind", "fid", "geometry", "time_field", "refresh"} & value.keys())
        if members:
            raise ValueError(f"{', '.join(members)}: only beside `table`; a load records its own")
    return value


def _syslog(text: str | None) -> str | None:
    return None if text is None else values.syslog(text)


class StartView(Strict):
    """Where the page opens: camera target in degrees, height in metres, angles in degrees."""

    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    height: float = Field(default=1200, gt=0)
    heading: float = 0
    pitch: float = Field(default=-45, ge=-90, le=0)


class Heights(Strict):
    """The surface that bodies stand on: a height in metres (the drawn ellipsoid is 0), or the city's terrain;
    and how many metres the vertical datum of terrain lies above the ellipsoid: a number, or a grid (GeoTIFF
    or GTX) in the city folder."""

    ground: float | Literal["terrain"] = 0.0
    undulation: float | Annotated[str, Field(min_length=1, max_length=200)] = 0.0


class Credit(Strict):
    """A notice that the page and the landing page must show."""

    text: str
    url: Annotated[str | None, AfterValidator(values.link)] = None


#: For how many days an audit is kept where nobody says otherwise.
AUDIT_DAYS = 180
#: How long is kept what was; 0: nothing is.
type Days = Annotated[float, Field(ge=0, le=36_500)] | Literal["forever"]


class History(Strict):
    """For how many days the city as it was is kept."""

    days: Days = DAYS


class AuditSettings(Strict):
    """Whether what is done is kept as a chain of entries, hashed how, and for how many days: the law of the
    People's Republic of China on network security (2016), article 21, asks for six months of its logs.
    ``files`` is a folder and ``syslog`` an address to which entries go as well, by TLS with the certificates
    of ``syslog_ca`` where they are not the machine's."""

    enabled: bool = False
    hash: Literal["sha256", "sm3"] = "sha256"
    days: Annotated[float, Field(ge=1, le=36_500)] | Literal["forever"] = AUDIT_DAYS
    files: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    syslog: Annotated[str | None, AfterValidator(_syslog)] = None
    syslog_ca: Annotated[str, Field(min_length=1, max_length=500)] | None = None


#: Rings of longitude and latitude, or the name of a GeoJSON file in the city folder.
type Area = Annotated[
    Annotated[str, Field(min_length=1, max_length=200)]
    | tuple[Annotated[tuple[tuple[float, float], ...], Field(min_length=3)], ...],
    AfterValidator(values.area),
]


class SceneSettings(Strict):
    """How a registered tileset is shown: moved by metres east, north and up; without what lies in ``cut``,
    with nothing but what lies in ``keep``, and without what the features of ``replaced_by`` stand for."""

    move: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cut: Area | None = None
    keep: Area | None = None
    replaced_by: Annotated[str | None, Field(pattern=LAYER_ID.pattern)] = None


class TileSettings(Strict):
    """The vector tiles of a layer: their deepest zoom, beyond which clients draw from those of it, and the
    properties that are in them even where a tile has only those that are drawn."""

    maxzoom: int = Field(default=MAX_ZOOM, ge=MAX_ZOOM, le=DEEPEST_ZOOM)
    properties: Annotated[tuple[str, ...], Field(max_length=MOST_PROPERTIES)] = ()

    @property
    def options(self) -> Options:
        """The same, for who makes them."""
        return Options(self.maxzoom, self.properties)


@dataclass(frozen=True, slots=True)
class LayerSettings(Registered):
    """What the city says of one layer beyond what its load recorded, or of a table that is one."""

    table: Annotated[str, Field(min_length=1, max_length=200)] = ""
    visible: bool = True
    locking: Literal["default", "strict"] = "default"
    style: Annotated[dict[str, Any] | None, AfterValidator(values.style)] = None
    history: Days | None = None
    scene: SceneSettings = field(default_factory=SceneSettings)
    tiles: TileSettings = field(default_factory=TileSettings)


class Limits(Strict):
    """What this server does at one time."""

    heavy_queries: int = Field(default=4, ge=1, le=64)
    wrong_keys: int = Field(default=WRONG_KEYS, ge=1)


def _names_differ(webhooks: tuple[Webhook, ...]) -> tuple[Webhook, ...]:
    for number, webhook in enumerate(webhooks):
        if webhook.name in {other.name for other in webhooks[:number]}:
            raise strict.At((number, "name"), f"{webhook.name} is the name of another one")
    return webhooks


class Webhook(Strict):
    """Another system that is sent what changed: where, by which name it is known, how it knows us.

    ``secret`` is written as it is or comes from the environment (``${VAR}``), or stands in ``secret_file``.
    It is told what the key of the name ``key`` may see (None: what everybody sees), of ``layers`` (none: all)
    and of features in ``bbox``."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    url: Annotated[str, AfterValidator(values.receiver)] = Field(repr=False)
    secret: str | None = Field(default=None, repr=False)
    secret_file: Path | None = None
    key: str | None = None
    layers: tuple[Annotated[str, Field(pattern=LAYER_ID.pattern)], ...] = ()
    bbox: Annotated[tuple[float, float, float, float] | None, AfterValidator(values.box)] = None

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("it needs a `secret`, or a `secret_file` that holds it")
        return self


type Layers = Annotated[
    dict[str, Annotated[LayerSettings, BeforeValidator(_of_a_table)]], AfterValidator(_layer_ids)
]


type Webhooks = Annotated[tuple[Webhook, ...], Field(max_length=MOST_WEBHOOKS), AfterValidator(_names_differ)]


class CitySettings(Strict):
    """The whole of ``city.yml``."""

    title: dict[str, str] = Field(default={"en": "City", "zh-CN": "城市"})
    url: Annotated[str | None, AfterValidator(values.address)] = None
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    crs: Annotated[str, AfterValidator(values.crs)] = "EPSG:4326"
    heights: Heights = Heights()
    languages: tuple[Literal["zh-CN", "en"], ...] = ("zh-CN", "en")
    time_zone: Annotated[str, AfterValidator(values.zone)] = "Asia/Shanghai"
    view: StartView | None = None
    surroundings: tuple[float, float, float, float] | None = None
    credits: tuple[Credit, ...] = ()
    map_approval_no: str | None = None
    layers: Layers = Field(default_factory=dict)
    themes: tuple[str, ...] = ()
    store: StoreSettings = Field(default=None, repr=False)
    limits: Limits = Limits()
    history: History = History()
    audit: AuditSettings = AuditSettings()
    webhooks: Webhooks = ()

    @property
    def attribution(self) -> str:
        """The credits as one line of plain text."""
        return " · ".join(credit.text for credit in self.credits)

    @model_validator(mode="after")
    def _tables_lie_in_the_store(self) -> Self:
        for layer_id, layer in self.layers.items():
            if layer.table and self.store is None:
                path = ("layers", layer_id, "table")
                raise strict.At(path, "a table is a layer only where `store` is set")
        return self

    def retention(self) -> Retention:
        """How long old rows are kept, of the city and of layers: where nobody says otherwise as long as an
        audit, which is then true of what can be looked at."""
        said = {layer: one.history for layer, one in self.layers.items() if one.history is not None}
        days = _days(self.history.days)
        if self.audit.enabled and "days" not in self.history.model_fields_set:
            audit = _days(self.audit.days)
            days = None if audit is None or days is None else max(days, audit)
        return Retention(days, {layer: _days(days) for layer, days in said.items()})

    def tiles(self) -> dict[str, Options]:
        """What is said of the vector tiles of layers."""
        return {layer_id: one.tiles.options for layer_id, one in self.layers.items()}

    def database(self) -> Database | None:
        """The database of the features; None for a city that keeps them in its folder.

        Raises BadConfig when the environment lacks what the address takes from it."""
        return resolved(self.store, self.layers)


def _days(days: Days) -> float | None:
    return None if days == "forever" else float(days)


def load(folder: Path) -> CitySettings:
    """Read ``folder/city.yml``. Raises NotFound, BadConfig."""
    try:
        return strict.read(folder / FILE, CitySettings)
    except NotFound:
        raise NotFound(f"no city.yml in this folder: run `twin init {folder}` first") from None


def parse(text: str) -> CitySettings:
    """Settings from YAML text. Raises BadConfig."""
    return strict.parse(text, CitySettings, FILE)
