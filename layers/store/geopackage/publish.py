"""A stage becomes the layer's new generation, in one transaction of the city's file.

Rows are matched to the present ones, so that a feature keeps its fid: by source id; else, where one
of the two has none, by geometry and key together, then by key alone. What did not change is not touched.
"""

# Identifiers come quoted from the catalog and values are bound: ruff cannot see that.
# ruff: noqa: S608

from __future__ import annotations

import json
import sqlite3

from layers.errors import BadFile, Exists
from layers.store import layer_record, staged
from layers.store.base import Published
from layers.store.forms import taken
from layers.store.geopackage import catalog, forms, rtree, schema
from layers.store.geopackage.catalog import Table
from layers.store.geopackage.connection import quoted, transaction
from layers.store.geopackage.stage import GeoPackageStage
from layers.store.staged import LOGGED_EACH, Plan
from layers.types import Bbox, Field


def publish(con: sqlite3.Connection, stage: GeoPackageStage, mode: str) -> Published:
    """Publish through a write connection of the store. Raises Exists, BadFile, Busy."""
    staged.check_mode(mode)
    stage.close()
    con.execute("ATTACH DATABASE ? AS stage", (str(stage.path),))
    try:
        # whatever becomes of the publish, the stage is thrown away: it needs no journal and no disk
        con.execute("PRAGMA stage.journal_mode=OFF")
        con.execute("PRAGMA stage.synchronous=OFF")
        with transaction(con):
            return _publish(con, stage, mode)
    finally:
        con.execute("DETACH DATABASE stage")


def _publish(con: sqlite3.Connection, stage: GeoPackageStage, mode: str) -> Published:
    catalog.repair(con, [f for f in catalog.examine(con) if f.layer == stage.spec.id])
    layer = stage.spec.id
    if (form := forms.form(con, layer)) is not None:
        raise taken(layer, form)
    present = catalog.tables(con).get(layer)
    if mode == "create" and present is not None:
        raise Exists(f"layer {layer} exists already; use --replace or --append")
    if present is not None and present.state != layer_record.OK:
        if mode == "append":
            present.usable()
        _forget(con, layer)
        present = None
    generation = _generation(con, layer) + 1
    if present is None:
        plan, seq = _first(con, stage)
        fields: tuple[Field, ...] = stage.fields
        geometry_type: str = stage.spec.geometry_type
    else:
        fields, altered = _alter(con, present, stage, mode)
        geometry_type = staged.geometry_type(present.geometry_type, stage.spec.geometry_type, mode)
        plan = _match(con, layer, stage, mode, altered)
        same = [f.name for f in fields] == [f.name for f in stage.fields]
        seq = _apply(con, layer, stage, plan, same)
    before = _words(con, layer)
    _register(con, stage, present, generation, fields, geometry_type, plan.whole)
    if present is not None and not plan.whole and _words(con, layer) != before:
        seq = catalog.log_whole(con, layer, None, catalog.extent(con, layer))
    return Published(generation, plan.created, plan.updated, plan.unchanged, plan.deleted, seq)


def _words(con: sqlite3.Connection, layer: str) -> tuple[object, ...] | None:
    """What is told of a layer besides its rows and its generation."""
    row: tuple[object, ...] | None = con.execute(
        "SELECT kind, title, geometry_type, crs, time_field, key, fields, columns, vertical_datum"
        " FROM twin_layers WHERE id=?",
        (layer,),
    ).fetchone()
    return row


def _forget(con: sqlite3.Connection, layer: str) -> None:
    """Clear the remains of a layer that another program left half replaced."""
    retire(con, layer)
    schema.drop_layer(con, layer)


def retire(con: sqlite3.Connection, layer: str) -> None:
    """Remember the highest fid and generation of a layer, so that neither is used again."""
    high = con.execute("SELECT seq FROM sqlite_sequence WHERE name=?", (layer,)).fetchone()
    known = con.execute("SELECT generation FROM twin_layers WHERE id=?", (layer,)).fetchone()
    catalog.remember(con, layer, high[0] if high else 0, known[0] if known else 0)


def _generation(con: sqlite3.Connection, layer: str) -> int:
    row = con.execute(
        "SELECT max(coalesce((SELECT generation FROM twin_layers WHERE id=:layer), 0),"
        " coalesce((SELECT generation FROM twin_history WHERE layer=:layer), 0))",
        {"layer": layer},
    ).fetchone()
    return int(row[0])


def _high_fid(con: sqlite3.Connection, layer: str) -> int:
    row = con.execute(
        "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name=:layer), 0),"
        " coalesce((SELECT high_fid FROM twin_history WHERE layer=:layer), 0))",
        {"layer": layer},
    ).fetchone()
    return int(row[0])


