"""A scene as rows: repaired, placed by its anchor, one feature a thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from layers import crs
from layers.errors import BadFile, shown
from layers.read import anchor
from layers.read.anchor import Anchor
from layers.read.base import ReadOptions, Sink
from layers.read.cityobjects import CityRows
from layers.read.meshes.bodies import Bodies, Named, several
from layers.read.meshes.model import Floats, Scene, Thing, check_count
from layers.read.meshes.outline import outlines
from layers.read.meshes.repair import FAULTS, repaired
from layers.read.pictures import Images

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
    check_count(
        sum(len(piece.triangles) for thing in scene.things for piece in thing.pieces), len(scene.things)
    )
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
        sink, scene, limits = self._sink, self._scene, self._options.limits
        sink.meta.update(driver=scene.driver, kind="cim", crs=self._anchor.crs, rows=("object", 1))
        things = [(number, thing) for number, thing in enumerate(scene.things, 1) if thing.pieces]
        if not things:
            raise BadFile("mesh.empty", "no object of the file has a triangle; export it with its surfaces")
        ids = _ids([thing.name for _, thing in things])
        named = [Named(row, thing, called) for (row, thing), called in zip(things, ids, strict=True)]
        every = list(several(named, self._anchor))
        scene.things = ()
        self._frame(every)
        for some in every:
            for row in self._bodies(some):
                if sink.enough(limits, row):
                    self._rows.finish()
                    return
        self._rows.finish()

    def _frame(self, every: Sequence[Bodies]) -> None:
        """Find the lowest point of all, and tell what was taken where the file does not say it.

        Raises BadFile mesh.far."""
        used = (some.vertices[_used(some)] for some in every)
        finite = [metres[np.isfinite(metres).all(axis=1)] for metres in used]
        boxes = [end for metres in finite if len(metres) for end in (metres.min(axis=0), metres.max(axis=0))]
        if not boxes:
            return
        low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
        self._low = float(low[2])
        self._foot = self._lowest([metres[metres[:, 2] <= self._low + _FOOT_M] for metres in finite])
        far = float(np.abs([low, high]).max())
        if not self._on_grid and far > _FAR_M:
            reason = f"it reaches {far / 1000:.4g} km from its anchor"
            advice = "declare its unit (--unit mm), or with --crs the grid that its coordinates are of"
            raise BadFile("mesh.far", f"{reason}; {advice}")
        if self._assumed:
            size = " × ".join(f"{side:.4g}" for side in high - low)
            self._sink.note("mesh.frame", f"{'; '.join(self._assumed)}: it is {size} m wide, deep and high")

    def _lowest(self, feet: Sequence[Floats]) -> tuple[float, float] | None:
        """The longitude and latitude at which the model meets the ground: the middle of what lies lowest.
        None where the CRS does not say it, as the load tells."""
        middle = self._anchor.placed(np.concatenate(feet).mean(axis=0)[None])
        try:
            ((lon, lat),) = crs.to_lonlat(middle[:, :2], self._anchor.crs).tolist()
        except BadFile:
            return None
        return (lon, lat) if np.isfinite([lon, lat]).all() else None

    def _bodies(self, some: Bodies) -> Iterator[int]:
        """Hand on some bodies; the row of each as it is done."""
        count = len(some.named)
        finite = np.isfinite(some.vertices).all(axis=1)
        broken = np.bincount(some.body[~finite[some.triangles].all(axis=1)], minlength=count) > 0
        whole = np.flatnonzero(~broken[some.body])
        made = repaired(some.vertices, some.triangles[whole], some.body[whole], count)
        kept = whole[made.kept]
        used = np.zeros(len(some.vertices), bool)
        used[made.triangles] = True
        sizes = np.bincount(some.of_vertex[used], minlength=count)
        fits = (sizes <= self._options.limits.vertices)[some.body[kept]]
        drawn = np.flatnonzero(fits)
        number = np.cumsum(used) - 1
        positions = some.vertices[used]
        triangles = number[made.triangles[drawn]]
        ends = np.searchsorted(some.body[kept[drawn]], np.arange(count), side="right")
        shapes, sides = outlines(positions, triangles, ends, made.closed)
        bases = shapely.to_wkb(shapely.transform(shapes, self._flat))
        firsts = np.cumsum([0, *sizes])
        placed = self._anchor.placed(positions)
        shells = some.shells(placed, firsts, triangles, ends, kept[drawn], made.turned[drawn])
        for k, (named, shell) in enumerate(zip(some.named, shells, strict=True)):
            own = _own(named.thing)
            if self._stands(named, own, bool(broken[k]), int(made.lost[k]), int(sizes[k])):
                self._tell(named, {rule: int(of[k]) for rule, of in made.faults.items()}, float(sides[k]))
                self._rows.add(
                    named.row,
                    named.id,
                    shell,
                    bases[k],
                    own,
                    object_type="mesh",
                    lod="",
                    ground=self._low + self._anchor.point[2],
                    foot=self._foot,
                )
            yield named.row

    def _stands(self, named: Named, own: dict[str, object], broken: bool, lost: int, size: int) -> bool:
        """Whether a body of so many vertices becomes a feature; why not is told."""
        row, called = named.row, named.id
        if broken:
            self._drop("geometry.nan", "a coordinate of it is not a finite number", row, called, own)
            return False
        if lost:
            reason = f"{lost} surfaces have no area and are left out"
            self._sink.note("surface.degenerate", reason, row, called)
        if not size:
            self._drop("geometry.degenerate", "no triangle of it has an area", row, called, own)
            return False
        most = self._options.limits.vertices
        if size > most:
            reason = f"the body has {size:,} vertices, the limit is {most:,}"
            self._drop("limit.vertices", reason, row, called, own)
            return False
        return True

    def _tell(self, named: Named, faults: Mapping[str, int], side: float) -> None:
        """Note what is wrong with a body, and of what cells its outline is."""
        for rule, count in faults.items():
            if count:
                self._sink.note(rule, FAULTS[rule].format(count), named.row, named.id)
        if side:
            reason = f"its outline follows cells of {side:.2g} m"
            self._sink.note("mesh.outline", reason, named.row, named.id)

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


def _used(some: Bodies) -> NDArray[np.bool_]:
    """Which vertices a triangle has."""
    out = np.zeros(len(some.vertices), bool)
    out[some.triangles] = True
    return out


def _own(thing: Thing) -> dict[str, object]:
    """What a thing has of its own, as columns."""
    own: dict[str, object] = {**{str(k): v for k, v in thing.extra.items()}, "name": thing.name[:_NAME]}
    if thing.inside:
        own["inside"] = thing.inside
    if names := list(dict.fromkeys(piece.name for piece in thing.pieces if piece.name)):
        own["material"] = "; ".join(names)
    return own
