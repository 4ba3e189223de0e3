"""A stage becomes the layer's new generation, in one transaction of the city's file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from layers.errors import Exists
from layers.model import Author
from layers.store import layer_record, matching, staged
from layers.store.base import Published
from layers.store.forms import in_use
from layers.store.geopackage import (
    catalog,
    forms,
    keeping,
    log,
    past,
    recorded,
    rtree,
    schema,
    sets,
    textures,
    triggers,
)
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.connection import literal, quoted
from layers.store.geopackage.stage import GeoPackageStage
from layers.store.matching import Script
from layers.store.staged import PublishPlan
from layers.types import Bbox, Field


def publish(
    con: sqlite3.Connection, stage: GeoPackageStage, mode: str, by: Author, unchanged_since: int | None
) -> Published:
    """Publish through a write connection of the store. Raises Exists, BadFile, Busy, Stale."""
    staged.check_mode(mode)
    stage.close()
    con.execute("ATTACH DATABASE ? AS stage", (str(stage.path),))
    try:
        # whatever becomes of the publish, the stage is thrown away: it needs no journal and no disk
        con.execute("PRAGMA stage.journal_mode=OFF")
        con.execute("PRAGMA stage.synchronous=OFF")
        with sets.writing(con, by, stage.spec.id) as draft, recorded.kept(con, stage.spec.id):
            newest = con.execute("SELECT max(seq) FROM twin_changes WHERE layer=?", (stage.spec.id,))
            staged.refuse_stale(stage.spec.id, newest.fetchone()[0], unchanged_since)
            published = _publish(con, stage, mode)
            textures.publish(con, stage.spec.id)
            draft.generation = published.generation
            return published
    finally:
        con.execute("DETACH DATABASE stage")


def _publish(con: sqlite3.Connection, stage: GeoPackageStage, mode: str) -> Published:
    catalog.repair(con, [f for f in catalog.examine(con) if f.layer == stage.spec.id])
    layer = stage.spec.id
    if (other := forms.present(con, layer)) is not None:
        raise in_use(layer, other.form)
    present, lost = catalog.tables(con).get(layer), False
    if mode == "create" and present is not None:
        raise Exists(f"layer {layer} exists already; use --replace or --append")
    if present is not None and present.state != layer_record.OK:
        if mode == "append":
            present.usable()
        forget(con, layer)
        past.drop(con, layer)
        lost, present = True, None
    number = generation(con, layer) + 1
    if present is None:
        plan, seq = _first(con, stage)
        if lost:  # what there was of it cannot be read
            keeping.cut(con, layer, seq, "gap")
        fields: tuple[Field, ...] = stage.fields
        geometry_type: str = stage.spec.geometry_type
    else:
        change = matching.altered({f.name: f for f in present.fields}, present.fields, stage.fields, mode)
        fields = change.fields
        alter(con, present, change, log.last_seq(con) + 1)
        geometry_type = staged.geometry_type(present.geometry_type, stage.spec.geometry_type, mode)
        plan = _match(con, stage, mode, bool(change.drop or change.add))
        same = [f.name for f in fields] == [f.name for f in stage.fields]
        seq = _apply(con, stage, plan, same)
    before = _words(con, layer)
    _register(con, stage, present, number, fields, geometry_type, plan.whole)
    if present is not None and not plan.whole and _words(con, layer) != before:
        seq = log.whole(con, layer, None, catalog.extent(con, layer))
    return Published(number, plan.created, plan.updated, plan.unchanged, plan.deleted, seq, plan.vague)


def _words(con: sqlite3.Connection, layer: str) -> tuple[object, ...] | None:
    """What is told of a layer besides its rows and its generation."""
    row: tuple[object, ...] | None = con.execute(
        f"SELECT {layer_record.WORDS}, columns FROM twin_layers WHERE id=?", (layer,)
    ).fetchone()
    return row


def drop(con: sqlite3.Connection, layer: str) -> None:
    """Remove a layer of features, within the caller's transaction; its rows become old rows."""
    with recorded.kept(con, layer):
        state = con.execute("SELECT state FROM twin_layers WHERE id=?", (layer,)).fetchone()[0]
        ready = state == layer_record.OK
        box = catalog.extent(con, layer) if ready else None
        until = log.last_seq(con) + 1
        if ready and keeping.is_kept(con, layer):
            past.keep_rows(con, layer, until, "1")
        elif not ready:
            past.drop(con, layer)
            keeping.cut(con, layer, until, "gap")
        forget(con, layer)
        log.whole(con, layer, box, None)
        catalog.touch(con)