def _first(con: sqlite3.Connection, stage: GeoPackageStage) -> tuple[Plan, int]:
    """Make the layer and fill it; one log row for the whole."""
    layer = stage.spec.id
    taken = con.execute("SELECT 1 FROM sqlite_master WHERE lower(name)=?", (layer,)).fetchone()
    if taken is not None:
        raise Exists(f"the store has a table {layer} of another program already")
    schema.create_layer(con, layer, stage.fields, stage.spec.geometry_type)
    con.execute("UPDATE stage.rows SET state=1, fid=n+?", (_high_fid(con, layer),))
    _insert(con, layer, stage)
    rtree.fill(con, layer, _BOXES)
    _fill_companions(con, layer)
    schema.create_triggers(con, layer)
    count = con.execute("SELECT count(*) FROM stage.rows").fetchone()[0]
    seq = catalog.log_whole(con, layer, None, catalog.extent(con, layer))
    return Plan(count, 0, 0, 0, True), seq


def _alter(
    con: sqlite3.Connection, present: Table, stage: GeoPackageStage, mode: str
) -> tuple[tuple[Field, ...], bool]:
    """Make the table's columns those of the new generation; the fields, and whether columns changed."""
    wanted = {f.name: f for f in stage.fields}
    have = {f.name: f for f in present.fields}
    folded = {name.lower(): name for name in have}
    altered = False
    if mode == "append":
        clash = [n for n, f in wanted.items() if n in have and have[n].type != f.type]
        if clash:
            raise BadFile("store.field-type", f"{clash[0]} has another type in the layer")
        fields = (*present.fields, *(f for f in stage.fields if f.name not in have))
    else:
        fields = stage.fields
        for name, field in have.items():
            if name not in wanted or wanted[name].type != field.type:
                schema.drop_index(con, stage.spec.id, name)
                con.execute(f"ALTER TABLE {present.name} DROP COLUMN {quoted(name)}")
                del folded[name.lower()]
                altered = True
    for field in fields:
        if field.name.lower() not in folded:
            declared = f"{quoted(field.name)} {schema.COLUMN_TYPES[field.type]}"
            con.execute(f"ALTER TABLE {present.name} ADD COLUMN {declared}")
            altered = True
        elif folded[field.name.lower()] != field.name:
            raise BadFile("store.field-name", f"{field.name} differs only in case from a column of the layer")
    return fields, altered


def _match(con: sqlite3.Connection, layer: str, stage: GeoPackageStage, mode: str, altered: bool) -> Plan:
    """Give each staged row its fid and state (0 unchanged, 1 created, 2 updated), and count."""
    table = quoted(layer)
    con.execute(
        f"UPDATE stage.rows SET fid=(SELECT min(t.fid) FROM main.{table} t"
        " WHERE t.source_id=rows.source_id) WHERE source_id IS NOT NULL"
    )
    con.execute("CREATE INDEX stage.by_fid ON rows (fid)")
    positions = {f.name: i for i, f in enumerate(stage.fields[1:])}
    keys = [name for name in stage.spec.key if name in positions]
    _pair(con, table, keys, positions, True)
    if keys:
        _pair(con, table, keys, positions, False)
    con.execute(
        "UPDATE stage.rows SET state=1, fid=?+new.r FROM (SELECT n, row_number() OVER (ORDER BY n) r"
        " FROM stage.rows WHERE fid IS NULL) new WHERE new.n=rows.n",
        (_high_fid(con, layer),),
    )
    pairs = [("source_id", "source_id"), ("geom", "geom")]
    pairs += [(quoted(name), f"p{i}") for name, i in positions.items()]
    differs = " OR ".join(f"t.{column} IS NOT s.{staged}" for column, staged in pairs)
    mesh = quoted(schema.mesh_table(layer))
    con.execute(
        f"UPDATE stage.rows AS s SET state=CASE WHEN {differs} OR"
        f" (SELECT m.body FROM {mesh} m WHERE m.fid=s.fid) IS NOT s.mesh THEN 2 ELSE 0 END"
        f" FROM main.{table} t WHERE s.state IS NULL AND t.fid=s.fid"
    )
    return _plan(con, table, mode, altered)


