"""Whether what a store says of a city, now or as of a moment, is what the model has."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
import shapely

from layers.errors import Gone, NotFound
from layers.model import ContentLayer, FeatureLayer, Rows
from layers.query import Query
from layers.store.base import Readable
from layers.types import Bbox, Sort
from tests.histories.model import Body, City, FormState, LayerState

_ALL = Query(limit=10_000)


def check(
    reading: Readable, city: City, rng: Random, lost: Mapping[str, Collection[str]] | None = None
) -> None:
    """Everything that can be read of a city is what the model has; AssertionError says where not.

    Of layers in ``lost`` a program has taken those fields with what was in them: it may be said that what the
    layer was is gone, or that it had no such field, but nothing that was not."""
    lost = lost or {}
    sure = [name for name in sorted(city) if name not in lost]
    assert [layer.id for layer in reading.layers() if layer.id not in lost] == sure
    features = {name for name in sure if isinstance(city[name], LayerState)}
    assert {layer.id for layer in reading.feature_layers() if layer.id not in lost} == features
    for name, state in city.items():
        if isinstance(state, FormState):
            check_form(reading, name, state)
        elif name not in lost:
            check_layer(reading, name, state, rng)
        else:
            with suppress(Gone):
                there = {field.name for field in reading.feature_layer(name).fields}
                for field in lost[name]:
                    state = state if field in there else state.without_column(field)
                check_layer(reading, name, state, rng)
    with pytest.raises(NotFound):
        reading.layer("never")


def check_form(reading: Readable, name: str, state: FormState) -> None:
    """A layer of another form."""
    layer = reading.layer(name)
    assert isinstance(layer, ContentLayer)
    spec = state.spec
    assert (layer.form, layer.kind, dict(layer.title), layer.crs) == (
        spec.form,
        spec.kind,
        dict(spec.title),
        spec.crs,
    )
    assert (layer.extent, layer.assets, layer.generation) == (spec.extent, spec.assets, state.generation)


def check_layer(reading: Readable, name: str, state: LayerState, rng: Random) -> None:
    """A layer of features: its words, its rows, its pages."""
    _check_words(reading.feature_layer(name), state)
    _check_rows(reading, name, state, rng)
    _check_pages(reading, name, state, rng)
    _check_items(reading, name, state, rng)
    _check_places(reading, name, state, rng)
    _check_values(reading, name, state, rng)


def _check_words(layer: FeatureLayer, state: LayerState) -> None:
    spec = state.spec
    assert [(f.name, f.type) for f in layer.fields] == [(f.name, f.type) for f in state.fields]
    assert (layer.kind, dict(layer.title), layer.crs) == (spec.kind, dict(spec.title), spec.crs)
    assert (layer.geometry_type, layer.time_field) == (spec.geometry_type, spec.time_field)
    assert (layer.generation, layer.count) == (state.generation, len(state.bodies))
    boxes = [shapely.from_wkb(b.wkb).bounds for b in state.bodies.values() if b.wkb is not None]
    if not boxes:
        return  # an index may still hold what is gone: it is only not said to be smaller
    assert layer.extent is not None
    west, south, east, north = zip(*boxes, strict=True)
    assert layer.extent[0] <= min(west)
    assert layer.extent[1] <= min(south)
    assert layer.extent[2] >= max(east)
    assert layer.extent[3] >= max(north)


def _check_rows(reading: Readable, name: str, state: LayerState, rng: Random) -> None:
    placed = {fid: body for fid, body in state.bodies.items() if body.wkb is not None}
    rows = reading.rows(name, meshes=True)
    _same_rows(rows, state, list(placed))
    meshes = {fid: mesh.to_bytes() for fid, mesh in rows.meshes.items()}
    assert meshes == {fid: body.mesh for fid, body in state.bodies.items() if body.mesh is not None}
    some = rng.sample(sorted(state.bodies), min(3, len(state.bodies)))
    few = reading.rows(name, [*some, 10**9], meshes=True)
    _same_rows(few, state, sorted(fid for fid in some if fid in placed))
    assert set(few.meshes) == {fid for fid in some if state.bodies[fid].mesh is not None}


def _same_rows(rows: Rows, state: LayerState, fids: Sequence[int]) -> None:
    assert rows.fids.tolist() == list(fids)
    assert list(rows.wkb) == [state.bodies[fid].wkb for fid in fids]
    assert set(rows.properties) == {f.name for f in state.fields}
    for field in state.fields:
        got = [_read(field.type, value) for value in rows.properties[field.name]]
        assert got == [state.bodies[fid].values[field.name] for fid in fids], field.name


def _read(kind: str, value: Any) -> Any:
    return json.loads(value) if kind == "array" and isinstance(value, str) else value


def _check_pages(reading: Readable, name: str, state: LayerState, rng: Random) -> None:
    page = reading.items(name, _ALL)
    assert (page.returned, page.matched, page.next_after) == (len(state.bodies), len(state.bodies), None)
    for feature, fid in zip(_features(page.features), state.bodies, strict=True):
        _same_feature(feature, fid, state.bodies[fid])
    selection = reading.select(name, _ALL)
    _same_rows(selection.rows, state, list(state.bodies))
    if rng.random() < 0.3:  # it has a connection of its own, which a database takes its time for
        batches = list(reading.scan(name, replace(_ALL, limit=None), 3))
        assert [fid for rows in batches for fid in rows.fids.tolist()] == list(state.bodies)
        for rows in batches:
            _same_rows(rows, state, rows.fids.tolist())


def _features(text: bytes) -> list[dict[str, Any]]:
    return list(json.loads(b"[" + text + b"]"))


def _same_feature(feature: Mapping[str, Any], fid: int, body: Body) -> None:
    assert feature["id"] == fid
    assert feature["properties"] == body.values
    assert list(feature["properties"]) == list(body.values)
    if body.wkb is None:
        assert feature["geometry"] is None
        return
    got, wanted = shapely.from_geojson(json.dumps(feature["geometry"])), shapely.from_wkb(body.wkb)
    assert got.geom_type == wanted.geom_type
    high = bool(shapely.has_z(wanted))
    numbers = [shapely.get_coordinates(shape, include_z=high) for shape in (got, wanted)]
    assert np.array_equal(numbers[0], np.round(numbers[1], 9))


def _check_items(reading: Readable, name: str, state: LayerState, rng: Random) -> None:
    for fid in rng.sample(sorted(state.bodies), min(2, len(state.bodies))):
        item = reading.item(name, fid)
        assert item.fid == fid
        assert item.revision == reading.revision(name, fid)
        _same_feature(json.loads(item.body), fid, state.bodies[fid])
    with pytest.raises(NotFound):
        reading.item(name, 10**9)
    with pytest.raises(NotFound):
        reading.revision(name, 10**9)


def _check_places(reading: Readable, name: str, state: LayerState, rng: Random) -> None:
    """A box, and what is in it: whatever meets it, and whatever has no place."""
    x, y = 25 + rng.randrange(8) / 4, 60 + rng.randrange(8) / 4
    box: Bbox = (x, y, x + rng.choice((0.1, 0.3, 1)), y + rng.choice((0.1, 0.3, 1)))
    area = shapely.box(*box)
    inside = [
        fid
        for fid, body in state.bodies.items()
        if body.wkb is None or shapely.intersects(shapely.from_wkb(body.wkb), area)
    ]
    _same_ids(reading, name, Query(bbox=box, limit=10_000), inside)


def _check_values(reading: Readable, name: str, state: LayerState, rng: Random) -> None:
    """One value of one field, and an order by it."""
    field = rng.choice([f for f in state.fields if f.type != "array"])
    column = {fid: body.values[field.name] for fid, body in state.bodies.items()}
    known = [value for value in column.values() if value is not None]
    if known and field.type != "number":
        value = rng.choice(known)
        equal = [fid for fid, other in column.items() if other == value]
        _same_ids(reading, name, Query(equals=((field.name, value),), limit=10_000), equal)
    down = rng.random() < 0.5
    order = sorted((f for f in column if column[f] is not None), key=lambda f: column[f], reverse=down)
    order += [fid for fid in column if column[fid] is None]
    query = Query(sort=(Sort(field.name, down),), limit=10_000)
    _same_ids(reading, name, query, order)
    # the same in pages of three, each after the one before
    query, got = replace(query, limit=3), []
    while True:
        page = reading.items(name, query)
        got += [feature["id"] for feature in _features(page.features)]
        if page.next_after is None:
            break
        query = replace(query, after=page.next_after)
    assert got == order


def _same_ids(reading: Readable, name: str, query: Query, wanted: Iterable[int]) -> None:
    ids = list(wanted)
    page = reading.items(name, query)
    assert [feature["id"] for feature in _features(page.features)] == ids, query
    assert page.matched == len(ids)
    assert reading.count(name, query, 10_000) == len(ids)
    assert reading.select(name, query).rows.fids.tolist() == ids
