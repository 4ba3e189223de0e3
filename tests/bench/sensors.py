"""Live data at size: streams of what is in view, newest values of a box, observations one a request."""

from __future__ import annotations

import json
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from layers.observations.livefile import LiveFile
from layers.types import Bbox
from tests import sensing
from tests.bench.measure import Connection, cpu_ns
from tests.bench.report import Row
from tests.support import Server, init
from twin.live import registry, themes
from twin.live.places import Places
from twin.live.views import WORLD, columns

COUNT = 20_000
#: Connections, and observations each of them sends in a turn.
HANDS = ((1, 300), (32, 40))
TURNS = 3
#: Streams at a time, observations a second, and for how long.
CLIENTS, RATE, SECONDS = 900, 100, 5.0
#: Eight times what FROST-Server was measured to take.
GOAL = 5_900
CITY, QUARTER = "24.7,60.0,25.2,60.4", "24.94,60.165,24.96,60.175"
#: About half of all.
HALF: Bbox = (24.8, 60.095, 24.95, 60.245)


def rows(folder: Path) -> Iterator[Row]:
    """All of them, of a city that is made in the folder."""
    init(folder)
    sensing.fill(folder, COUNT)
    yield from _index(folder)
    server = Server.start(folder, clean=False)
    try:
        yield from _snapshots(server)
        yield from _asked(server)
        yield from _fanned(server)
        yield from _posted(server)
    finally:
        server.stop()


def _index(folder: Path) -> Iterator[Row]:
    """The index by itself: the newest values of a box, and what patching it costs."""
    file = LiveFile(folder)
    with file.reading() as conn:
        streams = registry.read(conn, themes.load(folder, ["water"]))
    file.close()
    places = Places()
    made = _cpu(lambda: places.put(streams), 1)
    found = places.within(HALF)
    spent = _cpu(lambda: places.within(HALF), 20)
    all_columns = _cpu(lambda: columns(places.within(HALF)), 10)
    title = f"newest values of {len(found):,} sensors in a box: CPU of the index"
    yield Row(
        title,
        f"{spent:.1f} ms",
        "≤ 5 ms",
        f"with ten columns {all_columns:.1f} ms; built in {made:.0f} ms",
        spent <= 5,
    )
    near = _cpu(lambda: places.within((24.94, 60.165, 24.96, 60.175)), 200)
    yield Row("the same of a quarter", f"{near * 1000:.0f} µs", "stated", "of 20,000 in all")
    chance = random.Random(3)

    def flip() -> None:
        places.restate([chance.randrange(1, COUNT)], [chance.choice(["ok", "red"])])
        list(places.changes())

    for zoom in (12, 14, 16):
        places.clusters(WORLD, zoom)
    yield Row(
        "a state that changes, in counts of three zooms", f"{_cpu(flip, 2000) * 1000:.0f} µs", "stated", ""
    )


def _snapshots(server: Server) -> Iterator[Row]:
    """What a page begins with, and what a view that moves costs."""
    whole = _begun(server, "/stream", gzip=False)
    for title, path in (
        ("all", "/stream"),
        ("a quarter of the city", f"/stream?bbox={QUARTER}"),
        ("the whole city, counted", f"/stream?bbox={CITY}"),
    ):
        size = _begun(server, path, gzip=True)[0]
        milliseconds = min(_begun(server, path, gzip=True)[1] for _ in range(5))
        detail = f"1/{whole[0] / size:.0f} of all of them as plain text ({whole[0] / 1e6:.1f} MB)"
        yield Row(f"a stream's beginning, {title}: gzip", f"{size / 1000:.1f} kB", "stated", detail)
        yield Row(
            f"a stream's beginning, {title}: CPU", f"{milliseconds:.1f} ms", "stated", "a new connection each"
        )


def _asked(server: Server) -> Iterator[Row]:
    """SensorThings by area."""
    area = "geography'POLYGON ((24.9 60.14, 25 60.14, 25 60.2, 24.9 60.2, 24.9 60.14))'"
    near = "geography'POLYGON ((24.94 60.165, 24.96 60.165, 24.96 60.175, 24.94 60.175, 24.94 60.165))'"
    connection = Connection(server.url)
    for title, path in (
        ("count of Locations in an area", f"Locations?$filter=st_within(location,{area})&$count=true&$top=0"),
        ("100 Locations in an area", f"Locations?$filter=st_within(location,{area})&$top=100"),
        (
            "Datastreams of a quarter with their newest observation",
            f"Datastreams?$filter=st_within(Thing/Locations/location,{near})&$top=1000"
            "&$expand=Observations($orderby=phenomenonTime desc;$top=1)",
        ),
    ):
        url = "/sta/v1.1/" + quote(path, safe="/?$=&(),;'")
        answers: list[int] = []

        def ask(url: str = url, answers: list[int] = answers) -> None:
            status, _, body = connection.request(url)
            assert status == 200, body
            answers.append(len(body))

        ask()
        spent = min(_of(server, ask, 10) for _ in range(TURNS))
        yield Row(f"SensorThings: {title}", f"{spent:.1f} ms", "stated", f"{answers[0] / 1000:.0f} kB")


