"""Observations on disk: order, redelivery, the latest value, rollback."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import ReadOnly, Unavailable
from layers.observations import series
from layers.observations.livefile import LiveFile
from layers.observations.series import ALWAYS, LATE, Observation, Series


def fill(file, kept, rows, now=ALWAYS):
    conn = file.writer()
    conn.execute("BEGIN IMMEDIATE")
    done = kept.append(conn, rows, now)
    conn.execute("COMMIT")
    kept.committed()
    return done


@pytest.fixture
def file(tmp_path):
    file = LiveFile(tmp_path)
    yield file
    file.close()


@pytest.fixture
def kept(file):
    return Series(file.writer())


def stored(file, datastream=1):
    with file.reading() as conn:
        return series.window(conn, datastream, -(2**62), 2**62)


def test_what_was_appended_is_read_in_time_order(file, kept):
    fill(file, kept, [Observation(1, t, t / 10) for t in (30, 10, 20)])
    assert stored(file) == [(10, 1.0), (20, 2.0), (30, 3.0)]
    with file.reading() as conn:
        assert series.window(conn, 1, 10, 20) == [(10, 1.0)]


def test_an_identical_redelivery_is_kept_once_and_gets_the_same_id(file, kept):
    rows = [Observation(1, 10, 1.0), Observation(1, 20, 2.0)]
    first = fill(file, kept, rows).ids
    assert fill(file, kept, rows).ids == first
    assert fill(file, kept, [rows[1], rows[1]]).ids == [first[1], first[1]]
    assert len(stored(file)) == 2
    assert kept.latest[1].count == 2


def test_another_value_at_the_same_time_is_another_observation(file, kept):
    fill(file, kept, [Observation(1, 10, 1.0)])
    fill(file, kept, [Observation(1, 10, 5.0), Observation(1, 10, 6.0)])
    assert stored(file) == [(10, 1.0), (10, 5.0), (10, 6.0)]
    assert kept.latest[1].number == 6.0


def test_a_late_value_never_moves_the_latest_back(file, kept):
    fill(file, kept, [Observation(1, 100, 1.0)])
    done = fill(file, kept, [Observation(1, 50, 9.0)])
    assert done.moved == {}
    last = kept.latest[1]
    assert (last.time, last.number, last.first, last.count) == (100, 1.0, 50, 2)


def test_rules_are_stepped_in_time_order_and_not_by_late_values(file):
    seen = []

    def step(datastream, value, raised):
        seen.append(value)
        return 1 if value > 5 else 0

    kept = Series(file.writer(), step)
    fill(file, kept, [Observation(1, 10, 1.0), Observation(1, 20, 9.0), Observation(1, 15, 2.0)])
    assert seen == [1.0, 9.0]
    assert (kept.latest[1].raised, kept.latest[1].since) == (1, 20)


def test_the_state_comes_back_after_a_restart(file):
    kept = Series(file.writer(), lambda ds, value, raised: 3)
    fill(file, kept, [Observation(1, 10, 1.0), Observation(2, 11, None, '"on"')])
    again = Series(file.writer())
    assert again.latest == kept.latest
    assert fill(file, again, [Observation(1, 12, 2.0)]).ids == [3]


def test_a_rollback_forgets_values_state_and_ids(file, kept):
    fill(file, kept, [Observation(1, 10, 1.0)])
    before = dict(kept.latest)
    conn = file.writer()
    conn.execute("BEGIN IMMEDIATE")
    kept.append(conn, [Observation(1, 20, 2.0), Observation(2, 5, 2.0)])
    conn.execute("ROLLBACK")
    kept.rolled_back()
    assert kept.latest == before
    assert fill(file, kept, [Observation(1, 20, 2.0)]).ids == [2]


def test_a_day_of_one_stream_is_one_range_of_the_key(file):
    with file.reading() as conn:
        plan = conn.execute(
            "EXPLAIN QUERY PLAN SELECT t, num FROM observation WHERE ds=? AND t>=? AND t<? ORDER BY t, n",
            (1, 0, 1),
        ).fetchall()
    assert [row[3] for row in plan] == ["SEARCH observation USING PRIMARY KEY (ds=? AND t>? AND t<?)"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 8), st.integers(0, 3)), max_size=40), st.data())
def test_any_delivery_order_and_batching_keeps_each_distinct_observation_once(tmp_path_factory, sent, data):
    file = LiveFile(tmp_path_factory.mktemp("live"))
    kept = Series(file.writer())
    rest = list(sent)
    ids = []
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        ids += fill(file, kept, [Observation(*row) for row in rest[:size]]).ids
        rest = rest[size:]
    by_row = {}
    for row, id_ in zip(sent, ids, strict=True):
        assert by_row.setdefault(row, id_) == id_
    assert len(set(by_row.values())) == len(by_row)
    for datastream in {row[0] for row in sent}:
        times = [row[1] for row in by_row if row[0] == datastream]
        assert (kept.latest[datastream].time, kept.latest[datastream].count) == (max(times), len(times))
        assert [t for t, _ in stored(file, datastream)] == sorted(times)
    file.close()


def test_the_file_is_a_geopackage_with_its_incidents_as_a_layer(file, tmp_path):
    conn = sqlite3.connect(tmp_path / "live.gpkg")
    assert conn.execute("PRAGMA application_id").fetchone()[0] == 0x47504B47
    assert conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert conn.execute("SELECT table_name FROM gpkg_geometry_columns").fetchall() == [("incident",)]
    assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    conn.close()
    assert file.writer().execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_long_query_is_ended(file, monkeypatch):
    monkeypatch.setattr("layers.observations.livefile.READ_SECONDS", 0.05)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(Unavailable, match="took longer"), file.reading() as conn:
        conn.execute(endless).fetchone()


def test_a_folder_that_cannot_be_written_is_served_for_reading(tmp_path, monkeypatch):
    first = LiveFile(tmp_path)
    fill(first, Series(first.writer()), [Observation(1, 10, 1.0)])
    first.close()
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr("layers.observations.livefile.os.access", lambda *_: False)
    again = LiveFile(tmp_path)
    assert again.read_only
    assert stored(again) == [(10, 1.0)]
    with pytest.raises(ReadOnly):
        again.writer()
    again.close()
    none = LiveFile(empty)
    assert stored(none) == []
    none.close()
    assert list(empty.iterdir()) == []


def test_a_value_of_a_time_to_come_is_kept_and_becomes_the_newest_when_it_is_due(file):
    """A calm value dated ahead moves nothing and silences no rule; the file remembers it."""
    seen = []

    def step(datastream, value, raised):
        seen.append(value)
        return int(value > 5)

    kept = Series(file.writer(), step)
    fill(file, kept, [Observation(1, 10, 1.0), Observation(1, 290, 0.0), Observation(2, 300, 7.0)], now=20)
    assert (kept.latest[1].time, kept.latest[1].count, kept.latest[2].id) == (10, 2, 0)
    done = fill(file, kept, [Observation(1, 15, 9999.0)], now=20)
    assert (done.moved[1].number, done.moved[1].raised, done.late) == (9999.0, 1, frozenset())
    assert fill(file, kept, [Observation(1, 290, 0.0)], now=20).ids == [2], "a redelivery is known"
    assert not kept.due(289)
    for series_ in (kept, Series(file.writer(), step)):
        assert series_.due(290)
        conn = file.writer()
        conn.execute("BEGIN IMMEDIATE")
        moved = series_.fall_due(conn, 290)
        assert (moved[1].time, moved[1].number, moved[1].raised, moved[1].count) == (290, 0.0, 0, 3)
        conn.execute("ROLLBACK")
        series_.rolled_back()
        assert series_.due(290), "what was rolled back is due again"
    conn.execute("BEGIN IMMEDIATE")
    assert set(kept.fall_due(conn, 300)) == {1, 2}
    conn.execute("COMMIT")
    kept.committed()
    assert (kept.latest[2].number, kept.latest[2].count) == (7.0, 1)
    assert not kept.due(10**9)
    assert seen == [1.0, 9999.0, 0.0, 0.0, 0.0, 7.0]


def test_a_clock_that_was_ahead_leaves_no_newest_value_of_a_time_to_come(file):
    kept = Series(file.writer(), lambda ds, value, raised: int(value > 5))
    fill(file, kept, [Observation(1, 10, 9.0), Observation(1, 7200, 1.0), Observation(2, 7300, 1.0)])
    assert kept.ahead_of(20)
    conn = file.writer()
    conn.execute("BEGIN IMMEDIATE")
    moved = kept.set_back(conn, 20)
    conn.execute("COMMIT")
    kept.committed()
    assert (moved[1].time, moved[1].number, moved[1].raised, moved[1].count) == (10, 9.0, 1, 2)
    assert moved[2].id == 0
    assert not kept.ahead_of(20)
    assert kept.due(7200)
    assert fill(file, kept, [Observation(1, 30, 3.0)], now=40).moved[1].number == 3.0


def test_what_comes_late_bears_a_mark_and_is_known_when_it_comes_again(file):
    kept = Series(file.writer())
    fill(file, kept, [Observation(1, 100, 1.0), Observation(1, 100, 2.0)])
    done = fill(file, kept, [Observation(1, 50, 3.0), Observation(1, 50, 4.0)])
    assert done.late == set(done.ids)
    assert fill(file, kept, [Observation(1, 50, 3.0), Observation(1, 50, 4.0)]).ids == done.ids
    with file.reading() as conn:
        rows = conn.execute(
            "SELECT num, n / ?, n % ? FROM observation ORDER BY t, n", (LATE, LATE)
        ).fetchall()
    assert rows == [(3.0, 1, 0), (4.0, 1, 1), (1.0, 0, 0), (2.0, 0, 1)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 9), st.integers(0, 2)), max_size=25), st.data())
def test_whatever_the_order_the_newest_is_the_newest_that_is_due(tmp_path_factory, sent, data):
    file = LiveFile(tmp_path_factory.mktemp("live"))
    kept = Series(file.writer())
    now = 0
    for row in sent:
        now = max(now, data.draw(st.integers(0, 9)))
        conn = file.writer()
        conn.execute("BEGIN IMMEDIATE")
        kept.fall_due(conn, now)
        kept.append(conn, [Observation(*row)], now)
        conn.execute("COMMIT")
        kept.committed()
        if data.draw(st.integers(0, 5)) == 0:
            kept = Series(file.writer())
    for ds in {row[0] for row in sent}:
        times = sorted({row for row in sent if row[0] == ds})
        due = [t for _, t, _ in times if t <= now]
        last = kept.latest[ds]
        assert (last.time if last.id else None) == max(due, default=None)
        assert (last.count, last.first) == (len(times), min(t for _, t, _ in times))
    file.close()


def test_a_start_looks_at_no_observation_that_is_due(file):
    plan = file.writer().execute("EXPLAIN QUERY PLAN " + series._AHEAD).fetchall()
    assert [step[-1] for step in plan] == ["SCAN l", "SEARCH o USING PRIMARY KEY (ds=? AND t>?)"]
