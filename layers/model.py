"""The words of the project as types: layer, field, feature, report, query, change.

Coordinates are longitude, latitude in degrees (OGC:CRS84 order) and heights in metres in
the layer's vertical datum, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from layers.errors import TwinError
from layers.mesh import Mesh
from layers.types import (
    EDITS,
    RASTERS,
    Bbox,
    Cursor,
    EditKind,
    Field,
    Form,
    GeometryType,
    Titles,
    VersionMark,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A named, typed part of a city as the store records it now: what is true of every form.

    ``extent`` is in lon/lat, None for an empty layer. ``crs`` is the recorded source CRS (``EPSG:n``),
    ``vertical_datum`` the name of what heights count from (as ``N2000 height`` or ``ellipsoidal height``),
    empty where the source did not say. ``generation`` counts loads, ``seq`` is the change-log number of the
    newest change of the layer. ``model_version`` says that it is
    a model version, or which of its own it was made.
    """

    id: str
    kind: str
    title: Titles
    form: Form
    extent: Bbox | None
    crs: str
    vertical_datum: str = ""
    generation: int
    seq: int
    model_version: VersionMark | None = None

    @property
    def version_of(self) -> str | None:
        """The layer of which it is a model version; None for what is none."""
        return self.model_version.of or None if self.model_version is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureLayer(Layer):
    """A layer of features: rows of a store.

    ``storage_crs`` is the CRS in which features are kept: another than longitude/latitude for a table that
    is published where it lies. ``crs_also`` are further CRSs in which the city has every layer offered.
    ``edits`` is what may be done to its features; where that is not everything, ``fixed_because`` is the
    reason.
    """

    form: Form = "features"
    fields: tuple[Field, ...]
    geometry_type: GeometryType
    count: int
    time_field: str | None = None
    edits: tuple[EditKind, ...] = EDITS
    fixed_because: str = ""
    crs_also: tuple[str, ...] = ()
    storage_crs: str = "OGC:CRS84"

    def field(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((f for f in self.fields if f.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file with content of a layer, as an asset of STAC 1.0: where it lies, what it is, of when.

    ``href`` is a path below the city folder with ``/``, an absolute path (a file that is registered where it
    lies), or an https address. ``media_type`` is empty where it is not known; ``time`` is a day or an instant
    (``YYYY-MM-DD``, ``YYYY-MM-DDThh:mm:ss.sssZ``), None for what is true at any time. Clients are not told of
    it: a path says more of a server than they need."""

    href: str
    media_type: str = ""
    time: str | None = None
    #: Of 3D content without a place of its own the matrix to geocentric metres, column by column (glTF 2.0,
    #: 3.5.3).
    transform: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentLayer(Layer):
    """A layer of another form than features: its content lies in ``assets``, and not in the store."""

    assets: tuple[Asset, ...] = ()


def has_features(layer: Layer) -> TypeGuard[FeatureLayer]:
    """Whether a layer has features, and so items, fields, tiles of them, downloads and edits. Everything
    that is true of features only asks here."""
    return layer.form == "features"


def is_raster(layer: Layer) -> TypeGuard[ContentLayer]:
    """Whether a layer is a coverage: a raster, or the terrain that is one too."""
    return layer.form in RASTERS


@dataclass(frozen=True, slots=True)
class Rows:
    """Features as columns, the form in which the tilers read a store.

    ``fids`` int64 (n,), ascending unless a query sorts them; ``wkb`` n geometries as ISO WKB in
    lon/lat(/height), None for a feature without one (only where a query selects features);
    ``properties`` column name → n Python values (None for null);
    ``meshes`` fid → mesh for the features that have one (empty unless asked for).
    """

    fids: NDArray[np.int64]
    wkb: Sequence[bytes | None]
    properties: Mapping[str, Sequence[Any]]
    meshes: Mapping[int, Mesh] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeaturePage:
    """A page of features: their GeoJSON joined by commas, counts, and where the next begins.

    ``next_after`` is the cursor of the last feature of this page when more follow, else None.
    ``matched`` is None where it was not counted, see :mod:`layers.store.counting`.
    A page that would be very large holds fewer features than were asked for, and has a cursor.
    """

    features: bytes
    returned: int
    matched: int | None
    next_after: Cursor | None


@dataclass(frozen=True, slots=True)
class Selection:
    """A page of features as columns, in the order of the query; see :class:`FeaturePage`."""

    rows: Rows
    matched: int | None
    next_after: Cursor | None


@dataclass(frozen=True, slots=True)
class Item:
    """One feature as GeoJSON bytes (no trailing newline), with its revision."""

    body: bytes
    fid: int
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the change log.

    ``fid`` None means the layer as a whole (or the region ``new``, if given) changed.
    ``old`` is None for a created feature, ``new`` is None for a deleted one.
    """

    seq: int
    layer: str
    fid: int | None
    old: Bbox | None
    new: Bbox | None


#: Through what a change set was made; ``other`` is another program (QGIS, SQL).
type Via = Literal["api", "load", "undo", "drop", "repair", "derived", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who makes a change set, through what, why (``message``), and from which address; ``undone`` is the id
    of the set that it takes back."""

    actor: str | None = None
    via: Via = "api"
    message: str = ""
    address: str = ""
    undone: int | None = None


NOBODY = Author()


#: Operations of a transaction at most.
MOST_OPERATIONS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One edit of a transaction.

    ``body`` is what POST, PUT or PATCH has; a ``create`` has no more. The others name their feature: by
    ``fid``, or by ``source_id``, which an earlier operation of the transaction may have given. ``if_match``
    is its revision before the transaction."""

    kind: Literal["create", "replace", "patch", "delete"]
    layer: str
    fid: int | None = None
    source_id: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    if_match: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an operation: the feature and its new revision (of one that was deleted, the log number
    of that), or why it was refused. Neither where others of an atomic transaction were refused."""

    fid: int | None = None
    revision: int | None = None
    error: TwinError | None = None


@dataclass(frozen=True, slots=True)
class Once:
    """A request of an actor, by its key, that is to be done once however often it is sent; ``digest`` tells
    whether another one is the same."""

    actor: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """The changes of one transaction: an edit, a load, a drop.

    ``id`` counts from 1; ``first`` and ``last`` are numbers of the change log, and every number is of one
    change set. ``at`` is UTC (``YYYY-MM-DDThh:mm:ss.sssZ``), never before that of the set before, whatever
    the clock did. ``layer`` is that of the changes where they are of one, ``generation`` the load's;
    ``undone`` is the id of the set that this one takes back.
    """

    id: int
    first: int
    last: int
    at: str
    actor: str | None
    via: Via
    message: str
    address: str = ""
    layer: str | None = None
    generation: int | None = None
    undone: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the audit: its number from 1 on, the canonical JSON that ``hash`` is the hash of, and the
    change set that it seals, None where it tells of something else. See :mod:`layers.audit.chain`."""

    n: int
    entry: str
    hash: str
    set: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A state of the city: that after change ``seq``, the last of its change set, which was made ``at``.

    ``fixed`` where a newer change set exists: the same question then has the same answer for ever."""

    seq: int
    at: str
    fixed: bool

    @property
    def name(self) -> str:
        """As the parameter ``at`` takes it."""
        return f"@{self.seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a feature was from change ``since`` on and before change ``until`` (None: it is so now).

    ``at`` is the instant of ``since``, None where that lies before the beginning of the history, as is
    ``set``, the change set that made it. ``there`` is False while the feature did not exist."""

    since: int
    until: int | None
    at: str | None
    there: bool
    set: ChangeSet | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """That a feature was changed: ``first`` and ``seq`` are the oldest and the newest number of its changes
    among those asked for, ``times`` how many these are, ``set`` the change set of the newest, None where it
    is of before the history's beginning."""

    fid: int
    first: int
    seq: int
    set: ChangeSet | None
    times: int = 1


@dataclass(frozen=True, slots=True, order=True)
class Former:
    """A feature as it was after change ``seq``, there or not: what it is to be again."""

    layer: str
    fid: int
    seq: int


#: Problems of a load that are kept of one rule; others are counted.
KEPT_PER_RULE = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of a load: a stable rule id, the row (1-based, 0 = the file), the reason; ``at`` is what
    the program that shows the file calls the row (``line 7`` of a table, ``FID 12``)."""

    rule: str
    row: int
    reason: str
    action: Literal["noted", "repaired", "quarantined"]
    source_id: str | None = None
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandFacts:
    """A band of a raster: its name, type and unit, what colour it is, and its numbers, of the cells that were
    looked at; ``filled`` is the percentage of them that have a value."""

    name: str
    type: str
    unit: str
    colour: str
    nodata: str | None
    minimum: float | None
    maximum: float | None
    filled: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterFacts:
    """What a load found of a raster: columns and rows, the size of a cell in units of its CRS, its bands;
    ``aligned`` if it is kept in the tiles of WebMercatorQuad, ``in_place`` where it lay, else in its CRS."""

    width: int
    height: int
    cell: tuple[float, float]
    cell_unit: str
    bands: tuple[BandFacts, ...]
    aligned: bool
    in_place: bool = False

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> RasterFacts:
        """The same from JSON."""
        bands = tuple(BandFacts(**band) for band in known["bands"])
        return cls(**{**known, "bands": bands, "cell": tuple(known["cell"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFacts:
    """What a load found of a tileset: its version of 3D Tiles, how many tiles, contents by type and bytes of
    these, the lowest and highest height (ellipsoidal m), extensions that it needs, the name of its ``root``
    document; ``transform`` as an :class:`Asset` has it; ``in_place`` if it is read where it lay."""

    version: str
    tiles: int
    contents: Mapping[str, int]
    bytes: int
    low: float
    high: float
    extensions: tuple[str, ...]
    root: str
    transform: tuple[float, ...] | None = None
    in_place: bool = False

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> SceneFacts:
        """The same from JSON."""
        transform = known["transform"]
        return cls(
            **{
                **known,
                "extensions": tuple(known["extensions"]),
                "transform": None if transform is None else tuple(transform),
            }
        )


@dataclass(slots=True)
class Report:
    """What a load found and did. Counts are of features. ``bulk`` is the box of most features in lon/lat,
    None where none lies far from the others. ``counts`` tells of each action and rule how often it came;
    ``aside`` names the file of the rows that were set aside.

    ``identity`` says what the source ids are: a column, the feature's own id, the file's own number of the
    row, or none; ``id_field`` is what was declared for that, now or for a load before, empty where it was
    proven.
    ``time_zone`` is the one in which times that name none were read, empty where there were no such;
    ``time_field`` is the layer's time, empty where it has none. ``raster`` is there for a raster and
    ``scene`` for a tileset, which have no rows; ``vertical_datum`` is then what their heights count from.
    ``set`` is the id of the change set, 0 where nothing changed; ``changed`` tells of how many features that
    there were before a field got another value (or ``geometry``), empty where these were very many.
    ``version`` is what the model version is called that this is, or that was made current here.
    ``skipped`` says why an optional file of a manifest was not loaded."""

    layer: str
    kind: str
    source: str
    sha256: str = ""
    driver: str = ""
    crs: str = ""
    encoding: str = ""
    identity: str = ""
    id_field: str = ""
    time_zone: str = ""
    time_field: str = ""
    read: int = 0
    kept: int = 0
    repaired: int = 0
    quarantined: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    generation: int = 0
    bulk: Bbox | None = None
    aside: str = ""
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    raster: RasterFacts | None = None
    scene: SceneFacts | None = None
    vertical_datum: str = ""
    set: int = 0
    changed: dict[str, int] = field(default_factory=dict)
    version: str = ""
    skipped: str = ""

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> Report:
        """The same from JSON."""
        problems = [Problem(**problem) for problem in known["problems"]]
        raster, scene = known.get("raster"), known.get("scene")
        facts = {"raster": raster and RasterFacts.of(raster), "scene": scene and SceneFacts.of(scene)}
        return cls(**{**known, "problems": problems, **facts})

    @property
    def loadable(self) -> bool:
        """Whether there is something to keep."""
        return self.kept > 0 or self.raster is not None or self.scene is not None

    def add(self, problem: Problem) -> None:
        """Record a finding; repaired and quarantined counts are kept by the caller per feature."""
        self.problems.append(problem)
