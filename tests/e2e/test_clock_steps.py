"""A clock that jumps back an hour and ahead a day under a running server: changes stay in the order of their
numbers, what was answered for a number stays what it was, and an instant has one answer."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from layers.store.database import Database
from layers.store.open import open_store
from tests.e2e.edits import item, patch
from tests.histories.foreign import Hand, hand_at
from tests.postgres import private
from tests.storing import grid, load, spec
from tests.support import Server

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (make deps)")
ONE = item("buildings", 1)


class Clock:
    """What the programs that are started with ``environment`` take for the time."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.ahead(minutes=0)
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def ahead(self, *, minutes: int) -> None:
        """Let it be so many minutes before the true time from now on."""
        other = self._file.with_suffix(".new")
        other.write_text(f"+{minutes * 60}s")
        other.chmod(0o644)
        other.rename(self._file)


@pytest.fixture
def clock() -> Iterator[Clock]:
    folder = Path(tempfile.mkdtemp(prefix="twin-clock-"))
    folder.chmod(0o755)  # the database's user reads it, too
    yield Clock(folder)
    shutil.rmtree(folder)


@pytest.fixture(params=["geopackage", "postgis"])
def city(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[tuple[Server, Hand]]:
    """A server and another program; the clock is that of the server, or of its database, which dates."""
    folder, database = tmp_path / "city", None
    folder.mkdir()
    words = "themes: []\n"
    with ExitStack() as running:
        if request.param == "postgis":
            with pytest.MonkeyPatch.context() as patched:
                for name, value in clock.environment.items():
                    patched.setenv(name, value)
                cluster = running.enter_context(private())
            database = Database(cluster.database())
            words += f"store: {database.url}\n"
        (folder / "city.yml").write_text(words)
        store = open_store(folder, database)
        load(store, spec(), grid(3))
        store.close()
        prefix = ("env", *(f"{name}={value}" for name, value in clock.environment.items()))
        if database is not None:
            prefix = ()
        server = Server.start(folder, prefix=prefix, clean=False)
        yield server, hand_at(folder, database)
        server.stop()
        assert all("the clock was set by" in line for line in server.log), server.log


def test_a_clock_that_steps(city: tuple[Server, Hand], clock: Clock) -> None:
    server, hand = city
    begun = datetime.now(UTC)
    answers: dict[int, Any] = {}

    def name_at(moment: str) -> str:
        answer = server.http.get(ONE, params={"at": moment})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["properties"]["name"])

    def instant(minutes: float) -> str:
        return (begun + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")

    def edit(name: str, *, minutes: int) -> int:
        clock.ahead(minutes=minutes)
        done = patch(server, ONE, {"properties": {"name": name}})
        assert done.status_code == 204, done.text
        seq = int(done.headers["etag"].strip('"').rsplit("-", 1)[1])
        answers[seq] = server.http.get(ONE, params={"at": f"@{seq}"}).json()["properties"]
        assert answers[seq]["name"] == name
        return seq

    first = edit("at 90", minutes=90)
    second = edit("at 120", minutes=120)
    third = edit("at 60 again", minutes=60)
    fourth = edit("at 105 again", minutes=105)
    # the hour from 60 to 120 was twice: its instants are those of the first time
    assert name_at(instant(75)) == "house 0"
    assert name_at(instant(100)) == "at 90"
    future = server.http.get(ONE, params={"at": instant(119)})
    assert future.status_code == 400  # by this clock it is not yet
    clock.ahead(minutes=130)
    assert name_at(instant(119)) == "at 90"
    assert name_at(instant(129)) == "at 105 again"
    day = edit("a day ahead", minutes=24 * 60)
    clock.ahead(minutes=150)
    with hand.transaction():  # of another program, whose clock may be another one
        hand.update("buildings", [1], "name", "string", "by hand")
    last = edit("at 150", minutes=150)
    assert first < second < third < fourth < day < last - 1
    assert name_at(instant(149)) == "at 105 again"  # what was dated a day ahead is the future still
    assert name_at(f"@{last - 1}") == "by hand"
    assert name_at(f"@{last}") == server.http.get(ONE).json()["properties"]["name"] == "at 150"
    for seq, properties in answers.items():
        assert server.http.get(ONE, params={"at": f"@{seq}"}).json()["properties"] == properties
    sets = server.http.get("/ogc/change-sets", params={"limit": 100}).json()["changeSets"]
    told = [(one["last"], one["at"]) for one in sets]
    assert told == sorted(told, reverse=True)
    assert [one for _, one in told] == sorted((one for _, one in told), reverse=True)
    clock.ahead(minutes=25 * 60)
    assert name_at(instant(24 * 60 + 30)) == "at 150"
    assert os.environ.get("LD_PRELOAD") != str(LIBRARY)
