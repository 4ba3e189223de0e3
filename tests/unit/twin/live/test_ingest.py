"""The writer: group commit, acknowledgement, back-pressure, failures."""

import asyncio
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


def test_those_who_wait_in_a_loop_are_told_in_one_call_a_commit(writer, file, moved):
    calls = []

    async def main():
        loop = asyncio.get_running_loop()
        threadsafe = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *call: calls.append(call) or threadsafe(*call)
        waiting = [asyncio.ensure_future(writer.keep(Observation(1, t, 1.0))) for t in range(50)]
        left = asyncio.ensure_future(writer.keep(Observation(2, 1, 1.0)))
        more = [asyncio.ensure_future(writer.put(put(Observation(1, 60 + t, 1.0)))) for t in range(2)]
        await asyncio.sleep(0)
        left.cancel()
        writer.start()
        return await asyncio.gather(*waiting, *more)

    told = asyncio.run(main())
    assert told == [*((i + 1, False) for i in range(50)), [52], [53]]
    assert len(calls) == 1
    assert count(file) == 53  # whoever stopped waiting did not stop the write
    writer.stop()
    assert (len(moved), sorted(moved[0])) == (1, [1, 2])


def test_of_observations_that_are_kept_as_one_a_bad_one_fails_alone(writer, file, caplog):
    async def main():
        rows = [
            Observation(1, 1, 1.0),
            Observation(None, 2, 2.0),
            Observation(1, 3, 3.0),
            Observation(1, 2, 2.0),
        ]
        waiting = [asyncio.ensure_future(writer.keep(row)) for row in rows]
        await asyncio.sleep(0)
        writer.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    good, bad, *rest = asyncio.run(main())
    assert (good, rest) == ((1, False), [(2, False), (3, True)])
    assert isinstance(bad, sqlite3.IntegrityError)
    assert count(file) == 3
    caplog.clear()


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
