"""The chain of a city's audit: what is sealed, and that whatever is done to it, to change sets or to rows by
another program is found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
import shapely

from layers.audit import chain, hashes, verify
from layers.audit.sealing import Sealer, every
from layers.batch import MESH
from layers.model import Asset, Author, Link, Operation
from layers.query import Query
from layers.store import geopackage, postgis
from layers.store.base import FormSpec, Store
from layers.store.database import Database
from tests.histories.foreign import Hand, SqliteHand
from tests.storing import batch, fids, grid, load, row, spec, square, tetrahedron

ANNA = Author(actor="安娜", message="核对", address="203.0.113.9")


def entries(store: Store) -> list[dict[str, Any]]:
    return [json.loads(link.entry) for link in every(store.audit)]


def kinds(store: Store) -> list[str]:
    return [entry["kind"] for entry in entries(store)]


@pytest.fixture
def sealer(store: Store) -> Sealer:
    made = Sealer(store, "sha256", 180)
    made.seal()
    return made


def test_what_is_done_is_sealed_in_order_with_who_where_and_why(store: Store, sealer: Sealer) -> None:
    load(store, spec(), grid(3))
    store.patch("buildings", 1, {"properties": {"name": "hall"}}, by=ANNA)
    sealer.tell("request", actor="李雷", result="refused", status=403)
    store.delete("buildings", 2, by=ANNA)
    assert sealer.seal() == 4
    assert sealer.seal() == 0
    begin, loaded, patched, *rest = entries(store)
    assert (begin["kind"], begin["set"], begin["n"], begin["prev"]) == ("begin", 0, 1, "")
    assert (loaded["set"], loaded["layers"], loaded["features"]) == (1, ["buildings"], 3)
    told = [patched[name] for name in ("set", "actor", "message", "address", "via", "layer", "features")]
    assert told == [2, "安娜", "核对", "203.0.113.9", "api", "buildings", 1]
    assert sorted(entry["kind"] for entry in rest) == ["change", "request"]
    verdict = verify.city(store)
    assert (verdict.fault, verdict.entries, verdict.changes, verdict.compared) == (None, 5, 3, 3)
    assert (verdict.not_kept, verdict.unsealed) == (0, 0)
    lines = [chain.line(link) for link in every(store.audit)]
    alone = verify.lines(lines)
    assert (alone.fault, alone.entries, alone.hash) == (None, 5, verdict.hash)
    assert verify.lines(lines, store).fault is None


def test_every_kind_of_change_is_the_same_when_it_is_looked_at_again(store: Store, sealer: Sealer) -> None:
    rows = [*grid(5), row("digits", square(25.1234567890123, 61))]
    rows[0][MESH] = tetrahedron(25, 60).to_bytes()
    load(store, spec(), rows)
    load(store, spec("sheds"), grid(2))
    new = {"type": "Feature", "properties": {"name": "new"}, "geometry": None}
    store.transact(
        [
            Operation(kind="create", layer="sheds", body=new),
            Operation(kind="patch", layer="buildings", fid=1, body={"properties": {"levels": None}}),
            Operation(kind="delete", layer="buildings", fid=2),
        ],
        ANNA,
    )
    sealer.seal()
    load(store, spec(), [*grid(3, height_m=7.5), row("more", square(26, 60))])
    load(store, spec(), [*grid(3, height_m=7.5), row("more", square(26, 60))])  # nothing changed
    store.record(FormSpec("relief", "coverage", "raster", {"en": "Relief"}, "EPSG:3879"), ANNA)
    sealer.seal()
    store.drop("sheds", Author(via="drop"))
    load(store, spec("sheds"), grid(1))
    store.patch("sheds", fids(store, "sheds")[0], {"properties": {"name": "later"}})
    sealer.seal()
    verdict = verify.city(store)
    assert verdict.fault is None
    assert verdict.compared == verdict.changes == len(store.change_sets()) == 8
    assert [e["features"] for e in entries(store) if e["kind"] == "change"] == [6, 2, 3, 7, 0, 3, 1, 1]
    for one in store.change_sets():
        past = store.as_of(one.last)
        for layer in past.feature_layers():
            every_one = past.select(layer.id, Query(limit=100)).rows
            some = past.chosen(layer.id, [*every_one.fids.tolist()[::2], 99])
            assert some.fids.tolist() == every_one.fids.tolist()[::2]
            assert list(some.wkb) == list(every_one.wkb)[::2]
            assert some.properties == {name: values[::2] for name, values in every_one.properties.items()}
            bodies = past.rows(layer.id, some.fids.tolist(), meshes=True).meshes
            assert {fid: m.to_bytes() for fid, m in some.meshes.items()} == {
                fid: m.to_bytes() for fid, m in bodies.items()
            }


def test_what_is_said_of_a_layer_without_features_stays_what_it_was(store: Store, sealer: Sealer) -> None:
    record = FormSpec(
        "relief",
        "coverage",
        "raster",
        {"en": "Relief"},
        "EPSG:3879",
        extent=(25.0, 60.0, 26.0, 61.5),
        assets=(Asset(href="rasters/1.tif", media_type="image/tiff"),),
    )
    store.record(record, ANNA)
    sealer.seal()
    (made,) = (entry for entry in entries(store) if entry["kind"] == "change")
    told = {
        "id": "relief",
        "kind": "raster",
        "title": {"en": "Relief"},
        "form": "coverage",
        "extent": [25.0, 60.0, 26.0, 61.5],
        "crs": "EPSG:3879",
        "vertical_datum": "",
        "generation": 1,
        "seq": 1,
        "assets": [{"href": "rasters/1.tif", "media_type": "image/tiff", "time": None}],
    }
    line = orjson.dumps(["relief", None, None, told], option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    assert made["digest"] == f"sha256:{hashlib.sha256(line).hexdigest()}"
    store.record(replace(record, title={"en": "Other"}), ANNA)
    sealer.seal()
    assert verify.city(store).fault is None


@pytest.fixture
def city(store: Store, sealer: Sealer) -> Store:
    """Entries 1 to 6: the begin, a load, three edits, a refusal."""
    rows = grid(4)
    rows[1][MESH] = tetrahedron(25, 60).to_bytes()
    load(store, spec(), rows)
    for number in (1, 2, 1):
        store.patch("buildings", number, {"properties": {"name": f"hall {number}"}}, by=ANNA)
    sealer.tell("request", actor="李雷", result="refused", status=403)
    sealer.seal()
    assert verify.city(store).fault is None
    return store


def found(store: Store) -> tuple[int, str]:
    fault = verify.city(store).fault
    assert fault is not None
    return fault.n, fault.why


def run(hand: Hand, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """A statement of another program, in a transaction of its own."""
    with hand.transaction():
        return hand.run(sql, values)


def unguarded(hand: Hand) -> None:
    """Take away what refuses to change the chain."""
    if isinstance(hand, SqliteHand):
        run(hand, "DROP TRIGGER twin_audit_changed")
        run(hand, "DROP TRIGGER twin_audit_removed")
    else:
        run(hand, f"DROP TRIGGER twin_audit_kept ON {hand.table('twin_audit')}")


@pytest.mark.parametrize("sql", ["UPDATE {} SET hash = 'x' WHERE n = 3", "DELETE FROM {} WHERE n = 6"])
def test_another_program_is_refused_to_change_the_chain(city: Store, hand: Hand, sql: str) -> None:
    with pytest.raises((sqlite3.Error, psycopg.Error), match="only appended to"):
        run(hand, sql.format(hand.table("twin_audit")))
    assert verify.city(city).fault is None


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("UPDATE {} SET entry = replace(entry, 'hall', 'town') WHERE n = 2", None),
        ("UPDATE {} SET entry = replace(entry, '203.0', '204.0') WHERE n = 3", (3, "was changed")),
        ("UPDATE {} SET entry = replace(entry, '核对', 'x') WHERE n = 4", (4, "was changed")),
        ("UPDATE {} SET hash = replace(hash, 'sha256', 'md5') WHERE n = 4", (4, "no known algorithm")),
        ("UPDATE {} SET hash = hash || '0' WHERE n = 4", (4, "was changed")),
        ("UPDATE {} SET entry = 'x' WHERE n = 4", (4, "is no JSON")),
        ("UPDATE {} SET change = NULL WHERE n = 4", (4, "of another change set")),
        ("DELETE FROM {} WHERE n = 4", (5, "follows on entry 3")),
        ("DELETE FROM {} WHERE n < 3", (3, "no entry says")),
    ],
)
def test_a_chain_that_was_changed_is_found(
    city: Store, hand: Hand, sql: str, fault: tuple[int, str] | None
) -> None:
    unguarded(hand)
    run(hand, sql.format(hand.table("twin_audit")))
    if fault is None:
        assert verify.city(city).fault is None
        return
    number, why = found(city)
    assert number == fault[0]
    assert fault[1] in why


def test_an_entry_made_anew_breaks_the_next(city: Store, hand: Hand) -> None:
    """Even with its right hash: so does one that is put in."""
    link = city.audit.links(3, 1)[0]
    entry = json.loads(link.entry) | {"actor": "nobody"}
    text = chain.canonical(entry)
    unguarded(hand)
    table = hand.table("twin_audit")
    values = [text, hashes.digest("sha256", text.encode())]
    run(hand, f"UPDATE {table} SET entry = ?, hash = ? WHERE n = 4", values)
    # the facts of the set are what is wrong first
    assert found(city) == (4, "seals change set 3 with another actor: 'nobody', now '安娜'")
    run(hand, f"UPDATE {hand.table('twin_sets')} SET actor = 'nobody' WHERE id = 3")
    assert found(city) == (5, "does not hold the hash of the one before")


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("UPDATE {} SET actor = '李雷' WHERE id = 3", (4, "another actor: '安娜', now '李雷'")),
        ("UPDATE {} SET message = '' WHERE id = 2", (3, "another message")),
        ("UPDATE {} SET address = '127.0.0.1' WHERE id = 2", (3, "another address")),
        ("DELETE FROM {} WHERE id = 2", (3, "change set 2, which is gone")),
        ("DELETE FROM {} WHERE id = 4", (5, "change set 4")),
    ],
)
def test_a_change_set_that_was_changed_is_found(
    city: Store, hand: Hand, sql: str, fault: tuple[int, str]
) -> None:
    run(hand, sql.format(hand.table("twin_sets")))
    number, why = found(city)
    assert number == fault[0]
    assert fault[1] in why


def test_an_old_row_that_was_changed_is_found(city: Store, hand: Hand) -> None:
    past = hand.table("twin_past_buildings")
    if isinstance(hand, SqliteHand):
        run(hand, f"UPDATE {past} SET \"name@1\" = 'never' WHERE fid = 2 AND there")
    else:
        run(
            hand,
            f"UPDATE {past} SET old = replace(old::text, 'house 1', 'never')::json WHERE fid = 2 AND there",
        )
    number, why = found(city)
    assert number == 2  # what the load made
    assert "the rows are no longer what it made" in why


def test_a_present_row_that_was_changed_past_the_triggers_is_found(
    city: Store, hand: Hand, database: Database | None, tmp_path: Path
) -> None:
    """By who only reads the city: a server that runs on PostGIS sees within a second that its triggers were
    off, and tells a gap instead, of before which nothing is compared."""
    city.close()
    with past_the_triggers(hand):
        hand.run(f"UPDATE {hand.table('buildings')} SET name = 'hall 3' WHERE fid = 2")
    if database is None:
        reader: Store = geopackage.open(tmp_path / "city.gpkg", read_only=True)
    else:
        reader = postgis.open(database, read_only=True)
    with closing(reader):
        number, why = found(reader)
    assert number == 4  # the last that changed it
    assert "the rows are no longer what it made" in why


@pytest.mark.parametrize("database", ["postgis"], indirect=True)
def test_triggers_that_were_off_are_told_as_a_gap_by_a_server_that_runs(
    city: Store, hand: Hand, sealer: Sealer
) -> None:
    seq = city.seq()
    with past_the_triggers(hand):
        hand.run(f"UPDATE {hand.table('buildings')} SET name = 'hall 3' WHERE fid = 2")
    assert city.wait(seq, 20) > seq
    assert sealer.seal() == 1
    assert entries(city)[-1]["via"] == "repair"
    verdict = verify.city(city)
    assert (verdict.fault, verdict.not_kept) == (None, 5)


def test_a_body_that_was_changed_is_found(city: Store, hand: Hand) -> None:
    body = tetrahedron(25, 60, 11).to_bytes()
    run(hand, f"UPDATE {hand.table('twin_mesh_buildings')} SET body = ? WHERE fid = 2", [body])
    # in PostGIS no trigger tells the old rows, which have it from the present one, of its end
    assert found(city)[0] == (4 if isinstance(hand, SqliteHand) else 2)


@contextmanager
def past_the_triggers(hand: Hand) -> Iterator[None]:
    """What is done inside fires none of a layer's triggers, which are there again afterwards."""
    table = hand.table("buildings")
    with hand.transaction():
        if isinstance(hand, SqliteHand):
            sql = "SELECT name, sql FROM sqlite_master WHERE type='trigger' AND tbl_name='buildings'"
            off, on = "DROP TRIGGER {}", "{}"
        else:
            sql = f"SELECT tgname, tgname FROM pg_trigger WHERE tgrelid = '{table}'::regclass"
            off = f"ALTER TABLE {table} DISABLE TRIGGER {{}}"
            on = f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {{}}"
        triggers = hand.run(sql)
        for name, _ in triggers:
            hand.run(off.format(f'"{name}"'))
        yield
        for _, text in triggers:
            hand.run(on.format(text))


