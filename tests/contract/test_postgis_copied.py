"""A registered table is followed by triggers; whatever else shows rows is copied, and compared again."""

from __future__ import annotations

import psycopg
import pytest

from layers.errors import NotEditable, Unavailable
from layers.query import Query
from layers.store.base import Store
from layers.store.database import Registered
from layers.types import EDITS
from tests.contract.registering import Foreign, foreign, point
from tests.postgres import Cluster
from tests.storing import features, fids, one
from tests.support import until

__all__ = ["foreign"]  # a fixture

WELLS = f"""
CREATE TABLE wells (id int PRIMARY KEY, name varchar(40), geom geometry(Point, 4326));
INSERT INTO wells SELECT i, 'well ' || i, {point()} FROM generate_series(1, 5) i;
CREATE VIEW deep AS SELECT id, name, geom FROM wells WHERE id > 2;
CREATE VIEW deeper AS SELECT * FROM deep WHERE id > 3;
"""
PARTED = f"""
CREATE TABLE parted (id int PRIMARY KEY, name text, geom geometry(Point, 4326)) PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE high (geom geometry(Point, 4326), name text, id int NOT NULL);
ALTER TABLE parted ATTACH PARTITION high FOR VALUES FROM (100) TO (200);
INSERT INTO parted SELECT i, 'p' || i, {point()} FROM generate_series(10, 190, 20) i;
"""


def moves(store: Store, layer: str, before: int) -> None:
    """The layer's number goes beyond ``before`` within the second that DDL or a copy takes to be noticed."""
    until(lambda: store.layer(layer).seq > before, seconds=4, what="the change")


def soon(table: str, fid: str | None = None) -> Registered:
    """A relation that is read again three times a second."""
    return Registered(table, fid=fid, refresh=0.3)


def compared(foreign: Foreign, layer: str) -> None:
    """Wait until the layer was compared with its relation twice more: the first may have begun before."""
    due = f"SELECT due FROM city.twin_refresh WHERE layer = '{layer}'"
    for _ in range(2):
        (before,) = foreign.run(due)
        until(lambda b=before: foreign.run(due) != [b], seconds=4, what="the next comparison")  # type: ignore[misc]


def view(foreign: Foreign) -> Store:
    return foreign.open("wells", deep=soon("deep", "id"), deeper=soon("deeper", "id"))


def test_each_change_of_what_a_view_shows_is_logged_by_itself(foreign: Foreign) -> None:
    foreign.run(WELLS)
    store = view(foreign)
    assert (fids(store, "deep"), store.layer("deep").count) == ([3, 4, 5], 3)
    assert fids(store, "deep", bbox=(24.9, 59.9, 25.1, 60.1)) == [3, 4, 5]
    since, kept = store.seq(), store.revision("deep", 5)
    foreign.run(f"UPDATE wells SET name = 'x' WHERE id = 4; DELETE FROM wells WHERE id = 3;"
                f"INSERT INTO wells VALUES (9, 'new', {point(26.0)})")  # fmt: skip
    moves(store, "deep", since)
    assert one(store, 4, "deep")["properties"]["name"] == "x"
    assert (fids(store, "deep"), store.layer("deep").count) == ([4, 5, 9], 3)
    logged = {(c.fid, c.old is None, c.new is None) for c in store.changes(since) if c.layer == "deep"}
    assert logged == {(3, False, True), (4, False, False), (9, True, False)}
    assert store.revision("deep", 5) == kept


def test_what_shows_the_same_keeps_its_number(foreign: Foreign) -> None:
    foreign.run(WELLS)
    store = view(foreign)
    before = store.seq()
    compared(foreign, "deep")
    assert store.seq() == before
    again = view(foreign)
    assert (again.seq(), again.epoch) == (before, store.epoch)


