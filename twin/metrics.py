"""The figures of a server, in the text format of Prometheus."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from layers.errors import TwinError
from layers.model import has_features
from twin import part_status

if TYPE_CHECKING:
    from twin.city import City

MEDIA = "text/plain; version=0.0.4; charset=utf-8"


class Figures:
    """The figures of one city. They are asked for at each scrape: nothing costs while nobody asks."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._registry: Any = None

    def text(self) -> bytes:
        """All figures. Blocks for a moment: it looks at disk and store."""
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, exposition

        if self._registry is None:
            registry = CollectorRegistry(auto_describe=False)
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            registry.register(self)
            self._registry = registry
        made: bytes = exposition.generate_latest(self._registry)
        return made

    def collect(self) -> Iterator[Any]:
        """The families of figures, as the library asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        city = self._city
        yield InfoMetricFamily("twin", "The server", {"version": version("onemap-twin")})
        state = GaugeMetricFamily("twin_part_ok", "1 where a part is in order", labels=["part"])
        for name, part in part_status.of(city).items():
            state.add_metric([name], float(part.status == "ok"))
        state.add_metric(["store"], float(self._stored()))
        yield state
        for name, description, value in self._gauges():
            yield GaugeMetricFamily(name, description, value)
        for name, description, counted in self._counters():
            yield CounterMetricFamily(name, description, counted)
        yield from self._webhooks()
        refused = CounterMetricFamily(
            "twin_refused", "Requests that were refused, by status", labels=["status"]
        )
        for status, number in sorted(city.load.refused.items()):
            refused.add_metric([str(status)], number)
        yield refused

    def _webhooks(self) -> Iterator[Any]:
        """Where there are some."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        label = ["webhook"]
        in_order = GaugeMetricFamily("twin_webhook_ok", "1 where a webhook is taken", labels=label)
        attempts = CounterMetricFamily("twin_webhook_attempts", "Messages that were sent", labels=label)
        taken = CounterMetricFamily("twin_webhook_delivered", "Messages that were taken", labels=label)
        statuses = self._city.webhooks.statuses
        for status in statuses:
            in_order.add_metric([status.name], float(status.ok))
            attempts.add_metric([status.name], status.attempts)
            taken.add_metric([status.name], status.delivered)
        if statuses:
            yield from (in_order, attempts, taken)

    def _stored(self) -> bool:
        try:
            self._city.store.seq()
        except TwinError:
            return False
        return self._city.lost is None

    def _gauges(self) -> Iterator[tuple[str, str, float]]:
        city = self._city
        yield "twin_room_bytes", "Room on the disk of the city folder", shutil.disk_usage(city.folder).free
        yield "twin_streams_open", "Open event streams", city.bus.clients
        yield "twin_connections_open", "Open connections", city.load.connections
        yield (
            "twin_live_waiting_jobs",
            "Writes that wait for their commit",
            city.live.ingest.waiting,
        )
        yield "twin_datastreams", "Datastreams", len(city.live.streams)
        try:
            layers = city.catalogue.whole.layers()
        except TwinError:
            return
        yield "twin_layers", "Layers", len(layers)
        yield "twin_features", "Features", sum(layer.count for layer in layers if has_features(layer))

    def _counters(self) -> Iterator[tuple[str, str, float]]:
        city = self._city
        yield "twin_requests", "Requests that came to a room", city.load.requests
        yield "twin_shed", "Requests that were answered 503 because too many waited", city.load.shed
        yield "twin_live_commits", "Commits of live data", city.live.ingest.commits
        yield (
            "twin_live_rows",
            "Rows of live data that were committed",
            city.live.ingest.rows,
        )
        yield "twin_wrong_keys", "Requests with a key that is not one", city.callers.wrong
