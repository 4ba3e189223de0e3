"""Connections that a store makes in threads of its own, and that come when it has been closed meanwhile."""

from __future__ import annotations

import threading

import psycopg
import pytest

from layers.store.postgis import listen
from layers.store.postgis.connection import Connection
from layers.store.postgis.listen import Listener


def test_a_connection_that_comes_after_the_end_is_closed(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "LOOK_S", -1.9)  # the end is not waited for
    asked, go = threading.Event(), threading.Event()
    made: list[Connection] = []

    def make() -> Connection:
        asked.set()
        assert go.wait(30)
        made.append(psycopg.connect(shared_database, autocommit=True))
        return made[0]

    listener = Listener(make, lambda con: None)
    listener.start()
    assert asked.wait(30)
    listener.close()
    go.set()
    thread = listener._thread
    assert thread is not None
    thread.join(30)
    assert made[0].closed