def test_what_another_program_did_is_sealed_too(city: Store, hand: Hand, sealer: Sealer) -> None:
    run(hand, f"UPDATE {hand.table('buildings')} SET name = 'by hand' WHERE fid = 3")
    assert sealer.seal() == 1
    entry = entries(city)[-1]
    assert (entry["via"], entry["layers"], entry["features"]) == ("other", ["buildings"], 1)
    assert verify.city(city).fault is None


def test_a_row_of_the_log_that_is_of_no_layer_stops_nothing(city: Store, hand: Hand, sealer: Sealer) -> None:
    said = f"INSERT INTO {hand.table('twin_changes')} (layer, fid) VALUES ('nosuch', 1)"
    if not isinstance(hand, SqliteHand):
        with pytest.raises(psycopg.errors.NotNullViolation):  # numbers are given by the triggers alone
            run(hand, said)
        return
    run(hand, said)
    city.delete("buildings", 1)
    assert sealer.seal() == 2
    one, other = entries(city)[-2:]
    assert (one["layers"], one["features"], one["digest"]) == (["nosuch"], None, None)
    assert (other["layers"], other["features"]) == (["buildings"], 1)
    assert verify.city(city).fault is None


def test_what_takes_long_is_left_when_it_is_enough(city: Store, sealer: Sealer) -> None:
    """What was told is sealed, and the change set is the next time."""
    city.delete("buildings", 1)
    sealer.tell("server", action="stopped")
    assert sealer.seal(lambda: True) == 1
    assert kinds(city)[-1] == "server"
    assert sealer.seal() == 1
    assert kinds(city)[-1] == "change"
    assert verify.city(city).fault is None


