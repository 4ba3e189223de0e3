"""The triggers of a layer: those that GeoPackage prescribes, those that GDAL keeps, and ours, by which every
edit writes the change log and keeps the old row, whichever program makes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from layers.store.geopackage import keeping, log, past
from layers.store.geopackage.connection import literal, quoted
from layers.store.geopackage.schema import json_table, mesh_table, rtree


def rtree_triggers(layer: str) -> dict[str, str]:
    """The six triggers of OGC 12-128r18 (1.3) annex F.3, name → SQL."""
    table, index = quoted(layer), quoted(rtree(layer))
    row = "NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom)"
    full = "(NEW.geom NOT NULL AND NOT ST_IsEmpty(NEW.geom))"
    missing = "(NEW.geom ISNULL OR ST_IsEmpty(NEW.geom))"
    put = f"INSERT OR REPLACE INTO {index} VALUES ({row});"
    drop = f"DELETE FROM {index} WHERE id=OLD.fid;"
    clear = f"DELETE FROM {index} WHERE id IN (OLD.fid, NEW.fid);"
    bodies = {
        "insert": f"AFTER INSERT ON {table} WHEN {full} BEGIN {put} END",
        "update1": f"AFTER UPDATE OF geom ON {table} WHEN OLD.fid = NEW.fid AND {full} BEGIN {put} END",
        "update2": f"AFTER UPDATE OF geom ON {table} WHEN OLD.fid = NEW.fid AND {missing} BEGIN {drop} END",
        "update3": f"AFTER UPDATE ON {table} WHEN OLD.fid != NEW.fid AND {full} BEGIN {drop} {put} END",
        "update4": f"AFTER UPDATE ON {table} WHEN OLD.fid != NEW.fid AND {missing} BEGIN {clear} END",
        "delete": f"AFTER DELETE ON {table} WHEN OLD.geom NOT NULL BEGIN {drop} END",
    }
    return _named({f"{rtree(layer)}_{name}": body for name, body in bodies.items()})


def count_triggers(layer: str) -> dict[str, str]:
    """The feature-count triggers that GDAL keeps, by GDAL's names, so that it finds its own."""
    set_count = "UPDATE gpkg_ogr_contents SET feature_count = feature_count"
    where = f"WHERE lower(table_name) = lower({literal(layer)});"
    more, less = f"{set_count} + 1 {where}", f"{set_count} - 1 {where}"
    table = quoted(layer)
    return _named(
        {
            f"trigger_insert_feature_count_{layer}": f"AFTER INSERT ON {table} BEGIN {more} END",
            f"trigger_delete_feature_count_{layer}": f"AFTER DELETE ON {table} BEGIN {less} END",
        }
    )