def test_a_revision_tells_what_was_read_also_between_two_comparisons(foreign: Foreign) -> None:
    """A change that is undone before it is seen is never shown, so no ETag can stand for it."""
    foreign.run(WELLS)
    store = foreign.open(deep=Registered("deep", fid="id", refresh=3600))
    before = store.item("deep", 4)
    foreign.run("UPDATE wells SET name = 'for a moment'")
    assert store.item("deep", 4) == before
    store.close()
    foreign.run("UPDATE city.twin_refresh SET due = now()")
    again = foreign.open(deep=Registered("deep", fid="id", refresh=3600))  # what is due at the start is read
    after = again.item("deep", 4)
    assert after.revision > before.revision
    assert b"for a moment" in after.body


def test_of_two_processes_one_compares(foreign: Foreign) -> None:
    foreign.run(WELLS)
    first, second = view(foreign), view(foreign)
    since = first.seq()
    foreign.run("UPDATE wells SET name = 'x' WHERE id = 5")
    for store in (first, second):
        moves(store, "deep", since)
        assert one(store, 5, "deep")["properties"]["name"] == "x"
    compared(foreign, "deep")
    assert [c.fid for c in first.changes(since) if c.layer == "deep"] == [5]


CHANGES = {
    "another definition": "CREATE OR REPLACE VIEW deep AS SELECT id, name, geom FROM wells WHERE id > 4",
    "another column": "CREATE OR REPLACE VIEW deep AS SELECT id, name, geom, 1 AS n FROM wells WHERE id > 4",
    "another view": "DROP VIEW deep CASCADE; CREATE VIEW deep AS SELECT id, geom FROM wells WHERE id > 4",
    "another table": "CREATE TABLE fives AS SELECT 5 AS id; CREATE OR REPLACE VIEW deep AS"
    " SELECT id, name, geom FROM wells JOIN fives USING (id)",
    "another function": "CREATE OR REPLACE FUNCTION lowest() RETURNS int STABLE LANGUAGE sql AS 'SELECT 4'",
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_moves_what_a_view_shows_is_seen(foreign: Foreign, change: str) -> None:
    foreign.run(
        "CREATE FUNCTION lowest() RETURNS int STABLE LANGUAGE sql AS 'SELECT 2';"
        + WELLS.replace("id > 2", "id > lowest()")
    )
    store = foreign.open(deep=soon("deep", "id"))
    before = store.layer("deep").seq
    foreign.run(CHANGES[change])
    moves(store, "deep", before)
    until(lambda: fids(store, "deep") == [5], seconds=4, what="what the view shows now")
    assert store.layer("deep").count == 1


SHOWN = {
    "now": "SELECT id, geom, now() AS at FROM wells",
    "chance": "SELECT id, geom, random() AS r FROM wells",
    "system": "SELECT id, geom FROM wells JOIN pg_class c ON c.relname = 'wells'",
    "kept": "SELECT id, geom FROM kept",
    "numbers": "SELECT id, geom, last_value FROM wells, numbers",
    "nothing": f"SELECT i AS id, {point()} AS geom FROM generate_series(1, 5) i",
}


def test_relations_that_no_trigger_could_follow_are_layers(foreign: Foreign) -> None:
    foreign.run(WELLS + "CREATE MATERIALIZED VIEW kept AS SELECT * FROM wells; CREATE SEQUENCE numbers")
    foreign.run(";".join(f"CREATE VIEW v_{name} AS {select}" for name, select in SHOWN.items()))
    tables = {name: soon(f"v_{name}", "id") for name in SHOWN} | {"itself": soon("kept", "id")}
    store = foreign.open(**tables)
    assert {layer.id: (layer.count, layer.edits) for layer in store.layers()} == dict.fromkeys(
        tables, (5, ())
    )
    before = store.layer("chance").seq
    moves(store, "chance", before)
    before = store.layer("itself").seq
    foreign.run("DELETE FROM wells WHERE id = 1; REFRESH MATERIALIZED VIEW kept")
    moves(store, "itself", before)
    assert fids(store, "itself") == [2, 3, 4, 5]


@pytest.mark.parametrize(("column", "reason"), [("1", "not unique"), ("nullif(id, 3)", "null in some rows")])
def test_ids_of_a_view_that_are_none(foreign: Foreign, column: str, reason: str) -> None:
    foreign.run(WELLS + f"CREATE VIEW odd AS SELECT {column} AS no, geom FROM wells")
    store = foreign.open(odd=soon("odd", "no"))
    with pytest.raises(Unavailable, match=f"no is {reason}"):
        store.items("odd", Query())
    foreign.run("DELETE FROM wells WHERE id <> 1")
    until(lambda: store.layers(), seconds=4, what="ids that are some")
    assert fids(store, "odd") == [1]


def test_ids_of_a_view_that_become_ambiguous_while_it_is_served(foreign: Foreign) -> None:
    foreign.run(WELLS + "CREATE TABLE many (id int); INSERT INTO many SELECT generate_series(1, 5);"
                "CREATE VIEW joined AS SELECT id, geom FROM wells JOIN many USING (id)")  # fmt: skip
    store = foreign.open(joined=soon("joined", "id"))
    assert len(fids(store, "joined")) == 5
    since = store.seq()
    foreign.run("INSERT INTO many VALUES (3)")
    until(lambda: store.layers() == [], seconds=4, what="the second of one id")
    for call in (
        lambda: store.items("joined", Query()),
        lambda: store.item("joined", 3),
        lambda: store.rows("joined"),
        lambda: list(store.scan("joined", Query(limit=None))),
    ):
        with pytest.raises(Unavailable, match="not unique"):
            call()
    logged = len(store.changes(since))
    compared(foreign, "joined")
    assert len(store.changes(since)) == logged  # a reason that stays is told once
    foreign.run("DELETE FROM many WHERE id = 3")
    until(lambda: store.layers(), seconds=4, what="ids that are some")
    assert fids(store, "joined") == [1, 2, 4, 5]


def test_partitions_are_one_layer(foreign: Foreign) -> None:
    foreign.run(PARTED)
    store = foreign.open(parted=soon("parted"), high=soon("high", "id"))
    assert [(layer.count, layer.edits) for layer in store.layers()] == [(5, ()), (10, ())]
    since = store.seq()
    foreign.run("UPDATE high SET name = 'x' WHERE id = 110; DELETE FROM low WHERE id = 30")
    moves(store, "parted", since)
    assert {c.fid for c in store.changes(since) if c.layer == "parted"} == {110, 30}
    since = store.seq()
    foreign.run("ALTER TABLE parted DETACH PARTITION high; CREATE TABLE top PARTITION OF parted"
                " FOR VALUES FROM (200) TO (300); INSERT INTO top VALUES (201)")  # fmt: skip
    until(lambda: fids(store, "parted") == [10, 50, 70, 90, 201], seconds=4, what="the other partitions")
    assert store.layer("parted").count == 5


def test_a_table_that_others_inherit_shows_their_rows(foreign: Foreign) -> None:
    foreign.run(
        WELLS
        + f"CREATE TABLE heir (depth int) INHERITS (wells); INSERT INTO heir VALUES (9, 'h', {point()}, 3)"
    )
    store = foreign.open(wells=soon("wells"))
    assert (store.layer("wells").count, fids(store, "wells")) == (6, [1, 2, 3, 4, 5, 9])
    before = store.revision("wells", 9)
    foreign.run("UPDATE heir SET name = 'changed'")
    until(lambda: store.revision("wells", 9) > before, seconds=4, what="the row of the heir")
    foreign.run("DROP TABLE heir")
    until(lambda: store.layer("wells").edits == EDITS,
          seconds=4, what="triggers on a table without heirs")  # fmt: skip
    since = store.seq()
    foreign.run("UPDATE wells SET name = 'at once' WHERE id = 1")
    assert [c.fid for c in store.changes(since)] == [1]


def test_rows_that_make_the_database_fail_do_so_once_for_all(foreign: Foreign) -> None:
    foreign.run(WELLS + "CREATE VIEW ratio AS SELECT id, 10 / (id - 7) AS r, geom FROM wells")
    store = foreign.open(ratio=soon("ratio", "id"))
    assert one(store, 2, "ratio")["properties"]["r"] == -2
    foreign.run(f"INSERT INTO wells VALUES (7, 'x', {point()})")
    until(lambda: store.layers() == [], seconds=4, what="the division by zero")
    with pytest.raises(Unavailable, match="rows make the database fail"):
        store.items("ratio", Query())
    foreign.run("DELETE FROM wells WHERE id = 7")
    until(lambda: store.layers(), seconds=4, what="the view without it")


@pytest.mark.parametrize(
    "hidden",
    [
        "BEGIN; ALTER TABLE wells DISABLE TRIGGER USER; UPDATE wells SET name = 'unseen';"
        " ALTER TABLE wells ENABLE TRIGGER USER; COMMIT",
        "ALTER TABLE wells ALTER COLUMN name TYPE varchar(40) USING upper(name)",
        "SET session_replication_role = replica; UPDATE wells SET name = 'replicated'",
        "COPY wells (id, name) FROM PROGRAM 'echo 9,copied' CSV",
        "BEGIN; ALTER TABLE wells ADD COLUMN more int; UPDATE wells SET more = 1; COMMIT",
        "CREATE TABLE fresh (LIKE wells INCLUDING ALL); DROP TABLE wells; ALTER TABLE fresh RENAME TO wells",
    ],
)
def test_what_is_done_past_the_triggers_is_noticed(foreign: Foreign, hidden: str) -> None:
    foreign.run(WELLS.split("CREATE VIEW", maxsplit=1)[0])
    store = foreign.open("wells")
    shown = features(store, "wells")
    before = store.layer("wells").seq
    foreign.run(hidden)
    moves(store, "wells", before)
    until(lambda: features(store, "wells") != shown, seconds=3, what="the change in what is read")
    assert store.layer("wells").count == len(fids(store, "wells"))


def test_a_label_of_an_enum_that_is_renamed(foreign: Foreign) -> None:
    foreign.run(
        WELLS + "CREATE TYPE state AS ENUM ('open'); ALTER TABLE wells ADD COLUMN state state DEFAULT 'open'"
    )
    store = foreign.open("wells")
    before = store.layer("wells").seq
    foreign.run("ALTER TYPE state RENAME VALUE 'open' TO 'shut'")
    moves(store, "wells", before)
    assert one(store, 1, "wells")["properties"]["state"] == "shut"


def test_a_table_written_anew_as_it_was_keeps_its_count(foreign: Foreign) -> None:
    foreign.run(WELLS)
    store = foreign.open("wells")
    before = store.layer("wells").seq
    foreign.run("VACUUM FULL wells")
    moves(store, "wells", before)
    assert store.layer("wells").count == 5


def guest(foreign: Foreign, postgres: Cluster, rights: str) -> str:
    """The address of a role that owns nothing but the city's schema; what it may do to ``wells``."""
    role = f"guest_{foreign.name}"
    foreign.run(
        f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {foreign.name} TO {role};"
        f"GRANT {rights} ON wells TO {role}"
    )
    return postgres.url(foreign.name, role)


def test_triggers_that_the_owner_enabled_always_stay_so(foreign: Foreign, postgres: Cluster) -> None:
    """A role that does not own the table cannot do it, and its edits under replication would go unseen."""
    foreign.run(WELLS)
    store = foreign.open("wells", url=guest(foreign, postgres, "SELECT, TRIGGER"))
    before = store.layer("wells").seq
    names = foreign.run("SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = 'wells'::regclass")
    foreign.run(";".join(f"ALTER TABLE wells ENABLE ALWAYS TRIGGER {name}" for (name,) in names))
    moves(store, "wells", before)
    before = store.layer("wells").seq
    foreign.run("SET session_replication_role = replica; UPDATE wells SET name = 'replicated' WHERE id = 2")
    assert store.layer("wells").seq > before
    assert one(store, 2, "wells")["properties"]["name"] == "replicated"


def test_a_table_without_the_right_to_triggers_is_copied_until_it_is_granted(
    foreign: Foreign, postgres: Cluster
) -> None:
    foreign.run(WELLS)
    store = foreign.open(url=guest(foreign, postgres, "SELECT"), wells=soon("wells"))
    assert store.layer("wells").edits == ()
    with pytest.raises(NotEditable, match=r"read again every 0\.3 s"):
        store.delete("wells", 1)
    before = store.layer("wells").seq
    foreign.run("UPDATE wells SET name = 'x' WHERE id = 2")
    moves(store, "wells", before)
    assert one(store, 2, "wells")["properties"]["name"] == "x"
    foreign.run(f"GRANT UPDATE, TRIGGER ON wells TO guest_{foreign.name}")
    until(lambda: store.layer("wells").edits == ("update",), seconds=4, what="the right")
    since = store.seq()
    foreign.run("UPDATE wells SET name = 'y' WHERE id = 2")
    assert [c.fid for c in store.changes(since)] == [2]  # in the very next answer


def test_a_table_that_this_server_may_no_longer_read(foreign: Foreign, postgres: Cluster) -> None:
    foreign.run(WELLS)
    store = foreign.open("wells", url=guest(foreign, postgres, "SELECT, TRIGGER"))
    assert len(fids(store, "wells")) == 5
    foreign.run(f"REVOKE SELECT ON wells FROM guest_{foreign.name}")
    for read in (store.rows, lambda layer: store.items(layer, Query())):
        with pytest.raises(Unavailable, match="may not read it; grant it SELECT"):
            read("wells")
    assert store.layers() == []
    foreign.run(f"GRANT SELECT ON wells TO guest_{foreign.name}")
    until(lambda: store.layers(), seconds=4, what="the right")
    since = store.seq()
    foreign.run("DELETE FROM wells WHERE id = 3")
    assert [c.fid for c in store.changes(since)] == [3]


def test_a_view_that_this_server_may_not_read(foreign: Foreign, postgres: Cluster) -> None:
    foreign.run(WELLS)
    store = foreign.open(deep=soon("deep", "id"), url=guest(foreign, postgres, "SELECT"))
    with pytest.raises(Unavailable, match="may not read it; grant it SELECT"):
        store.items("deep", Query())
    store.close()
    foreign.run(f"GRANT SELECT ON deep TO guest_{foreign.name}")
    again = foreign.open(deep=soon("deep", "id"), url=postgres.url(foreign.name, f"guest_{foreign.name}"))
    assert fids(again, "deep") == [3, 4, 5]


def test_a_dropped_table_takes_no_other_layer_with_it(foreign: Foreign) -> None:
    foreign.run(WELLS + "CREATE TABLE gone (id int PRIMARY KEY, geom geometry(Point, 4326))")
    store = foreign.open("wells", "gone")
    assert [layer.id for layer in store.layers()] == ["gone", "wells"]
    foreign.run("DROP TABLE gone")
    until(lambda: [layer.id for layer in store.layers()] == ["wells"], seconds=3, what="the table to be gone")
    with pytest.raises(Unavailable, match="not there"):
        store.items("gone", Query())


def test_a_schema_that_is_gone_with_a_role_that_reads(foreign: Foreign, postgres: Cluster) -> None:
    """As after the city's schema alone was restored from its dump."""
    from layers.store.database import Database
    from layers.store.open import open_store

    foreign.run(WELLS + "CREATE SCHEMA gis; ALTER TABLE wells SET SCHEMA gis; CREATE ROLE guest_reader LOGIN")
    foreign.open(wells=Registered("gis.wells")).close()
    foreign.run("DROP SCHEMA gis CASCADE")
    database = Database(
        foreign.url,
        read_url=postgres.url(foreign.name, "guest_reader"),
        tables={"wells": Registered("gis.wells")},
    )
    store = open_store(foreign.folder, database)
    try:
        with pytest.raises(Unavailable, match="not there"):
            store.items("wells", Query())
        assert store.layers() == []
    finally:
        store.close()
        foreign.run("DROP OWNED BY guest_reader")
        with psycopg.connect(foreign.url, autocommit=True) as con:
            con.execute("DROP ROLE guest_reader")