def forget(con: sqlite3.Connection, layer: str) -> None:
    """Remove a layer, or what another program left of it; no fid or generation of it is used again."""
    catalog.remember(con, layer, high_fid(con, layer), generation(con, layer))
    schema.drop_layer(con, layer)


def generation(con: sqlite3.Connection, layer: str) -> int:
    """The highest generation that a layer has or had."""
    return _highest(con, layer, "generation FROM twin_layers WHERE id", "generation")


def high_fid(con: sqlite3.Connection, layer: str) -> int:
    """The highest fid that a layer gave out, or has: SQLite notes none that an UPDATE gives a row."""
    high = _highest(con, layer, "seq FROM sqlite_sequence WHERE name", "high_fid")
    if not con.execute("SELECT 1 FROM pragma_table_info(?) WHERE name='fid' AND pk", (layer,)).fetchone():
        return high
    row = con.execute(f"SELECT coalesce(max(fid), 0) FROM main.{quoted(layer)}").fetchone()
    return max(high, int(row[0]))


def _highest(con: sqlite3.Connection, layer: str, present: str, remembered: str) -> int:
    """The greater of what a layer has and what its history remembers."""
    both = f"SELECT {present}=:layer UNION ALL SELECT {remembered} FROM twin_history WHERE layer=:layer"
    row = con.execute(f"SELECT max(n) FROM (SELECT 0 AS n UNION ALL {both})", {"layer": layer}).fetchone()
    return int(row[0])


def _first(con: sqlite3.Connection, stage: GeoPackageStage) -> tuple[PublishPlan, int]:
    """Make the layer and fill it; one log row for the whole."""
    layer = stage.spec.id
    occupied = con.execute("SELECT 1 FROM sqlite_master WHERE lower(name)=?", (layer,)).fetchone()
    if occupied is not None:
        raise Exists(f"the store has a table {layer} of another program already")
    schema.create_layer(con, layer, stage.fields, stage.spec.geometry_type)
    moved = high_fid(con, layer) - stage.base
    _copy(con, stage, moved)
    fids, boxes = stage.boxes()
    rtree.write(con, schema.rtree(layer), fids + moved, boxes)
    schema.index_sources(con, layer)
    past.settle(con, layer, log.last_seq(con) + 1)
    triggers.create(con, layer)
    con.execute("UPDATE twin_counts SET features=? WHERE layer=?", (stage.count, layer))
    unplaced = np.setdiff1d(np.arange(1, stage.count + 1) + stage.base, fids, assume_unique=True) + moved
    con.executemany("INSERT INTO twin_unplaced VALUES (?,?)", ((layer, fid) for fid in unplaced.tolist()))
    seq = log.whole(con, layer, None, catalog.extent(con, layer))
    return PublishPlan(stage.count, 0, 0, 0, True), seq


def _copy(con: sqlite3.Connection, stage: GeoPackageStage, moved: int) -> None:
    """Copy the stage's tables into the new ones of the layer, which have no index and no trigger yet: then
    SQLite copies their pages (sqlite.org/lang_insert.html, the transfer optimization of ``SELECT *``).

    ``moved``: by how much the fids differ, as where a layer of this name came and went meanwhile; the GeoJSON
    is then made on reading."""
    layer = stage.spec.id
    if not moved:
        pairs = [("features", layer), ("json", schema.json_table(layer)), ("mesh", schema.mesh_table(layer))]
        for source, table in pairs:
            con.execute(f"INSERT INTO main.{quoted(table)} SELECT * FROM stage.{source}")
        return
    names = ", ".join(["geom", *(quoted(f.name) for f in stage.fields)])
    con.execute(
        f"INSERT INTO main.{quoted(layer)} (fid, {names}) SELECT fid + ?, {names} FROM stage.features",
        (moved,),
    )
    con.execute(
        f"INSERT INTO main.{quoted(schema.mesh_table(layer))} SELECT fid + ?, body FROM stage.mesh", (moved,)
    )


