"""Live data of a city: ingest, rules, the state of every sensor, fan-out."""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layers.observations.livefile import LiveFile
from layers.observations.series import Latest
from twin.live import clock, registry, themes
from twin.live.bus import Bus
from twin.live.clock import now_ms
from twin.live.ingest import Ingest, Transaction
from twin.live.registry import Datastream
from twin.live.views import columns

if TYPE_CHECKING:
    from twin.settings import CitySettings

log = logging.getLogger("twin")
STALE_CHECK_SECONDS = 0.5


class Live:
    """Built by ``twin.app``; ``start`` and ``stop`` are called from the lifespan.

    ``streams`` (datastream id → :class:`Datastream`) is changed only by the writer thread after a
    commit and by the watch for silence; readers take what they find."""

    def __init__(self, folder: Path, settings: CitySettings, bus: Bus) -> None:
        self.bus = bus
        self.themes = themes.load(folder, settings.themes)
        self.file = LiveFile(folder)
        self.streams: dict[int, Datastream] = {}
        #: What is to be done once the file was opened anew.
        self.renewals: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        # when each datastream that is heard would be silent for too long, as far as that was known
        self._silent: list[tuple[int, int]] = []
        self.ingest = Ingest(self.file, self._step, self._moved, self._renewed, now_ms)
        with self.file.reading() as conn:
            self._fill(registry.read(conn, self.themes))
        self._stop = threading.Event()
        self._watch: threading.Thread | None = None

    @property
    def read_only(self) -> bool:
        """True when the city folder cannot be written; writes then raise ReadOnly."""
        return self.file.read_only

    def start(self) -> None:
        """Start the writer and the watch for silent sensors."""
        self.ingest.start()
        # the file may hold values of a time to come, of a clock that was wrong
        self.ingest.look()
        self._watch = threading.Thread(target=self._watch_silence, name="live-stale", daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Write what is queued, stop the threads, close the file."""
        self._stop.set()
        self.ingest.stop()
        if self._watch is not None:
            self._watch.join()
        self.file.close()

    def sensors(self, streams: Iterable[Datastream] | None = None) -> dict[str, list[Any]]:
        """Sensors as columns, the form in which the page takes them."""
        return columns(list(self.streams.values()) if streams is None else list(streams))

    def changed(self, tx: Transaction, ids: Collection[int]) -> None:
        """Datastreams were made or changed in a transaction: once it is committed, tell."""
        fresh = registry.read(tx.conn, self.themes, ids)

        tx.settle.append(lambda: self._fill(fresh))
        tx.after.append(lambda: self.bus.publish("sensors", self.sensors(fresh)))

    def _renewed(self) -> None:
        """The file was opened anew: read it as at a start, and have every open page begin anew."""
        with self.file.reading() as conn:
            fresh = registry.read(conn, self.themes)
        with self._lock:
            self.streams, self._silent = {}, []
        self.bus.places.replace(())
        self._fill(fresh)
        for renewal in self.renewals:
            renewal()
        self.bus.restart()

    def _fill(self, fresh: Collection[Datastream]) -> None:
        now = now_ms()
        latest = self.ingest.series.latest
        with self._lock:
            for stream in fresh:
                stream.take(latest.get(stream.id))
                if stream.value is not None:
                    # thresholds may have changed since the value came
                    stream.raised = stream.rule.step(stream.value, stream.raised)
                stream.judge(now)
                self.streams[stream.id] = stream
                self._time(stream)
        self.bus.places.put(fresh)

    def _time(self, stream: Datastream) -> None:
        """Have a datastream judged again when it would be silent for too long."""
        if not stream.timed and stream.state != "stale" and (until := stream.until()) is not None:
            stream.timed = True
            heapq.heappush(self._silent, (until, stream.id))

    def _step(self, datastream: int, value: float, raised: int) -> int:
        stream = self.streams.get(datastream)
        return stream.rule.step(value, raised) if stream else raised

    def _moved(self, moved: dict[int, Latest]) -> Callable[[], None]:
        """After a commit: the new values to memory; what is returned tells the pages."""
        now = now_ms()
        changed: list[Datastream] = []
        with self._lock:
            for datastream, last in moved.items():
                stream = self.streams.get(datastream)
                if stream is None:
                    continue
                # one that was moved back may be silent sooner than was known
                stream.timed &= stream.time is not None and last.time >= stream.time
                stream.take(last)
                stream.judge(now)
                self._time(stream)
                changed.append(stream)
        return lambda: self._publish(changed)

    def _publish(self, streams: list[Datastream]) -> None:
        if streams:
            self.bus.publish(
                "obs",
                {
                    "id": [s.id for s in streams],
                    "value": [s.value for s in streams],
                    "time": [s.time for s in streams],
                    "state": [s.state for s in streams],
                },
            )

    def _watch_silence(self) -> None:
        before = now_ms()
        while not self._stop.wait(STALE_CHECK_SECONDS):
            leapt, now = clock.CLOCK.believed(), now_ms()
            if self.file.changed() or self.ingest.series.due(now) or leapt or now < before:
                self.ingest.look()
            with self._lock:
                # after a leap of the clock, any of them may be another than it was
                some = self._due(now) if now >= before and not leapt else list(self.streams.values())
                changed = [stream for stream in some if stream.judge(now)]
                for stream in some:
                    self._time(stream)
                self._publish(changed)
            before = now

    def _due(self, now: int) -> list[Datastream]:
        """Those that may be silent for too long by now; one that was heard since waits again."""
        found: list[Datastream] = []
        while self._silent and self._silent[0][0] < now:
            stream = self.streams.get(heapq.heappop(self._silent)[1])
            if stream is not None:
                stream.timed = False
                found.append(stream)
        return found
