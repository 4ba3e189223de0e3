"""A hook is told what its key sees, of its layers and its box: a real city with rules of what is seen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from layers.types import Field
from tests.receiving import SECRET, Inbox, receiver
from tests.storing import grid, load, spec
from tests.support import until
from twin import app
from twin.access.rights import ALL, WHOLE, Share
from twin.city import City
from twin.live.refresh import Watcher

#: The first five of ten houses.
AREA = 'S_INTERSECTS("geometry", BBOX(24.99, 59.99, 25.0455, 60.05))'
HOOKS = {
    "everybody": "",
    "chief": ", key: chief",
    "one_layer": ", key: chief, layers: [posts]",
    "box": ", key: chief, bbox: [25.07, 59, 26, 61]",
    "nobody": ", key: gone",
    "nothing": ", layers: [absent]",
}


class Guests:
    """Whoever has no key sees the west of the buildings, and of them the names."""

    def class_of(self, name: str | None, may: object) -> str:
        return "guest" if name is None else ALL

    def share(self, rights: str, layer: Any) -> Share | None:
        return Share(frozenset({"name"}), AREA) if layer.id == "buildings" else WHOLE


@pytest.fixture
def inboxes() -> Iterator[dict[str, Inbox]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(receiver()) for name in HOOKS}


@pytest.fixture
def city(tmp_path: Path, inboxes: dict[str, Inbox], monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    hooks = [
        f"  - {{name: {name}, url: '{inboxes[name].url}', secret: '${{HOOK_SECRET}}'{more}}}\n"
        for name, more in HOOKS.items()
    ]
    (tmp_path / "city.yml").write_text("webhooks:\n" + "".join(hooks))
    opened = app.open_city(tmp_path, rights=Guests())
    fields = Field("name", "string"), Field("height_m", "number")
    rows = [
        {name: value for name, value in one.items() if name != "levels"} for one in grid(10, height_m=9.5)
    ]
    load(opened.store, spec(fields=fields), rows)
    load(opened.store, spec("posts", kind="feature", title={"en": "Posts"}), grid(2))
    opened.keys.add("chief")
    yield opened
    opened.live.stop()
    opened.close()


def test_each_is_told_what_its_key_sees_and_it_asks_for(city: City, inboxes: dict[str, Inbox]):
    def edit() -> None:
        until(lambda: all(city.store.cursors().get(name) for name in HOOKS if name != "nobody"))
        for fid in (2, 9):
            city.store.patch("buildings", fid, {"properties": {"name": "renamed"}})
            city.store.patch("buildings", fid, {"properties": {"height_m": 20.0}})
        city.store.patch("buildings", 3, {"properties": {"height_m": 20.0}})
        city.store.patch("posts", 1, {"properties": {"name": "renamed"}})
        at = city.store.seq()
        for name in ("everybody", "chief", "one_layer", "box"):
            until(lambda name=name: inboxes[name].taken, what=f"the message to {name}")
            until(lambda name=name: (city.store.cursors().get(name) or "").endswith(f"-{at}"), 20, name)

    async def serve() -> None:
        watcher = Watcher(city)
        running = asyncio.gather(watcher.run(), city.webhooks.run())
        await asyncio.to_thread(edit)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await asyncio.to_thread(city.webhooks.stop)
        watcher.close()

    asyncio.run(serve())
    told = {name: set(inbox.features()) for name, inbox in inboxes.items()}
    both = {("buildings", 2), ("buildings", 9), ("buildings", 3), ("posts", 1)}
    assert told["chief"] == both
    # neither what lies elsewhere nor a field that is not seen
    assert told["everybody"] == {("buildings", 2), ("posts", 1)}
    assert told["one_layer"] == {("posts", 1)}
    assert told["box"] == {("buildings", 9)}
    assert told["nobody"] == told["nothing"] == set()
    states = {status.name: (status.state, status.reason) for status in city.webhooks.statuses}
    assert states["nobody"] == ("troubled", "no key named 'gone'")
    assert states["nothing"] == ("troubled", "there is no layer absent")
    assert all(
        state == ("working", "") for name, state in states.items() if name not in ("nobody", "nothing")
    )
    assert all(not inbox.refused for inbox in inboxes.values())
