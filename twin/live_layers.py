"""What changes by the second as layers that are only read: the incidents, and the latest observation of each
datastream.

They lie in ``live.gpkg``, whose tables serve other questions. A mirror of them, in a store of this process,
is brought up to date when somebody asks. Who asks for an instant gets a mirror of that for as long as the
answer takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layers.errors import Busy, NotFound, Unavailable
from layers.model import FeatureLayer, Moment
from layers.store.base import LayerSpec
from layers.store.geopackage.mirror import Mirror, Row
from layers.types import LIVE_LAYERS, Field, FieldType
from tiles.service import Tiles
from twin.catalogue.published import PublishedLayer
from twin.catalogue.view import View
from twin.jobs.scratch import Scratch
from twin.live import past
from twin.live.clock import iso

if TYPE_CHECKING:
    from layers.observations.series import Latest
    from twin.incidents import Incidents
    from twin.live import Live
    from twin.live.registry import Datastream
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

#: Instants that are read at a time.
MOST = 8
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
    _field("building_id", "Building", "所属建筑"),
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
        self._scratch: Scratch | None = None
        self._free: list[Mirror] = []  # of instants that nobody reads any more
        self._taken = 0
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

    def at(self, layer_id: str, instant: int) -> Instant:
        """A layer as it was at an instant (ms): the incidents as their log has them; of each datastream that
        there is the latest observation up to the instant, with its name and thresholds of now. To be
        closed. Raises Busy."""
        rows = self._reported(instant) if layer_id == INCIDENTS else self._observed(instant)
        mirror = self._take()
        try:
            with _kept():
                mirror.put(layer_id, rows)
        except BaseException:
            self._give(mirror)
            raise
        view = _LiveView(mirror.store, self._settings, _no_tiles)
        view.moment = _Then(seq=instant, at=iso(instant), fixed=False)
        return Instant(view, lambda: self._give(mirror))

    def _take(self) -> Mirror:
        with self._lock:
            if self._taken >= MOST:
                raise Busy("too many instants of incidents and observations are read now; try again soon")
            mirror = self._free.pop() if self._free else self._new()
            self._taken += 1
            return mirror

    def _give(self, mirror: Mirror) -> None:
        with self._lock:
            self._taken -= 1
            self._free.append(mirror)

    def close(self) -> None:
        """Remove the mirrors."""
        with self._lock:
            self._made.close()
            self._free.clear()
            self._mirror = self._view = None

    def _make(self) -> View:
        self._mirror = self._new()
        self._view = _LiveView(self._mirror.store, self._settings, _no_tiles)
        return self._view

    def _new(self) -> Mirror:
        with _kept(), ExitStack() as made:
            if self._scratch is None:
                # what a server that was killed has left goes with the next one
                self._scratch = Scratch(self._derived / "live")
            mirror = Mirror(made.enter_context(self._scratch.folder()), _SPECS, (self._settings.crs,))
            made.callback(mirror.close)
            self._made.enter_context(made.pop_all())
        return mirror

    def _reported(self, at: int | None = None) -> dict[int, Row]:
        incidents, _ = self._incidents.find(limit=2**62, at=at)
        names = [field.name for field in _OF_INCIDENTS]
        return {one["id"]: (_place(one), one["code"], tuple(map(one.get, names))) for one in incidents}

    def _observations(self) -> dict[int, Row]:
        latest = self._live.ingest.series.latest
        return {
            stream.id: _observation(stream, last, stream.state)
            for stream in list(self._live.streams.values())
            if (last := latest.get(stream.id)) is not None
        }

    def _observed(self, at: int) -> dict[int, Row]:
        with self._live.file.reading() as conn:
            return {
                stream.id: _observation(stream, last, past.state(conn, stream.id, stream.rule, last.time, at))
                for stream in list(self._live.streams.values())
                if (last := past.newest(conn, stream.id, at)) is not None
            }


class Instant:
    """What a layer was at an instant, until it is closed."""

    def __init__(self, view: View, give: Callable[[], None]) -> None:
        self.view = view
        self._give: Callable[[], None] | None = give

    def close(self) -> None:
        """Read no more of it; once more does nothing."""
        give, self._give = self._give, None
        if give is not None:
            give()


class _Then(Moment):
    """An instant (ms, in the place of the number): what has it is no part of the store's history."""

    @property
    def name(self) -> str:
        return self.at


def _observation(stream: Datastream, last: Latest | past.Value, state: str) -> Row:
    """A datastream with one of its values."""
    values = (stream.name, stream.property, last.number, last.text, stream.unit, iso(last.time))
    place = _place({"lon": stream.lon, "lat": stream.lat})
    return place, f"Datastreams({stream.id})", (*values, state, stream.building, last.id, stream.simulated)


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