def test_another_copy_is_told_once_however_many_seal(
    store: Store, opener: Callable[[], Store], hand: Hand, sealer: Sealer
) -> None:
    """Each of two servers held the history of before."""
    load(store, spec(), grid(3))
    beside = opener()
    both = ((store, sealer), (beside, Sealer(beside, "sha256", 180)))
    for number, (one, own) in enumerate(both):
        one.patch("buildings", 1, {"properties": {"name": f"before {number}"}})
        assert own.seal() > 0
    was = store.epoch
    if isinstance(hand, SqliteHand):
        run(hand, "UPDATE twin_meta SET value = '0123456789ab' WHERE key = 'epoch'")
    else:
        renewed = "epoch = '0123456789ab', former = concat_ws(' ', epoch, former), stamp = stamp + 1"
        run(hand, f"UPDATE {hand.table('twin_meta')} SET {renewed}")
    for number in range(2):
        for one, own in both:
            one.patch("buildings", 2, {"properties": {"name": f"after {number}"}})
            own.tell("request", actor="李雷", result="refused", status=403)
            assert own.seal() > 0
    told = [(entry["was"], entry["epoch"]) for entry in entries(store) if entry["kind"] == "restored"]
    assert told == [(was, "0123456789ab")]
    assert verify.city(store).fault is None


