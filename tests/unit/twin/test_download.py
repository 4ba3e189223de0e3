"""The limits of downloads, lowered so that small layers reach them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from layers.errors import Busy, Conflict, TooLarge, Unavailable
from layers.write import FORMATS
from tests.storing import FIELDS, grid, load, spec
from tests.support import event_loop
from twin import app
from twin.access.caller import CALLER, Caller
from twin.city import City
from twin.http import ranges
from twin.http.ogc import download
from twin.http.ogc.download import Download
from twin.jobs import scratch, taking
from twin.jobs.work import WorkContext
from twin.jobs.works import download as work


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """A city with 25 buildings."""
    (tmp_path / "city.yml").write_text("title: {en: Test}\n", "utf-8")
    opened = app.open_city(tmp_path)
    load(opened.store, spec(), grid(25))
    yield opened
    opened.live.stop()
    opened.close()


class Client:
    """One request, and what it was answered."""

    def __init__(self, query: str = "", *, takes: bool = True, address: str = "10.0.0.1") -> None:
        self.scope = {
            "client": (address, 1),
            "type": "http",
            "method": "GET",
            "path": "/ogc/collections/buildings/download",
            "query_string": query.encode(),
            "headers": [],
            CALLER: Caller(),
        }
        self.messages: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self._takes = takes

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        if not self._takes and message["type"] == "http.response.body":
            await asyncio.Event().wait()

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages)

    @property
    def whole(self) -> bool:
        return bool(self.messages) and self.messages[-1].get("more_body") is False


type Ask = Callable[..., None]
type Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """One event loop: the processes that were started for a job do the next test's, too."""
    with event_loop() as call:
        yield call


@pytest.fixture
def ask(city: City, run: Run) -> Ask:
    """Answer requests one after the other, all in one event loop, as a server does."""
    made = Download(city)

    def call(*clients: Client) -> None:
        for client in clients:
            run(made.give(client.scope, client.receive, client.send, "buildings"))

    return call


def test_it_works_as_it_is(ask: Ask) -> None:
    client = Client("f=geojson")
    ask(client)
    assert client.whole
    assert len(json.loads(client.body)["features"]) == 25


@pytest.mark.parametrize("name", ["geojson", "gpkg"])
def test_too_many_features(ask: Ask, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(work, "MOST_FEATURES", 10)
    client = Client(f"f={name}")
    with pytest.raises(TooLarge, match=r"more than 10 features match: .*bbox"):
        ask(client)
    assert client.messages == []
    few = Client(f"f={name}&levels=3")
    ask(few)
    assert few.whole


@pytest.mark.parametrize("name", ["gpkg", "parquet", "shp"])
def test_too_large_a_file(city: City, ask: Ask, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(work, "MOST_BYTES", 500)
    with pytest.raises(TooLarge, match="bbox"):
        ask(Client(f"f={name}"))
    streamed = Client("f=csv")
    ask(streamed)
    assert streamed.whole
    assert not any((city.folder / "derived" / "jobs").iterdir())


def test_some_of_the_disk_stays_free(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(Unavailable, match="geojson, flatgeobuf or csv"):
        ask(Client("f=gpkg"))
    streamed = Client("f=csv")
    ask(streamed)
    assert streamed.whole


def test_a_client_that_takes_nothing(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(download, "STALLED_SECONDS", 0.1)
    stalled, other = Client("f=geojson", takes=False), Client("f=gpkg", takes=False)
    following = Client("f=csv")
    ask(stalled, other, following)
    assert not any(m["type"] == "http.response.body" and not m["more_body"] for m in stalled.messages)
    assert caplog.text.count("too slow") == 2
    assert following.whole


def test_a_client_that_takes_little_gives_its_place_back(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(download, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(download, "LEAST_RATE", 1e9)

    class Trickle(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            await asyncio.sleep(0.15)

    slow, quick = Trickle("f=gpkg"), Client("f=gpkg")
    monkeypatch.setattr(ranges, "PIECE", 4096)
    ask(slow, quick)
    assert not slow.whole
    assert "too slow" in caplog.text
    assert quick.whole


def test_a_client_that_takes_for_ever(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask(Client("f=csv"))  # the process is there from here on
    monkeypatch.setattr(download, "MOST_SECONDS", 3)
    slow = Client("f=csv", takes=False)
    ask(slow)
    assert not slow.whole
    assert "too slow" in caplog.text
    monkeypatch.setattr(download, "MOST_SECONDS", 0)
    late = Client("f=gpkg")
    with pytest.raises(Unavailable, match="takes too long"):
        ask(late)
    assert late.messages == []


def test_places(city: City, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PLACE_SECONDS", 0.1)
    # what fits into the pipe waits there, and its job is done
    monkeypatch.setattr(taking, "PIPE_BYTES", 4096)
    load(city.store, spec(), grid(500))

    async def both() -> None:
        made = Download(city)
        slow = [Client("f=geojson", takes=False, address=address) for address in ("a", "b")]
        tasks = [asyncio.create_task(made.give(c.scope, c.receive, c.send, "buildings")) for c in slow]
        while not all(c.messages for c in slow):
            await asyncio.sleep(0.01)
        late = Client("f=geojson")
        with pytest.raises(Busy, match="2 downloads"):
            await made.give(late.scope, late.receive, late.send, "buildings")
        greedy = Client("f=geojson", address="a")
        with pytest.raises(Busy, match="your address"):
            await made.give(greedy.scope, greedy.receive, greedy.send, "buildings")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await made.give(late.scope, late.receive, late.send, "buildings")
        assert late.whole

    run(both())


@pytest.mark.parametrize("name", FORMATS)
def test_fields_and_rows_are_of_one_load(city: City, name: str, tmp_path: Path) -> None:
    """A load that comes between the answer's first look at the layer and its rows."""
    generation = city.store.layer("buildings").generation
    load(city.store, spec(fields=FIELDS[:1]), [one | {"name": "new"} for one in grid(25)])
    given = work.Input("buildings", generation, "Buildings", [], name, "en")
    with pytest.raises(Conflict, match="loaded anew"):
        work.run(given, WorkContext(city.catalogue.whole, tmp_path, [], city.folder))


def test_a_client_that_is_gone_already(ask: Ask) -> None:
    client = Client("f=gpkg")
    client.gone.set()
    ask(client)
    assert not client.whole


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    space = scratch.Scratch(tmp_path / "file" / "downloads")
    with space.folder() as folder:
        assert folder.is_dir()
        assert not folder.is_relative_to(tmp_path)
    assert not folder.exists()


def test_what_the_dead_left_is_removed_and_the_living_keep_theirs(tmp_path: Path) -> None:
    living = scratch.Scratch(tmp_path / "downloads")
    with living.folder() as kept:
        left = tmp_path / "downloads" / "0123"
        left.mkdir()
        (left / "half.gpkg").write_text("x")
        left.with_suffix(".lock").touch()
        scratch.Scratch(tmp_path / "downloads")
        assert kept.is_dir()
        assert not left.exists()
    assert list((tmp_path / "downloads").iterdir()) == []


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Pipes", "Pipes"),
        ("建筑/物", "建筑_物"),
        ("two\r\nlines\u2028three", "two_lines_three"),
        ('a: "b" <c>', "a_ _b_ _c_"),
        ("\u202egpj.exe", "_gpj.exe"),
        ("lone \ud800", "lone _"),
        (" . ", ""),
        ("管" * 300, "管" * 60),
    ],
)
def test_a_title_as_the_name_of_a_file(title: str, name: str) -> None:
    assert download.file_name(title) == name
