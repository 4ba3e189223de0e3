"""Points as bodies of a set form: a lamp, a hydrant, a tree, each drawn at many places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from layers.kinds import FORMS
from layers.kinds import Model as Rule
from layers.mesh import Surface
from tiles import geocentric
from tiles.batch import POINT, Batch
from tiles.ground import Ground
from tiles.mesh import body as bodies
from tiles.mesh.body import Body
from tiles.mesh.instances import Instances
from tiles.scheme import Floats

#: Metres that no form is higher than.
TALLEST = 8.0
#: Corners of what is round.
_ROUND = 6


@dataclass(frozen=True, slots=True)
class Model:
    """Triangles about a point of the ground: positions float64 (v, 3) in metres to the east, north and up;
    normals float64 (v, 3); triangles int64 (t, 3), counter-clockwise seen from outside."""

    positions: Floats
    normals: Floats
    triangles: NDArray[np.int64]


def placed(batch: Batch, rule: Rule, ground: Ground) -> list[Instances]:
    """The points of a batch, each form once with its places; features that are no points give nothing."""
    rows = np.flatnonzero(batch.dims == POINT)
    if not len(rows):
        return []
    points = batch.take(rows)
    lon, lat = points.lonlat()
    places = geocentric.ecef(lon, lat, ground.at(lon, lat))
    of = np.repeat(np.arange(len(rows)), np.diff(points.coords[points.parts]))
    which = _forms(points, rule)[of]
    made = []
    for number, form in enumerate(FORMS):
        mine = np.flatnonzero(which == number)
        if len(mine):
            first = int(mine[0])
            # upwards differs by less than 0.01° within a node
            body = _at(model(form), places[first], geocentric.axes(float(lon[first]), float(lat[first])))
            turned = np.tile(np.eye(3), (len(mine), 1, 1))
            made.append(Instances(body, places[first], rows[of[mine]], turned, places[mine]))
    return made


def each(repeated: Sequence[Instances]) -> Body:
    """Every body where it is."""
    made = []
    for one in repeated:
        n, v = len(one.rows), len(one.body.positions)
        shifts = np.arange(n)[:, None, None] * v
        made.append(
            Body(
                (one.body.positions + (one.places - one.origin)[:, None]).reshape(-1, 3),
                np.tile(one.body.normals, (n, 1)),
                (one.body.triangles + shifts).reshape(-1, 3),
                np.repeat(one.rows, v),
                np.tile(one.body.surfaces, n),
            )
        )
    return bodies.join(made)


def _forms(points: Batch, rule: Rule) -> NDArray[np.int64]:
    """The number of the form of each feature."""
    numbers = {form: number for number, form in enumerate(FORMS)}
    other = numbers[rule.otherwise]
    prop = points.props.get(rule.by)
    if prop is None or prop.values.kind != "s" or not len(prop.values):
        return np.full(len(points), other)
    used, of = np.unique(prop.codes, return_inverse=True)
    known = [
        other if code < 0 else numbers[rule.forms.get(prop.values.text_of(code) or "", rule.otherwise)]
        for code in used.tolist()
    ]
    return np.array(known, np.int64)[of]


def _at(form: Model, place: Floats, axes: Floats) -> Body:
    n = len(form.positions)
    return Body(
        place + form.positions @ axes.T,
        form.normals @ axes.T,
        form.triangles,
        np.zeros(n, np.int64),
        np.full(n, Surface.UNKNOWN, np.uint8),
    )


@cache
def model(form: str) -> Model:
    """A form by its name, one of ``layers.kinds.FORMS``."""
    return _joined(_PARTS[form])


def _joined(parts: Sequence[Model]) -> Model:
    starts = np.cumsum([0, *(len(one.positions) for one in parts)])
    return Model(
        np.concatenate([one.positions for one in parts]),
        np.concatenate([one.normals for one in parts]),
        np.concatenate([one.triangles + start for one, start in zip(parts, starts, strict=False)]),
    )


def _turned(profile: Sequence[tuple[float, float]]) -> Model:
    """What is round, smooth around the upright axis: radius and height (m) from its foot to its top, where a
    radius of 0 closes it."""
    radius, height = np.array(profile).T
    angle = np.arange(_ROUND) * (2 * np.pi / _ROUND)
    around = np.stack([np.cos(angle), np.sin(angle), np.zeros(_ROUND)], axis=1)
    rings = around * radius[:, None, None]
    rings[:, :, 2] += height[:, None]
    # the normal of a ring is that of the profile there
    slope = np.stack([np.gradient(height), -np.gradient(radius)], axis=1)
    normals = around * slope[:, :1, None]
    normals[:, :, 2] += slope[:, 1:]
    low = np.arange((len(profile) - 1) * _ROUND).reshape(-1, _ROUND)
    right, high = np.roll(low, -1, axis=1), low + _ROUND
    quads = np.stack([low, right, high + np.roll(np.arange(_ROUND), -1) - np.arange(_ROUND), high], axis=2)
    triangles = quads.reshape(-1, 4)[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    points = rings.reshape(-1, 3)
    a, b, c = (points[triangles[:, i]] for i in range(3))
    real = np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-9
    return Model(points, bodies.unit(normals.reshape(-1, 3)), triangles[real])


def _box(size: tuple[float, float, float], at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Model:
    """A box of a width, depth and height (m), the middle of its underside ``at`` a place."""
    corners = np.array(
        [[x, y, z] for z in (0, 1) for x, y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))]
    )
    faces = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7], [3, 2, 1, 0]])
    quads = corners[faces]
    normals = bodies.unit(np.cross(quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]))
    first = 4 * np.arange(6)[:, None]
    return Model(
        quads.reshape(-1, 3) * size + at,
        np.repeat(normals, 4, axis=0),
        (first + np.array([0, 1, 2, 0, 2, 3])).reshape(-1, 3),
    )


def _pole(height: float, radius: float = 0.08) -> Model:
    return _turned([(radius, 0.0), (radius * 0.8, height), (0.0, height)])


#: Sizes are those of what stands in streets, to be known for what it is; none is of a survey.
_PARTS: Mapping[str, Sequence[Model]] = {
    "post": (_pole(1.0, 0.1),),
    "tree": (
        _turned([(0.2, 0.0), (0.15, 2.4)]),
        _turned([(0.0, 1.9), (1.7, 3.0), (1.5, 4.8), (0.0, 6.6)]),
    ),
    "lamp": (_pole(7.0), _box((1.4, 0.1, 0.1), (0.7, 0.0, 6.9)), _box((0.6, 0.25, 0.12), (1.4, 0.0, 6.8))),
    "hydrant": (
        _turned([(0.18, 0.0), (0.13, 0.08), (0.13, 0.65), (0.16, 0.7), (0.0, 0.9)]),
        _box((0.5, 0.12, 0.12), (0.0, 0.0, 0.45)),
    ),
    "cover": (_turned([(0.36, 0.0), (0.35, 0.04), (0.0, 0.04)]),),
    "cabinet": (_box((1.0, 0.45, 1.3)),),
    "signal": (_pole(3.6, 0.07), _box((0.32, 0.3, 0.95), (0.0, 0.0, 2.7))),
    "camera": (_pole(5.0), _box((0.22, 0.5, 0.2), (0.0, -0.25, 4.7))),
    "sign": (_pole(2.6, 0.04), _box((0.6, 0.04, 0.6), (0.0, -0.06, 2.0))),
    "pole": (_pole(8.0, 0.14),),
}
