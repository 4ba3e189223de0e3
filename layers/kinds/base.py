"""What a kind is: its fields, aliases, checks, default style and 3D rule; and text → measure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from layers.model import Problem
from layers.types import Field, Titles

if TYPE_CHECKING:
    import pyarrow as pa

#: The values of some columns, one a row: a list each, or a column of Arrow.
type Columns = dict[str, list[Any] | pa.Array]

#: Metres of one storey where only the number of storeys is known.
STOREY_M = 3.2

#: Texts that stand for nothing.
BLANKS = frozenset({"", "nan", "null", "none", "<null>"})
_NUMBER = re.compile(r"^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*([^\d\s]*)\s*$")
#: Commas that can but group digits by thousands.
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3}){2,}(?![,\d])")
#: Digits and signs of the width of Chinese characters.
_WIDE = str.maketrans("０１２３４５６７８９．，－＋\u2212", "0123456789.,-+-")
_METRES = {
    "": 1.0,
    "m": 1.0,
    "米": 1.0,
    "metre": 1.0,
    "metres": 1.0,
    "meter": 1.0,
    "meters": 1.0,
    "cm": 0.01,
    "mm": 0.001,
    "ft": 0.3048,
    "feet": 0.3048,
    "'": 0.3048,
    "′": 0.3048,
    "in": 0.0254,
    '"': 0.0254,
    "″": 0.0254,
}


@dataclass(slots=True)
class SourceBatch:
    """Some cleaned rows of a source: columns by their source name, geometry in lon/lat degrees.

    ``rows`` are the 1-based row numbers in the file, ``ids`` the source ids; both are used to
    name a row in a problem. ``arrow`` are columns as Arrow has them, where they came so: who reads these
    has no Python object for each value. ``shapes`` are shapely geometries, or what makes them when asked,
    and ``wkb``, where they came so, the same as WKB.
    """

    columns: Mapping[str, list[Any]]
    rows: Sequence[int]
    ids: Sequence[str | None]
    shapes: NDArray[np.object_] | Callable[[], NDArray[np.object_]]
    problems: list[Problem] = field(default_factory=list)
    arrow: Mapping[str, pa.Array] = field(default_factory=dict)
    wkb: pa.ChunkedArray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def geometry(self) -> NDArray[np.object_]:
        """Shapely geometries, one a row."""
        if callable(self.shapes):
            self.shapes = self.shapes()
        return self.shapes

    def first(self, aliases: Iterable[str]) -> list[Any]:
        """The first filled value of each row among the columns of these names (:func:`named`)."""
        names = (named(self.columns, alias) for alias in aliases)
        columns = [self.columns[name] for name in names if name is not None]
        values: list[Any] = [None] * len(self)
        for column in reversed(columns):
            values = [v if blank(new) else new for v, new in zip(values, column, strict=True)]
        return values

    def lost(self, aliases: Iterable[str]) -> list[bool]:
        """Of each row, whether columns of these names are there and none is filled."""
        names = {name.casefold() for name in self.columns}
        aliases = [alias for alias in aliases if alias.casefold() in names]
        return [bool(aliases) and blank(value) for value in self.first(aliases)]

    def note(self, index: int, rule: str, reason: str) -> None:
        """Record a finding on one row; the row is kept."""
        self.problems.append(Problem(rule, int(self.rows[index]), reason, "noted", self.ids[index]))


@dataclass(frozen=True, slots=True)
class Prism:
    """The footprint raised from one field to another (m above ground), or the feature's ``stored`` mesh.

    ``foot`` are the fields of the longitude and latitude at which it stands on the ground, where its source
    says that: elements of one model keep their heights to one another on a slope."""

    low: str
    high: str
    stored: bool = False
    foot: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Tube:
    """The line as a tube: depth of the axis (m below ground) and diameter (mm) are fields, and so may be by
    how much (m) the last point is deeper than the first: then the depth is that of the middle."""

    depth: str
    diameter: str
    change: str = ""


#: Set forms of what stands at points.
type Form = Literal["post", "tree", "lamp", "hydrant", "cover", "cabinet", "signal", "camera", "sign", "pole"]
FORMS: tuple[str, ...] = get_args(Form.__value__)


@dataclass(frozen=True, slots=True)
class Model:
    """The point as a body of a set form on the ground: which one follows from the values of a field."""

    by: str
    forms: Mapping[str, Form]
    otherwise: Form = "post"


type Body = Prism | Tube | Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """A group of what a dossier lists of a whole, and by which rule it belongs there.

    Features of layers of these ``kinds`` and of these live layers (``live``) of which a field of ``by`` has
    the whole's code, and those not farther from its outline than ``within_m``; where there is none of them,
    the nearest one within ``nearest_m``. Of lines, with ``ends``, only the ends count. ``show`` are the
    fields that are told of each."""

    title: Titles
    kinds: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    within_m: float = 0.0
    nearest_m: float = 0.0
    ends: bool = False
    show: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of layer: what the rest of the program must know of it, so that none asks for its id.

    ``body`` is how a feature is drawn in 3D, None where it is not.
    ``geometry`` names the accepted families (point, line, polygon); empty accepts any.
    ``key`` are the fields that identify a row that has no source id.
    ``style`` is the page's default style (colour rule, width or size, legend, assumed values).
    ``signature`` are source columns that tell the kind when the caller does not; of several kinds that
    a source could be, the one of lowest ``rank`` is taken.
    ``flat``: a footprint's own heights are dropped, since fields or a mesh hold them.
    ``buried``: lies under the ground, and is drawn there.
    ``provenance`` are fields that say where another field's value came from, each with that field; a load
    counts them, and an edit keeps them true (see :mod:`layers.kinds.edited`).
    ``label`` are ways to call a feature, best first: the fields of the first whose first field is
    filled, with spaces between. ``searched`` are the fields that its label is found by.
    ``locates``: a feature says where something is; a search puts it before one that is called alike.
    ``part_of`` is the kind of which a feature may be a part (see :mod:`layers.parts`), and
    ``parent`` the field in which a source names the whole by its source id. ``dossier`` are the groups of
    what belongs to a feature that may have parts, by name, beside these.
    """

    id: str
    title: Titles
    group: Titles
    body: Body | None
    fields: tuple[Field, ...]
    normalise: Callable[[SourceBatch], Columns]
    style: Mapping[str, Any]
    geometry: frozenset[str] = frozenset()
    key: tuple[str, ...] = ()
    signature: tuple[str, ...] = ()
    rank: int = 100
    mesh: Callable[[SourceBatch, Columns], list[bytes | None]] | None = None
    flat: bool = False
    buried: bool = False
    provenance: Mapping[str, str] = field(default_factory=dict)
    label: tuple[tuple[str, ...], ...] = (("name",),)
    searched: tuple[str, ...] = ("name",)
    locates: bool = False
    part_of: str | None = None
    parent: str | None = None
    dossier: Mapping[str, Belonging] = field(default_factory=dict)


