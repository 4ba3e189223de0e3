"""kill -9 at any moment of a script of edits, loads, drops and other programs' work: what is there afterwards
is what the same script left where nobody killed it, now and at every moment before."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from layers.store.base import Store
from layers.store.database import Database
from layers.store.open import open_store
from tests.crash.killing import run_and_kill
from tests.histories import looking_back
from tests.histories.acting import repair
from tests.histories.foreign import hand_at
from tests.histories.rebuilt import rebuilt
from tests.histories.scripts import Script

KILLS = int(os.environ.get("TWIN_HISTORY_KILLS", "1"))


def state(store: Store) -> tuple[int, list[tuple[str, int]]]:
    """How far a script came: a load that changes nothing is told by the generation alone."""
    repair(store)
    return store.seq(), [(layer.id, layer.generation) for layer in store.layers()]


@pytest.mark.parametrize("kind", ["geopackage", "postgis"])
@pytest.mark.parametrize("kill", range(KILLS))
def test_kill_a_script(request: pytest.FixtureRequest, tmp_path: Path, kind: str, kill: int) -> None:
    databases: list[Database | None] = [None, None]
    if kind == "postgis":
        url = request.getfixturevalue("postgres").database()
        databases = [Database(url, schema=name) for name in ("killed", "other")]
    folders = [tmp_path / "killed", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    seed = 5000 + kill
    arguments = [str(folders[0]), str(seed)]
    if databases[0] is not None:
        arguments += [databases[0].url, databases[0].schema]
    acts = run_and_kill("history_script", arguments, random.Random(seed), 18, 0.1)
    store = open_store(folders[0], databases[0])
    script = Script(
        lambda: open_store(folders[1], databases[1]),
        hand_at(folders[1], databases[1]),
        folders[1] / "derived",
        seed,
        repairing=True,
    )
    try:
        for _ in range(acts):
            script.step()
        if state(store) != state(script.store):
            script.step()  # the act in flight, whole
        assert state(store) == state(script.store)
        script.go_on(store, lambda: open_store(folders[0], databases[0]), hand_at(folders[0], databases[0]))
        looking_back.check_all(script)
        for _ in range(3):
            script.step()
        rebuilt(script.hand).check(script.states, script.lost)
    except BaseException as error:
        error.add_note("\n".join(script.said))
        raise
    finally:
        script.store.close()
