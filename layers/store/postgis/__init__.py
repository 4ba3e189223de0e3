"""The scaled store: a schema of a PostGIS database that several processes serve and any SQL client edits."""

from __future__ import annotations

from pathlib import Path

from layers.store.counting import FEW
from layers.store.database import Database
from layers.store.history import Retention
from layers.store.postgis.store import PostgisStore

__all__ = ["PostgisStore", "open"]


def open(
    database: Database,
    mark: Path | None = None,
    few: int = FEW,
    crs_also: tuple[str, ...] = (),
    history: Retention | None = None,
    *,
    read_only: bool = False,
) -> PostgisStore:
    """Open the city in a database, making an empty one where there is none.

    ``mark`` is a file in the city's folder that remembers what was shown, so that a database put back to
    an earlier state is noticed also after a restart. Up to ``few`` candidates of a query are
    gathered, and so counted. ``history`` says for how long what rows were is kept; without it, as it was said
    last. Opened ``read_only``, nothing is made, put in order or given a new epoch, no
    connection can write, and a role that may only read is enough.

    Raises NotFound (read-only, and no city there), Unavailable (not reachable, no PostGIS, another format),
    BadParameter (an address or schema that is none)."""
    return PostgisStore(database, mark, few, crs_also, history, read_only=read_only)
