"""Row triggers of another program, in a PostGIS city, that write again what a statement has just written: the
old rows are in the order in which that was done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from layers.store.postgis import log_function
from layers.store.staged import LOGGED_EACH
from tests.contract.registering import Foreign, foreign  # noqa: F401
from tests.contract.test_postgis_kept import City
from tests.storing import grid, load, spec

#: What another program has: rows are told in the order in which they are written (``a_told``), an even number
#: of levels becomes odd, one of 21 a multiple of 10, what is deleted at 13 levels comes back, and a table of
#: its own by which buildings are renamed.
PROGRAM = (
    "CREATE TABLE CITY.told (n serial, fid bigint, name text, levels bigint, made boolean)",
    "CREATE FUNCTION CITY.tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
    " INSERT INTO CITY.told (fid, name, levels, made) VALUES (coalesce(NEW.fid, OLD.fid), OLD.name,"
    " OLD.levels, OLD IS NULL); RETURN NULL; END$$",
    "CREATE TRIGGER a_told AFTER INSERT OR UPDATE OR DELETE ON CITY.buildings"
    " FOR EACH ROW EXECUTE FUNCTION CITY.tell()",
    "CREATE FUNCTION CITY.again() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
    " IF TG_OP = 'DELETE' THEN IF OLD.levels = 13 THEN INSERT INTO CITY.buildings (fid, geom, name, levels)"
    " OVERRIDING SYSTEM VALUE VALUES (OLD.fid, OLD.geom, OLD.name, 15); END IF; RETURN NULL; END IF;"
    " IF NEW.levels % 2 = 0 AND NEW.levels % 10 <> 0 THEN"
    "  UPDATE CITY.buildings SET levels = NEW.levels + 1 WHERE fid = NEW.fid;"
    "  UPDATE CITY.buildings SET name = NEW.name || '+' WHERE fid = NEW.fid; END IF;"
    " IF NEW.levels = 21 THEN UPDATE CITY.buildings SET levels = 30 WHERE fid = NEW.fid; END IF;"
    " RETURN NULL; END$$",
    "CREATE TRIGGER b_again AFTER INSERT OR UPDATE OR DELETE ON CITY.buildings"
    " FOR EACH ROW EXECUTE FUNCTION CITY.again()",
    "CREATE TABLE CITY.names (fid bigint, name text)",
    "CREATE FUNCTION CITY.renamed() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
    " UPDATE CITY.buildings SET name = NEW.name WHERE fid = NEW.fid; RETURN NULL; END$$",
    "CREATE TRIGGER renamed AFTER INSERT ON CITY.names FOR EACH ROW EXECUTE FUNCTION CITY.renamed()",
)


@pytest.fixture(params=[LOGGED_EACH, 1], ids=["each", "whole"])
def most(request: pytest.FixtureRequest) -> int:
    """How many rows of a statement are logged each by itself."""
    return int(request.param)


@pytest.fixture
def city(shared_database: str, tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    monkeypatch.setattr(log_function, "LOGGED_EACH", most)
    made = City(shared_database, tmp_path)
    load(made.store, spec(), [{**row, "levels": 1} for row in grid(5)])
    made.sql(*PROGRAM)
    yield made
    made.store.close()


def rows(city: City, seq: int | None = None) -> dict[int, tuple[Any, Any]]:
    """(name, levels) of the buildings, now or after a change."""
    read = (city.store if seq is None else city.store.as_of(seq)).rows("buildings")
    return {
        fid: (read.properties["name"][i], read.properties["levels"][i])
        for i, fid in enumerate(read.fids.tolist())
    }


STATEMENTS = {
    "an update": ["UPDATE CITY.buildings SET levels = 2 WHERE fid = 1"],
    "an update of several": ["UPDATE CITY.buildings SET levels = fid WHERE fid < 5"],
    "an insert": [
        "INSERT INTO CITY.buildings (geom, name, levels) SELECT geom, 'new', 4 FROM CITY.buildings"
    ],
    "a depth more": ["UPDATE CITY.buildings SET levels = 20 + (fid - 1) % 2, name = 'deep'"],
    "two depths more": ["UPDATE CITY.buildings SET levels = 20 + fid"],
    "a delete": ["UPDATE CITY.buildings SET levels = 13", "DELETE FROM CITY.buildings WHERE fid IN (1, 3)"],
    "what was no trigger of it": [
        "INSERT INTO CITY.names VALUES (1, 'x'), (2, 'y')",
        "UPDATE CITY.buildings SET levels = 5, name = 'z' WHERE fid < 3",
        "UPDATE CITY.buildings SET levels = 6 WHERE fid = 2",
        "INSERT INTO CITY.names VALUES (2, 'w')",
        "DELETE FROM CITY.buildings WHERE fid = 2",
    ],
}


@pytest.mark.parametrize("statements", STATEMENTS.values(), ids=list(STATEMENTS))
def test_what_triggers_write_again_comes_after(city: City, most: int, statements: list[str]) -> None:
    first, before = city.store.seq(), rows(city)
    city.sql(*statements)
    assert rows(city, first) == before
    told = city.sql("SELECT fid, name, levels, made FROM CITY.told ORDER BY n")
    for fid in {row[0] for row in told}:
        states = [None if made else (name, levels) for f, name, levels, made in told if f == fid]
        untils = [
            until
            for (until,) in city.sql(f"SELECT until FROM CITY.twin_past WHERE fid = {fid} ORDER BY until")
        ]
        assert [rows(city, until - 1).get(fid) for until in untils] == states
    changed = city.store.changes(first)
    if most > 1:
        assert [change.fid for change in changed].count(None) == 0
        assert len(changed) == len(told)


def test_of_a_load(city: City) -> None:
    before, first = rows(city), city.store.seq()
    load(city.store, spec(), [{**row, "levels": 2} for row in grid(6)])
    assert rows(city, first) == before
    assert {levels for _, levels in rows(city).values()} == {3}


def test_of_a_registered_table_with_a_place_beyond_the_world(foreign: Foreign) -> None:  # noqa: F811
    at = "ST_SetSRID(ST_Point({}, 6672000), 3067)"
    foreign.run(
        "CREATE TABLE wells (id int PRIMARY KEY, depth int, geom geometry(Point, 3067));"
        f" INSERT INTO wells SELECT i, i, {at.format('385000 + i')} FROM generate_series(1, 4) i;"
        " CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " UPDATE wells SET depth = NEW.depth + 1 WHERE id = NEW.id; RETURN NULL; END$$;"
        " CREATE TRIGGER b_again AFTER INSERT OR UPDATE ON wells FOR EACH ROW WHEN (NEW.depth % 2 = 0)"
        " EXECUTE FUNCTION again()"
    )
    store = foreign.open("wells")
    first = store.seq()
    foreign.run("UPDATE wells SET depth = 10 WHERE id < 4")
    for fid, x in ((7, "385000"), (8, "1e300")):
        foreign.run(f"INSERT INTO wells VALUES ({fid}, 20, {at.format(x)})")
    states = []
    for seq in range(first, store.seq() + 1):
        rows = store.as_of(seq).rows("wells")
        states.append(dict(zip(rows.fids.tolist(), rows.properties["depth"], strict=True)))
    assert states[0] == {1: 1, 2: 2, 3: 3, 4: 4}
    assert states[3] == {1: 10, 2: 10, 3: 10, 4: 4}
    assert states[6] == {1: 11, 2: 11, 3: 11, 4: 4}
    assert [state.get(7) for state in states[6:9]] == [None, 20, 21]
    told = "SELECT there, old->>'depth' FROM city.twin_past WHERE fid = 8 ORDER BY until"
    assert foreign.run(told) == [(False, None), (True, "20")]
