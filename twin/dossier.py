"""The dossier of a building: what belongs to it, by groups.

Its parts follow from :mod:`tiles.relations`; where no layer has the building itself, as in a model that was
loaded by its elements, the parts that name it are all there is of it. What else belongs to it is said by
rules of its kind (:class:`layers.kinds.base.Belonging`): features that name it, else those that are near.
Nothing of it is stored. Everything is read through a view, so it holds what the caller may see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import kinds
from layers.errors import NotFound
from layers.kinds.base import Belonging
from layers.query import Query
from layers.types import Bbox
from layers.values import stored
from layers.wkb import shapes
from tiles.relations import Feature
from tiles.scheme import METRES_PER_DEGREE
from twin.catalogue.search_index import title_of

if TYPE_CHECKING:
    from layers.model import FeatureLayer, Rows
    from twin.catalogue.view import View

#: Members of a group that are told, and parts of a building that are looked at.
MOST, MOST_PARTS = 200, 20_000
#: Fields that hold the code of a building in layers of buildings, beside the source id.
CODES = ("source_id", "building_code")
#: The same in models, whose buildings have bodies of their own: uro:buildingID of PLATEAU (i-UR 3.1) and
#: identificatieBAGPND of the Dutch BGT (IMGeo 2.1.1), as the readers name them.
CODES_OF_MODELS = (*CODES, "buildingIDAttribute_buildingID", "identificatiebagpnd")
#: What a building of a model is: Building (CityGML 2.0, 10.3.1; CityJSON 2.0, 2.1), IfcBuilding (IFC 4.3,
#: 5.4.3.5). What names another as its whole is none.
_BUILDINGS = frozenset({"Building", "IfcBuilding"})
#: What a room is: a category of ours, IfcSpace (IFC 4.3 clause 5.4.3.50), Room (CityGML 2.0, 10.3.5),
#: BuildingRoom (CityGML 3.0, 7.17).
_ROOMS = {"category": frozenset({"space"}), "object_type": frozenset({"IfcSpace", "Room", "BuildingRoom"})}


@dataclass(frozen=True, slots=True)
class Building:
    """What a dossier is of: the feature that is the whole, if a layer has it; else ``parts`` are all of it.

    ``kind`` is that of wholes, whose rules hold."""

    code: str | None
    kind: str
    whole: Feature | None
    parts: tuple[Feature, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A feature of a group: ``how`` it belongs there (part, named, within, nearest), and how far it is from
    the outline (m), None where that does not matter."""

    layer: FeatureLayer
    fid: int
    title: str
    how: str
    distance: float | None
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """``count`` members belong to it, of which ``members`` are told."""

    title: Mapping[str, str]
    count: int
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Storey:
    """A storey, by its number (None: it has none) and name; elevation (m), and how many parts are on it."""

    number: int | None
    name: str
    elevation: float | None
    parts: int


@dataclass(frozen=True, slots=True)
class Dossier:
    """The groups by name; nothing is said of empty ones. ``properties`` are those of the whole that it has,
    none where no layer has the whole."""

    code: str | None
    whole: Feature | None
    properties: Mapping[str, Any]
    storeys: Sequence[Storey]
    groups: Mapping[str, Group]


def by_code(view: View, code: str) -> list[Feature]:
    """Buildings that have a code; where no layer has the building, the first part that names it, of each
    layer. Empty where there is none."""
    found: list[Feature] = []
    naming: list[Feature] = []
    for layer in _current(view):
        kind = kinds.known(layer.kind)
        if kinds.parts_of(layer.kind):
            fids = {fid for name in CODES for fid in _naming(view, layer, (name,), code, 10)}
            found += [(layer.id, fid) for fid in sorted(fids)]
        elif kind.part_of is not None and kind.parent is not None:
            own = {fid for name in CODES_OF_MODELS for fid in _naming(view, layer, (name,), code, 10)}
            found += [(layer.id, fid) for fid in sorted(own) if _is_building(view, layer, fid)]
            naming += [(layer.id, fid) for fid in _naming(view, layer, (kind.parent,), code, 1)]
    tiles = view.make_tiles()
    tiles.freshness.update()
    return found + [part for part in naming if tiles.relations.whole(*part) not in found]


def _is_building(view: View, layer: FeatureLayer, fid: int) -> bool:
    """Whether a feature of a model is a building, and no part of one."""
    one = building(view, layer.id, fid)
    return one is not None and one.whole == (layer.id, fid)


def _current(view: View) -> list[FeatureLayer]:
    """All layers but the model versions that wait."""
    return [layer for layer in view.feature_layers() if layer.version_of is None]


