"""What was done once, in a table of the city's schema that is made with its first row."""

from __future__ import annotations

from layers.model import Once
from layers.store.once import KEPT_DAYS
from layers.store.postgis.connection import Connection, bound


class PostgisDone:
    """Implements :class:`layers.store.once.Done`, of a connection whose transaction no other of the city runs
    beside (see ``PostgisStore.joined``)."""

    def __init__(self, con: Connection, city: str) -> None:
        self._con, self._table = con, f"{bound(city)}.twin_done"

    def _is_there(self) -> bool:
        name = self._table.replace("%%", "%")
        return self._con.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone() == (True,)

    def find(self, once: Once) -> tuple[str, str] | None:
        if not self._is_there():
            return None
        sql = f"SELECT digest, outcomes FROM {self._table} WHERE actor = %s AND key = %s"
        row = self._con.execute(sql, (once.actor, once.key)).fetchone()
        return None if row is None else (str(row[0]), str(row[1]))

    def keep(self, once: Once, outcomes: str) -> None:
        if not self._is_there():
            self._con.execute(
                f"CREATE TABLE {self._table} (actor text NOT NULL, key text NOT NULL, digest text NOT NULL,"
                " outcomes text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),"
                " PRIMARY KEY (actor, key))",
                (),
            )
        old = f"DELETE FROM {self._table} WHERE at < clock_timestamp() - %s * interval '1 day'"
        self._con.execute(old, (KEPT_DAYS,))
        self._con.execute(
            f"INSERT INTO {self._table} (actor, key, digest, outcomes) VALUES (%s, %s, %s, %s)",
            (once.actor, once.key, once.digest, outcomes),
        )