def _plan(con: sqlite3.Connection, table: str, mode: str, altered: bool) -> Plan:
    counts = dict(con.execute("SELECT state, count(*) FROM stage.rows GROUP BY state").fetchall())
    deleted = 0
    if mode != "append":
        gone = f"SELECT count(*) FROM {table} WHERE fid NOT IN (SELECT fid FROM stage.rows)"
        deleted = con.execute(gone).fetchone()[0]
    created, updated, unchanged = counts.get(1, 0), counts.get(2, 0), counts.get(0, 0)
    whole = altered or created + updated + deleted > LOGGED_EACH
    return Plan(created, updated, unchanged, deleted, whole)


def _pair(
    con: sqlite3.Connection, table: str, keys: list[str], positions: dict[str, int], by_geometry: bool
) -> None:
    """Match rows where one side has no source id; the n-th of equal ones with the n-th."""
    left = con.execute("SELECT EXISTS(SELECT 1 FROM stage.rows WHERE fid IS NULL)").fetchone()[0]
    free = "t.fid NOT IN (SELECT fid FROM stage.rows WHERE fid IS NOT NULL) AND t.geom IS NOT NULL"
    if not left or not con.execute(f"SELECT EXISTS(SELECT 1 FROM {table} t WHERE {free})").fetchone()[0]:
        return
    theirs = "||','||".join(f"quote(t.{quoted(k)})" for k in keys) or "''"
    ours = "||','||".join(f"quote(s.p{positions[k]})" for k in keys) or "''"
    geometry = ("t.geom", "s.geom") if by_geometry else ("''", "''")
    con.execute("DROP TABLE IF EXISTS temp.pair")
    con.execute(
        "CREATE TEMP TABLE pair AS WITH s AS MATERIALIZED (SELECT s.n,"
        f" {geometry[1]} g, {ours} k, s.source_id IS NULL bare, row_number() OVER"
        f" (PARTITION BY {geometry[1]}, {ours} ORDER BY s.n) r FROM stage.rows s WHERE s.fid IS NULL),"
        f" t AS MATERIALIZED (SELECT t.fid, {geometry[0]} g, {theirs} k, t.source_id IS NULL bare,"
        f" row_number() OVER (PARTITION BY {geometry[0]}, {theirs} ORDER BY t.fid) r"
        f" FROM main.{table} t WHERE {free})"
        " SELECT s.n, t.fid FROM s JOIN t ON s.k=t.k AND s.g=t.g AND s.r=t.r WHERE s.bare OR t.bare"
    )
    con.execute("UPDATE stage.rows SET fid=pair.fid FROM temp.pair WHERE pair.n=rows.n")
    con.execute("DROP TABLE temp.pair")


def _apply(con: sqlite3.Connection, layer: str, stage: GeoPackageStage, plan: Plan, same: bool) -> int:
    """Write the difference; the log number it ended at.

    ``same``: the layer's fields are the stage's, so the GeoJSON made in the stage is the layer's."""
    old = catalog.extent(con, layer)
    if plan.whole:
        schema.drop_triggers(con, layer)
    table = quoted(layer)
    if plan.deleted:
        _delete(con, layer, plan)
    if plan.whole:
        _reindex(con, layer, plan)
    if plan.updated:
        pairs = ["geom=s.geom", "source_id=s.source_id"]
        pairs += [f"{quoted(f.name)}=s.p{i}" for i, f in enumerate(stage.fields[1:])]
        con.execute(
            f"UPDATE {table} SET {', '.join(pairs)} FROM stage.rows s WHERE s.state=2 AND s.fid={table}.fid"
        )
    _insert(con, layer, stage)
    if plan.whole:  # rows the stage does not hold, or holds with fewer fields, are made again on reading
        con.execute(f"DELETE FROM {quoted(schema.json_table(layer))}")
    _fill_companions(con, layer, text=same, every=plan.whole)
    if plan.whole:
        schema.create_triggers(con, layer)
        return catalog.log_whole(con, layer, old, catalog.extent(con, layer))
    return catalog.last_seq(con)


def _delete(con: sqlite3.Connection, layer: str, plan: Plan) -> None:
    con.execute("CREATE TEMP TABLE gone (fid INTEGER PRIMARY KEY)")
    con.execute(
        f"INSERT INTO gone SELECT fid FROM {quoted(layer)} WHERE fid NOT IN (SELECT fid FROM stage.rows)"
    )
    con.execute(f"DELETE FROM {quoted(layer)} WHERE fid IN (SELECT fid FROM gone)")
    if plan.whole:
        for name in (schema.json_table(layer), schema.mesh_table(layer)):
            con.execute(f"DELETE FROM {quoted(name)} WHERE fid IN (SELECT fid FROM gone)")
    con.execute("DROP TABLE gone")