def _fanned(server: Server) -> Iterator[Row]:
    """Many streams while observations come."""
    with _Readers(server) as readers:
        before, begun = cpu_ns(server.process.pid), time.monotonic()
        _observing(server)
        lasted = time.monotonic() - begun
        share = (cpu_ns(server.process.pid) - before) / 1e9 / lasted
    detail = f"{RATE} observations a second, each a request; connecting {readers.connecting:.1f} ms each"
    yield Row(f"{CLIENTS} streams of views of their own: share of a core", f"{share:.0%}", "stated", detail)


def _posted(server: Server) -> Iterator[Row]:
    for hands, each in HANDS:
        micros = min(posts(server, 1, hands, each) for _ in range(TURNS))
        how = f"{hands} connections" if hands > 1 else "one after the other"
        many = 1e6 / micros
        goal = f"≥ {GOAL:,} a CPU-second"
        yield Row(
            f"an observation a request, {how}: CPU", f"{micros:.0f} µs", goal, f"{many:,.0f}", many >= GOAL
        )


def posts(server: Server, datastream: int, hands: int, each: int) -> float:
    """CPU (µs) of the server for one of the observations that so many connections send."""
    headers = [("authorization", f"Bearer {server.key}"), ("content-type", "application/json")]
    path, wrong = f"/sta/v1.1/Datastreams({datastream})/Observations", []
    body = json.dumps({"result": 1.25}).encode()

    def send() -> None:
        connection = Connection(server.url)
        for _ in range(each):
            status, _, answer = connection.request(path, headers, "POST", body)
            if status != 201:
                wrong.append(answer)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(hands)]
    before = cpu_ns(server.process.pid)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = (cpu_ns(server.process.pid) - before) / 1000 / (hands * each)
    assert not wrong, wrong[0]
    return spent


class _Readers:
    """Streams whose bytes are read and forgotten by a thread."""

    def __init__(self, server: Server) -> None:
        parts = urlsplit(server.url)
        self._poll, self._sockets = select.epoll(), {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        before = cpu_ns(server.process.pid)
        for n in range(CLIENTS):
            lon, lat = sensing.place(n + 1)
            own = f"/stream?bbox={lon - 0.005},{lat - 0.003},{lon + 0.005},{lat + 0.003}"
            # one address may hold half of the places
            source = (f"127.0.0.{1 + n % 4}", 0)
            one = socket.create_connection((parts.hostname or "", parts.port or 80), None, source)
            head = f"GET {own} HTTP/1.1\r\nhost: {parts.netloc}\r\naccept-encoding: gzip\r\n\r\n"
            one.sendall(head.encode())
            self._sockets[one.fileno()] = one
            self._poll.register(one, select.EPOLLIN)
        # until all have been sent their beginning
        spent = -1
        while (now := cpu_ns(server.process.pid)) - spent > 100_000_000:
            spent = now
            time.sleep(1.0)
        #: CPU (ms) of the server for each that is begun.
        self.connecting = (cpu_ns(server.process.pid) - before) / 1e6 / CLIENTS

    def __enter__(self) -> _Readers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for one in self._sockets.values():
            one.close()
        self._poll.close()
        time.sleep(1.0)

    def _read(self) -> None:
        while not self._stopped.is_set():
            for number, _ in self._poll.poll(0.1):
                self._sockets[number].recv(1 << 20)


def _observing(server: Server) -> None:
    """Send observations of sensors all over the city at a steady rate."""
    headers = [("authorization", f"Bearer {server.key}"), ("content-type", "application/json")]
    connection, chance = Connection(server.url), random.Random(8)
    begun = time.monotonic()
    for n in range(int(RATE * SECONDS)):
        time.sleep(max(0.0, begun + n / RATE - time.monotonic()))
        datastream = chance.randrange(1, COUNT)
        body = json.dumps({"result": chance.random() * 2.2}).encode()
        path = f"/sta/v1.1/Datastreams({datastream})/Observations"
        status, _, answer = connection.request(path, headers, "POST", body)
        assert status == 201, answer
    connection.close()


def _begun(server: Server, path: str, *, gzip: bool) -> tuple[int, float]:
    """Bytes of the first event of a stream, and the CPU (ms) of the server for it."""
    parts = urlsplit(server.url)
    before = cpu_ns(server.process.pid)
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as one:
        coding = "accept-encoding: gzip\r\n" if gzip else ""
        one.sendall(f"GET {path} HTTP/1.1\r\nhost: {parts.netloc}\r\n{coding}\r\n".encode())
        one.settimeout(0.5)
        size = 0
        try:
            while got := one.recv(1 << 20):
                size += len(got)
        except TimeoutError:
            pass
    return size, (cpu_ns(server.process.pid) - before) / 1e6


def _cpu(call: Callable[[], object], times: int) -> float:
    """CPU (ms) of this process for a call, the least of three."""

    def once() -> float:
        before = time.process_time_ns()
        for _ in range(times):
            call()
        return (time.process_time_ns() - before) / 1e6 / times

    return once() if times == 1 else min(once() for _ in range(3))


def _of(server: Server, call: Callable[[], object], times: int) -> float:
    """CPU (ms) of the server for a call."""
    before = cpu_ns(server.process.pid)
    for _ in range(times):
        call()
    return (cpu_ns(server.process.pid) - before) / 1e6 / times
