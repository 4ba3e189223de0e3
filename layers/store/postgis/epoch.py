"""Whether this database continues the history that earlier ETags were made from.

An ETag is ``epoch-seq``. A restored database counts the same numbers again over other contents. A dump that
is restored, or a database made from a template, differs in the database's or the table's oid; a restored
cluster in its system identifier; a recovery to an earlier moment begins another timeline. What leaves all of
these as they were, a file system that was put back, is told by the newest log row that this process, or a
process of this city folder before, has shown: each log row carries a random nonce. Where any of it does not
agree, the store gets a new epoch.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import psycopg

from layers.store.mark import Mark, fresh_epoch
from layers.store.postgis.connection import Connection, literal, quoted, refuse_standby
from layers.store.postgis.read import SnapshotState

_FORMER = 13 * 100  # characters: the last hundred epochs


def origin(con: Connection, schema: str) -> str:
    """What tells this database from its copies: cluster, database, table, timeline. Raises Unavailable."""
    refuse_standby(con)
    table = literal(f"{quoted(schema)}.twin_meta")
    row = con.execute(
        "SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()), d.oid,"
        f" {table}::regclass::oid, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))"
        " FROM pg_database d WHERE d.datname = current_database()"
    ).fetchone()
    assert row is not None
    return str(row[0])


def is_standby(con: Connection) -> bool:
    """Whether the server only follows another."""
    return con.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)


def is_same(con: Connection, other: Connection, schema: str) -> bool:
    """Whether two connections lead to one database."""
    try:
        return origin(con, schema) == origin(other, schema)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return False


def continues(con: Connection, schema: str, shown: Mark | None) -> bool:
    """Whether the database is the one it says it is, and its log still holds the row that was shown."""
    s = quoted(schema)
    row = con.execute(
        f"SELECT epoch, origin, former, (SELECT nonce FROM {s}.twin_changes WHERE seq = %s)"
        f" FROM {s}.twin_meta",
        (0 if shown is None else shown.seq,),
    ).fetchone()
    if row is None or row[1] != origin(con, schema):
        return False
    if shown is None or shown.seq == 0:
        return True
    if shown.epoch != row[0]:  # renewed since, or put back to before it was
        return shown.epoch in row[2].split()
    return bool(row[3] == shown.nonce)


def renew(con: Connection, schema: str, shown: Mark | None) -> None:
    """Give the city a new epoch unless it continues its history; of several processes one does."""
    with con.transaction():
        s = quoted(schema)
        con.execute(f"SELECT FROM {s}.twin_meta FOR UPDATE")
        if not continues(con, schema, shown):
            con.execute(
                f"UPDATE {s}.twin_meta SET former = left(concat_ws(' ', epoch, former), {_FORMER}),"
                " epoch = %s, origin = %s, stamp = stamp + 1",
                (fresh_epoch(), origin(con, schema)),
            )
            con.execute(
                f"INSERT INTO {s}.twin_epochs SELECT epoch, (SELECT coalesce(max(seq), 0)"
                f" FROM {s}.twin_changes), date_trunc('milliseconds', clock_timestamp()) FROM {s}.twin_meta"
            )
            # the numbers of transactions begin anew where a cluster does
            con.execute(f"UPDATE {s}.twin_sets SET xid = NULL WHERE xid IS NOT NULL")


def mark(state: SnapshotState) -> Mark:
    """The mark of a moment."""
    return Mark(state.epoch, state.seq, state.nonce)


def write(path: Path | None, recorded: Mark) -> None:
    """Keep a mark, where the folder can be written."""
    if path is None:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.new")
        temporary.write_text(json.dumps(asdict(recorded)))
        os.replace(temporary, path)
