"""Whether what is drawn of a city, now or as of a moment, is what the model has: vector tiles, decoded, and
of 3D tiles what can be picked. Places and values follow from the model alone, by shapely and pyproj."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import mapbox_vector_tile
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from layers.mesh import Mesh
from tests.histories.model import Body, City, LayerState
from tests.unit.tiles import gltf
from tiles.service import Tiles

#: Units of a vector tile and around it, and of which a length or an area may be lost by rounding.
EXTENT, BUFFER, LEAST = 4096, 64, 8
#: Units by which a feature that a tile's grid would swallow is drawn larger.
ENLARGED = 4
#: Kinds with bodies, and the dimension of what they are made from.
SOLID = {"building": 2, "cim": 2, "pipeline": 1}
#: Metres: a footprint without a height, and what no body reaches.
SLAB, FAR = 0.1, 12_000
_GEODETIC = pyproj.Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True)

type Address = tuple[str, int, int, int, str]
#: Features of a layer in a tile by id: their values and their geometry in its units.
type Vector = Mapping[int, tuple[Mapping[str, Any], Any]]


@dataclass(frozen=True)
class Pick:
    """What can be picked: its values, its triangles, its box in degrees and its two ends in metres."""

    values: Mapping[str, Any]
    triangles: int
    box: tuple[float, float, float, float]
    low: float
    high: float


@dataclass(frozen=True)
class Picture:
    """Some vector tiles of each layer, and all picks of each layer with bodies."""

    vector: Mapping[Address, Vector]
    scene: Mapping[str, Mapping[int, Pick]]


def check(tiles: Tiles, city: City, rng: Random, lost: Collection[str] = ()) -> Picture:
    """What is drawn of each layer but the lost ones; AssertionError where it is not what the model has."""
    layers = _sure(city, lost)
    vector: dict[Address, Vector] = {}
    for name, state in layers.items():
        for at in _addresses(state, rng):
            vector[name, *at] = found = _decoded(tiles, (name, *at))
            _check_vector(found, state, at)
    scene = {}
    for name in _with_bodies(city, lost):
        scene[name] = _picks(tiles, name)
        if not _has_parts(city, layers[name]):  # else the parts say what is left of it
            _check_picks(scene[name], layers[name])
    return Picture(vector, scene)


def check_again(tiles: Tiles, known: Picture, city: City, lost: Collection[str]) -> None:
    """The same tiles as then have the same in them."""
    for at, vector in known.vector.items():
        if at[0] not in lost:
            assert _decoded(tiles, at) == vector, at
    for name in _with_bodies(city, lost):
        assert _picks(tiles, name) == known.scene[name], name


def _sure(city: City, lost: Collection[str]) -> dict[str, LayerState]:
    return {n: state for n, state in city.items() if isinstance(state, LayerState) and n not in lost}


def _with_bodies(city: City, lost: Collection[str]) -> list[str]:
    """The layers with bodies; none where one of them is lost, since they are drawn with one another."""
    names = [n for n, state in _sure(city, ()).items() if state.spec.kind in SOLID]
    return [] if set(names) & set(lost) else names


def _has_parts(city: City, state: LayerState) -> bool:
    kinds = {other.spec.kind for other in _sure(city, ()).values()}
    return state.spec.kind == "building" and "cim" in kinds


# -- vector tiles ----------------------------------------------------------------------------


def _addresses(state: LayerState, rng: Random) -> list[tuple[int, int, int, str]]:
    """A tile of a low zoom and one of a high one, each where a feature is."""
    placed = [body.wkb for body in state.bodies.values() if body.wkb is not None]
    found = []
    for z in (rng.choice((0, 3, 5)), rng.choice((6, 7, 8, 9))) if placed else ():
        lon, lat = shapely.get_coordinates(shapely.from_wkb(rng.choice(placed)))[0].tolist()
        x, y = (min(int(value * 2**z), 2**z - 1) for value in _world(lon, lat))
        found.append((z, x, y, rng.choice(("buffer", "exact"))))
    return found


def _world(lon: Any, lat: Any) -> tuple[Any, Any]:
    """Web Mercator from 0 to 1, north-west to south-east."""
    return lon / 360 + 0.5, 0.5 - np.arcsinh(np.tan(np.radians(lat))) / (2 * math.pi)


def _decoded(tiles: Tiles, at: Address) -> Vector:
    name, z, x, y, clip = at
    body = tiles.vector((name,), z, x, y, clip).plain()  # type: ignore[arg-type]
    layers = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True}) if body else {}
    assert layers.keys() <= {name}
    features = layers[name]["features"] if layers else []
    found = {f["id"]: (f["properties"], f["geometry"]) for f in features}
    assert len(found) == len(features)
    return found


def _check_vector(found: Vector, state: LayerState, at: tuple[int, int, int, str]) -> None:
    merged = [properties for properties, _ in found.values() if "group_count" in properties]
    single = {fid: one for fid, one in found.items() if "group_count" not in one[0]}
    counts = [0] * len(merged)
    for fid, body in state.bodies.items():
        if body.wkb is None:
            assert fid not in single, (fid, at)
            continue
        groups = [i for i, group in enumerate(merged) if _is_member(body, group["group_filter"])]
        for i in groups:
            counts[i] += 1
        assert len(groups) + (fid in single) <= 1, (fid, at)
        shape = _in_tile(body.wkb, at)
        if fid not in single:
            # what rounding may lose need not be there
            assert groups or not _is_seen(shape) or _is_beside(body.wkb, at), (fid, at)
            continue
        assert not _in_tile(body.wkb, at, ENLARGED).is_empty, (fid, at)
        properties, geometry = single[fid]
        wanted = {"fid": fid, **_values(state, body)}
        # beside what is merged there are only the properties that are drawn
        assert properties == ({name: wanted[name] for name in properties} if merged else wanted)
        assert properties["fid"] == fid
        if _is_seen(shape):
            _check_shape(shapely.geometry.shape(geometry), shape)
    assert counts == [group["group_count"] for group in merged], at
    assert single.keys() <= state.bodies.keys()


def _is_member(body: Body, selects: str) -> bool:
    """Whether a group's filter selects a feature, by formulas of our own."""
    assert body.wkb is not None
    z, x, y = map(int, re.findall(r"middle_in_tile\((\d+),(\d+),(\d+)\)", selects)[0])
    west, south, east, north = shapely.bounds(shapely.from_wkb(body.wkb)).tolist()
    place = (math.floor(value * 2**z) for value in _world((west + east) / 2, (south + north) / 2))
    lower, upper = (math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (y + i) / 2**z)))) for i in (1, 0))
    fits = east - west <= 360 / 2**z and north - south <= upper - lower
    if tuple(place) != (x, y) or not (fits or "fits_tile" not in selects):
        return False
    for name, value in re.findall(r"\"([^\"]+)\" = '((?:[^']|'')*)'", selects):
        if body.values[name] != value.replace("''", "'"):
            return False
    for name, values in re.findall(r"\"([^\"]+)\" NOT IN \((.*?)\)", selects):
        if body.values[name] in [one.replace("''", "'") for one in re.findall(r"'((?:[^']|'')*)'", values)]:
            return False
    return True


