"""Event streams of a running server, read by a thread."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from jsonschema import Draft7Validator

from tests.support import Server

#: Name, id and data of an event.
type Event = tuple[str, str, Any]


class Events:
    """An open stream. Every event that is taken is as the AsyncAPI document has it."""

    def __init__(self, lines: Iterable[str], described: Mapping[str, Draft7Validator]) -> None:
        self._described = described
        self.queue: queue.Queue[Event | None] = queue.Queue()
        self.seen: list[Event] = []
        threading.Thread(target=self._pump, args=(lines,), daemon=True).start()

    def _pump(self, lines: Iterable[str]) -> None:
        event: dict[str, str] = {}
        try:
            for line in lines:
                if line == "" and "event" in event:
                    self.queue.put((event["event"], event["id"], json.loads(event["data"])))
                if line == "":
                    event = {}
                elif not line.startswith(":"):
                    key, _, value = line.partition(": ")
                    event[key] = value
        except (httpx.HTTPError, httpx.StreamError):
            pass
        self.queue.put(None)

    def next(
        self, name: str, accept: Callable[[Any], bool] = lambda data: True, seconds: float = 10
    ) -> Event:
        """The next event of that name that is accepted."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.queue.get(timeout=max(0.01, deadline - time.monotonic()))
            assert found is not None, f"the stream ended before {name}"
            self.seen.append(found)
            self._described[found[0]].validate(found[2])
            if found[0] == name and accept(found[2]):
                return found

    def ended(self, seconds: float = 10) -> bool:
        while self.queue.get(timeout=seconds) is not None:
            pass
        return True


@contextmanager
def stream(server: Server, last: str | None = None, path: str = "/stream", **params: str) -> Iterator[Events]:
    """A stream, from the event after ``last`` on."""
    headers = {"accept": "text/event-stream"} | ({"last-event-id": last} if last else {})
    with (
        httpx.Client(timeout=httpx.Timeout(5, read=60)) as client,
        client.stream("GET", f"{server.url}{path}", headers=headers, params=params) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer.iter_lines(), described(server, path))


def described(server: Server, path: str) -> dict[str, Draft7Validator]:
    """The events of a stream by name, as the server's AsyncAPI document has them."""
    document = server.http.get("/asyncapi.json").json()
    (channel,) = (one for one in document["channels"].values() if one["address"] == path)
    shared = {"components": document["components"]}
    return {name: Draft7Validator(one["payload"] | shared) for name, one in channel["messages"].items()}
