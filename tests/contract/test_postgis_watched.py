"""Whatever moves what a registered table or view shows moves its ETag, or the layer is refused."""

from __future__ import annotations

import psycopg
import pytest

from layers.errors import Unavailable
from layers.query import Query
from layers.store.base import Store
from layers.store.database import Registered
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
    """The layer's number goes beyond ``before`` within the second that DDL takes to be noticed."""
    until(lambda: store.layer(layer).seq > before, seconds=3, what="the change")


def view(foreign: Foreign, layer: str = "deep") -> Store:
    return foreign.open("wells", deep=Registered("deep", fid="id"), deeper=Registered("deeper", fid="id"))


@pytest.mark.parametrize("layer", ["deep", "deeper"])
def test_another_definition_of_a_view(foreign: Foreign, layer: str) -> None:
    foreign.run(WELLS)
    store = view(foreign)
    assert fids(store, "deeper") == [4, 5]
    before = store.layer(layer).seq
    foreign.run("CREATE OR REPLACE VIEW deep AS SELECT id, name, geom FROM wells WHERE id > 4")
    moves(store, layer, before)
    assert fids(store, layer) == [5]
    assert store.layer(layer).count == 1


def test_a_view_that_reads_another_table_from_now_on(foreign: Foreign) -> None:
    foreign.run(WELLS + "CREATE TABLE names (id int, name varchar(40)); INSERT INTO names VALUES (3, 'x')")
    store = view(foreign)
    before = store.layer("deep").seq
    foreign.run("CREATE OR REPLACE VIEW deep AS SELECT id, n.name, geom FROM wells JOIN names n USING (id)")
    moves(store, "deep", before)
    before = store.layer("deep").seq
    foreign.run("UPDATE names SET name = 'y'")
    assert store.layer("deep").seq > before
    assert one(store, 3, "deep")["properties"]["name"] == "y"


MOVING = {
    "now()": "SELECT id, geom FROM wells WHERE now() > '2020-01-01'",
    "the current time": "SELECT id, geom, CURRENT_DATE AS today FROM wells",
    "random()": "SELECT id, geom, random() AS r FROM wells",
    "of_name()": "SELECT id, geom, of_name(id) AS name FROM wells",
    "bernoulli()": "SELECT id, geom FROM wells TABLESAMPLE BERNOULLI (50)",
    "a system table": "SELECT id, geom FROM wells JOIN pg_class c ON c.relname = 'wells'",
    "reads kept": "SELECT id, geom FROM kept",
    "reads numbers": "SELECT id, geom, last_value FROM wells, numbers",
    "no table": f"SELECT 1 AS id, {point()} AS geom",
}


def test_views_that_no_trigger_can_follow_say_why(foreign: Foreign) -> None:
    foreign.run(
        WELLS + "CREATE FUNCTION of_name(int) RETURNS text STABLE LANGUAGE sql AS"
        " 'SELECT name FROM wells WHERE id = $1'; CREATE MATERIALIZED VIEW kept AS SELECT * FROM wells;"
        " CREATE SEQUENCE numbers"
    )
    reasons = {}
    for number, (reason, select) in enumerate(MOVING.items()):
        foreign.run(f"CREATE VIEW v{number} AS {select}; CREATE VIEW n{number} AS SELECT * FROM v{number}")
        reasons |= {f"v{number}": reason, f"n{number}": reason}
    store = foreign.open(**{name: Registered(name, fid="id") for name in reasons})
    for layer, reason in reasons.items():
        with pytest.raises(Unavailable) as caught:
            store.items(layer, Query())
        assert reason in str(caught.value)
    assert store.layers() == []
    foreign.run("DROP VIEW n0; DROP VIEW v0; CREATE VIEW v0 AS SELECT id, geom FROM wells")
    until(lambda: [layer.id for layer in store.layers()] == ["v0"], seconds=3, what="the view")


def test_functions_that_depend_on_settings_alone_are_followed(foreign: Foreign) -> None:
    foreign.run(
        WELLS + "CREATE VIEW told AS SELECT id, concat(name, to_char(id, '000'), current_user) AS name,"
        " date_trunc('day', timestamptz '2020-01-01')::text AS day, ST_Transform(geom, 3067)"
        "::geometry(Point, 3067) AS geom FROM wells"
    )
    store = foreign.open(told=Registered("told", fid="id"))
    assert one(store, 1, "told")["properties"]["name"] == "well 1 001twin"


def test_another_definition_of_a_function_of_a_view(foreign: Foreign) -> None:
    shout = "CREATE OR REPLACE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT {}';"
    foreign.run(WELLS + shout.format("upper($1)"))
    foreign.run("CREATE VIEW loud AS SELECT id, shout(name) AS name, geom FROM wells")
    store = foreign.open(loud=Registered("loud", fid="id"))
    assert one(store, 1, "loud")["properties"]["name"] == "WELL 1"
    before = store.layer("loud").seq
    foreign.run(shout.format("reverse($1)"))
    moves(store, "loud", before)
    assert one(store, 1, "loud")["properties"]["name"] == "1 llew"


@pytest.mark.parametrize(("column", "reason"), [("1", "not unique"), ("nullif(id, 3)", "null in some rows")])
def test_ids_of_a_view_that_are_none(foreign: Foreign, column: str, reason: str) -> None:
    foreign.run(WELLS + f"CREATE VIEW odd AS SELECT {column} AS no, geom FROM wells")
    store = foreign.open(odd=Registered("odd", fid="no"))
    with pytest.raises(Unavailable, match=f"no is {reason}"):
        store.items("odd", Query())


