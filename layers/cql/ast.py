"""A checked filter as types: what the parser makes and the stores compile.

Every expression is typed against one layer: a :class:`PropertyRef` holds a field of the layer, literals
have the type of what they are compared with, geometries are in lon/lat (OGC:CRS84). A store may
therefore compile without a check of its own. Class names and operators are those of CQL2
(OGC 21-065r2, clauses 6 to 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from layers.quadtree import Edges
from layers.types import Field, FieldType

type Comparison = Literal["=", "<>", "<", "<=", ">", ">="]
type Arithmetic = Literal["+", "-", "*", "/", "div", "%", "^"]
type SpatialOp = Literal[
    "s_intersects", "s_equals", "s_disjoint", "s_touches", "s_within", "s_overlaps", "s_crosses", "s_contains"
]
type TemporalOp = Literal[
    "t_after",
    "t_before",
    "t_contains",
    "t_disjoint",
    "t_during",
    "t_equals",
    "t_finishedBy",
    "t_finishes",
    "t_intersects",
    "t_meets",
    "t_metBy",
    "t_overlappedBy",
    "t_overlaps",
    "t_startedBy",
    "t_starts",
]
type ArrayOp = Literal["a_equals", "a_contains", "a_containedBy", "a_overlaps"]


#: The feature's number, under the name ``id`` where the layer has no property of that name.
FID = Field("id", "integer", {"en": "Feature id", "zh-CN": "要素编号"})


# Scalars: each has a ``type``, one of layers.model.FieldType


@dataclass(frozen=True, slots=True)
class PropertyRef:
    """The value of a field, or of :data:`FID`."""

    field: Field

    @property
    def type(self) -> FieldType:
        """The type of the field."""
        return self.field.type


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: str, int, float, bool; a date ``YYYY-MM-DD``; an instant ``YYYY-MM-DDThh:mm:ss.sssZ``.

    An integer beyond 64 bits is a float beyond them, so that no integer of a layer equals it."""

    value: str | int | float | bool
    type: FieldType


@dataclass(frozen=True, slots=True)
class Arith:
    """Arithmetic in IEEE doubles; null where a divisor is 0. ``div`` truncates, ``%`` has the sign of the
    dividend."""

    op: Arithmetic
    left: Scalar
    right: Scalar
    type: FieldType = "number"


@dataclass(frozen=True, slots=True)
class Folded:
    """CASEI (upper, then lower case, both by Unicode's full mapping) or ACCENTI (canonical decomposition
    without U+0300 to U+036F, then composed) of a text."""

    how: Literal["casei", "accenti"]
    text: Scalar
    type: FieldType = "string"


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function of :mod:`layers.cql.functions` over scalars."""

    name: str
    arguments: tuple[Scalar, ...]
    type: FieldType


@dataclass(frozen=True, slots=True)
class InTile:
    """A function of :data:`layers.cql.functions.TILE_FUNCTIONS` of the feature's box and a tile."""

    name: str
    tile: tuple[int, int, int]
    edges: Edges
    type: FieldType = "boolean"


type Scalar = PropertyRef | Value | Arith | Folded | FunctionCall | InTile
SCALARS = (PropertyRef, Value, Arith, Folded, FunctionCall, InTile)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A geometry literal: shapely, two-dimensional, lon/lat, valid, finite, not empty.

    A collection of mixed dimensions appears in ``s_intersects`` and ``s_disjoint`` only."""

    shape: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and bool(self.shape.wkb == other.shape.wkb)

    def __hash__(self) -> int:
        return hash(self.shape.wkb)


@dataclass(frozen=True, slots=True)
class GeometryProperty:
    """The geometry of the feature."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends included; None is open. Ends are of one type: date, or datetime; not both are open."""

    start: Scalar | None
    end: Scalar | None


@dataclass(frozen=True, slots=True)
class Json:
    """An array literal, or a member of one, as JSON: without null, whole numbers without a fraction."""

    text: str


@dataclass(frozen=True, slots=True)
class Members:
    """An array of which some members are not literals; an absent one is null, a time is the text that a
    feature shows for it."""

    parts: tuple[Member, ...]


type Member = Scalar | Json | Members


# Predicates: three-valued, as in SQL


@dataclass(frozen=True, slots=True)
class Constant:
    """TRUE or FALSE."""

    value: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """A boolean scalar as a predicate."""

    scalar: Scalar


@dataclass(frozen=True, slots=True)
class And:
    """Two or more predicates."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more predicates."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """A predicate negated."""

    part: Predicate


@dataclass(frozen=True, slots=True)
class Compare:
    """Two scalars of one type (integer and number count as one). Texts compare by code point."""

    op: Comparison
    left: Scalar
    right: Scalar


@dataclass(frozen=True, slots=True)
class Like:
    """``%`` any run, ``_`` one character, ``\\`` escapes; case-sensitive. The pattern is a text or Folded."""

    text: Scalar
    pattern: Scalar


@dataclass(frozen=True, slots=True)
class Between:
    """low <= value <= high: numbers, texts, or instants of one type."""

    value: Scalar
    low: Scalar
    high: Scalar


@dataclass(frozen=True, slots=True)
class In:
    """A scalar equal to one of the items."""

    value: Scalar
    items: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """A scalar, or the geometry, is absent; a predicate is neither true nor false."""

    value: Scalar | GeometryProperty | Predicate


@dataclass(frozen=True, slots=True)
class Spatial:
    """A relation of the simple feature model (OGC 06-103r4, clause 6.1.15) in the plane of lon/lat.

    At least one side is the feature's geometry."""

    op: SpatialOp
    left: Shape | GeometryProperty
    right: Shape | GeometryProperty


@dataclass(frozen=True, slots=True)
class Temporal:
    """A relation of Allen's algebra as CQL2 defines it; an instant is a Scalar."""

    op: TemporalOp
    left: Scalar | Interval
    right: Scalar | Interval


@dataclass(frozen=True, slots=True)
class Array:
    """A relation of sets, whose members are equal as JSON values are; a scalar is one of type array."""

    op: ArrayOp
    left: Member
    right: Member


type Predicate = (
    Constant | Truth | And | Or | Not | Compare | Like | Between | In | IsNull | Spatial | Temporal | Array
)
