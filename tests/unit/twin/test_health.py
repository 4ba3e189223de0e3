"""/health/ready part by part, /metrics, wrong keys, Origin, and a stop that tells who still waits."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from layers.errors import Busy
from tests import dems
from tests.support import until
from twin import app, part_status, server
from twin.city import City, Lock
from twin.http import answers, respond
from twin.http.room import Room, Route, Site
from twin.part_status import PartStatus
from twin.template import template

URL = "http://127.0.0.1"


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    (tmp_path / "city.yml").write_text(f"{template('Town')}limits: {{wrong_keys: 30}}\n", "utf-8")
    opened = app.open_city(tmp_path)
    opened.live.start()
    yield opened
    opened.live.stop()
    opened.close()


def ask[T](city: City, scenario: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    async def main() -> T:
        city.bus.bind(asyncio.get_running_loop())
        transport = httpx.ASGITransport(app=cast(Any, app.build(city)))
        async with httpx.AsyncClient(transport=transport, base_url=URL, timeout=30) as client:
            return await scenario(client)

    return asyncio.run(main())


def ready(city: City) -> tuple[int, dict[str, Any]]:
    found = ask(city, lambda client: client.get("/health/ready"))
    return found.status_code, found.json()


def test_terrain_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "city.yml").write_text("heights: {ground: terrain}\n", "utf-8")
    opened = app.open_city(tmp_path)
    try:
        told = part_status.of(opened)["ground"]
        assert told == PartStatus("degraded", "there is no layer of terrain; bodies stand on 0 m")
        file = dems.write(tmp_path / "rasters/dem.tif", dems.hills(20, 20), cog=False)
        dems.record(opened.store, "dem", file, below=tmp_path)
        opened.catalogue.whole.make_tiles().freshness.update()
        assert part_status.of(opened)["ground"] == part_status.OK
        dems.record(opened.store, "dem", file.with_name("other.tif"), below=tmp_path, box=(24, 60, 25, 61))
        opened.catalogue.whole.make_tiles().freshness.update()
        reason = part_status.of(opened)["ground"].reason or ""
        assert reason.startswith("the terrain cannot be read: ")
        assert str(tmp_path) not in reason
    finally:
        opened.close()


def test_each_part_is_told_and_what_cannot_be_read_is_503(
    city: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    city.keys.add("duty")
    status, told = ready(city)
    assert (status, told["status"]) == (200, "ready")
    assert {part["status"] for part in told["parts"].values()} == {"ok"}
    assert set(told["parts"]) == {"clock", "derived", "keys", "live", "room", "store", "writer"}

    monkeypatch.setattr(part_status.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    status, told = ready(city)
    assert (status, told["status"], told["parts"]["room"]["status"]) == (200, "degraded", "degraded")
    (city.folder / "live.gpkg").unlink()
    city.live.ingest.look()
    until(lambda: city.live.file.notice)
    status, told = ready(city)
    assert (status, told["parts"]["live"]["status"]) == (200, "degraded")
    assert "deleted" in told["parts"]["live"]["reason"]
    assert str(city.folder) not in json.dumps(told)
    (city.folder / "keys.json").write_text("[null]")
    assert ready(city)[1]["parts"]["keys"]["status"] == "degraded"

    city.lost = "the store is away"
    monkeypatch.setattr(city.store, "layers", lambda: (_ for _ in ()).throw(Busy("the store is away")))
    assert ready(city)[0] == 503


def test_a_live_file_that_cannot_be_read_is_503(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        error = sqlite3.DatabaseError("file is not a database")
        error.sqlite_errorcode = sqlite3.SQLITE_NOTADB  # type: ignore[misc]
        raise error

    monkeypatch.setattr(city.live.file, "_reader", broken)
    status, told = ready(city)
    assert (status, told["status"], told["parts"]["live"]["status"]) == (503, "not ready", "failed")


def test_the_log_is_told_of_a_part_once_and_when_it_is_in_order_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    low = {
        "room": PartStatus("degraded", "less than 256 MB"),
        "live": PartStatus("degraded", "told elsewhere"),
    }
    part_status.log_changes({}, low)
    part_status.log_changes(low, low)
    part_status.log_changes(low, {"room": part_status.OK, "live": part_status.OK})
    assert caplog.messages == ["room: less than 256 MB", "room: in order again"]


def test_figures_are_for_who_has_a_key_and_are_what_prometheus_reads(city: City) -> None:
    key = city.keys.add("prometheus")

    async def scenario(client: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response]:
        assert (await client.post("/incidents", json={"title": "x"}, headers={"x-api-key": key})).is_success
        await client.get("/nothing-here")
        without = await client.get("/metrics")
        return without, await client.get("/metrics", headers={"authorization": f"Bearer {key}"})

    without, found = ask(city, scenario)
    assert without.status_code == 401
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(found.text)
        for sample in family.samples
    }
    assert samples["twin_live_commits_total",] == 1
    assert samples["twin_requests_total",] == 4
    assert samples["twin_refused_total", "404"] == 1
    assert samples["twin_refused_total", "401"] == 1
    assert samples["twin_part_ok", "store"] == 1
    assert samples["process_open_fds",] > 3
    assert samples["twin_room_bytes",] > 0


def test_many_wrong_keys_are_refused_as_one_and_told_once(
    city: City, caplog: pytest.LogCaptureFixture
) -> None:
    key = city.keys.add("duty")

    async def scenario(client: httpx.AsyncClient) -> list[int]:
        found = []
        for i in range(40):
            answer = await client.post("/incidents", json={"title": "x"}, headers={"x-api-key": f"twk_{i}"})
            found.append(answer.status_code)
        assert answer.headers["retry-after"] == "60"
        document = (await client.get("/ogc/api?f=json")).json()
        for path, method in (("/incidents", "post"), ("/metrics", "get"), ("/session", "post")):
            assert {"401", "429"} <= document["paths"][path][method]["responses"].keys()
        assert "Retry-After" in document["components"]["responses"]["e429"]["headers"]
        right = await client.post("/incidents", json={"title": "x"}, headers={"x-api-key": key})
        return [*found, right.status_code]

    found = ask(city, scenario)
    assert found == [401] * 30 + [429] * 10 + [201]
    assert len([one for one in caplog.messages if "wrong keys" in one]) == 1
    assert city.callers.wrong == 40


@pytest.mark.parametrize(
    ("origins", "given"),
    [
        (["http://127.0.0.1:8080"], ("http", "127.0.0.1", 8080)),
        (["https://map.example.org"], ("https", "map.example.org", 443)),
        (["http://[::1]:80"], ("http", "::1", 80)),
        (["null"], None),
        (["http://127.0.0.1:8080/"], None),
        (["http://127.0.0.1:8080/path"], None),
        (["http://127.0.0.1:8080?x"], None),
        (["http://me@127.0.0.1:8080"], None),
        (["http://127.0.0.1:8080 http://evil.example"], None),
        (["http://127.0.0.1:8080", "http://127.0.0.1:8080"], None),
        (["ftp://127.0.0.1"], None),
        (["http://127.0.0.1:99999"], None),
    ],
)
def test_an_origin_is_scheme_host_and_port_alone(origins: list[str], given: respond.Origin | None) -> None:
    headers = [(b"origin", one.encode()) for one in origins]
    assert respond.given_origin({"headers": headers}) == given


def test_a_second_server_is_refused_though_the_lock_was_deleted(tmp_path: Path) -> None:
    first, second = Lock(tmp_path), Lock(tmp_path)
    first.take()
    (tmp_path / "city.lock").unlink()
    with pytest.raises(Busy, match="deleted"):
        second.take()
    first.release()
    second.take()
    assert (tmp_path / "city.lock").read_text() == str(os.getpid())
    second.release()


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("", "10.0.0.1"),
        ("1.2.3.4", "1.2.3.4"),
        ("9.9.9.9, 1.2.3.4, 10.0.0.1", "1.2.3.4"),
        ("x" * 99, "x" * 64),
        # a proxy that adds a line of its own behind the client's
        ("8.8.4.4\n1.2.3.4", "1.2.3.4"),
        ("8.8.4.4, 9.9.9.9\n1.2.3.4, 10.0.0.1", "1.2.3.4"),
        # with the port, which is another with every connection
        ("1.2.3.4:50123", "1.2.3.4"),
        ("[2001:db8::1]:50123", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_address_of_a_client_is_the_nearest_that_is_no_proxy(forwarded: str, address: str) -> None:
    known = SimpleNamespace(trusted_proxies=("10.0.0.1",))
    city = cast(Any, SimpleNamespace(settings=known, trusts=lambda scope: scope["client"][0] == "10.0.0.1"))
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded.splitlines()]
    assert respond.client(city, {"client": ("10.0.0.1", 1), "headers": headers}) == address
    assert respond.client(city, {"client": ("8.8.8.8", 1), "headers": headers}) == "8.8.8.8"


def test_a_stop_waits_for_answers_as_long_as_it_says_and_tells_who_waits_longer(
    city: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "SHUTDOWN_SECONDS", 0.4)

    async def takes(scope: Any, receive: Any, send: Any, seconds: str) -> None:
        await asyncio.sleep(float(seconds))
        await answers.send(send, 200, b"done")

    def room(site: Site) -> list[Room]:
        return [Room("slow", ("", ""), (Route("/slow/{seconds}", {"GET": takes}),))]

    async def main() -> list[httpx.Response]:
        sock = server.bind("127.0.0.1", 0)
        up = asyncio.Event()
        running = server.Server(server.config(app.build(city, [room])), up.set, city.bus.close)
        serving = asyncio.create_task(running.serve([sock]))
        await up.wait()
        async with httpx.AsyncClient(base_url=server.address(sock), timeout=10) as client:
            asked = [asyncio.create_task(client.get(f"/slow/{seconds}")) for seconds in (0.3, 30, 30)]
            await asyncio.sleep(0.1)
            running.should_exit = True
            found = await asyncio.gather(*asked)
        await serving
        return found

    done, *told = asyncio.run(main())
    assert (done.status_code, done.content) == (200, b"done")
    for answer in told:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert [one for one in caplog.messages if "not answered" in one]
    assert "Traceback" not in caplog.text