def _rows(con: sqlite3.Connection, stage: GeoPackageStage) -> None:
    """Put the staged rows in a table by their numbers, as :mod:`matching` wants them."""
    columns = _columns(stage)
    typed = "".join(
        f", {name} {schema.COLUMN_TYPES[f.type]}"
        for f, (_, name) in zip(stage.fields[1:], columns, strict=True)
    )
    con.execute(
        "CREATE TABLE stage.rows (n INTEGER PRIMARY KEY, fid INTEGER, state INTEGER, geom BLOB,"
        f" source_id TEXT{typed}, mesh BLOB)"
    )
    names = "".join(f", f.{column}" for column, _ in columns)
    con.execute(
        f"INSERT INTO stage.rows SELECT f.fid - ?, NULL, NULL, f.geom, f.source_id{names}, m.body"
        " FROM stage.features f LEFT JOIN stage.mesh m ON m.fid = f.fid",
        (stage.base,),
    )


def _script(con: sqlite3.Connection, layer: str) -> Script:
    return Script(
        con.execute,
        rows="stage.rows",
        table=f"main.{quoted(layer)}",
        mesh=f"main.{quoted(schema.mesh_table(layer))}",
        distinct="IS NOT",
        raw="",
        key=lambda columns: "||','||".join(f"quote({column})" for column in columns) or "''",
    )


def alter(con: sqlite3.Connection, present: FeatureTable, change: matching.Altered, seq: int) -> None:
    """Make the table's columns those of the new generation, which is logged with a number as a whole.

    Without its triggers: each column that goes would have SQLite look through all that they name."""
    if not (change.drop or change.add):
        return
    if change.drop and keeping.is_kept(con, present.id):
        valued = " OR ".join(f"t.{quoted(name)} IS NOT NULL" for name in change.drop)
        past.keep_rows(con, present.id, seq, valued)
    triggers.drop(con, present.id)
    for name in change.drop:
        schema.drop_index(con, present.id, name)
        con.execute(f"ALTER TABLE {present.name} DROP COLUMN {quoted(name)}")
    for field in change.add:
        declared = f"{quoted(field.name)} {schema.COLUMN_TYPES[field.type]}"
        con.execute(f"ALTER TABLE {present.name} ADD COLUMN {declared}")
    past.settle(con, present.id, seq, dropped=change.drop)


def _columns(stage: GeoPackageStage) -> list[tuple[str, str]]:
    """(column of the layer, column of the stage) of the properties but the source id."""
    return [(quoted(f.name), f"p{i}") for i, f in enumerate(stage.fields[1:])]


def _match(con: sqlite3.Connection, stage: GeoPackageStage, mode: str, changed: bool) -> PublishPlan:
    """Give each staged row its fid and state, and count."""
    script, layer = _script(con, stage.spec.id), stage.spec.id
    _rows(con, stage)
    features = con.execute("SELECT features FROM twin_counts WHERE layer=?", (layer,)).fetchone()[0]
    if stage.count * _FEW < features:
        _boxed(con, stage)
        script = replace(script, near=lambda columns: _near(layer, columns))
    matching.by_source(script)
    con.execute("CREATE INDEX stage.by_fid ON rows (fid)")
    columns = _columns(stage)
    keys = [
        pair for field, pair in zip(stage.fields[1:], columns, strict=True) if field.name in stage.spec.key
    ]
    vague = matching.match(script, columns, (), keys, high_fid(con, layer))
    return matching.plan(script, mode, changed=changed, vague=vague)


