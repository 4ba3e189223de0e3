"""Edits, tells events and seals both, again and again; tells each number whose sealing ended.

Arguments: FOLDER FIRST [URL SCHEMA]: the number of the first."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from layers.audit.sealing import Sealer
from layers.model import Author
from layers.store.database import Database
from layers.store.open import open_store


def main() -> None:
    """One line a sealing, until it is killed."""
    folder = Path(sys.argv[1])
    database = Database(sys.argv[3], schema=sys.argv[4]) if len(sys.argv) > 3 else None
    store = open_store(folder, database)
    sealer = Sealer(store, "sha256", None)
    print("ready", flush=True)
    for number in itertools.count(int(sys.argv[2])):
        for edit in range(number % 4):
            name = {"properties": {"name": f"n{number}.{edit}"}}
            store.patch("buildings", 1 + edit, name, by=Author(actor="anna"))
        sealer.tell("drill", number=number)
        sealer.seal()
        print(number, flush=True)