def building(view: View, layer_id: str, fid: int) -> Building | None:
    """The building that a feature is, or, where no layer has that, of which it is a part; None where it is
    neither. Its parts are told too."""
    layer = view.feature_layer(layer_id)
    relations = view.make_tiles().relations
    kind = kinds.known(layer.kind)
    if kind.dossier:
        values = _values(view.rows(layer_id, [fid]), 0)
        code = next((text for name in CODES if (text := values.get(name))), None)
        return Building(code, layer.kind, (layer_id, fid), tuple(relations.parts(layer_id, fid)))
    if kind.part_of is None or kind.parent is None or relations.whole(layer_id, fid) is not None:
        return None
    values = _values(view.rows(layer_id, [fid]), 0)
    code = values.get(kind.parent)
    if code is None:
        if values.get("object_type") not in _BUILDINGS:
            return None
        named = values.get("source_id")
        fids = [] if named is None else _naming(view, layer, (kind.parent,), str(named), MOST_PARTS)
        own = next((str(text) for name in reversed(CODES_OF_MODELS) if (text := values.get(name))), None)
        return Building(own, kind.part_of, (layer_id, fid), tuple((layer_id, one) for one in fids))
    fids = _naming(view, layer, (kind.parent,), str(code), MOST_PARTS)
    return Building(str(code), kind.part_of, None, tuple((layer_id, one) for one in fids))


def of(view: View, live: Mapping[str, View], one: Building) -> Dossier:
    """The dossier of a building; ``live`` are the views of the live layers, by layer."""
    parts = list(_parts(view, one.parts))
    outline = _outline(view, one)
    rooms = [part for part in parts if any(part.properties.get(k) in words for k, words in _ROOMS.items())]
    groups = {
        "rooms": Group({"zh-CN": "房间", "en": "Rooms"}, len(rooms), rooms[:MOST]),
        "parts": Group({"zh-CN": "组成部件", "en": "Parts"}, len(parts), parts[:MOST]),
    }
    for name, rule in kinds.known(one.kind).dossier.items():
        members = list(_belonging(view, live, one, rule, outline))
        members.sort(key=lambda member: (member.distance or 0.0, member.layer.id, member.fid))
        groups[name] = Group(rule.title, len(members), members[:MOST])
    told = {name: group for name, group in groups.items() if group.count}
    own = {} if one.whole is None else _values(view.rows(one.whole[0], [one.whole[1]]), 0)
    facts = {name: value for name, value in own.items() if value is not None}
    return Dossier(one.code, one.whole, facts, _storeys(parts), told)


def _parts(view: View, features: Iterable[Feature]) -> Iterator[Member]:
    by_layer: dict[str, list[int]] = {}
    for layer_id, fid in features:
        by_layer.setdefault(layer_id, []).append(fid)
    for layer_id, fids in sorted(by_layer.items()):
        layer = view.feature_layer(layer_id)
        rows = view.rows(layer_id, sorted(fids))
        for at, fid in enumerate(rows.fids.tolist()):
            values = _values(rows, at)
            yield Member(layer, fid, _title(layer, values), "part", None, values)


def _storeys(parts: Iterable[Member]) -> list[Storey]:
    """The storeys that parts say they are on, from the lowest up."""
    named: dict[tuple[int | None, str], list[Any]] = {}
    for part in parts:
        number, name = part.properties.get("storey_no"), part.properties.get("storey")
        if number is not None or name:
            key = number, str(name or number)
            named.setdefault(key, []).append(part.properties.get("storey_elevation_m"))
    storeys = [
        Storey(number, name, next((one for one in heights if one is not None), None), len(heights))
        for (number, name), heights in named.items()
    ]
    unknown = float("inf")
    return sorted(
        storeys,
        key=lambda s: (
            unknown if s.number is None else s.number,
            unknown if s.elevation is None else s.elevation,
            s.name,
        ),
    )


# -- what is near --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Outline:
    """The outline of a building in metres east and north of ``origin`` (lon/lat)."""

    shape: shapely.Geometry
    origin: tuple[float, float]
    scale: NDArray[np.float64]

    def metric(self, geometries: NDArray[np.object_]) -> NDArray[np.object_]:
        """Geometries in lon/lat as metres."""
        return np.asarray(
            shapely.transform(shapely.force_2d(geometries), lambda xy: (xy - self.origin) * self.scale)
        )

    def box(self, metres: float) -> Bbox:
        """The box in lon/lat of what is as near as so many metres."""
        west, south, east, north = self.shape.bounds
        (x0, y0), (x1, y1) = (
            np.array(corner) / self.scale + self.origin
            for corner in ((west - metres, south - metres), (east + metres, north + metres))
        )
        return max(float(x0), -180.0), max(float(y0), -90.0), min(float(x1), 180.0), min(float(y1), 90.0)