def _near(layer: str, columns: Sequence[tuple[str, str]] | None) -> str:
    """SQL of the fids of features whose box meets one of the stage's, or with the first filled of some
    columns that a staged row has; see :class:`matching.Script`."""
    if columns is None:
        meets = "i.minx <= b.maxx AND i.maxx >= b.minx AND i.miny <= b.maxy AND i.maxy >= b.miny"
        placed = f"SELECT i.id FROM stage.boxes b CROSS JOIN {quoted(schema.rtree(layer))} i WHERE {meets}"
        return f"{placed} UNION ALL SELECT fid FROM twin_unplaced WHERE layer = {literal(layer)}"
    alike = []
    for at, (column, staged_column) in enumerate(columns):
        before = "".join(f" AND s.{other} IS NULL" for _, other in columns[:at])
        join = f"stage.rows s CROSS JOIN main.{quoted(layer)} k ON k.{column} = s.{staged_column}{before}"
        alike.append(f"SELECT k.fid FROM {join}")
    return " UNION ALL ".join(alike)


def _boxed(con: sqlite3.Connection, stage: GeoPackageStage) -> None:
    """Put the boxes of the staged rows in a table, unless that was done."""
    if con.execute("SELECT 1 FROM stage.sqlite_master WHERE name='boxes'").fetchone() is not None:
        return
    con.execute("CREATE TABLE stage.boxes (n INTEGER PRIMARY KEY, minx, maxx, miny, maxy)")
    fids, boxes = stage.boxes()
    rows = zip((fids - stage.base).tolist(), *boxes.T.tolist(), strict=True)
    con.executemany("INSERT INTO stage.boxes VALUES (?,?,?,?,?)", rows)


def _apply(con: sqlite3.Connection, stage: GeoPackageStage, plan: PublishPlan, same: bool) -> int:
    """Write the difference; the log number it ended at.

    ``same``: the layer's fields are the stage's, so the GeoJSON made in the stage is the layer's."""
    script, layer = _script(con, stage.spec.id), stage.spec.id
    old = catalog.extent(con, layer)
    if plan.whole:
        triggers.drop(con, layer)
        _keep(con, layer, plan)
    if plan.deleted:
        _delete(con, layer, plan)
    if plan.whole:
        _reindex(con, stage, plan)
    if plan.updated:
        matching.update(script, _columns(stage))
    matching.insert(script, _columns(stage))
    if plan.whole:  # rows the stage does not hold, or holds with fewer fields, are made again on reading
        con.execute(f"DELETE FROM {quoted(schema.json_table(layer))}")
    if same:
        _fill_json(con, stage, every=plan.whole)
    matching.meshes(script)
    if plan.whole:
        triggers.create(con, layer)
        return log.whole(con, layer, old, catalog.extent(con, layer))
    return log.last_seq(con)


def _keep(con: sqlite3.Connection, layer: str, plan: PublishPlan) -> None:
    """Keep what the triggers would, with the one number that the whole gets."""
    if not keeping.is_kept(con, layer):
        return
    until = log.last_seq(con) + 1
    if plan.deleted:
        past.keep_rows(con, layer, until, "t.fid NOT IN (SELECT fid FROM stage.rows)")
    if plan.updated:
        changed = "t.fid IN (SELECT fid FROM stage.rows WHERE state=2)"
        past.keep_rows(con, layer, until, changed, after="stage.rows")
    if plan.created:
        past.keep_births(con, layer, until, "SELECT fid FROM stage.rows WHERE state=1")


def _delete(con: sqlite3.Connection, layer: str, plan: PublishPlan) -> None:
    con.execute("CREATE TEMP TABLE gone (fid INTEGER PRIMARY KEY)")
    con.execute(
        f"INSERT INTO gone SELECT fid FROM {quoted(layer)} WHERE fid NOT IN (SELECT fid FROM stage.rows)"
    )
    con.execute(f"DELETE FROM {quoted(layer)} WHERE fid IN (SELECT fid FROM gone)")
    if plan.whole:
        for name in (schema.json_table(layer), schema.mesh_table(layer)):
            con.execute(f"DELETE FROM {quoted(name)} WHERE fid IN (SELECT fid FROM gone)")
    con.execute("DROP TABLE gone")


_BOXES = "SELECT s.fid, b.minx, b.maxx, b.miny, b.maxy FROM stage.boxes b JOIN stage.rows s ON s.n = b.n"
_FEW = 50  # of so many features one staged row: then those near the rows are sooner looked up than all sorted
_MANY = 8  # one of so many features: from there on a whole R-tree is written sooner than changed


