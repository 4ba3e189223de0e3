"""What is known of a city's history: change sets, the moments that can be asked for, versions of features."""

from __future__ import annotations

from typing import Any

from psycopg.types.numeric import Int8

from layers.errors import BadParameter, Gone, NotFound, shown
from layers.model import ChangeSet, Moment, Version
from layers.store.asking import number_or_instant
from layers.store.postgis import layer_table
from layers.store.postgis.connection import Connection, bound
from layers.store.postgis.schema import past_table

_SET = (
    "c.id, c.first, c.last, c.at, c.actor, c.via, c.message, c.address,"
    " CASE WHEN cardinality(c.layers) = 1 THEN c.layers[1] END, c.generation, c.undone"
)


def _change_set(row: tuple[Any, ...]) -> ChangeSet:
    names = (
        "id",
        "first",
        "last",
        "at",
        "actor",
        "via",
        "message",
        "address",
        "layer",
        "generation",
        "undone",
    )
    return ChangeSet(**dict(zip(names, row, strict=True)))


def moment(con: Connection, city: str, at: str) -> Moment:
    """The moment that a text names; see :class:`layers.store.base.Store`."""
    asked = number_or_instant(at)
    begin = kept(con, city)
    s = bound(city)
    if isinstance(asked, int):
        newest = _one(con, f"SELECT coalesce(max(last), {begin.seq}) FROM {s}.twin_sets", ())
        if asked > newest:
            raise BadParameter("at", at, f"the newest change has the number {newest}")
        if asked < begin.seq:
            raise gone(begin)
        order = f"WHERE last >= %s AND last > {begin.seq} ORDER BY last LIMIT 1"
        found = _moment(con, city, order, Int8(asked)) if asked > begin.seq else None
    else:
        if _one(con, "SELECT %s::timestamptz > clock_timestamp()", (asked,)):
            raise BadParameter("at", at, "lies in the future")
        order = f"WHERE at <= %s::timestamptz AND last > {begin.seq} ORDER BY at DESC, id DESC LIMIT 1"
        found = _moment(con, city, order, asked)
        if found is None and asked < begin.at:
            raise gone(begin)
    return found or begin


def _moment(con: Connection, city: str, order: str, value: Any) -> Moment | None:
    s = bound(city)
    row = con.execute(
        f"SELECT c.last, c.at, EXISTS (SELECT FROM {s}.twin_sets n WHERE n.last > c.last)"
        f" FROM (SELECT * FROM {s}.twin_sets {order}) c",
        (value,),
        binary=True,
    ).fetchone()
    return None if row is None else Moment(seq=row[0], at=row[1], fixed=row[2])


def gone(begin: Moment, layer: str | None = None) -> Gone:
    """The answer to who asks for what is no longer kept, or was not yet."""
    what = "the city" if layer is None else f"layer {layer}"
    return Gone(f"the history of {what} is kept from {begin.at} (@{begin.seq}) on")


def kept(con: Connection, city: str, layer: str | None = None) -> Moment:
    """The earliest moment that can be asked for. Raises NotFound: no such layer, now or ever."""
    s = bound(city)
    row = con.execute(f"SELECT since, began FROM {s}.twin_meta", (), binary=True).fetchone()
    assert row is not None
    seq, at = row
    if layer is not None:
        ever = " UNION ALL ".join(
            f"SELECT FROM {s}.{table} = %(layer)s"
            for table in ("twin_layers WHERE id", "twin_forms WHERE id", "twin_records WHERE layer")
        )
        newest = f"SELECT max(seq) FROM {s}.twin_changes WHERE layer = %(layer)s"
        cut = (
            f"SELECT CASE why WHEN 'off' THEN ({newest}) ELSE seq END, at, EXISTS ({ever})"
            f" FROM (SELECT) o LEFT JOIN {s}.twin_kept ON layer = %(layer)s"
        )
        cut_seq, cut_at, known = con.execute(cut, {"layer": layer}, binary=True).fetchone() or (None,) * 3
        if not known:
            raise NotFound(f"there is and was no layer {shown(layer)}")
    else:  # something is known of the city where it is of a layer that there is, or was
        cut = (
            f"SELECT coalesce(k.seq, %s), coalesce(k.at, %s) FROM (SELECT id FROM {s}.twin_layers"
            f" UNION SELECT id FROM {s}.twin_forms UNION SELECT layer FROM {s}.twin_records) l"
            f" LEFT JOIN {s}.twin_kept k ON k.layer = l.id WHERE k.why IS DISTINCT FROM 'off'"
            " ORDER BY 1 LIMIT 1"
        )
        cut_seq, cut_at = con.execute(cut, (Int8(seq), at), binary=True).fetchone() or (None,) * 2
    if cut_seq is not None and cut_seq > seq:
        of_set = _moment(con, city, "WHERE last >= %s ORDER BY last LIMIT 1", Int8(cut_seq))
        return of_set or Moment(seq=cut_seq, at=cut_at, fixed=False)
    later = f"SELECT EXISTS (SELECT FROM {s}.twin_sets WHERE last > %s)"
    return Moment(seq=seq, at=at, fixed=bool(_one(con, later, (Int8(seq),))))