def _is_beside(wkb: bytes, at: tuple[int, int, int, str]) -> bool:
    """Whether the middle of a feature lies in another tile, in which it may be merged, and this tile has
    nothing of its neighbours' groups."""
    z, x, y, clip = at
    west, south, east, north = shapely.bounds(shapely.from_wkb(wkb)).tolist()
    place = [math.floor(value * 2**z) for value in _world((west + east) / 2, (south + north) / 2)]
    return clip == "exact" and place != [x, y]


def _in_tile(wkb: bytes, at: tuple[int, int, int, str], more: int = 0) -> Any:
    """What of a geometry is in a tile, or so many units around it, in its units, before they are rounded."""
    z, x, y, clip = at

    def units(xy: NDArray[Any]) -> NDArray[Any]:
        return (np.stack(_world(*xy.T), axis=1) * 2**z - (x, y)) * EXTENT

    shape = shapely.transform(shapely.force_2d(shapely.from_wkb(wkb)), units)
    dim = shapely.get_dimensions(shape)
    margin = more + (BUFFER if clip == "buffer" or dim == 1 else 0)
    low, high = -margin, EXTENT + margin
    if dim == 0:  # a point on the far edges is the neighbour's
        own = [p for p in shapely.get_parts(shape) if low <= p.x < high and low <= p.y < high]
        return shapely.MultiPoint(own)
    parts = shapely.get_parts(shapely.intersection(shape, shapely.box(low, low, high, high)))
    return shapely.union_all([part for part in parts if shapely.get_dimensions(part) == dim])


def _is_seen(shape: Any) -> bool:
    return not shape.is_empty and (
        shapely.get_dimensions(shape) == 0 or (shape.length > 4 * LEAST and _width(shape) > LEAST)
    )


def _width(shape: Any) -> float:
    """Of an area, how wide it is in the middle, about; of lines no matter."""
    return float(2 * shape.area / shape.length) if shapely.get_dimensions(shape) == 2 else math.inf