def _reindex(con: sqlite3.Connection, stage: GeoPackageStage, plan: PublishPlan) -> None:
    """Bring the R-tree to the staged rows and those that stay."""
    layer = stage.spec.id
    _boxed(con, stage)
    index = quoted(schema.rtree(layer))
    features = con.execute("SELECT features FROM twin_counts WHERE layer=?", (layer,)).fetchone()[0]
    if (plan.created + plan.updated + plan.deleted) * _MANY >= features:
        staying = (
            f"SELECT i.id, i.minx, i.maxx, i.miny, i.maxy FROM {index} i JOIN {quoted(layer)} t ON t.fid=i.id"
            " WHERE i.id NOT IN (SELECT fid FROM stage.rows)"
        )
        rtree.fill(con, schema.rtree(layer), f"{staying} UNION ALL {_BOXES}")
        return
    con.execute(f"DELETE FROM {index} WHERE id NOT IN (SELECT fid FROM {quoted(layer)})")
    con.execute(f"DELETE FROM {index} WHERE id IN (SELECT fid FROM stage.rows WHERE state=2)")
    con.execute(f"INSERT INTO {index} {_BOXES} WHERE s.state IN (1, 2)")


#: The stage's Feature of a row begins so, with the fid of the stage.
_HEAD = '{"type":"Feature","id":'


def _fill_json(con: sqlite3.Connection, stage: GeoPackageStage, *, every: bool) -> None:
    """The GeoJSON of ``every`` staged row, or of those that changed."""
    tail = f"substr(CAST(j.body AS TEXT), {len(_HEAD) + 1} + length(j.fid))"
    con.execute(
        f"INSERT OR REPLACE INTO {quoted(schema.json_table(stage.spec.id))}"
        f" SELECT s.fid, CAST('{_HEAD}'||s.fid||{tail} AS BLOB)"
        " FROM stage.rows s JOIN stage.json j ON j.fid = s.n + ?"
        f" WHERE {'1' if every else 's.state IN (1, 2)'}",
        (stage.base,),
    )


def _register(
    con: sqlite3.Connection,
    stage: GeoPackageStage,
    present: FeatureTable | None,
    generation: int,
    fields: tuple[Field, ...],
    geometry_type: str,
    whole: bool,
) -> None:
    """What the store and GeoPackage say of the layer. ``whole``: it was filled without its triggers."""
    spec, layer = stage.spec, stage.spec.id
    columns = json.dumps(catalog.columns(con, layer))
    con.execute(
        f"INSERT OR REPLACE INTO twin_layers (id, generation, state, columns, {layer_record.WORDS})"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (layer, generation, layer_record.OK, columns, *layer_record.words(spec, geometry_type, fields)),
    )
    keep = present is not None
    describe(
        con, layer, geometry_type, spec.time_field, spec.key, high=stage.high, keep=keep, whole=whole and keep
    )


def describe(
    con: sqlite3.Connection,
    layer: str,
    geometry_type: str,
    time_field: str | None,
    key: Sequence[str],
    *,
    high: bool,
    keep: bool,
    whole: bool,
) -> None:
    """What GeoPackage says of a layer that was written, and its indexes. ``high``: geometries have heights;
    ``keep``: or did so before; ``whole``: it was filled without its triggers."""
    box: Bbox | tuple[None, ...] = catalog.extent(con, layer) or (None, None, None, None)
    con.execute(
        "UPDATE gpkg_contents SET min_x=?, min_y=?, max_x=?, max_y=?,"
        " last_change=strftime('%Y-%m-%dT%H:%M:%fZ','now') WHERE table_name=?",
        (*box, layer),
    )
    before = "z" if keep else "0"
    con.execute(
        f"UPDATE gpkg_geometry_columns SET geometry_type_name=?, z=max({before}, ?) WHERE table_name=?",
        (geometry_type.upper(), 2 * high, layer),
    )
    schema.create_indexes(con, layer, time_field, key)
    if whole:
        schema.recount(con, layer)
    con.execute(
        "UPDATE gpkg_ogr_contents SET feature_count=(SELECT features FROM twin_counts WHERE layer=?)"
        " WHERE lower(table_name)=?",
        (layer, layer),
    )
    catalog.touch(con)