def change_sets(
    con: Connection,
    city: str,
    after: int,
    before: int | None,
    actor: str | None,
    layer: str | None,
    limit: int,
) -> list[ChangeSet]:
    """Change sets, newest first; see :class:`layers.store.base.Store`."""
    conditions, values = ["c.id > %s"], [Int8(after)]
    for condition, value in (
        ("c.id < %s", None if before is None else Int8(before)),
        ("c.actor = %s", actor),
        ("%s = ANY(c.layers)", layer),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)  # type: ignore[arg-type]
    rows = con.execute(
        f"SELECT {_SET} FROM {bound(city)}.twin_sets c WHERE {' AND '.join(conditions)}"
        " ORDER BY c.id DESC LIMIT %s",
        (*values, Int8(limit)),
        binary=True,
    ).fetchall()
    return [_change_set(row) for row in rows]


def sets_after(con: Connection, city: str, after: int, limit: int) -> list[ChangeSet]:
    """Change sets by ascending id; see :class:`layers.store.base.Audit`."""
    rows = con.execute(
        f"SELECT {_SET} FROM {bound(city)}.twin_sets c WHERE c.id > %s ORDER BY c.id LIMIT %s",
        (Int8(after), Int8(limit)),
        binary=True,
    ).fetchall()
    return [_change_set(row) for row in rows]


def versions(
    con: Connection, city: str, layer: str, fid: int, before: int | None, limit: int
) -> list[Version]:
    """What a feature was, newest first, within the caller's transaction."""
    fid = fid if abs(fid) < 2**63 else -1
    begin = kept(con, city, layer).seq
    past = f"{bound(city)}.{bound(past_table(layer))}"
    rows: list[tuple[int, bool]] = []
    if _one(con, "SELECT to_regclass(%s)", (past.replace("%%", "%"),)) is not None:
        rows = con.execute(
            f"SELECT until, there FROM {past} WHERE fid = %s AND until > {begin}"
            " AND until <= coalesce(%s, until) ORDER BY until DESC LIMIT %s",
            (Int8(fid), None if before is None else Int8(before), Int8(limit + 1)),
            binary=True,
        ).fetchall()
    states: list[tuple[int | None, bool]] = [*rows]
    if before is None:
        states.insert(0, (None, _is_there(con, city, layer, fid)))
    complete = len(rows) <= limit
    if not states or (before is None and not rows and not states[0][1]):
        if before is None:
            raise NotFound(f"layer {layer} has and had no feature {shown(fid)}")
        return []
    ends = [until for until, _ in states[1:]]
    found = [(since, until, there) for since, (until, there) in zip(ends, states, strict=False)]
    until, there = states[-1]
    if complete and there:
        found.append((_made(con, city, layer, fid, until, begin), until, there))
    sets = sets_of(con, city, [since for since, _, _ in found[:limit] if since is not None])
    return [
        Version(
            since=since or 0,
            until=until,
            at=sets[since].at if since in sets else None,
            there=there,
            set=sets.get(since or 0),
        )
        for since, until, there in found[:limit]
    ]


def earliest(con: Connection, city: str, layer: str, fid: int) -> Version | None:
    """The first of the :func:`versions` of a feature in which it was there."""
    begin = kept(con, city, layer).seq
    past = f"{bound(city)}.{bound(past_table(layer))}"
    until: int | None = None
    if _one(con, "SELECT to_regclass(%s)", (past.replace("%%", "%"),)) is not None:
        known = Int8(fid if abs(fid) < 2**63 else -1)
        until = _one(
            con, f"SELECT min(until) FROM {past} WHERE fid = %s AND there AND until > {begin}", (known,)
        )
    found = versions(con, city, layer, fid, until, 1)
    return found[0] if found and found[0].there else None


def _is_there(con: Connection, city: str, layer: str, fid: int) -> bool:
    table = layer_table.tables(con, city).get(layer)
    if table is None:
        return False
    sql = f"SELECT EXISTS (SELECT FROM {table.usable().relation} t WHERE {table.fid} = %s)"
    return bool(_one(con, sql, (Int8(fid),)))


def _made(con: Connection, city: str, layer: str, fid: int, until: int | None, begin: int) -> int:
    """Since when the oldest version that is known was so: since the layer was made, or the newest change of
    it that the log knows from before the history."""
    s = bound(city)
    made = (
        f"SELECT max(until) FROM {s}.twin_records WHERE layer = %(layer)s AND record IS NULL"
        f" AND until > {begin}"
    )
    logged = (
        f"SELECT max(seq) FROM {s}.twin_changes WHERE layer = %(layer)s"
        f" AND (fid = %(fid)s OR fid IS NULL) AND seq <= {begin}"
    )
    end = "" if until is None else f" AND until < {until}"
    since = _one(
        con, f"SELECT coalesce(({made}{end}), ({logged}), {begin})", {"layer": layer, "fid": Int8(fid)}
    )
    return int(since)


def sets_of(con: Connection, city: str, numbers: list[int]) -> dict[int, ChangeSet]:
    """The change sets of numbers of the log, by these."""
    s = bound(city)
    rows = con.execute(
        f"SELECT n.seq, {_SET} FROM unnest(%s::bigint[]) n(seq) JOIN LATERAL (SELECT * FROM {s}.twin_sets"
        " WHERE last >= n.seq ORDER BY last LIMIT 1) c ON c.first <= n.seq",
        (numbers,),
        binary=True,
    ).fetchall()
    return {row[0]: _change_set(row[1:]) for row in rows}


def _one(con: Connection, sql: str, values: Any) -> Any:
    row = con.execute(sql, values, binary=True).fetchone()
    return None if row is None else row[0]