def test_ids_of_a_view_that_become_ambiguous_while_it_is_served(foreign: Foreign) -> None:
    foreign.run(WELLS + "CREATE TABLE many (id int); INSERT INTO many SELECT generate_series(1, 5);"
                "CREATE VIEW joined AS SELECT id, geom FROM wells JOIN many USING (id)")  # fmt: skip
    store = foreign.open(joined=Registered("joined", fid="id"))
    assert len(fids(store, "joined")) == 5
    foreign.run("INSERT INTO many VALUES (3)")
    for call in (
        lambda: store.items("joined", Query()),
        lambda: store.item("joined", 3),
        lambda: store.rows("joined"),
        lambda: list(store.scan("joined", Query(limit=None))),
    ):
        with pytest.raises(Unavailable, match="not unique"):
            call()
    foreign.run("DELETE FROM many WHERE id = 3")
    assert fids(store, "joined") == [1, 2, 4, 5]


def test_partitions_are_followed_each(foreign: Foreign) -> None:
    foreign.run(PARTED)
    store = foreign.open("parted")
    assert store.layer("parted").count == 10
    since = store.seq()
    foreign.run("UPDATE high SET name = 'x' WHERE id = 110; DELETE FROM low WHERE id = 30")
    foreign.run("UPDATE parted SET id = 120 WHERE id = 10; INSERT INTO parted VALUES (13)")
    changes = [(c.fid, c.old is None, c.new is None) for c in store.changes(since)]
    assert changes == [(110, False, False), (30, False, True), (10, False, True), (120, True, False),
                       (13, True, True)]  # fmt: skip
    assert store.layer("parted").count == 10
    assert one(store, 110, "parted")["properties"]["name"] == "x"
    foreign.run("TRUNCATE high")
    assert (store.layer("parted").count, fids(store, "parted")) == (4, [13, 50, 70, 90])
    foreign.run("TRUNCATE parted")
    assert (store.layer("parted").count, fids(store, "parted")) == (0, [])


def test_partitions_that_come_and_go(foreign: Foreign) -> None:
    foreign.run(PARTED)
    store = foreign.open("parted")
    before = store.layer("parted").seq
    foreign.run("ALTER TABLE parted DETACH PARTITION high")
    moves(store, "parted", before)
    assert (store.layer("parted").count, len(fids(store, "parted"))) == (5, 5)
    before = store.layer("parted").seq
    foreign.run("CREATE TABLE top PARTITION OF parted FOR VALUES FROM (200) TO (300)")
    moves(store, "parted", before)
    since = store.seq()
    foreign.run("INSERT INTO top VALUES (201)")
    assert [c.fid for c in store.changes(since)] == [201]
    assert store.layer("parted").count == 6
    foreign.run("UPDATE high SET name = 'elsewhere'")
    assert [c.fid for c in store.changes(since)] == [201]


def test_heirs_of_a_table_are_followed(foreign: Foreign) -> None:
    foreign.run(
        WELLS
        + f"CREATE TABLE heir (depth int) INHERITS (wells); INSERT INTO heir VALUES (9, 'h', {point()}, 3)"
    )
    store = foreign.open("wells", deep=Registered("deep", fid="id"))
    assert (store.layer("wells").count, fids(store, "deep")) == (6, [3, 4, 5, 9])
    before, viewed = store.revision("wells", 9), store.layer("deep").seq
    foreign.run("UPDATE heir SET name = 'changed'")
    assert store.revision("wells", 9) > before
    assert store.layer("deep").seq > viewed
    foreign.run(f"INSERT INTO heir VALUES (1, 'twice', {point()}, 3)")
    with pytest.raises(Unavailable, match="not unique"):
        store.items("wells", Query())


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


def test_a_partition_without_rights_is_named(foreign: Foreign, postgres: Cluster) -> None:
    foreign.run(PARTED + "CREATE TABLE wells ()")
    url, role = guest(foreign, postgres, "SELECT"), f"guest_{foreign.name}"
    foreign.run(f"GRANT SELECT, TRIGGER ON parted, low TO {role}; GRANT TRIGGER ON high TO {role}")
    store = foreign.open("parted", url=url)
    with pytest.raises(Unavailable, match="triggers on high; grant it TRIGGER and SELECT"):
        store.items("parted", Query())
    foreign.run(f"GRANT SELECT ON high TO {role}")
    until(lambda: store.layers(), seconds=3, what="the rights that were granted")
    foreign.run("TRUNCATE high")
    assert store.layer("parted").count == 5


def test_a_table_without_triggers_is_not_read_whatever_else_changes(
    foreign: Foreign, postgres: Cluster
) -> None:
    foreign.run(WELLS)
    store = foreign.open("wells", url=guest(foreign, postgres, "SELECT"))
    since = store.seq()
    foreign.run("ALTER TABLE wells ADD COLUMN more int")
    until(lambda: store.changes(since), seconds=3, what="the column to be noticed")
    with pytest.raises(Unavailable, match="triggers on wells"):
        store.items("wells", Query())


def test_a_view_whose_tables_lie_where_this_server_may_not_look(foreign: Foreign, postgres: Cluster) -> None:
    foreign.run(WELLS + "CREATE SCHEMA fenced; ALTER TABLE wells SET SCHEMA fenced; CREATE TABLE wells ()")
    url = guest(foreign, postgres, "SELECT")
    foreign.run(f"GRANT SELECT ON deep TO guest_{foreign.name}")
    store = foreign.open(deep=Registered("deep", fid="id"), url=url)
    with pytest.raises(Unavailable, match="may not put its triggers"):
        store.items("deep", Query())
    assert store.layers() == []


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
