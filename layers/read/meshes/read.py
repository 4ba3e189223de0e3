"""A scene as rows: repaired, placed by its anchor, one feature a thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import crs
from layers.errors import BadFile, shown
from layers.mesh import Material, Part
from layers.read import anchor
from layers.read.anchor import Anchor
from layers.read.base import ReadOptions, Sink
from layers.read.cityobjects import CityRows
from layers.read.faces import Shell
from layers.read.meshes.model import Floats, Indices, Piece, Scene, Thing, check_count
from layers.read.meshes.outline import outline
from layers.read.meshes.repair import FAULTS, repaired
from layers.read.pictures import Images

#: Colours of a body's triangles that are kept apart; of more there is one, their mean.
_MOST_COLORS = 256
#: A model that reaches farther (m) is in another unit, or not in one place.
_FAR_M = 100_000.0
#: How far above its lowest point (m) a model still stands on the ground.
_FOOT_M = 0.1
#: What is taken of a name that is longer.
_NAME = 200


def read(load: Callable[[Path, Images], Scene], path: Path, options: ReadOptions, sink: Sink) -> None:
    """Read a file. Raises BadFile mesh.*, anchor.*, limit.*, gltf.*, dxf.*, crs.unknown."""
    place = _placed(options.folder / path.name, options)
    images = Images(options.folder, sink, options.declared.encoding)
    scene = load(path, images)
    # loaders count what the file says; its faces may have more corners than three
    check_count(sum(len(piece.triangles) for thing in scene.things for piece in thing.pieces))
    _Reading(place, scene, options, sink).write()


def _placed(path: Path, options: ReadOptions) -> tuple[Anchor, bool]:
    """The anchor that is declared or lies beside, or the grid whose coordinates the model has itself, and
    whether it is that. Raises BadFile anchor.missing."""
    given = anchor.of(path, options.declared)
    if given is not None:
        return given, False
    reason = "a mesh does not say where on the earth it lies"
    if options.declared.crs is not None:
        if not crs.definition(options.declared.crs).is_geographic:
            return Anchor((0.0, 0.0, 0.0), options.declared.crs), True
        reason = f"{shown(options.declared.crs)} has degrees, and a mesh has metres"
    raise BadFile(
        "anchor.missing",
        f"{reason}; declare where its origin lies with --anchor LON,LAT,HEIGHT (and --rotation DEGREES,"
        f" --unit mm, --up y), or in a file {shown(path.stem)}{anchor.ENDING} beside it"
        " (point: [114.305, 30.593, 24], unit: mm, up: y); or with --crs that its coordinates are a grid's",
    )


class _Reading:
    """One scene on its way to rows."""

    def __init__(self, place: tuple[Anchor, bool], scene: Scene, options: ReadOptions, sink: Sink) -> None:
        given, self._on_grid = place
        self._assumed: list[str] = []
        if self._on_grid:  # as the grid has them
            factor = float(crs.definition(given.crs).axis_info[0].unit_conversion_factor)
            given = replace(given, unit=scene.unit or factor, up=scene.up or "z")
        if given.unit is None and scene.unit is None:
            self._assumed.append("no unit is declared, and metres are taken")
        if given.up is None and scene.up is None:
            self._assumed.append(f"no upright axis is declared, and {scene.usual} is taken")
        unit, up = given.unit or scene.unit or 1.0, given.up or scene.up or scene.usual
        self._anchor = replace(given, unit=unit, up=up)
        self._scene = scene
        self._options = options
        self._sink = sink
        self._rows = CityRows(sink, options.limits.columns)
        self._low = 0.0
        self._foot: tuple[float, float] | None = None

    def write(self) -> None:
        """Hand on every thing. Raises BadFile mesh.empty, mesh.far."""
        sink, scene = self._sink, self._scene
        sink.meta.update(driver=scene.driver, kind="cim", crs=self._anchor.crs, rows=("object", 1))
        things = [(number, thing) for number, thing in enumerate(scene.things, 1) if thing.pieces]
        if not things:
            raise BadFile("mesh.empty", "no object of the file has a triangle; export it with its surfaces")
        self._frame([piece for _, thing in things for piece in thing.pieces])
        for (row, thing), called in zip(things, _ids([thing.name for _, thing in things]), strict=True):
            self._thing(row, thing, called)
            if sink.enough(self._options.limits, row):
                break
        self._rows.finish()

    def _frame(self, pieces: Sequence[Piece]) -> None:
        """Find the lowest point of all, and tell what was taken where the file does not say it.

        Raises BadFile mesh.far."""
        boxes = []
        for piece in pieces:
            metres = self._anchor.metres(piece.vertices[np.unique(piece.triangles)])
            metres = metres[np.isfinite(metres).all(axis=1)]
            if len(metres):
                boxes += [metres.min(axis=0), metres.max(axis=0)]
        if not boxes:
            return
        low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
        self._low = float(low[2])
        self._foot = self._lowest(pieces)
        far = float(np.abs([low, high]).max())
        if not self._on_grid and far > _FAR_M:
            reason = f"it reaches {far / 1000:.4g} km from its anchor"
            advice = "declare its unit (--unit mm), or with --crs the grid that its coordinates are of"
            raise BadFile("mesh.far", f"{reason}; {advice}")
        if self._assumed:
            size = " × ".join(f"{side:.4g}" for side in high - low)
            self._sink.note("mesh.frame", f"{'; '.join(self._assumed)}: it is {size} m wide, deep and high")

    def _lowest(self, pieces: Sequence[Piece]) -> tuple[float, float] | None:
        """The longitude and latitude at which the model meets the ground: the middle of what lies lowest.
        None where the CRS does not say it, as the load tells."""
        feet = []
        for piece in pieces:
            metres = self._anchor.metres(piece.vertices[np.unique(piece.triangles)])
            feet.append(metres[metres[:, 2] <= self._low + _FOOT_M])
        middle = self._anchor.placed(np.concatenate(feet).mean(axis=0)[None])
        try:
            ((lon, lat),) = crs.to_lonlat(middle[:, :2], self._anchor.crs).tolist()
        except BadFile:
            return None
        return (lon, lat) if np.isfinite([lon, lat]).all() else None

    def _thing(self, row: int, thing: Thing, called: str) -> None:
        body = _joined(thing.pieces)
        own = {**{str(k): v for k, v in thing.extra.items()}, "name": thing.name[:_NAME]}
        if thing.inside:
            own["inside"] = thing.inside
        names = list(dict.fromkeys(piece.name for piece in thing.pieces if piece.name))
        if names:
            own["material"] = "; ".join(names)
        metres = self._anchor.metres(body.vertices)
        if not np.isfinite(metres[body.triangles]).all():
            self._drop("geometry.nan", "a coordinate of it is not a finite number", row, called, own)
            return
        made = repaired(metres, body.triangles)
        if made.lost:
            reason = f"{made.lost} surfaces have no area and are left out"
            self._sink.note("surface.degenerate", reason, row, called)
        if not len(made.triangles):
            self._drop("geometry.degenerate", "no triangle of it has an area", row, called, own)
            return
        used, index = np.unique(made.triangles, return_inverse=True)
        if len(used) > self._options.limits.vertices:
            reason = f"the body has {len(used):,} vertices, the limit is {self._options.limits.vertices:,}"
            self._drop("limit.vertices", reason, row, called, own)
            return
        for rule, count in made.faults.items():
            self._sink.note(rule, FAULTS[rule].format(count), row, called)
        positions = made.vertices[used]
        triangles = index.reshape(-1, 3)
        shape, side = outline(positions, triangles)
        if side:
            self._sink.note("mesh.outline", f"its outline follows cells of {side:.2g} m", row, called)
        placed = shapely.transform(shape, self._flat)
        shell = body.shell(self._anchor.placed(positions), triangles, made.kept, made.turned)
        self._rows.add(
            row,
            called,
            shell,
            shapely.to_wkb(placed),
            own,
            object_type="mesh",
            lod="",
            ground=self._low + self._anchor.point[2],
            foot=self._foot,
        )

    def _flat(self, metres: Floats) -> Floats:
        """Positions (n, 2) of an outline in the CRS."""
        return self._anchor.placed(np.column_stack([metres, np.zeros(len(metres))]))[:, :2]

    def _drop(self, rule: str, reason: str, row: int, called: str, own: dict[str, object]) -> None:
        self._sink.drop(rule, reason, row, called, held={"id": called, **own})


def _ids(names: Sequence[str]) -> Iterator[str]:
    """Names as ids: those that are there again with a number that makes no name of another."""
    taken = set(names)
    again: Counter[str] = Counter()
    for name in names:
        again[name] += 1
        called = name
        while called in taken and again[name] > 1:
            called = f"{name} ({again[name]})"
            again[name] += called in taken
        taken.add(called)
        yield called


@dataclass(frozen=True, slots=True)
class _Body:
    """The pieces of a thing as one."""

    vertices: Floats
    triangles: Indices
    part: NDArray[np.uint32]
    part_table: tuple[Part, ...]
    look: NDArray[np.uint16]
    look_table: tuple[Material, ...]
    uv: NDArray[np.float32] | None

    def shell(self, positions: Floats, triangles: Indices, kept: Indices, turned: NDArray[np.bool_]) -> Shell:
        """With other positions and triangles, of which ``kept`` says which of the given these are."""
        uv = None if self.uv is None else self.uv[kept]
        if uv is not None:
            uv[turned] = uv[turned][:, ::-1]
        named = len(self.part_table) > 1 or bool(self.part_table[0].name)
        plain = self.look_table == (Material(),)
        return Shell(
            positions,
            triangles.astype(np.uint32),
            np.zeros(len(triangles), np.uint8),
            self.part[kept] if named else None,
            self.part_table if named else (),
            None if plain else self.look[kept],
            () if plain else self.look_table,
            uv,
        )


def _joined(pieces: Sequence[Piece]) -> _Body:
    first = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
    parts: dict[Part, int] = {}
    looks: dict[Material, int] = {}
    part, look = [], []
    for piece in pieces:
        count = len(piece.triangles)
        part.append(np.full(count, parts.setdefault(Part("", "material", piece.name), len(parts)), np.uint32))
        look.append(_looks(piece, looks))
    textured = any(piece.uv is not None for piece in pieces)
    none = [np.zeros((len(piece.triangles), 3, 2), np.float32) for piece in pieces]
    uv = [blank if piece.uv is None else piece.uv for piece, blank in zip(pieces, none, strict=True)]
    return _Body(
        np.concatenate([piece.vertices for piece in pieces]),
        np.concatenate([piece.triangles + at for piece, at in zip(pieces, first.tolist(), strict=False)]),
        np.concatenate(part),
        tuple(parts),
        np.concatenate(look),
        tuple(looks),
        np.concatenate(uv) if textured else None,
    )


def _looks(piece: Piece, looks: dict[Material, int]) -> NDArray[np.uint16]:
    """The number of the material of each triangle."""
    count = len(piece.triangles)
    if piece.colors is None or piece.material.texture:
        return np.full(count, looks.setdefault(piece.material, len(looks)), np.uint16)
    colors, index = np.unique(piece.colors, axis=0, return_inverse=True)
    if len(colors) > _MOST_COLORS:  # the nearest of so many steps of each part
        colors, index = np.unique(piece.colors // 43 * 43 + 21, axis=0, return_inverse=True)
    numbers = [looks.setdefault(Material(tuple(color)), len(looks)) for color in colors.tolist()]
    return np.array(numbers, np.uint16)[index.reshape(-1)]
