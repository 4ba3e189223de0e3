"""What a database computes when it is read: views, and columns that follow from others.

Somebody wrote them, and one may never end or make of nothing what no memory holds. So they are read only
where they are asked for by name, and first tried: with a clock, and with values of a bounded length.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Container
from pathlib import Path
from urllib.parse import quote

from layers.errors import BadFile, shown
from layers.read.base import ReadLimits

#: Bytes of one value.
_LONGEST = 64 << 20
_STEPS = 10_000  # virtual machine steps between two looks at the clock
_INSTEAD = "save what it shows as a table in the program that made it, and load that"
_UNKNOWN = re.compile(r"no such function: (\w+)")
_COMPUTED = re.compile(r"\bAS\s*\(", re.IGNORECASE)


def names(path: Path) -> frozenset[str]:
    """The views of an SQLite database and its tables with computed columns; none where it is damaged."""
    con = _open(path)
    con.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        rows = con.execute("SELECT name, type, sql FROM sqlite_master WHERE type IN ('view', 'table')")
        return frozenset(n for n, kind, sql in rows if kind == "view" or _COMPUTED.search(sql or ""))
    except (sqlite3.DatabaseError, UnicodeError):  # even what SQLite says may be the file's bytes
        return frozenset()
    finally:
        con.close()


def untyped(path: Path, name: str, known: Container[str]) -> list[tuple[str, str]]:
    """Name and type of a table's columns that are not among the ``known``, as GDAL does not know the type.

    None where the database is damaged."""
    con = _open(path)
    con.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        rows = con.execute("SELECT name, type FROM pragma_table_info(?)", (name,))
        return [(column, kind) for column, kind in rows if column not in known]
    except (sqlite3.DatabaseError, UnicodeError):
        return []
    finally:
        con.close()


def ends(path: Path, name: str, limits: ReadLimits) -> None:
    """Go through all of a view once. Raises BadFile limit.view, view.failed."""
    con = _open(path)
    until = time.process_time() + limits.view_seconds
    con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    con.set_progress_handler(lambda: int(time.process_time() > until), _STEPS)
    con.text_factory = bytes
    try:
        while (missing := _gone_through(con, name, until, limits)) is not None:
            # GDAL knows it; what it gives is as long as what it is given, or shorter
            con.create_function(missing, -1, lambda *given: given[0] if given else None)
    finally:
        con.close()


def _gone_through(con: sqlite3.Connection, name: str, until: float, limits: ReadLimits) -> str | None:
    """Read all rows; the name of a function that is not known here, None at the end. Raises BadFile."""
    called = name.replace('"', '""')
    try:
        rows = con.execute(f'SELECT * FROM "{called}"')  # noqa: S608
        while rows.fetchone() is not None:
            if time.process_time() > until:
                raise BadFile("limit.view", _too_long(name, limits))
    except sqlite3.OperationalError as error:
        if (unknown := _UNKNOWN.search(str(error))) is not None:
            return unknown[1]
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise BadFile("limit.view", _too_long(name, limits)) from error
        raise BadFile("view.failed", f"{shown(name)} cannot be read: {shown(error)}; {_INSTEAD}") from error
    except sqlite3.DataError as error:
        reason = f"{shown(name)} has a value of more than {_LONGEST >> 20} MiB"
        raise BadFile("limit.view", f"{reason}; {_INSTEAD}") from error
    except (sqlite3.DatabaseError, UnicodeError, MemoryError) as error:
        raise BadFile("view.failed", f"{shown(name)} cannot be read: {shown(error)}; {_INSTEAD}") from error
    return None


def _too_long(name: str, limits: ReadLimits) -> str:
    return f"{shown(name)} has not ended after {limits.view_seconds} s; {_INSTEAD}"


def _open(path: Path) -> sqlite3.Connection:
    """For reading. A database that nobody has open is taken as it lies, so that no file is made beside it."""
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True)
