"""The chain of the audit of a city in PostGIS: one, however many servers seal; its table is made with its
first link.

A trigger refuses to change a link, and to remove one that was not cut off at the old end, also to the
table's owner; who takes it away is found by :mod:`layers.audit.verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from psycopg.types.numeric import Int8

from layers.model import ChangeSet, Link
from layers.store.postgis import moments, schema
from layers.store.postgis.connection import Connection, bound, quoted

_COLUMNS = "n, entry, hash, change"


def _table(s: str) -> str:
    return f"""
CREATE TABLE {s}.twin_audit (n bigint PRIMARY KEY, entry text NOT NULL, hash text NOT NULL,
  change bigint UNIQUE);
CREATE TABLE {s}.twin_audit_cut (one boolean PRIMARY KEY DEFAULT true CHECK (one), n bigint NOT NULL);
INSERT INTO {s}.twin_audit_cut (n) VALUES (0);
CREATE FUNCTION {s}.twin_audit_kept() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.n <= (SELECT n FROM {s}.twin_audit_cut) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'an audit is only appended to';
END $body$;
CREATE TRIGGER twin_audit_kept BEFORE UPDATE OR DELETE ON {s}.twin_audit
  FOR EACH ROW EXECUTE FUNCTION {s}.twin_audit_kept();
CREATE TRIGGER twin_audit_whole BEFORE TRUNCATE ON {s}.twin_audit
  FOR EACH STATEMENT EXECUTE FUNCTION {s}.twin_audit_kept();
ALTER TABLE {s}.twin_audit ENABLE ALWAYS TRIGGER twin_audit_kept;
ALTER TABLE {s}.twin_audit ENABLE ALWAYS TRIGGER twin_audit_whole;
"""


class PostgisAudit:
    """Implements :class:`layers.store.base.Audit`. ``read`` answers a question to the history on a pooled
    connection, ``writing`` is one for writing."""

    def __init__(
        self,
        city: str,
        read: Callable[[Callable[[Connection], Any]], Any],
        writing: Callable[[], AbstractContextManager[Connection]],
    ) -> None:
        self._city, self._ask, self._writing = city, read, writing
        self._s = bound(city)

    def head(self) -> Link | None:
        found = self._links("ORDER BY n DESC LIMIT 1")
        return found[0] if found else None

    def sealed(self) -> int | None:
        found = self._links("WHERE change IS NOT NULL ORDER BY change DESC LIMIT 1")
        return found[0].set if found else None

    def links(self, after: int = 0, limit: int = 1_000) -> list[Link]:
        return self._links("WHERE n > %s ORDER BY n LIMIT %s", Int8(after), Int8(limit))

    def _links(self, order: str, *values: Int8) -> list[Link]:
        def ask(con: Connection) -> list[Link]:
            if not _is_there(con, self._s):
                return []
            rows = con.execute(f"SELECT {_COLUMNS} FROM {self._s}.twin_audit {order}", values, binary=True)
            return [Link(*row) for row in rows]

        found: list[Link] = self._ask(ask)
        return found

    def sets(self, after: int, limit: int = 100) -> list[ChangeSet]:
        found: list[ChangeSet] = self._ask(lambda con: moments.sets_after(con, self._city, after, limit))
        return found

    def append(self, head: int, links: Sequence[Link]) -> bool:
        rows = [(Int8(link.n), link.entry, link.hash, link.set) for link in links]
        with self._writing() as con, con.transaction():
            con.execute("SELECT pg_advisory_xact_lock(%s)", (schema.key(self._city, "audit"),))
            if not _is_there(con, self._s):
                con.execute(_table(quoted(self._city)))
            row = con.execute(f"SELECT coalesce(max(n), 0) FROM {self._s}.twin_audit").fetchone()
            if row != (head,):
                return False
            with con.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {self._s}.twin_audit VALUES (%s, %s, %s, %s)", rows)
        return True

    def cut(self, through: int) -> None:
        with self._writing() as con, con.transaction():
            con.execute("SELECT pg_advisory_xact_lock(%s)", (schema.key(self._city, "audit"),))
            con.execute(f"UPDATE {self._s}.twin_audit_cut SET n = %s", (Int8(through),))
            con.execute(f"DELETE FROM {self._s}.twin_audit WHERE n <= %s", (Int8(through),))


def _is_there(con: Connection, s: str) -> bool:
    name = f"{s}.twin_audit".replace("%%", "%")
    return con.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone() == (True,)
