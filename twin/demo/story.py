"""Simulated incidents: some to begin with, more as sensors peak, all moved along the workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from twin.demo.curves import chance

MOVE_EVERY = 15.0
NEW_EVERY = 120.0
MOST_OPEN = 25
BEGIN_WITH = 8
_ROAD = ("accept", "file", "dispatch", "start", "feed_back", "check", "close")
_NOTES = {
    "dispatch": "To the district crew",
    "feed_back": "Done, pictures attached to the work order",
    "check": "Inspector on the way",
    "close": "Checked on site",
}
#: class, level, title; shown in both languages because an incident has one title.
_REPORTS = (
    ("road", 4, "Pothole in the carriageway · 路面坑槽"),
    ("water", 3, "Water standing on the street · 路面积水"),
    ("component", 4, "Manhole cover displaced · 井盖移位"),
    ("component", 4, "Street lamp out · 路灯不亮"),
    ("traffic", 3, "Signal out of order · 信号灯故障"),
    ("environment", 4, "Construction dust · 施工扬尘"),
    ("gas", 2, "Smell of gas reported · 疑似燃气泄漏"),
    ("water", 2, "Supply pipe burst suspected · 疑似供水爆管"),
)
_CHINESE_NOTES = {
    "dispatch": "派往区处置队伍",
    "feed_back": "已处理，照片附在工单上",
    "check": "核查员已出发",
    "close": "现场已核实",
}
_ALARMS = {
    "water_level": ("water", 2, "Water level is high · 水位超限"),
    "water_pressure": ("water", 2, "Supply pressure has dropped · 供水压力骤降"),
    "pm2_5": ("environment", 3, "Fine dust is high · PM2.5 超标"),
    "traffic_speed": ("traffic", 3, "Traffic at a standstill · 交通拥堵"),
    "gas_lel": ("gas", 1, "Combustible gas detected · 可燃气体报警"),
    "water_flow": ("water", 3, "Flow is out of range · 管网流量异常"),
    "turbidity": ("water", 2, "Water is turbid · 供水浊度超标"),
    "rainfall": ("water", 3, "Heavy rain · 短时强降雨"),
    "road_water": ("water", 2, "Water standing on the road · 道路积水"),
    "pm10": ("environment", 3, "Dust is high · 扬尘超标"),
    "noise": ("environment", 4, "Noise is high · 噪声超标"),
    "tilt": ("component", 1, "A building leans · 房屋倾斜"),
    "cover_tilt": ("component", 3, "Manhole cover open · 井盖倾斜"),
}


class Story:
    """The incidents of one run. What an earlier run left open is taken up again."""

    def __init__(self, http: httpx.Client, seed: int, *, chinese: bool = False) -> None:
        self._http = http
        self._chinese = chinese
        self._seed = seed
        self._open: dict[int, dict[str, Any]] = {}
        self._alarmed: set[int] = set()
        self._places: list[tuple[float, float]] = []
        self._moved = 0.0
        self._made = 0.0
        self._count = 0

    def begin(self, places: Sequence[tuple[float, float]]) -> None:
        """Take up what is there; a city without simulated incidents gets some, at all stages."""
        self._places = list(places)
        incidents = self._http.get("/incidents", params={"limit": 1000}).raise_for_status().json()
        mine = [i for i in incidents["incidents"] if i["simulated"]]
        self._open = {i["id"]: i for i in mine if i["actions"]}
        self._alarmed = {i["sensor"] for i in self._open.values() if i["sensor"] is not None}
        self._count = len(mine)
        for n in range(BEGIN_WITH if not mine else 0):
            incident = self._report()
            for _ in range(n):
                incident = self._forward(incident)

    def alarm(self, prop: str, sensor: int, at: tuple[float, float], place: str) -> None:
        """A sensor peaks: one incident for it, until that one is closed."""
        if sensor in self._alarmed:
            return
        self._alarmed.add(sensor)
        kind, level, title = _ALARMS[prop]
        self._post(kind, level, title, at, place or None, sensor)

    def tick(self, now: float) -> None:
        """Report or move one incident when its time has come (``now``: played seconds)."""
        if now - self._made >= NEW_EVERY:
            self._made = now
            if len(self._open) < MOST_OPEN:
                self._report()
        if now - self._moved >= MOVE_EVERY and self._open:
            self._moved = now
            ids = sorted(self._open)
            self._forward(self._open[ids[int(chance(self._seed, "move", now) * len(ids))]])

    def report(self, kind: str, level: int, title: str, at: tuple[float, float], source: str) -> None:
        """One incident that somebody tells of."""
        self._post(kind, level, title, at, None, None, source)

    def _report(self) -> dict[str, Any]:
        self._count += 1
        kind, level, title = _REPORTS[int(chance(self._seed, "report", self._count) * len(_REPORTS))]
        at = self._places[int(chance(self._seed, "place", self._count) * len(self._places))]
        return self._post(kind, level, title, at, None, None)

    def _post(
        self,
        kind: str,
        level: int,
        title: str,
        at: tuple[float, float],
        address: str | None,
        sensor: int | None,
        source: str = "simulator",
    ) -> dict[str, Any]:
        _, _, chinese = title.rpartition(" · ")
        body = {
            "title": chinese if self._chinese else title,
            "description": "演示用模拟数据" if self._chinese else "Simulated for the demonstration",
            "class": kind,
            "level": level,
            "lon": at[0],
            "lat": at[1],
            "address": address,
            "source": "sensor" if sensor else source,
            "simulated": True,
            "sensor": sensor,
        }
        made: dict[str, Any] = self._http.post("/incidents", json=body).raise_for_status().json()
        self._open[made["id"]] = made
        return made

    def _forward(self, incident: dict[str, Any]) -> dict[str, Any]:
        """One step on the main road. Somebody else may have moved it meanwhile: then read it again."""
        legal = [a["action"] for a in incident["actions"]]
        action = next((a for a in _ROAD if a in legal), None)
        if action is None:
            self._forget(incident)
            return incident
        answer = self._http.post(
            f"/incidents/{incident['id']}/actions",
            json={"action": action, "note": (_CHINESE_NOTES if self._chinese else _NOTES).get(action, "")},
            headers={"if-match": f'"{incident["revision"]}"'},
        )
        if answer.status_code in (409, 412):
            answer = self._http.get(f"/incidents/{incident['id']}")
        moved: dict[str, Any] = answer.raise_for_status().json()
        self._open[moved["id"]] = moved
        if not moved["actions"]:
            self._forget(moved)
        return moved

    def _forget(self, incident: dict[str, Any]) -> None:
        self._open.pop(incident["id"], None)
        self._alarmed.discard(incident["sensor"])