def _insert(con: sqlite3.Connection, layer: str, stage: GeoPackageStage) -> None:
    names = "".join(f", {quoted(f.name)}" for f in stage.fields[1:])
    staged = "".join(f", p{i}" for i in range(len(stage.fields) - 1))
    con.execute(
        f"INSERT INTO {quoted(layer)} (fid, geom, source_id{names})"
        f" SELECT fid, geom, source_id{staged} FROM stage.rows WHERE state=1 ORDER BY fid"
    )


_BOXES = "SELECT fid, minx, maxx, miny, maxy FROM stage.rows WHERE minx IS NOT NULL"
_MANY = 8  # one of so many features: from there on a whole R-tree is written sooner than changed


def _reindex(con: sqlite3.Connection, layer: str, plan: Plan) -> None:
    """Bring the R-tree to the staged rows and those that stay."""
    index = quoted(schema.rtree(layer))
    features = con.execute("SELECT features FROM twin_counts WHERE layer=?", (layer,)).fetchone()[0]
    if (plan.created + plan.updated + plan.deleted) * _MANY >= features:
        staying = (
            f"SELECT i.id, i.minx, i.maxx, i.miny, i.maxy FROM {index} i JOIN {quoted(layer)} t ON t.fid=i.id"
            " WHERE i.id NOT IN (SELECT fid FROM stage.rows)"
        )
        rtree.fill(con, layer, f"{staying} UNION ALL {_BOXES}")
        return
    con.execute(f"DELETE FROM {index} WHERE id NOT IN (SELECT fid FROM {quoted(layer)})")
    con.execute(f"DELETE FROM {index} WHERE id IN (SELECT fid FROM stage.rows WHERE state=2)")
    con.execute(f"INSERT INTO {index} {_BOXES} AND state IN (1, 2)")


def _fill_companions(con: sqlite3.Connection, layer: str, *, text: bool = True, every: bool = True) -> None:
    """Meshes and, if ``text``, GeoJSON of the staged rows: of ``every`` one, or of those that changed."""
    if text:
        con.execute(
            f"INSERT OR REPLACE INTO {quoted(schema.json_table(layer))}"
            ' SELECT fid, CAST(\'{"type":"Feature","id":\'||fid||tail AS BLOB) FROM stage.rows'
            f" WHERE {'1' if every else 'state IN (1, 2)'}"
        )
    mesh = quoted(schema.mesh_table(layer))
    con.execute(f"DELETE FROM {mesh} WHERE fid IN (SELECT fid FROM stage.rows WHERE state=2)")
    con.execute(
        f"INSERT INTO {mesh} SELECT fid, mesh FROM stage.rows WHERE mesh IS NOT NULL AND state IN (1, 2)"
    )


def _register(
    con: sqlite3.Connection,
    stage: GeoPackageStage,
    present: Table | None,
    generation: int,
    fields: tuple[Field, ...],
    geometry_type: str,
    whole: bool,
) -> None:
    """What the store and GeoPackage say of the layer. ``whole``: it was filled without its triggers."""
    spec, layer = stage.spec, stage.spec.id
    con.execute(
        "INSERT OR REPLACE INTO twin_layers VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            layer,
            spec.kind,
            json.dumps(dict(spec.title), ensure_ascii=False),
            geometry_type,
            spec.crs,
            spec.time_field,
            json.dumps(list(spec.key)),
            generation,
            layer_record.dump_fields(fields),
            json.dumps(catalog.columns(con, layer)),
            layer_record.OK,
            spec.vertical_datum,
        ),
    )
    box: Bbox | tuple[None, ...] = catalog.extent(con, layer) or (None, None, None, None)
    con.execute(
        "UPDATE gpkg_contents SET min_x=?, min_y=?, max_x=?, max_y=?,"
        " last_change=strftime('%Y-%m-%dT%H:%M:%fZ','now') WHERE table_name=?",
        (*box, layer),
    )
    high = con.execute("SELECT EXISTS(SELECT 1 FROM stage.rows WHERE high)").fetchone()[0]
    keep = "z" if present is not None else "0"
    con.execute(
        f"UPDATE gpkg_geometry_columns SET geometry_type_name=?, z=max({keep}, ?) WHERE table_name=?",
        (geometry_type.upper(), 2 * high, layer),
    )
    schema.create_indexes(con, layer, spec.time_field, spec.key)
    if whole:
        schema.recount(con, layer)
    con.execute(
        "UPDATE gpkg_ogr_contents SET feature_count=(SELECT features FROM twin_counts WHERE layer=?)"
        " WHERE lower(table_name)=?",
        (layer, layer),
    )
    catalog.touch(con)
