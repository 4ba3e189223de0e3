"""Does a script to a city of its own and tells each act that ended. Arguments: FOLDER SEED [URL SCHEMA]."""

from __future__ import annotations

import sys
from pathlib import Path

from layers.store.database import Database
from layers.store.open import open_store
from tests.histories.foreign import hand_at
from tests.histories.scripts import Script


def main() -> None:
    """One line an act, until it is killed."""
    folder = Path(sys.argv[1])
    database = Database(sys.argv[3], schema=sys.argv[4]) if len(sys.argv) > 3 else None
    script = Script(
        lambda: open_store(folder, database),
        hand_at(folder, database),
        folder / "derived",
        int(sys.argv[2]),
        watched=False,
        repairing=True,
    )
    print("ready", flush=True)
    while True:
        script.step()
        print(script.store.seq(), flush=True)