def named(names: Iterable[str], wanted: str) -> str | None:
    """The column of a name: as it is written, else the first that is in any case."""
    wanted_any = wanted.casefold()
    alike = [name for name in names if name.casefold() == wanted_any]
    return wanted if wanted in alike else next(iter(alike), None)


def blank(value: Any) -> bool:
    """Null, NaN, or text that stands for nothing (dBASE writers leave ``nan`` and spaces)."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    return isinstance(value, str) and value.strip().casefold() in BLANKS


def number(value: Any) -> tuple[float, str] | None:
    """(number, unit text) of a value such as ``12``, ``"12,5"``, ``"12.13 m"``; None if it is not one."""
    if blank(value) or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return (float(value), "") if math.isfinite(value) else None
    text = str(value).strip()
    if not text.isascii():
        text = text.translate(_WIDE)
    text = text.replace(",", "" if "." in text or _GROUPED.match(text) else ".")
    match = _NUMBER.match(text)
    if match is None:
        return None
    result = float(match[1])
    return (result, match[2]) if math.isfinite(result) else None


def metres(value: Any) -> float | None:
    """A length in metres: a bare number is metres, units m, cm, mm, ft and in are converted."""
    read = number(value)
    if read is None or read[1].casefold() not in _METRES:
        return None
    return read[0] * _METRES[read[1].casefold()]


def storeys(value: Any) -> float | None:
    """A number of storeys: ``"6.5"`` is 6.5, a list such as ``"3;4"`` is its largest."""
    if blank(value):
        return None
    parts = [number(p) for p in re.split(r"[;/]", str(value))] if isinstance(value, str) else [number(value)]
    counts = [p[0] for p in parts if p is not None and not p[1]]
    return max(counts) if counts and len(counts) == len(parts) else None


def text(value: Any) -> str | None:
    """Trimmed text of a value, None for a blank; an integral float loses its ``.0``."""
    if blank(value):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()


def texts(values: Iterable[Any]) -> list[str | None]:
    """:func:`text` of every value."""
    return [text(v) for v in values]
