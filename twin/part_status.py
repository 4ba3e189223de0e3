"""The parts of a server that can fail by themselves, and how each is now.

A part that is ``failed`` keeps everybody from something that is read; one that is ``degraded`` is served
with less: without writing, without a file that could be made again, or after something was put right that
the operator must know of."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from layers.errors import TwinError
from twin.live import clock

if TYPE_CHECKING:
    from twin.city import City

log = logging.getLogger("twin")

type Status = Literal["ok", "degraded", "failed"]
#: With less room on the disk than this, a city's writes are soon refused.
LOW_BYTES = 256 << 20
#: How often the log is told of a part whose state has changed.
WATCH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PartStatus:
    """How one part is; ``reason`` where it is not ok. Never a path: anybody may read it."""

    status: Status = "ok"
    reason: str | None = None

    def as_json(self) -> dict[str, str]:
        """As JSON."""
        return {"status": self.status} | ({"reason": self.reason} if self.reason else {})


OK = PartStatus()
#: The parts that nothing else tells the log of.
TOLD = frozenset({"room", "ground"})


def of(city: City) -> dict[str, PartStatus]:
    """Every part but the store, by name. Blocks for a moment: it looks at the disk."""
    return {
        "room": _room(city),
        "live": _live(city),
        "writer": _writer(city),
        "derived": _derived(city),
        "keys": _keys(city),
        "clock": _clock(),
        **_ground(city),
        **_webhooks(city),
    }


def _room(city: City) -> PartStatus:
    try:
        free = shutil.disk_usage(city.folder).free
    except OSError as error:
        return PartStatus("degraded", f"the city folder cannot be looked at: {error.strerror}")
    if free >= LOW_BYTES:
        return OK
    return PartStatus("degraded", f"less than {LOW_BYTES >> 20} MB of room are left for the city folder")


def _live(city: City) -> PartStatus:
    try:
        with city.live.file.reading() as conn:
            conn.execute("SELECT count(*) FROM datastream").fetchone()
    except TwinError as error:
        return PartStatus("failed", str(error))
    state = city.live.file.notice
    return OK if state is None else PartStatus("degraded", state)


def _writer(city: City) -> PartStatus:
    if city.live.read_only:
        return PartStatus(
            "degraded", "the city folder cannot be written: live data is served for reading only"
        )
    if city.live.ingest.failing is not None:
        return PartStatus("degraded", "live data could not be stored when it was tried last")
    return OK


def _derived(city: City) -> PartStatus:
    folder = city.folder / "derived"
    if os.access(folder if folder.exists() else city.folder, os.W_OK):
        tiles = city.catalogue.whole.tiles
        problems = {} if tiles is None else tiles.problems()
        if not problems:
            return OK
        why = ", ".join(sorted(set(problems.values())))
        return PartStatus("degraded", f"columns of {len(problems)} layers are kept in memory: {why}")
    return PartStatus("degraded", "derived files cannot be written: columns are kept in memory")


def _keys(city: City) -> PartStatus:
    try:
        if city.keys.names():
            return OK
    except TwinError as error:
        return PartStatus("degraded", str(error))
    return PartStatus("degraded", "there is no key: nobody may write")


def _ground(city: City) -> dict[str, PartStatus]:
    """Where bodies are to stand on terrain."""
    tiles = city.catalogue.whole.tiles
    if city.settings.heights.ground != "terrain" or tiles is None or tiles.terrain is None:
        return {}
    lack = tiles.terrain.lack()
    return {"ground": OK if lack is None else PartStatus("degraded", f"{lack}; bodies stand on 0 m")}


def _webhooks(city: City) -> dict[str, PartStatus]:
    """Where there are some. Why one is not taken may name layers and keys: that is for the log."""
    statuses = city.webhooks.statuses
    wrong = sum(not status.ok for status in statuses)
    if not statuses:
        return {}
    return {"webhooks": PartStatus("degraded", f"{wrong} of {len(statuses)} are not taken") if wrong else OK}


def _clock() -> PartStatus:
    leap = clock.CLOCK.leap
    if not leap:
        return OK
    return PartStatus("degraded", f"the clock was set by {leap:+.0f} s: live data goes on by the time before")


async def watch(city: City) -> None:
    """Tell the log of each change of a part, until cancelled."""
    before: Mapping[str, PartStatus] = {}
    while True:
        try:
            now = await city.run(of, city)
        except TwinError:
            now = dict(before)
        log_changes(before, now)
        before = now
        await asyncio.sleep(WATCH_SECONDS)


def log_changes(before: Mapping[str, PartStatus], now: Mapping[str, PartStatus]) -> None:
    """Log what has changed and is told nowhere else: the others have told it where it befell them, and a
    folder that cannot be written is as somebody set it."""
    for name, part in now.items():
        was = before.get(name, OK)
        if name not in TOLD or was.status == part.status:
            continue
        if part.status == "ok":
            log.warning("%s: in order again", name)
        else:
            log.warning("%s: %s", name, part.reason)
