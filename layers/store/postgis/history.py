"""The history as it is written: who makes a change set, and where the history of a layer was cut."""

from __future__ import annotations

import json

from layers.model import Author
from layers.store.postgis.connection import Connection, bound, quoted

REPAIR = Author(via="repair")


def words(by: Author, generation: int | None = None) -> str:
    """An author as ``twin.author`` has it."""
    said = {"actor": by.actor, "via": by.via, "message": by.message, "address": by.address}
    text = json.dumps({**said, "generation": generation, "undone": by.undone}, ensure_ascii=False)
    return text.replace("\\u0000", "\ufffd")


def sign(con: Connection, by: Author, generation: int | None = None) -> None:
    """Say who makes the changes of the present transaction."""
    con.execute("SELECT set_config('twin.author', %s, true)", (words(by, generation),))


def number_sql(schema: str) -> str:
    """SQL with the words of an author as its parameter: what the transaction changed gets its numbers now,
    instead of at commit, and null where that is nothing."""
    return (
        f"SELECT {bound(schema)}.twin_number() FROM (SELECT set_config('twin.author', %s, true) OFFSET 0) a"
    )


def number(con: Connection, schema: str, by: Author, generation: int | None = None) -> int | None:
    """Number what the transaction changed; the newest of its numbers, None where it changed nothing."""
    row = con.execute(number_sql(schema), (words(by, generation),)).fetchone()
    return None if row is None else row[0]


def cut(con: Connection, schema: str, layer: str, why: str) -> None:
    """Nothing of a layer is known from before the present transaction."""
    con.execute(
        f"INSERT INTO {quoted(schema)}.twin_kept AS k (layer, at, why, xid)"
        " VALUES (%s, date_trunc('milliseconds', clock_timestamp()), %s, pg_current_xact_id())"
        " ON CONFLICT (layer) DO UPDATE SET at = excluded.at, xid = excluded.xid,"
        " why = CASE k.why WHEN 'off' THEN 'off' ELSE excluded.why END",
        (layer, why),
    )


def keep_nothing(con: Connection, schema: str, layer: str) -> None:
    """Of a layer no more is known than what is now."""
    _cut_at(con, schema, layer, "off")


def keep_from_now(con: Connection, schema: str, layer: str) -> None:
    """The history of a layer begins, after the newest change."""
    _cut_at(con, schema, layer, "began")


def _cut_at(con: Connection, schema: str, layer: str, why: str) -> None:
    s = quoted(schema)
    con.execute(
        f"INSERT INTO {s}.twin_kept (layer, seq, at, why) VALUES (%s, (SELECT coalesce(max(seq), 0)"
        f" FROM {s}.twin_changes), date_trunc('milliseconds', clock_timestamp()), %s)"
        " ON CONFLICT (layer) DO UPDATE SET seq = excluded.seq, at = excluded.at, why = excluded.why",
        (layer, why),
    )