def test_what_is_not_sealed_yet_is_told(city: Store, sealer: Sealer) -> None:
    city.delete("buildings", 1)
    assert (verify.city(city).fault, verify.city(city).unsealed) == (None, 1)
    Sealer(city, "sm3", 180).seal()  # another process, after the first was killed
    verdict = verify.city(city)
    assert (verdict.fault, verdict.unsealed, verdict.compared) == (None, 0, 5)
    assert verdict.hash.startswith("sm3:")
    assert sealer.seal() == 0


def test_several_processes_make_one_chain(city: Store, opener: Callable[[], Store]) -> None:
    others = [city, *(opener() for _ in range(3))]
    sealers = [Sealer(one, "sha256", 180) for one in others]
    for number in range(20):
        city.patch("buildings", 1, {"properties": {"name": f"again {number}"}})
    for number, one in enumerate(sealers):
        for event in range(150):
            one.tell("request", status=403, number=number, event=event)
    threads = [threading.Thread(target=one.seal) for one in sealers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(one.waiting for one in sealers)
    verdict = verify.city(city)
    assert (verdict.fault, verdict.unsealed, verdict.entries) == (None, 0, 6 + 20 + 600)
    told = [(e["number"], e["event"]) for e in entries(city) if "event" in e]
    assert sorted(told) == [(number, event) for number in range(4) for event in range(150)]


def test_old_entries_go_and_the_chain_stays_proven(city: Store, hand: Hand) -> None:
    before = [chain.line(link) for link in every(city.audit)]
    sealer = Sealer(city, "sha256", 180)
    assert sealer.prune() == 0
    sealer = Sealer(city, "sha256", -2)  # as if it were long ago
    assert sealer.prune() == 4  # entry 5 seals the newest change set
    assert [entry["n"] for entry in entries(city)] == [5, 6, 7]
    assert entries(city)[-1]["through"] == 4
    verdict = verify.city(city)
    assert (verdict.fault, verdict.first, verdict.last) == (None, 5, 7)
    city.delete("buildings", 1)
    sealer.seal()
    assert verify.city(city).fault is None
    assert verify.lines([*before, *(chain.line(link) for link in every(city.audit, 6))], city).fault is None
    unguarded(hand)
    run(hand, f"DELETE FROM {hand.table('twin_audit')} WHERE n < 6")
    assert found(city) == (6, "is the first; no entry says that those before were cut off")


def test_a_history_that_is_no_longer_kept_is_not_compared(city: Store, hand: Hand) -> None:
    column = hand.column("height_m")
    run(hand, f"ALTER TABLE {hand.table('buildings')} DROP COLUMN {column}")  # values go: a gap
    city.seq()
    verdict = verify.city(city)
    assert verdict.fault is None
    assert (verdict.compared, verdict.not_kept) == (0, 4)


def _made(entry: dict[str, Any]) -> str:
    """A line whose hash is true."""
    text = chain.canonical(entry)
    return chain.line(Link(entry["n"], text, hashes.digest("sha256", text.encode()), None))


def test_lines_that_were_changed_are_found(city: Store) -> None:
    lines = [chain.line(link) for link in every(city.audit)]
    wrong: list[tuple[list[str], int, str]] = [
        ([lines[0], *lines[2:]], 3, "follows on entry 1"),
        ([*lines[:3], lines[3].replace("api", "load"), *lines[4:]], 4, "was changed"),
        ([*lines[:3], "{\n", *lines[4:]], 4, "cannot be read (line 4)"),
        ([*lines[:3], "[]", *lines[4:]], 4, "not a JSON object"),
        ([*lines[:2], lines[3], lines[2], *lines[4:]], 4, "follows on entry 2"),
        ([*lines, lines[5]], 6, "follows on entry 6"),
        ([*lines[:3], lines[3].replace("核对", "\\ud800"), *lines[4:]], 4, "that no entry has"),
        ([*lines[:3], lines[3].replace('"features":1', f'"features":{2**70}'), *lines[4:]], 4, "that no"),
        ([lines[0].replace('"prev":"",', ""), *lines[1:]], 1, "does not hold the hash"),
        ([lines[1].replace('"prev"', '"prov"'), *lines[2:]], 2, "was changed"),
        ([_made({"kind": "cut", "n": 2, "prev": "x", "through": []})], 2, "lacks"),
        ([_made({"kind": "request", "n": 2})], 2, "lacks"),
        ([_made({"kind": "request", "n": 2**60, "prev": "x"})], 1, "a number"),
    ]
    for text, number, why in wrong:
        fault = verify.lines(text).fault
        assert fault is not None
        assert fault.n == number
        assert why in fault.why
    part = verify.lines(lines[2:])
    assert (part.fault, part.first, part.before) == (None, 3, city.audit.links(1, 1)[0].hash)
    again = [json.dumps(json.loads(one), indent=None, ensure_ascii=True) for one in lines]
    assert verify.lines(again).fault is None  # another program may write it otherwise


def test_a_chain_made_anew_is_found_by_what_was_exported(city: Store, hand: Hand) -> None:
    """Who may write all may make a chain that is true in itself: the copy elsewhere tells."""
    lines = [chain.line(link) for link in every(city.audit)]
    links = list(every(city.audit))
    bodies = [json.loads(link.entry) for link in links]
    bodies[5]["actor"] = "nobody"
    made = chain.chained(None, bodies, "sha256")
    unguarded(hand)
    for link in made:
        values = [link.entry, link.hash, link.n]
        run(hand, f"UPDATE {hand.table('twin_audit')} SET entry = ?, hash = ? WHERE n = ?", values)
    assert verify.city(city).fault is None
    fault = verify.lines(lines, city).fault
    assert fault is not None
    assert (fault.n, fault.why) == (6, "is another one in the city")


def loaded(store: Store, layer: str) -> None:
    stage = store.stage(spec(layer))
    stage.add(batch(grid(2)))
    store.publish(stage, by=Author(via="load"))


def test_a_load_is_left_to_who_made_it_for_a_while(city: Store) -> None:
    server, verb = Sealer(city, "sha256", 180, patience=60), Sealer(city, "sha256", 180)
    city.delete("buildings", 1)
    loaded(city, "sheds")
    city.delete("buildings", 2)
    assert server.seal() == 1
    assert server.waiting
    assert verb.seal() == 2
    assert server.seal() == 0
    assert not server.waiting
    loaded(city, "more")
    time.sleep(0.02)
    assert Sealer(city, "sha256", 180, patience=0.01).seal() == 1  # who made it was killed
    assert verify.city(city).fault is None


def test_a_body_that_goes_with_its_geometry(city: Store, hand: Hand, sealer: Sealer) -> None:
    """Whoever moves a feature: its body is gone with the same change, and stays so."""
    with hand.transaction():
        hand.move("buildings", 2, shapely.to_wkb(square(25.5, 60)))
    sealer.seal()
    city.seq()
    city.patch("buildings", 2, {"properties": {"name": "after"}})
    sealer.seal()
    verdict = verify.city(city)
    assert (verdict.fault, verdict.compared) == (None, 6)
