"""The old rows of a layer: what each of its features was until a change of the log.

``until`` is the number of the change that ended that state. So a feature after change ``T`` is its old row
with the least ``until`` above ``T``; without one, what the layer has of it now. ``there`` is 0 where it was
nothing until then: its creation. The values of each column are in a ``place`` of their own
(``twin_columns``), with the affinity of the column, so that nothing is converted; a column that is gone
keeps its place.

A geometry or body that a change left as it was is not kept again: ``there`` is 2 where the geometry is that
of the feature's next state, 3 where the body is, too. What is next may be an old row or the present one, and
may say the same; :func:`geometry` and :func:`body` find it. One row of about 16 is kept whole nevertheless,
so that nobody walks over a million of them.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from layers.store.geopackage import keeping
from layers.store.geopackage.connection import quoted
from layers.store.geopackage.schema import mesh_table

_BOX = "minx, maxx, miny, maxy"
_LIVES = ("fid", "geom")
#: The ends of the names of :func:`triggers`, each a word: layers may be called ``trees`` and ``trees_new``.
TRIGGERS = ("update", "delete", "insert", "onto", "body", "rebody")
#: Geometries of more bytes than these are not kept again: not those of points, which are sooner read.
_LONG = 64


@dataclass(frozen=True, slots=True)
class Place:
    """A column of the layer, and the column of its old rows that keeps its values, both quoted."""

    column: str
    place: str


def table(layer: str) -> str:
    """Name of the table of the layer's old rows."""
    return f"twin_past_{layer}"


def is_there(con: sqlite3.Connection, layer: str) -> bool:
    """Whether the layer has a table of old rows."""
    sql = "SELECT 1 FROM sqlite_master WHERE type='table' AND name=?"
    return con.execute(sql, (table(layer),)).fetchone() is not None


