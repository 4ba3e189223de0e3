"""The writer: group commit, acknowledgement, back-pressure, failures."""

import sqlite3
import threading
from functools import partial

import pytest

from layers.errors import BadBody, Busy, Unavailable
from layers.observations.livefile import LiveFile
from layers.observations.series import Observation
from twin.live import ingest
from twin.live.ingest import Ingest


@pytest.fixture
def file(tmp_path):
    file = LiveFile(tmp_path)
    yield file
    file.close()


@pytest.fixture
def moved():
    return []


@pytest.fixture
def writer(file, moved):
    writer = Ingest(file, lambda ds, value, raised: raised, lambda m: partial(moved.append, m))
    yield writer
    writer.stop()


def put(*rows):
    return lambda tx: tx.append(rows)


def count(file):
    with file.reading() as conn:
        return conn.execute("SELECT count(*) FROM observation").fetchone()[0]


def test_an_acknowledged_observation_is_on_disk_and_then_told(writer, file, moved):
    writer.start()
    assert writer.submit(put(Observation(1, 10, 1.0))).result(5) == [1]
    assert count(file) == 1
    writer.stop()
    assert list(moved[0]) == [1]


def test_waiting_jobs_share_one_commit(writer, file, moved):
    futures = [writer.submit(put(Observation(1, t, 1.0))) for t in range(100)]
    writer.start()
    assert [f.result(5) for f in futures] == [[i + 1] for i in range(100)]
    writer.stop()
    assert len(moved) == 1
    assert moved[0][1].time == 99


def test_a_job_that_fails_undoes_itself_alone(writer, file):
    def bad(tx):
        tx.append([Observation(1, 500, 5.0)])
        tx.after.append(lambda: pytest.fail("told of what was undone"))
        raise BadBody("no")

    futures = [
        writer.submit(work) for work in (put(Observation(1, 1, 1.0)), bad, put(Observation(1, 2, 2.0)))
    ]
    writer.start()
    assert futures[0].result(5) == [1]
    with pytest.raises(BadBody):
        futures[1].result(5)
    assert futures[2].result(5) == [2]
    assert writer.series.latest[1].time == 2
    assert count(file) == 2


def test_a_full_queue_is_busy_and_a_large_batch_still_passes_an_empty_one(writer, monkeypatch):
    monkeypatch.setattr(ingest, "MAX_WAITING_ROWS", 10)
    writer.submit(put(), rows=50)
    with pytest.raises(Busy):
        writer.submit(put(), rows=1)
    monkeypatch.setattr(ingest, "MAX_WAITING_ROWS", 1000)
    monkeypatch.setattr(ingest, "MAX_WAITING_WRITES", 1)
    with pytest.raises(Busy):
        writer.submit(put())


def test_a_commit_that_fails_acknowledges_nothing_and_the_next_works(writer, file, caplog):
    def locked(tx):
        raise sqlite3.OperationalError("disk I/O error")

    futures = [writer.submit(put(Observation(1, 10, 1.0))), writer.submit(locked)]
    writer.start()
    for future in futures:
        with pytest.raises(Unavailable, match="try again"):
            future.result(5)
    assert count(file) == 0
    assert "could not be stored" in caplog.text
    assert writer.submit(put(Observation(1, 10, 1.0))).result(5) == [1]


def test_stopping_writes_what_waits_and_refuses_what_comes(writer, file):
    gate = threading.Event()
    writer.start()
    writer.submit(lambda tx: gate.wait(5))
    waiting = [writer.submit(put(Observation(1, t, 1.0))) for t in range(5)]
    stopper = threading.Thread(target=writer.stop)
    stopper.start()
    gate.set()
    stopper.join(5)
    assert [f.result(0) for f in waiting] == [[1], [2], [3], [4], [5]]
    with pytest.raises(Unavailable, match="stopping"):
        writer.submit(put())
    assert count(file) == 5
