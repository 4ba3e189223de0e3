"""Where simulated sensors stand: positions read from the city's own layers through its OGC API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from layers.errors import NotFound
from twin.demo.curves import chance

PAGE = 1_000

#: Observed property → words that a fitting layer has in its id, and (property, value) its rows should have.
_WANTED: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "water_level": (("street_assets", "component", "pipelines"), ()),
    "water_pressure": (("pipeline", "street_assets"), (("medium", "water"),)),
    "pm2_5": (("address", "street_assets"), ()),
    "traffic_speed": (("road", "address"), ()),
    "gas_lel": (("pipeline", "street_assets"), (("medium", "gas"),)),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A position with a name to call it by (empty where the feature has none)."""

    lon: float
    lat: float
    name: str


class Places:
    """The layers of a city as positions, each read once."""

    def __init__(self, http: httpx.Client, seed: int) -> None:
        self._http = http
        self._seed = seed
        self._ids: list[str] | None = None
        self._read: dict[str, list[tuple[Place, Mapping[str, Any]]]] = {}

    def pick(self, prop: str, count: int) -> list[Place]:
        """``count`` positions that suit an observed property, the same ones for the same seed.

        Raises NotFound when the city has no features at all."""
        words, wishes = _WANTED[prop]
        for layer in self._layers(words):
            rows = self._rows(layer)
            fitting = [p for p, properties in rows if all(properties.get(k) == v for k, v in wishes)]
            chosen = fitting or [p for p, _ in rows]
            if chosen:
                order = sorted(chosen, key=lambda p: chance(self._seed, prop, p.lon, p.lat))
                return [order[i % len(order)] for i in range(count)]
        raise NotFound("the city has no features to put sensors at: load a layer first")

    def _layers(self, words: tuple[str, ...]) -> list[str]:
        """Layer ids, the fitting ones first."""
        if self._ids is None:
            answer = self._http.get("/ogc/collections", params={"f": "json"}).raise_for_status()
            self._ids = [c["id"] for c in answer.json()["collections"]]
        fitting = [i for word in words for i in self._ids if word in i]
        return list(dict.fromkeys([*fitting, *self._ids]))

    def _rows(self, layer: str) -> list[tuple[Place, Mapping[str, Any]]]:
        if layer not in self._read:
            answer = self._http.get(f"/ogc/collections/{layer}/items", params={"limit": PAGE, "f": "json"})
            self._read[layer] = [
                (place, feature["properties"])
                for feature in answer.raise_for_status().json()["features"]
                if (place := _place(feature)) is not None
            ]
        return self._read[layer]


def _place(feature: Mapping[str, Any]) -> Place | None:
    """The middle vertex of a feature."""
    at: Any = (feature.get("geometry") or {}).get("coordinates")
    while isinstance(at, list) and at and isinstance(at[0], list):
        at = at[len(at) // 2] if not isinstance(at[0][0], list) else at[0]
    if not isinstance(at, list) or len(at) < 2:
        return None
    properties = feature["properties"]
    name = properties.get("street") or properties.get("name") or properties.get("addr:street") or ""
    return Place(at[0], at[1], str(name))