def affinity(declared: str) -> str:
    """The affinity of a declared type, as a type that has it (sqlite.org/datatype3.html, section 3.1)."""
    upper = declared.upper()
    if "INT" in upper:
        return "INTEGER"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in upper or not upper:
        return "BLOB"
    return "REAL" if any(word in upper for word in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def places(con: sqlite3.Connection, layer: str) -> list[Place]:
    """Where the values of the layer's present columns are kept, in the order in which they came."""
    sql = "SELECT name, place FROM twin_columns WHERE layer=? AND until IS NULL ORDER BY rowid"
    return [Place(quoted(name), quoted(place)) for name, place in con.execute(sql, (layer,))]


def lasting(con: sqlite3.Connection, layer: str, seq: int) -> dict[str, str]:
    """The layer's columns that are the same as after a change, quoted, with how they are read of an old row
    ``p`` of then."""
    sql = "SELECT name, place FROM twin_columns WHERE layer=? AND first <= ? AND until IS NULL ORDER BY rowid"
    return {quoted(name): f"p.{quoted(place)}" for name, place in con.execute(sql, (layer, seq))}


def settle(con: sqlite3.Connection, layer: str, seq: int, *, dropped: Collection[str] = ()) -> bool:
    """Give each column of the layer its place, within the caller's transaction.

    From ``seq`` on: columns that are gone, have another affinity, or are among the ``dropped`` end there.
    Whether there are others than these: the values of rows that no old row has went with them. Does nothing
    where no old rows of the layer are written."""
    if not keeping.is_kept(con, layer):
        return False
    if not is_there(con, layer):
        con.execute("DELETE FROM twin_columns WHERE layer=?", (layer,))
        _create(con, layer)
    info = con.execute(f"PRAGMA table_info({quoted(layer)})").fetchall()
    present = {row[1]: affinity(row[2]) for row in info if row[1] not in _LIVES}
    sql = "SELECT rowid, name, place, type FROM twin_columns WHERE layer=? AND until IS NULL ORDER BY rowid"
    known = con.execute(sql, (layer,)).fetchall()
    called = {old: new for old, new in _called(con, layer) if old not in dropped}
    called = _stayed(con, layer, called, {row[1]: row[4] for row in info})
    stays = {old: called[old] for _, old, _, type_ in known if present.get(called.get(old, "")) == type_}
    # all that end before any begins: names may have been exchanged
    for number, old, _, _ in known:
        if stays.get(old) != old:
            con.execute("UPDATE twin_columns SET until=? WHERE rowid=?", (seq, number))
    renamed = {stays[old]: (place, type_) for _, old, place, type_ in known if stays.get(old, old) != old}
    for name, type_ in present.items():
        if name in renamed or name not in stays.values():
            place, type_ = renamed.get(name) or (_add(con, layer, name, seq, type_), type_)
            con.execute(
                "INSERT INTO twin_columns (layer, name, place, type, first) VALUES (?,?,?,?,?)",
                (layer, name, place, type_, seq),
            )
    _in_order(con, layer, list(present))
    return any(old not in stays and old not in dropped for _, old, _, _ in known)


def _add(con: sqlite3.Connection, layer: str, name: str, seq: int, type_: str) -> str:
    """A new place for the values of a column."""
    taken = {row[1].lower() for row in con.execute(f"PRAGMA table_info({quoted(table(layer))})")}
    place = f"{name}@{seq}"
    while place.lower() in taken:  # a column that comes a second time with a number
        place += "@"
    con.execute(f"ALTER TABLE {quoted(table(layer))} ADD COLUMN {quoted(place)} {type_}")
    return place


def _in_order(con: sqlite3.Connection, layer: str, names: list[str]) -> None:
    """Have the places of the present columns in the order of these, which tells :func:`_stayed` what came
    later."""
    sql = "SELECT name, place, type, first FROM twin_columns WHERE layer=? AND until IS NULL ORDER BY rowid"
    rows = con.execute(sql, (layer,)).fetchall()
    if [row[0] for row in rows] != names:
        con.execute("DELETE FROM twin_columns WHERE layer=? AND until IS NULL", (layer,))
        con.executemany(
            "INSERT INTO twin_columns (layer, name, place, type, first) VALUES (?,?,?,?,?)",
            [(layer, *row) for row in sorted(rows, key=lambda row: names.index(row[0]))],
        )


def same_named(con: sqlite3.Connection, layer: str) -> set[str]:
    """The columns that no other program gave a new name."""
    return {old for old, new in _called(con, layer) if old == new}


def _called(con: sqlite3.Connection, layer: str) -> list[tuple[str, str]]:
    """The columns that have a place, in the order of the table, and what they are called now: a new name that
    another program gave one was put into our trigger by SQLite.

    A dropped column is still in the trigger by its name. Where another has that name now, only of one that
    was renamed it is known which it is."""
    name = f"twin_past_{layer}_{TRIGGERS[0]}"
    row = con.execute("SELECT sql FROM sqlite_master WHERE type='trigger' AND name=?", (name,)).fetchone()
    known = [place.column for place in places(con, layer)]
    value = rf'\(SELECT ("(?:[^"]|"")+") FROM {re.escape(quoted(layer))} WHERE fid = OLD\.fid\)'
    read = re.findall(value, row[0] if row else "")
    if len(read) != len(known):
        read = known
    pairs = [(_unquoted(old), _unquoted(new)) for old, new in zip(known, read, strict=True)]
    renamed = Counter(new for old, new in pairs if old != new)
    return [
        (old, new)
        for old, new in pairs
        if (renamed[new] == 1 and old != new) or (not renamed[new] and old == new)
    ]


def _stayed(
    con: sqlite3.Connection, layer: str, called: Mapping[str, str], defaults: Mapping[str, str | None]
) -> dict[str, str]:
    """Those of the columns that are not others of the same names: one that was dropped and added anew comes
    after those that stayed. So does one that GDAL puts elsewhere, but it has its values.

    ``defaults``: of every column of the table, in its order."""
    left = iter(called.items())
    stayed: dict[str, str] = {}
    ordered = True
    for name in defaults:
        if name in _LIVES:
            continue
        found = next((pair for pair in left if pair[1] == name), None) if ordered else None
        ordered = found is not None
        if found is None:
            found = next((pair for pair in called.items() if pair[1] == name), None)
            if found is None or defaults[name] is not None or not _holds(con, layer, name):
                continue
        stayed[found[0]] = found[1]
    return stayed


def _holds(con: sqlite3.Connection, layer: str, name: str) -> bool:
    """Whether a column has a value in a row that nobody has changed."""
    changed = f"SELECT 1 FROM {quoted(table(layer))} p WHERE p.fid = t.fid"
    sql = f"SELECT 1 FROM {quoted(layer)} t WHERE t.{quoted(name)} IS NOT NULL AND NOT EXISTS ({changed})"
    return con.execute(f"{sql} LIMIT 1").fetchone() is not None


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"')


def _create(con: sqlite3.Connection, layer: str) -> None:
    name = table(layer)
    con.execute(
        f"CREATE TABLE {quoted(name)} (n INTEGER PRIMARY KEY, fid INTEGER NOT NULL, until INTEGER NOT NULL,"
        " there INTEGER NOT NULL, geom BLOB, mesh BLOB, minx REAL, maxx REAL, miny REAL, maxy REAL)"
    )
    # with @, which is in no layer's id: tables and indexes have their names in common
    con.execute(f"CREATE UNIQUE INDEX {quoted(f'twin_past@fid@{layer}')} ON {quoted(name)} (fid, until)")
    con.execute(f"CREATE INDEX {quoted(f'twin_past@until@{layer}')} ON {quoted(name)} (until, fid, there)")


def drop(con: sqlite3.Connection, layer: str) -> None:
    """Forget the old rows of a layer, and keep none: the triggers that write them go with their table, also
    those on the bodies, which stay where the layer's own table has lost what it needs."""
    for name in TRIGGERS:
        con.execute(f"DROP TRIGGER IF EXISTS {quoted(f'twin_past_{layer}_{name}')}")
    con.execute(f"DROP TABLE IF EXISTS {quoted(table(layer))}")
    con.execute("DELETE FROM twin_columns WHERE layer=?", (layer,))


#: Of an old row ``p`` of ``:layer``: its number is not that of another feature. An ``INSERT OR IGNORE`` of
#: another program that came to nothing leaves such a row, which is no change. (The log may be shorter than
#: the old rows: what it does not know holds.)
LOGGED = (
    " AND NOT EXISTS (SELECT 1 FROM twin_changes c WHERE c.seq = p.until"
    " AND (c.layer <> :layer OR c.fid <> p.fid))"
)

_NEXT = "(SELECT coalesce(max(seq), 0) + {} FROM twin_changes)"


def triggers(con: sqlite3.Connection, layer: str, *, shared: bool = True) -> dict[str, str]:
    """The triggers that keep a row before it is changed, name → what follows the name.

    They run before the change and before it is logged, so ``until`` is the next number of the log. A row
    that an ``INSERT OR REPLACE`` or a moved fid overwrites fires no trigger of its own: it is kept by the
    statement that does it. Not ``shared``: those of format 7, which keep every row whole."""
    of, rows, number = quoted(layer), places(con, layer), _NEXT.format(1)
    over = f"EXISTS (SELECT 1 FROM {of} WHERE fid = NEW.fid)"
    put, onto = _keep(layer, rows, "OLD.fid", number), _keep(layer, rows, "NEW.fid", _NEXT.format(2))
    replaced, updated = _keep(layer, rows, "NEW.fid", number), put
    bodies = {}
    if shared:
        same = f"NEW.fid IS OLD.fid AND NEW.geom IS OLD.geom AND {_worth('OLD.geom', number)}"
        whole = _made_whole(layer, "OLD.fid", number)
        updated = whole + _keep(layer, rows, "OLD.fid", number, same)
        put, replaced = whole + put, _made_whole(layer, "NEW.fid", number) + replaced
        for name, event in (("body", "DELETE"), ("rebody", "UPDATE")):
            mesh = quoted(mesh_table(layer))
            bodies[name] = f"BEFORE {event} ON {mesh} BEGIN {_own_body(layer)} END"
    bodies |= {
        "update": f"BEFORE UPDATE ON {of} BEGIN {updated} END",
        "delete": f"BEFORE DELETE ON {of} BEGIN {put} END",
        "insert": f"BEFORE INSERT ON {of} WHEN {over} BEGIN {replaced} END",
        "onto": f"BEFORE UPDATE ON {of} WHEN NEW.fid IS NOT OLD.fid AND {over} BEGIN {onto} END",
    }
    return {f"twin_past_{layer}_{name}": body for name, body in bodies.items()}


def _keep(layer: str, rows: list[Place], fid: str, until: str, same: str | None = None) -> str:
    """The statement that keeps the present row of a feature, unless that was done; without its geometry and
    body where these stay the ``same``.

    SQLite does not drop a column that a trigger names as the row's (``OLD.name``). Each value is read by a
    query of its own instead, in which the name is the layer's column while it has one, and else the NULL
    that the query around it has under the same name."""
    of = quoted(layer)
    values = "".join(f", (SELECT {row.column} FROM {of} WHERE fid = {fid})" for row in rows)
    nulls = "".join(f", NULL AS {row.column}" for row in rows)
    box = ", ".join(f"ST_{side}(t.geom)" for side in ("MinX", "MaxX", "MinY", "MaxY"))
    mesh = f"FROM {quoted(mesh_table(layer))} WHERE fid = {fid}"
    kept = f"1, t.geom, (SELECT body {mesh})"
    if same is not None:
        there = f"CASE WHEN {same} THEN 2 + EXISTS (SELECT 1 {mesh}) ELSE 1 END"
        geom, body = (
            f"CASE WHEN {same} THEN NULL ELSE {one} END" for one in ("t.geom", f"(SELECT body {mesh})")
        )
        kept = f"{there}, {geom}, {body}"
    return (
        f"INSERT INTO {quoted(table(layer))} (fid, until, there, geom, mesh, {_BOX}{_named(rows)})"
        f" SELECT t.fid, {until}, {kept}, {box}{values} FROM {of} t, (SELECT 1{nulls}) none"
        f" WHERE t.fid = {fid} AND {_unless(layer, fid, until)};"
    )


def _worth(geom: str, until: str) -> str:
    """Whether a geometry that stays need not be kept again. By the number, mixed: whichever features take
    turns, each has one of its rows whole in about 16."""
    return f"length({geom}) > {_LONG} AND ({until} * 2654435761 >> 28) & 15"


def _made_whole(layer: str, fid: str, until: str) -> str:
    """The statement before one that keeps a row which is kept already, of a change that is not yet logged:
    another program's trigger has changed the row again, or an ``UPDATE OR IGNORE`` came to nothing. Its
    geometry and body are still those of the present row; what comes may have others."""
    geom = f"(SELECT geom FROM {quoted(layer)} WHERE fid = {fid})"
    body = f"(SELECT body FROM {quoted(mesh_table(layer))} WHERE fid = {fid})"
    return (
        f"UPDATE {quoted(table(layer))} SET geom = {geom},"
        f" mesh = CASE there WHEN 3 THEN {body} ELSE mesh END, there = 1"
        f" WHERE fid = {fid} AND until = {until} AND there > 1; "
    )


def _own_body(layer: str) -> str:
    """The statement that gives the newest old row of a feature the body that goes or becomes another one, if
    that is its own, too."""
    old = quoted(table(layer))
    return (
        f"UPDATE {old} SET mesh = OLD.body, there = 2 WHERE there = 3"
        f" AND n = (SELECT n FROM {old} WHERE fid = OLD.fid ORDER BY until DESC LIMIT 1);"
    )


def geometry(layer: str, *, present: bool) -> str:
    """SQL of the geometry of an old row ``p`` of a layer; ``present``: which is there still."""
    return f"CASE WHEN p.there > 1 THEN {_later(layer, 'geom', 'geom', layer, present)} ELSE p.geom END"


def body(layer: str, *, present: bool) -> str:
    """SQL of the body of an old row, as :func:`geometry`."""
    later = _later(layer, "mesh", "body", mesh_table(layer), present)
    return f"CASE WHEN p.there = 3 THEN {later} ELSE p.mesh END"


#: Of an old row ``p``: whether it has a body.
HAS_BODY = "(p.there = 3 OR p.mesh IS NOT NULL)"


def _later(layer: str, column: str, now: str, of: str, present: bool) -> str:
    """What an old row shares with the first later one that has it, or else with what is now."""
    old = (
        f"(SELECT o.{column} FROM main.{quoted(table(layer))} o WHERE o.fid = p.fid AND o.until > p.until"
        f" AND o.{column} IS NOT NULL ORDER BY o.until LIMIT 1)"
    )
    return f"coalesce({old}, (SELECT {now} FROM main.{quoted(of)} WHERE fid = p.fid))" if present else old


def _named(rows: list[Place]) -> str:
    return "".join(f", {row.place}" for row in rows)


def _unless(layer: str, fid: str, until: str) -> str:
    # no OR IGNORE: inside a trigger the conflict clause of the statement that fired it holds instead
    return f"NOT EXISTS (SELECT 1 FROM {quoted(table(layer))} WHERE fid = {fid} AND until = {until})"


def born(layer: str, fid: str) -> str:
    """The statement of a trigger that says of a feature that it was not there before the newest change."""
    newest = _NEXT.format(0)
    return (
        f" INSERT INTO {quoted(table(layer))} (fid, until, there)"
        f" SELECT {fid}, {newest}, 0 WHERE {_unless(layer, fid, newest)};"
    )


def no_stray(layer: str, fid: str) -> str:
    """The statement of a trigger that forgets rows kept with the number of an inserted one but of others: of
    feature -1, which SQLite takes an insert without a fid for until it is done, and of an ``INSERT OR
    IGNORE`` that came to nothing (see :data:`LOGGED`)."""
    return f" DELETE FROM {quoted(table(layer))} WHERE until = {_NEXT.format(0)} AND fid <> {fid};"


#: The box of the row that an inserted one has replaced, in the order of the log; see :func:`beside_over`.
OVER_BOX = "o.minx, o.miny, o.maxx, o.maxy"


def beside_over(layer: str) -> str:
    """The old row ``o`` of what an inserted row has replaced, before that is logged, or nulls: SQLite says of
    an ``INSERT OR REPLACE`` only that a row was inserted."""
    return f" FROM (SELECT 1) LEFT JOIN {quoted(table(layer))} o ON {_over('o', 1)}"


def is_over(layer: str) -> str:
    """The condition, after it was logged, that an inserted row has replaced one."""
    return f"EXISTS (SELECT 1 FROM {quoted(table(layer))} o WHERE {_over('o', 0)})"


def _over(row: str, ahead: int) -> str:
    return f"{row}.fid = NEW.fid AND {row}.there AND {row}.until = {_NEXT.format(ahead)}"


def keep_rows(con: sqlite3.Connection, layer: str, until: int, chosen: str, after: str = "") -> None:
    """Keep the present rows ``t`` that fulfil a condition, for a change that no trigger sees.

    ``after``: the table that has what they become (fid, geom, mesh), so that what stays is not kept."""
    _make_whole(con, layer, until)
    rows = places(con, layer)
    box = ", ".join(f"ST_{side}(t.geom)" for side in ("MinX", "MaxX", "MinY", "MaxY"))
    values = "".join(f", t.{row.column}" for row in rows)
    kept, beside = "1, t.geom, m.body", ""
    if after:
        beside = f" LEFT JOIN {after} s ON s.fid = t.fid"
        same = f"s.geom = t.geom AND {_worth('t.geom', str(int(until)))}"
        kept = (
            f"CASE WHEN {same} THEN 2 + coalesce(s.mesh = m.body, 0) ELSE 1 END,"
            f" CASE WHEN {same} THEN NULL ELSE t.geom END,"
            f" CASE WHEN {same} AND s.mesh = m.body THEN NULL ELSE m.body END"
        )
    con.execute(
        f"INSERT INTO main.{quoted(table(layer))} (fid, until, there, geom, mesh, {_BOX}{_named(rows)})"
        f" SELECT t.fid, ?, {kept}, {box}{values} FROM main.{quoted(layer)} t"
        f" LEFT JOIN main.{quoted(mesh_table(layer))} m ON m.fid = t.fid{beside}"
        f" WHERE ({chosen}) AND {_unless(layer, 't.fid', str(int(until)))}",
        (until,),
    )


def _make_whole(con: sqlite3.Connection, layer: str, until: int) -> None:
    """Make rows whole that are kept already, of a change that is not yet logged: as :func:`_made_whole`, and
    for the same reasons."""
    of, mesh, old = (f"main.{quoted(name)}" for name in (layer, mesh_table(layer), table(layer)))
    con.execute(
        f"UPDATE {old} AS p SET geom = (SELECT t.geom FROM {of} t WHERE t.fid = p.fid), there = 1,"
        f" mesh = CASE there WHEN 3 THEN (SELECT m.body FROM {mesh} m WHERE m.fid = p.fid) ELSE mesh END"
        " WHERE until = ? AND there > 1",
        (until,),
    )


def keep_births(con: sqlite3.Connection, layer: str, until: int, fids: str) -> None:
    """Say of features, which a query gives, that they were not there before a change that no trigger sees."""
    con.execute(
        f"INSERT INTO main.{quoted(table(layer))} (fid, until, there) SELECT s.fid, ?, 0 FROM ({fids}) s"
        f" WHERE {_unless(layer, 's.fid', str(int(until)))}",
        (until,),
    )
