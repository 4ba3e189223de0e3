"""A model is checked in as a version of a layer, and a version made current.

To make it current is a load of its rows: features that stay keep their numbers, and the history of the layer
has what was before.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from layers import kinds, load, load_changes
from layers.batch import MESH, SOURCE_ID, WKB
from layers.errors import BadParameter, Exists, NotFound, shown
from layers.model import NOBODY, Author, FeatureLayer, Problem, Report, Rows
from layers.models.versions import ModelVersion, current, find, versions
from layers.query import Query
from layers.source import NOTHING, Declared
from layers.store.base import LayerSpec, Store
from layers.types import LAYER_ID, VersionMark

#: Characters of a version's name.
LONGEST = 80
#: Rows that are copied at a time.
_BATCH = 2_000
_SPREAD = "{} · {}"


def check_in(
    store: Store,
    layer_id: str,
    name: str,
    file: Path | None = None,
    declared: Declared = NOTHING,
    *,
    aside: Path | None = None,
    by: Author = NOBODY,
) -> Report:
    """Keep a file as a version of a layer; without a file, what the layer is now. Rows that are set aside go
    into a file of the folder ``aside``.

    A file is read as the layer's was: with its kind, and told apart by the same ids. Raises NotFound (the
    layer), Exists (a version of that name), BadParameter (a name that is none), and what a load does."""
    base = store.feature_layer(layer_id)
    if base.version_of is not None:
        raise BadParameter("layer", layer_id, "it is a model version itself")
    name = _name(name)
    if name == current(base):
        raise Exists(f"layer {layer_id} was loaded as its version {shown(name)}; give this one another name")
    known = versions(store, layer_id)
    if any(one.name == name for one in known):
        raise Exists(f"layer {layer_id} has a model version {shown(name)} already")
    mark = _numbered(store, layer_id, name, known)
    id_ = f"{layer_id}__{mark.number}"
    if not LAYER_ID.match(id_):
        raise BadParameter("layer", layer_id, "too long a name for one that has versions")
    titles = {lang: _SPREAD.format(title, name) for lang, title in base.title.items()}
    if file is not None:
        declared = declared if declared.kind else replace(declared, kind=base.kind)
        rows = None if aside is None else aside / f"{id_}.csv"
        return load.run(store, file, declared, layer_id=id_, title=titles, aside=rows, by=by, version=mark)
    return _copy(store, base, replace(_spec(base), id=id_, title=titles, model_version=mark), "create", by)


def make_current(
    store: Store, layer_id: str, name: str, by: Author = NOBODY, unchanged_since: int | None = None
) -> Report:
    """Make a layer what a version is, as a new generation. Features that both have keep their numbers; the
    version stays. Raises NotFound, ReadOnly, Busy, and Stale where the layer was changed after
    ``unchanged_since``."""
    base = store.feature_layer(layer_id)
    one = find(store, layer_id, name)
    mark = VersionMark(one.name)
    spec = replace(_spec(one.layer), id=layer_id, title=base.title, model_version=mark)
    return _copy(store, one.layer, spec, "replace", by, unchanged_since)


def remove(store: Store, layer_id: str, name: str, by: Author = NOBODY) -> None:
    """Forget a version. Raises NotFound, ReadOnly."""
    store.drop(find(store, layer_id, name).layer.id, by)


def drop(store: Store, layer_id: str, by: Author = NOBODY) -> None:
    """Remove a layer, and its versions, which are of nothing then. Raises NotFound, ReadOnly, Conflict."""
    waiting = versions(store, layer_id)
    store.drop(layer_id, by)
    for one in waiting:
        with suppress(NotFound):  # somebody else has just removed it
            store.drop(one.layer.id, by)


def _numbered(store: Store, layer_id: str, name: str, known: Sequence[ModelVersion]) -> VersionMark:
    """The mark of the next version: a number by which no layer is called, not even one that is none."""
    taken = {layer.id for layer in store.layers()}
    first = max((one.number for one in known), default=0) + 1
    number = next(n for n in itertools.count(first) if f"{layer_id}__{n}" not in taken)
    return VersionMark(name, layer_id, number)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > LONGEST or not name.isprintable():
        raise BadParameter("name", shown(text), f"1 to {LONGEST} characters, such as v2 or 2026-03 报建版")
    return name


def _spec(layer: FeatureLayer) -> LayerSpec:
    return LayerSpec(
        id=layer.id,
        kind=layer.kind,
        title=layer.title,
        fields=tuple(field for field in layer.fields if field.name != "source_id"),
        geometry_type=layer.geometry_type,
        crs=layer.crs,
        time_field=layer.time_field,
        key=kinds.known(layer.kind).key,
        vertical_datum=layer.vertical_datum,
    )


def _copy(
    store: Store,
    source: FeatureLayer,
    spec: LayerSpec,
    mode: str,
    by: Author,
    unchanged_since: int | None = None,
) -> Report:
    """Publish the rows of a layer as another; its report says from which."""
    assert spec.model_version is not None
    stage = store.stage(spec)
    textures: set[str] = set()
    kept = placeless = 0
    try:
        for fids in _fids(store, source.id):
            rows = store.rows(source.id, fids, meshes=True)
            placeless += len(fids) - len(rows.fids)
            if not len(rows.fids):
                continue
            stage.add(_table(source, rows))
            kept += len(rows.fids)
            textures |= {sha for mesh in rows.meshes.values() for sha in mesh.textures()}
        for sha in sorted(textures):
            stage.texture(store.texture(source.id, sha))
        by = replace(by, via="load")
        published = store.publish(stage, mode=mode, by=by, unchanged_since=unchanged_since)
    except BaseException:
        stage.drop()
        raise
    known = store.report(source.id)
    report = Report.of(known) if known else Report(spec.id, spec.kind, source.id)
    report.layer, report.version, report.kept = spec.id, spec.model_version.name, kept
    report.generation = published.generation
    report.created, report.updated = published.created, published.updated
    report.unchanged, report.deleted = published.unchanged, published.deleted
    report.set, report.changed = 0, {}
    if placeless:
        reason = f"{placeless} features of layer {source.id} without a geometry are left out, as by any load"
        report.add(Problem("geometry.missing", 0, reason, "noted"))
    load_changes.note(store, spec.id, published, report)
    store.save_report(spec.id, asdict(report))
    return report


def _fids(store: Store, layer_id: str) -> list[list[int]]:
    """The numbers of all features of one moment, as many together as are copied at a time."""
    with closing(store.scan(layer_id, Query(properties=(), limit=None), _BATCH)) as batches:
        return [rows.fids.tolist() for rows in batches]


def _table(layer: FeatureLayer, rows: Rows) -> pa.Table:
    """Rows as a stage takes them."""
    meshes = [rows.meshes.get(fid) for fid in rows.fids.tolist()]
    columns: dict[str, Any] = {
        SOURCE_ID: pa.array(rows.properties.get("source_id", [None] * len(rows.fids)), pa.string()),
        WKB: pa.array(rows.wkb, pa.binary()),
    }
    for field in layer.fields:
        values = rows.properties.get(field.name)
        if field.name != "source_id" and values is not None:
            columns[field.name] = [None if v is None else _given(field.type, v) for v in values]
    if any(mesh is not None for mesh in meshes):
        columns[MESH] = pa.array([mesh and mesh.to_bytes() for mesh in meshes], pa.binary())
    return pa.table(columns)


def _given(kind: str, value: Any) -> Any:
    """A value as a stage takes it, of one that a store gave."""
    return bool(value) if kind == "boolean" else value