def _outline(view: View, one: Building) -> _Outline | None:
    """The union of the outlines; None where nothing of it has a geometry that can be read."""
    by_layer: dict[str, list[int]] = {}
    for layer_id, fid in one.parts if one.whole is None else (one.whole,):
        by_layer.setdefault(layer_id, []).append(fid)
    wkb = [wkb for layer_id, fids in by_layer.items() for wkb in view.rows(layer_id, sorted(fids)).wkb]
    placed = shapely.force_2d(shapes([one for one in wkb if one is not None]))
    placed = placed[~(shapely.is_missing(placed) | shapely.is_empty(placed))]
    if not len(placed):
        return None
    west, south, east, north = shapely.total_bounds(placed).tolist()
    origin = (west + east) / 2, (south + north) / 2
    scale = METRES_PER_DEGREE * np.array([max(np.cos(np.radians(origin[1])), 1e-6), 1.0])
    frame = _Outline(shapely.Point(), origin, scale)
    return _Outline(shapely.union_all(shapely.make_valid(frame.metric(placed))), origin, scale)


def _belonging(
    view: View, live: Mapping[str, View], one: Building, rule: Belonging, outline: _Outline | None
) -> Iterator[Member]:
    """The members of a group, over all layers that may hold some."""
    sources = [(view, layer) for layer in _current(view) if layer.kind in rule.kinds]
    sources += [(live[name], live[name].feature_layer(name)) for name in rule.live if name in live]
    nearest: Member | None = None
    empty = True
    for reading, layer in sources:
        named: frozenset[int] = frozenset()
        if one.code is not None:
            named = frozenset(_naming(reading, layer, rule.by, one.code, MOST_PARTS))
            for member in _read(reading, layer, rule, named):
                empty = False
                yield member
        if outline is None:
            continue
        for member in _near(reading, layer, rule, outline, named):
            if member.how == "within":
                empty = False
                yield member
            elif nearest is None or (member.distance or 0.0) < (nearest.distance or 0.0):
                nearest = member
    if empty and nearest is not None:
        yield nearest


def _read(view: View, layer: FeatureLayer, rule: Belonging, fids: Iterable[int]) -> Iterator[Member]:
    wanted = sorted(fids)
    rows = view.rows(layer.id, wanted) if wanted else None
    for at, fid in enumerate(rows.fids.tolist() if rows is not None else ()):
        assert rows is not None
        yield _member(layer, rule, rows, at, fid, "named", None)


def _near(
    view: View, layer: FeatureLayer, rule: Belonging, outline: _Outline, but: frozenset[int]
) -> Iterator[Member]:
    """Features within the distances of a rule, but for some."""
    most = max(rule.within_m, rule.nearest_m)
    try:
        page = view.select(layer.id, Query(bbox=outline.box(most), limit=MOST_PARTS))
    except NotFound:  # dropped meanwhile
        return
    rows = page.rows
    placed = outline.metric(shapes(list(rows.wkb)))
    if rule.ends:
        placed = _ends(placed)
    distances = shapely.distance(placed, outline.shape)
    for at in np.flatnonzero(distances <= most).tolist():
        fid, distance = int(rows.fids[at]), float(distances[at])
        if fid not in but:
            how = "within" if distance <= rule.within_m else "nearest"
            yield _member(layer, rule, rows, at, fid, how, round(distance, 2))


def _ends(lines: NDArray[np.object_]) -> NDArray[np.object_]:
    """The first and last points of lines, as multipoints."""
    pieces, of = shapely.get_parts(lines, return_index=True)
    is_line = shapely.get_type_id(pieces) == shapely.GeometryType.LINESTRING
    pieces, of = pieces[is_line], of[is_line]
    points = np.concatenate([shapely.get_point(pieces, 0), shapely.get_point(pieces, -1)])
    order = np.argsort(owner := np.concatenate([of, of]), kind="stable")
    out = np.full(len(lines), shapely.MultiPoint(), dtype=object)
    if len(points):
        owners, first = np.unique(owner[order], return_index=True)
        out[owners] = [shapely.MultiPoint(list(group)) for group in np.split(points[order], first[1:])]
    return out


def _naming(view: View, layer: FeatureLayer, names: Iterable[str], code: str, most: int) -> list[int]:
    """Features of which one of these fields, as far as the layer has them, is a code."""
    fids: set[int] = set()
    for name in names:
        field = next((one for one in layer.fields if one.name == name), None)
        if field is None:
            continue
        try:
            value = stored(field.type, code)
        except ValueError:
            continue  # a number that the code is not
        if value is None:
            continue
        query = Query(equals=((name, value),), properties=(), limit=most)
        fids.update(view.select(layer.id, query).rows.fids.tolist())
    return sorted(fids)


def _values(rows: Rows, at: int) -> dict[str, Any]:
    return {name: column[at] for name, column in rows.properties.items()} if len(rows.fids) > at else {}


def _title(layer: FeatureLayer, values: Mapping[str, Any]) -> str:
    called = title_of(kinds.known(layer.kind), values)
    return called or str(values.get("title") or values.get("source_id") or "")


def _member(
    layer: FeatureLayer, rule: Belonging, rows: Rows, at: int, fid: int, how: str, distance: float | None
) -> Member:
    values = _values(rows, at)
    shown = {name: values[name] for name in rule.show if values.get(name) is not None}
    return Member(layer, fid, _title(layer, values), how, distance, shown)
