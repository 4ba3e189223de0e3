"""The pool of jobs: in processes that are kept, bounded, ended by killing them, on record."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from layers.errors import BadParameter, Busy, Conflict, NotFound, TooLarge, Unavailable
from tests.storing import grid, load, spec
from tests.support import event_loop, until
from tests.unit.twin.jobs.installing import install
from twin import app
from twin.access.caller import Caller
from twin.city import City
from twin.jobs import Ended
from twin.jobs.job_table import FILE, INTERRUPTED, JobRecord, JobTable, instant

#: A kind of work as a package outside the project declares it.
MODULE = """
import os, signal, time
import msgspec
from layers.errors import BadParameter, TooLarge
from twin.jobs.work import Work

class Input(msgspec.Struct, forbid_unknown_fields=True):
    do: str = "tell"

def run(given, context):
    if given.do == "wait":
        context.progress(1, 4, "a quarter")
        time.sleep(600)
    if given.do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if given.do == "refuse":
        raise TooLarge("more than this job takes")
    if given.do == "name":
        raise BadParameter("area", "x" * 500, "a polygon")
    if given.do == "break":
        raise ZeroDivisionError("a fault of the work")
    return {"pid": os.getpid(), "layers": [one.id for one in context.view.layers()]}

WORK = Work("toy", {"en": "Toy"}, Input, run)
"""
#: anyio leaves the pipes of a process that died to the collector, which finds the loop closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
ANA, NOBODY = Caller("ana", ("edit",)), Caller()
type Run = Callable[[Any], Any]


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    """A city with a layer, and a kind of work that was installed beside the project."""
    install(monkeypatch, tmp_path / "site", MODULE)
    folder = tmp_path / "city"
    folder.mkdir()
    (folder / "city.yml").write_text("title: {en: Test}\n", "utf-8")
    opened = app.open_city(folder)
    load(opened.store, spec(), grid(25))
    yield opened
    opened.live.stop()
    opened.close()


@pytest.fixture
def run(city: City) -> Iterator[Run]:
    """A call that waits for a coroutine in the event loop of the server."""
    with event_loop() as call:
        yield call
        call(city.jobs.stop())
    gc.collect()


async def done(city: City, **given: str) -> Any:
    job = await city.jobs.start("toy", given, ANA)
    return await job.result()


def test_it_is_done_in_a_process_that_is_kept_and_imports_by_itself(city: City, run: Run) -> None:
    first, second = run(done(city)), run(done(city))
    assert first["layers"] == ["buildings"]
    assert first["pid"] == second["pid"] != os.getpid()
    record = run(city.jobs.list(ANA))[0]
    assert (record.state, record.progress, record.result, record.caller) == ("successful", 100, second, "ana")


def test_the_record_outlives_the_server(city: City, run: Run) -> None:
    run(done(city))
    with sqlite3.connect(city.folder / FILE) as other:
        assert other.execute("SELECT state FROM job").fetchall() == [("successful",)]
    other.close()


def test_its_input_is_checked_before_it_is_taken(city: City, run: Run) -> None:
    with pytest.raises(BadParameter, match="unknown field `speed`"):
        run(city.jobs.start("toy", {"speed": 3}, ANA))
    with pytest.raises(NotFound, match="there is no work"):
        run(city.jobs.start("fly", {}, ANA))
    assert run(city.jobs.list(ANA)) == []


@pytest.mark.parametrize(
    ("do", "error", "code"),
    [("refuse", TooLarge, "TooLarge"), ("name", BadParameter, "InvalidParameterValue")],
)
def test_what_the_work_refuses_arrives_as_it_is(
    city: City, run: Run, do: str, error: type[Exception], code: str
) -> None:
    with pytest.raises(error) as caught:
        run(done(city, do=do))
    record = run(city.jobs.list(ANA))[0]
    assert (record.state, record.code, record.detail) == ("failed", code, str(caught.value))


def test_a_fault_of_the_work_is_in_the_log_and_not_in_the_answer(
    city: City, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unavailable, match="unexpected error"):
        run(done(city, do="break"))
    assert "a fault of the work" in caplog.text
    assert run(city.jobs.list(ANA))[0].code == "ServerError"


def test_a_process_that_dies_costs_its_job_only(city: City, run: Run) -> None:
    with pytest.raises(Unavailable, match="process of this job died"):
        run(done(city, do="die"))
    assert run(done(city))["layers"] == ["buildings"]


def test_a_process_that_dies_idle_costs_no_job(city: City, run: Run) -> None:
    pid = run(done(city))["pid"]
    os.kill(pid, signal.SIGKILL)
    assert run(done(city))["pid"] != pid


def test_a_job_is_ended_whatever_it_does(city: City, run: Run) -> None:
    job = run(city.jobs.start("toy", {"do": "wait"}, ANA))
    until(lambda: job.seen().message == "a quarter", 60)
    assert (job.seen().state, job.seen().progress) == ("running", 25)
    with pytest.raises(NotFound):
        run(city.jobs.cancel(job.record.id, NOBODY))
    assert run(city.jobs.cancel(job.record.id, ANA)).state == "dismissed"
    with pytest.raises(Ended):
        run(job.result())
    with pytest.raises(Conflict, match="ended already"):
        run(city.jobs.cancel(job.record.id, ANA))
    assert list((city.folder / "derived" / "jobs").iterdir()) == []
    assert run(done(city))["layers"] == ["buildings"]


def test_no_more_of_a_kind_than_it_has_places(city: City, run: Run) -> None:
    first = run(city.jobs.start("toy", {"do": "wait"}, ANA))
    until(lambda: first.record.state == "running", 60)
    second = run(city.jobs.start("toy", {}, ANA))
    impatient = run(city.jobs.start("toy", {}, ANA, patience=0.05))
    with pytest.raises(Busy, match="all 1 places"):
        run(impatient.result())
    assert second.record.state == "accepted"
    run(city.jobs.cancel(first.record.id, ANA))
    assert run(second.result())["layers"] == ["buildings"]


def test_jobs_are_shown_to_those_of_the_same_rights(city: City, run: Run) -> None:
    run(done(city))
    assert run(city.jobs.list(NOBODY)) == []
    assert run(city.jobs.list(Caller("other", (), "some"))) == []
    assert len(run(city.jobs.list(Caller("ben")))) == 1


def test_what_waited_is_begun_again_and_what_ran_is_failed(city: City, run: Run) -> None:
    def left(name: str, **words: Any) -> JobRecord:
        return JobRecord(name, "toy", {}, "ana", "", created=instant(), **words)

    table = JobTable(city.folder)
    table.put(left("waiting", kept=True))
    table.put(left("running", kept=True, state="running"))
    table.put(left("awaited", kept=False))
    table.put(JobRecord("old", "toy", {}, "ana", "", kept=True, created="2020-01-01T00:00:00.000Z"))
    table.close()

    async def recovered() -> dict[str, JobRecord]:
        await city.jobs.recover()
        for _ in range(600):
            found = {one.id: one for one in await city.jobs.list(ANA)}
            if found["waiting"].state == "successful":
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(found)

    found = run(recovered())
    assert set(found) == {"waiting", "running", "awaited"}
    assert {found[name].detail for name in ("running", "awaited")} == {INTERRUPTED}


def test_a_server_that_stops_leaves_what_waits_for_the_next(city: City, run: Run) -> None:
    first = run(city.jobs.start("toy", {"do": "wait"}, ANA))
    second = run(city.jobs.start("toy", {}, ANA))
    until(lambda: first.record.state == "running", 60)
    run(city.jobs.stop())
    table = JobTable(city.folder)
    assert [one.id for one in table.recover()] == [second.record.id]
    table.close()


def test_a_folder_that_cannot_be_written_keeps_them_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    table = JobTable(tmp_path / "file")
    table.put(JobRecord("a", "toy", {}, None, "", kept=True, created=instant()))
    assert [one.id for one in table.newest()] == ["a"]
    table.close()