def log_triggers(layer: str, *, kept: bool, stamped: bool = True) -> dict[str, str]:
    """Our triggers: each edit writes the log, and removes the GeoJSON and body made from the old row.

    ``kept``: the layer has old rows, which are told of features that come, and tell of those that an ``OR
    REPLACE`` took away, of which SQLite says nothing. Not ``stamped``: those of format 6."""
    table, text, mesh = quoted(layer), quoted(json_table(layer)), quoted(mesh_table(layer))
    boxes = {
        row: ", ".join(f"ST_{side}({row}.geom)" for side in ("MinX", "MinY", "MaxX", "MaxY"))
        for row in ("OLD", "NEW")
    }
    none = "NULL, NULL, NULL, NULL"
    at, now = (", at", f", {log.NOW_MS}") if stamped else ("", "")

    def entry(fid: str, old: str, new: str, beside: str = "") -> str:
        values = f"{literal(layer)}, {fid}, {old}, {new}{now}"
        return (
            "INSERT INTO twin_changes (layer, fid, old_minx, old_miny, old_maxx, old_maxy,"
            f" new_minx, new_miny, new_maxx, new_maxy{at})"
            + (f" SELECT {values}{beside};" if beside else f" VALUES ({values});")
        )

    def count(change: str, when: str = "") -> str:
        return f"UPDATE twin_counts SET features = features {change} WHERE layer = {literal(layer)}{when};"

    placed = f"DELETE FROM twin_unplaced WHERE layer = {literal(layer)} AND fid = OLD.fid;"
    unplaced = (
        f"INSERT OR IGNORE INTO twin_unplaced SELECT {literal(layer)}, NEW.fid"
        " WHERE ST_MinX(NEW.geom) ISNULL;"
    )
    stale = "".join(f" DELETE FROM {text} WHERE fid={row}.fid;" for row in ("NEW", "OLD"))
    forget = "".join(f" DELETE FROM {t} WHERE fid={{0}}.fid;" for t in (text, mesh))
    removed = entry("OLD.fid", boxes["OLD"], none)
    created, unless, less, freed = entry("NEW.fid", none, boxes["NEW"]), "", "", ""
    if kept:
        created = entry("NEW.fid", past.OVER_BOX, boxes["NEW"], past.beside_over(layer))
        created += past.born(layer, "NEW.fid") + past.no_stray(layer, "NEW.fid")
        over = past.is_over(layer)
        unless, less = f" AND NOT {over}", f" {count('- 1', f' AND {over}')}"
        freed = placed.replace("OLD", "NEW") + " "
    changed = entry("NEW.fid", boxes["OLD"], boxes["NEW"])
    bodies = {
        "insert": f"AFTER INSERT ON {table} BEGIN {created}{forget.format('NEW')}"
        f" {count('+ 1', unless)} {freed}{unplaced} END",
        "update": f"AFTER UPDATE ON {table} WHEN OLD.fid = NEW.fid BEGIN {changed}{stale} END",
        "body": f"AFTER UPDATE ON {table} WHEN OLD.fid = NEW.fid AND OLD.geom IS NOT NEW.geom"
        f" BEGIN DELETE FROM {mesh} WHERE fid=OLD.fid; END",
        "move": f"AFTER UPDATE ON {table} WHEN OLD.fid != NEW.fid"
        f" BEGIN {removed} {created}{forget.format('OLD')}{forget.format('NEW')}{less} END",
        "delete": f"AFTER DELETE ON {table} BEGIN {removed}{forget.format('OLD')}"
        f" {count('- 1')} {placed} END",
        "place": f"AFTER UPDATE ON {table} WHEN OLD.fid != NEW.fid"
        " OR (ST_MinX(OLD.geom) ISNULL) <> (ST_MinX(NEW.geom) ISNULL)"
        f" BEGIN {placed} {freed}{unplaced} END",
    }
    return _named({f"twin_log_{layer}_{name}": body for name, body in bodies.items()})


def _named(bodies: dict[str, str]) -> dict[str, str]:
    return {name: f"CREATE TRIGGER {quoted(name)} {body}" for name, body in bodies.items()}


def ours(con: sqlite3.Connection, layer: str) -> dict[str, str]:
    """The triggers by which every edit writes the log and keeps the old row, name → SQL."""
    kept = keeping.is_kept(con, layer)
    return log_triggers(layer, kept=kept) | (_named(_keeping(con, layer)) if kept else {})


def _keeping(con: sqlite3.Connection, layer: str) -> dict[str, str]:
    return past.triggers(con, layer, shared=keeping.is_shared(con))


def create(con: sqlite3.Connection, layer: str) -> None:
    """Put every trigger of the layer in place."""
    drop(con, layer)
    for sql in (rtree_triggers(layer) | count_triggers(layer) | ours(con, layer)).values():
        con.execute(sql)


def create_ours(con: sqlite3.Connection, layer: str) -> None:
    """Put our own triggers in place, and no other."""
    _drop(con, _our_names(layer))
    for sql in ours(con, layer).values():
        con.execute(sql)


def are_overtaken(layer: str, names: Sequence[str]) -> bool:
    """Whether another program made triggers after those by which edits of the layer are logged: SQLite runs
    the newest first, and so what they write is logged before what made them run. ``names`` are all triggers
    of its table in the order in which they were made."""
    usual = {*rtree_triggers(layer), *count_triggers(layer), *_our_names(layer)}
    others = [name not in usual for name in names]
    logs = log_triggers(layer, kept=False)
    first = next((at for at, name in enumerate(names) if name in logs), len(others))
    return any(others[first:])


def log_first(con: sqlite3.Connection, layer: str) -> None:
    """Have the triggers by which edits are logged run before all others."""
    logs = log_triggers(layer, kept=keeping.is_kept(con, layer))
    _drop(con, logs)
    for sql in logs.values():
        con.execute(sql)


def drop(con: sqlite3.Connection, layer: str) -> None:
    """Take every trigger of the layer away, for a bulk publish inside one transaction."""
    _drop(con, [*rtree_triggers(layer), *count_triggers(layer), *_our_names(layer)])


def _our_names(layer: str) -> list[str]:
    return [*log_triggers(layer, kept=False), *(f"twin_past_{layer}_{name}" for name in past.TRIGGERS)]


def _drop(con: sqlite3.Connection, names: Iterable[str]) -> None:
    for name in names:
        con.execute(f"DROP TRIGGER IF EXISTS {quoted(name)}")
