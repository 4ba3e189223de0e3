"""Takes back the newest change set again and again, or edits and prunes; tells each act that ended.

Arguments: FOLDER undo|prune [URL SCHEMA]."""

from __future__ import annotations

import sys
from pathlib import Path

from layers import undo
from layers.model import Author
from layers.store.base import Store
from layers.store.database import Database
from layers.store.geopackage.store import GeoPackageStore
from layers.store.history import Retention
from layers.store.open import open_store
from layers.store.postgis import pruning
from layers.store.postgis.store import PostgisStore

#: Features that are edited in turn, and for how long (days) what they were is kept.
EDITED, KEPT = 20, 2e-6


def prune(store: Store) -> None:
    """As the store does in its own time."""
    if isinstance(store, PostgisStore):
        with store._sessions.writing() as con:
            while pruning.prune(store._catalogue.place(con)):
                pass
        return
    assert isinstance(store, GeoPackageStore)
    while store.prune_history():
        pass


def main() -> None:
    """One line an act, until it is killed."""
    folder, what = Path(sys.argv[1]), sys.argv[2]
    database = Database(sys.argv[3], schema=sys.argv[4]) if len(sys.argv) > 3 else None
    history = Retention(days=KEPT) if what == "prune" else Retention()
    store = open_store(folder, database, history=history)
    print("ready", flush=True)
    number = 0
    while True:
        if what == "undo":
            plan = undo.of_set(store, store.change_sets(limit=1)[0].id)
            print(undo.apply(store, plan, Author(actor="anna")), flush=True)
            continue
        number += 1
        properties = {"properties": {"name": f"n{number}"}}
        revision = store.patch("buildings", number % EDITED + 1, properties, by=Author(actor="anna"))
        if number % 5 == 0:
            prune(store)
        print(revision, flush=True)