def _check_shape(got: Any, wanted: Any) -> None:
    """The same but for rounding to whole units."""
    dim = shapely.get_dimensions(wanted)
    assert shapely.get_dimensions(got) == dim
    if dim == 0:
        ours, theirs = (np.array(sorted(shapely.get_coordinates(s).tolist())) for s in (got, wanted))
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1
    else:
        assert got.hausdorff_distance(wanted) <= 2, (got, wanted)
        if dim == 2:
            assert got.symmetric_difference(wanted).area <= wanted.length + 4


def _values(state: LayerState, body: Body) -> dict[str, Any]:
    """The values of a feature as a vector tile has them: none that is null, lists as JSON."""
    return {
        field.name: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if field.type == "array"
        else value
        for field in state.fields
        if (value := body.values[field.name]) is not None
    }


# -- 3D tiles --------------------------------------------------------------------------------


def _picks(tiles: Tiles, name: str) -> dict[int, Pick]:
    """Whatever can be picked of a layer, from every node of its tileset."""
    found: dict[int, Pick] = {}
    for uri in _contents(json.loads(tiles.tileset(name).plain())["root"]):
        z, x, y = map(int, uri.partition(".")[0].split("/")[-3:])
        picks = _of_node(gltf.read(tiles.glb(name, z, x, y).plain()))
        assert not found.keys() & picks.keys()
        found |= picks
    return found


def _contents(node: Mapping[str, Any]) -> Iterator[str]:
    if "content" in node and not node["content"]["uri"].startswith("blocks/"):
        yield node["content"]["uri"]
    for child in node.get("children", ()):
        yield from _contents(child)


def _of_node(file: gltf.File) -> dict[int, Pick]:
    lon, lat, height = _GEODETIC.transform(*file.positions.T)
    found = {}
    for row, fid in enumerate(file.table["fid"]):
        mine = file.ids == row
        count = len(file.of(row))
        if fid >= 0 and count:
            own = lon[mine] % 360
            box = (own.min(), lat[mine].min(), own.max(), lat[mine].max())
            values = {n: column[row] for n, column in file.table.items() if column[row] is not None}
            ends = float(height[mine].min()), float(height[mine].max())
            found[int(fid)] = Pick(values, count, tuple(map(float, box)), *ends)  # type: ignore[arg-type]
    return found


def _check_picks(found: Mapping[int, Pick], state: LayerState) -> None:
    kind = state.spec.kind
    solid = {
        fid: body
        for fid, body in state.bodies.items()
        if body.wkb is not None and (_mesh(kind, body) or _dimension(body) == SOLID[kind])
    }
    assert found.keys() == solid.keys()
    for fid, body in solid.items():
        _same_values(found[fid].values, {"fid": fid, **_values(state, body)})
        mesh = _mesh(kind, body)
        if mesh is not None:
            assert found[fid].triangles == len(mesh.triangles)
            # it may lie on the other side of the earth from its footprint, so numbers of 32 bits are coarse
            height = np.ptp(mesh.positions[:, 2])
            assert np.allclose((found[fid].low, found[fid].high), (0, height), atol=2)
        else:
            _check_raised(found[fid], state, body)


def _mesh(kind: str, body: Body) -> Mesh | None:
    return None if kind != "cim" or body.mesh is None else Mesh.from_bytes(body.mesh)


def _dimension(body: Body) -> int:
    return int(shapely.get_dimensions(shapely.from_wkb(body.wkb)))


def _check_raised(pick: Pick, state: LayerState, body: Body) -> None:
    """A footprint raised to its height, or a line as a tube."""
    west, south, east, north = shapely.from_wkb(body.wkb).bounds
    assert np.allclose(pick.box, (west % 360, south, east % 360, north), atol=1e-4)
    ends = -SLAB / 2, SLAB / 2
    if SOLID[state.spec.kind] == 2:
        height = body.values.get("height_m")
        known = isinstance(height, int | float) and 0.001 <= height <= FAR
        ends = 0, height if known else SLAB
    assert np.allclose((pick.low, pick.high), ends, atol=0.05)


def _same_values(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """A property table has no null and no boolean beside one, and no integer beyond 32 bits: empty text, text
    and floats stand for them."""
    known = {n: value for n, value in wanted.items() if value != ""}
    assert got.keys() == known.keys()
    for name, value in known.items():
        assert got[name] in _forms(value), name


def _forms(value: Any) -> Iterable[Any]:
    if isinstance(value, bool):
        return value, str(value).lower()
    return (value, float(value)) if isinstance(value, int) else (value,)
