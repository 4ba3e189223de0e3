"""Transactions in a PostGIS city: tables of other programs, what their own rules refuse, a lost session."""

from __future__ import annotations

import threading

import psycopg
import pytest

from layers.errors import BadBody, Conflict, Exists, NotAllowed, NotFound, Unavailable
from layers.model import Operation
from layers.store.database import Registered
from tests.contract import registering
from tests.contract.registering import Foreign, point
from tests.storing import fids, grid, kinds, load, one, spec
from tests.support import until

foreign = registering.foreign

POLES = f"""
CREATE TABLE lines (id serial PRIMARY KEY, name text UNIQUE, geom geometry(Point, 4326));
CREATE TABLE poles (id serial PRIMARY KEY, name text CHECK (name <> 'bad'), size int,
  line int REFERENCES lines DEFERRABLE INITIALLY DEFERRED, geom geometry(Point, 4326));
INSERT INTO lines (name, geom) VALUES ('a', {point()}), ('b', {point()});
INSERT INTO poles (name, line, geom) SELECT 'p' || i, 1, {point()} FROM generate_series(1, 4) i;
"""


def patch(layer: str, fid: int, **values: object) -> Operation:
    return Operation(kind="patch", layer=layer, fid=fid, body={"properties": values})


def create(layer: str, **values: object) -> Operation:
    body = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [25, 60]}, "properties": values}
    return Operation(kind="create", layer=layer, body=body)


def test_what_a_table_refuses_is_told_of_its_own_edit(foreign: Foreign) -> None:
    foreign.run("CREATE EXTENSION IF NOT EXISTS postgis;" + POLES)
    store = foreign.open("lines", "poles")
    operations = [
        create("lines", name="c"),
        create("lines", name="a"),
        patch("poles", 1, name="bad"),
        patch("poles", 2, size=2**40),
        patch("poles", 3, name="good"),
        Operation(kind="delete", layer="poles", fid=9),
        patch("lines", 2, source_id="x"),
    ]
    refused = [None, Exists, BadBody, BadBody, None, NotFound, BadBody]
    before = store.seq()
    assert kinds(store.transact(operations)) == refused
    assert (store.seq(), len(fids(store, "lines"))) == (before, 2)
    assert kinds(store.transact(operations, atomic=False)) == refused
    assert (len(fids(store, "lines")), one(store, 3, "poles")["properties"]["name"]) == (3, "good")
    assert store.seq() == before + 2


def test_what_is_checked_at_commit_undoes_all(foreign: Foreign) -> None:
    foreign.run("CREATE EXTENSION IF NOT EXISTS postgis;" + POLES)
    store = foreign.open("lines", "poles")
    before = store.seq()
    made = [patch("poles", 1, name="x"), Operation(kind="delete", layer="lines", fid=1)]
    for atomic in (True, False):
        with pytest.raises((BadBody, Conflict), match=r"constraint|refer"):
            store.transact(made, atomic=atomic)
    assert (store.seq(), one(store, 1, "poles")["properties"]["name"]) == (before, "p1")
    # in one transaction the order does not matter to what is checked at its end
    every = [
        Operation(kind="delete", layer="lines", fid=1),
        *(patch("poles", i, line=2) for i in range(1, 5)),
    ]
    assert kinds(store.transact(every)) == [None] * 5


def test_a_right_that_lacks_is_told_of_each_edit(foreign: Foreign) -> None:
    foreign.run("CREATE EXTENSION IF NOT EXISTS postgis;" + POLES)
    foreign.run(
        "CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE insufficient_privilege; END$$;"
        "CREATE TRIGGER closed BEFORE UPDATE ON poles FOR EACH ROW EXECUTE FUNCTION closed()"
    )
    store = foreign.open("lines", "poles")
    outcomes = store.transact([patch("poles", 1, name="x"), patch("lines", 1, name="x")], atomic=False)
    assert kinds(outcomes) == [NotAllowed, None]
    assert one(store, 1, "lines")["properties"]["name"] == "x"


def test_a_session_that_is_ended_in_the_middle_leaves_nothing(foreign: Foreign) -> None:
    foreign.run("CREATE EXTENSION IF NOT EXISTS postgis;" + POLES)
    store = foreign.open(poles=Registered("poles"))
    load(store, spec(), grid(5))
    before, failures = store.seq(), []

    def transact() -> None:
        try:
            # the pole is held by another when the building is written already
            store.transact([create("poles", name="new"), patch("buildings", 1, levels=9), patch("poles", 4)])
        except Unavailable as error:
            failures.append(error)

    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with psycopg.connect(foreign.url) as other:
        other.execute("SELECT * FROM poles WHERE id = 4 FOR UPDATE")
        thread = threading.Thread(target=transact)
        thread.start()
        until(lambda: bool(foreign.run(waiting)))
        foreign.run(f"SELECT pg_terminate_backend(pid) FROM ({waiting}) w")
        thread.join(30)
    assert len(failures) == 1
    assert store.seq() == before
    assert len(fids(store, "poles")) == 4
    assert kinds(store.transact([patch("buildings", 1, levels=9)])) == [None]
