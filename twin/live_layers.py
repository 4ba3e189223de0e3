"""What changes by the second as layers that are only read: the incidents, and the latest observation of each
datastream.

They lie in ``live.gpkg``, whose tables serve other questions. A mirror of them, in a store of this process,
is brought up to date when somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layers.errors import NotFound, Unavailable
from layers.model import FeatureLayer
from layers.store.base import LayerSpec
from layers.store.geopackage.mirror import Mirror, Row
from layers.types import LIVE_LAYERS, Field, FieldType
from tiles.service import Tiles
from twin.catalogue.published import PublishedLayer
from twin.catalogue.view import View
from twin.jobs.scratch import Scratch
from twin.live.clock import iso

if TYPE_CHECKING:
    from twin.incidents import Incidents
    from twin.live import Live
    from twin.settings import CitySettings

INCIDENTS, OBSERVATIONS = LIVE_LAYERS
#: Why they are not edited here.
READ_ONLY = {
    INCIDENTS: "incidents are reported and moved at /incidents",
    OBSERVATIONS: "observations are sent to /sta/v1.1",
}
_TITLES = {
    INCIDENTS: {"en": "Incidents", "zh-CN": "事件"},
    OBSERVATIONS: {"en": "Latest observations", "zh-CN": "最新观测"},
}

_NOT_KEPT = (
    "incidents and latest observations cannot be given as collections now: the copy of them in derived/live "
    "cannot be written; see that there is room on its disk"
)


def _field(name: str, en: str, zh: str, type_: FieldType = "string", unit: str | None = None) -> Field:
    return Field(name, type_, {"en": en, "zh-CN": zh}, unit)


_OF_INCIDENTS = (
    _field("title", "Title", "标题"),
    _field("status", "State", "状态"),
    _field("level", "Level", "等级", "integer"),
    _field("class", "Class", "类别"),
    _field("description", "Description", "描述"),
    _field("address", "Address", "地址"),
    _field("source", "Source", "来源"),
    _field("reported", "Reported", "上报时间", "datetime"),
    _field("changed", "Changed", "变更时间", "datetime"),
    _field("revision", "Revision", "修订", "integer"),
    _field("sensor", "Datastream", "数据流", "integer"),
    _field("simulated", "Simulated", "模拟", "boolean"),
)
_OF_OBSERVATIONS = (
    _field("name", "Datastream", "数据流"),
    _field("property", "Observed property", "观测属性"),
    _field("result", "Result", "观测值", "number"),
    _field("result_text", "Result as text", "观测值（文本）"),
    _field("unit", "Unit", "单位"),
    _field("phenomenon_time", "Time", "观测时间", "datetime"),
    _field("state", "State", "状态"),
    _field("observation", "Observation", "观测编号", "integer"),
    _field("simulated", "Simulated", "模拟", "boolean"),
)


class LiveLayers:
    """The mirror of one server; made when it is first asked for. Safe to use from several threads."""

    def __init__(self, live: Live, incidents: Incidents, settings: CitySettings, derived: Path) -> None:
        """``derived`` is the folder of files that can be made again."""
        self._live, self._incidents, self._settings = live, incidents, settings
        self._derived = derived
        self._lock = threading.Lock()
        self._mirror: Mirror | None = None
        self._made = ExitStack()
        self._view: View | None = None
        self._mark: object = None

    def view(self) -> View:
        """The layers as they were last brought up to date."""
        with self._lock:
            return self._view or self._make()

    def refresh(self, layer_id: str) -> None:
        """Bring a layer up to date: what was acknowledged before this call is in it."""
        self.view()
        assert self._mirror is not None
        with self._lock:
            if layer_id == OBSERVATIONS:
                rows = self._observations()
                with _kept():
                    self._mirror.put(layer_id, rows)
                return
            mark = self._incidents.mark()
            if mark != self._mark:
                rows = self._reported()
                with _kept():
                    self._mirror.put(layer_id, rows)
                self._mark = mark

    def close(self) -> None:
        """Remove the mirror."""
        with self._lock:
            self._made.close()
            self._mirror = self._view = None

    def _make(self) -> View:
        with _kept(), ExitStack() as made:
            # what a server that was killed has left goes with the next one
            folder = made.enter_context(Scratch(self._derived / "live").folder())
            self._mirror = Mirror(folder, _SPECS, (self._settings.crs,))
            made.callback(self._mirror.close)
            self._made = made.pop_all()
        self._view = _LiveView(self._mirror.store, self._settings, _no_tiles)
        return self._view

    def _reported(self) -> dict[int, Row]:
        incidents, _ = self._incidents.find(limit=2**62)
        names = [field.name for field in _OF_INCIDENTS]
        return {one["id"]: (_place(one), one["code"], tuple(map(one.get, names))) for one in incidents}

    def _observations(self) -> dict[int, Row]:
        latest = self._live.ingest.series.latest
        rows: dict[int, Row] = {}
        for stream in list(self._live.streams.values()):
            last = latest.get(stream.id)
            if last is None:
                continue
            values = (stream.name, stream.property, last.number, last.text, stream.unit, iso(last.time))
            place = _place({"lon": stream.lon, "lat": stream.lat})
            rest = (stream.state, last.id, stream.simulated)
            rows[stream.id] = (place, f"Datastreams({stream.id})", (*values, *rest))
        return rows


@contextmanager
def _kept() -> Iterator[None]:
    """Raises Unavailable for what fails in the mirror: its store would speak of the city's."""
    try:
        yield
    except (Unavailable, OSError) as error:
        raise Unavailable(_NOT_KEPT) from error


class _LiveView(View):
    """Nobody edits these layers here."""

    def _seen(self, source: FeatureLayer) -> PublishedLayer[FeatureLayer] | None:
        published = super()._seen(source)
        if published is None:
            return None
        layer = replace(published.layer, edits=(), fixed_because=READ_ONLY[source.id])
        return replace(published, layer=layer)


def _no_tiles(view: View) -> Tiles:
    raise NotFound("collections of live data have no tiles")


def _place(row: Mapping[str, Any]) -> tuple[float, float] | None:
    lon, lat = row["lon"], row["lat"]
    return None if lon is None or lat is None else (float(lon), float(lat))


_SPECS = tuple(
    LayerSpec(name, "feature", _TITLES[name], fields, "Point", "EPSG:4326", time_field=time)
    for name, fields, time in (
        (INCIDENTS, _OF_INCIDENTS, "reported"),
        (OBSERVATIONS, _OF_OBSERVATIONS, "phenomenon_time"),
    )
)
