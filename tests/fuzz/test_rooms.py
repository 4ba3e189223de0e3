"""Every route of every room asked with noise: never a fault of the server, every refusal in one shape.

``tests/fuzz/test_requests.py`` asks what the OGC API understands, over both stores; this asks all rooms for
what nobody means, in one process, so that it is cheap."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.unit.twin.live.rooms import thing
from twin import app
from twin.http.room import METHODS, Route
from twin.template import template

ROUNDS = int(os.environ.get("TWIN_FUZZ_ROUNDS", "900"))
SEED = os.environ.get("TWIN_FUZZ_SEED", "1")
URL = "http://127.0.0.1"
WORDS = (
    *("", "0", "1", "-1", "2147483648", "9" * 25, "1e999", "NaN", "null", "true", "%00", "%2F", "..", "%FF"),
    *("é", "中", "'", '"', "(", ")", "Things", "Things(1)", "Datastreams(1)", "Observations", "houses", "14"),
    *("9327", "*", "$value", "$ref", "name", "a,b", "2020-01-01T00:00:00Z", "2020-02-30", "../..", "x" * 300),
)
NAMES = (
    *("f", "limit", "bbox", "datetime", "filter", "filter-lang", "crs", "q", "status", "level", "since"),
    *("$filter", "$orderby", "$top", "$skip", "$expand", "$select", "$count", "$resultFormat", "offset"),
)
EXPRESSIONS = (
    *("result gt 1", "name eq 'a'", "not", "1 div 0 eq 1", "substringof('a',name)", "id eq 'x'", "result"),
    *("Datastream/name eq 'x'", "year(phenomenonTime) gt 2000", "(((((", "result add result sub result"),
    *("geo.distance(location,geography'POINT(1 1)') lt 1", "now() gt phenomenonTime", "result/x"),
)
POINT = {"type": "Point", "coordinates": [1]}
SCRAPS: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**53, 2**70, 1e308, "", "x", "中", "\u0000", "2020-01-01T00:00:00Z", [], {}),
    *([[]], [{}], {"@iot.id": 1}, {"@iot.id": "x"}, {"@iot.id": {}}, [{"@iot.id": 1}], POINT, "y" * 20_000),
    *(POINT | {"coordinates": [[1, 2]]}, [0] * 500, {"a": {"b": {"c": []}}}),
)
ARRAYS = {"Datastream": {"@iot.id": 1}, "components": ["phenomenonTime", "result"], "dataArray": [[None, 1]]}
BODIES: dict[str, Any] = {
    "/incidents": {"title": "x", "level": 1, "lon": 24.0, "lat": 60.0, "sensor": 1, "class": "fire"},
    "/incidents/{incident}/actions": {"action": "accept", "note": "x"},
    "/sta/v1.1/CreateObservations": [ARRAYS],
    "/sta/v1.1/{resource...}": thing(),
}
OBSERVATION = {"result": 1, "phenomenonTime": "2020-01-01T00:00:00Z", "parameters": {"a": 1}}
FEATURE = {"type": "Feature", "geometry": POINT | {"coordinates": [1, 2]}, "properties": {"name": "x"}}
RESOURCES = (
    *("Things", "Things(1)", "Datastreams(1)", "Datastreams(1)/Observations", "Locations(1)", "Locations"),
    *("Observations", "Sensors(1)/metadata/$value", "Things(1)/Datastreams", "FeaturesOfInterest(1)"),
)
VALUES = {
    "layer": ("houses", "nowhere"),
    "layers": ("houses", "houses,houses", ""),
    "incident": ("1", "2"),
    "jobId": ("x",),
    "feature": ("1", "7"),
    "resource...": RESOURCES,
}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[app.Front]:
    from layers import load
    from layers.source import Declared

    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "city.yml").write_text(template("Town"), "utf-8")
    file = folder / "houses.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [FEATURE]}))
    city = app.open_city(folder)
    load.run(city.store, file, Declared(), layer_id="houses", mode="create")
    made = app.build(city)
    city.live.start()
    yield made
    city.live.stop()
    city.close()


class Noise:
    """Requests from a seed."""

    def __init__(self, routes: list[Route]) -> None:
        self.random = random.Random(SEED)
        self.routes = routes

    def request(self) -> tuple[str, str, dict[str, str], bytes]:
        """Method, target, headers and body."""
        roll = self.random
        route = roll.choice(self.routes)
        path = "/".join(self._part(part) for part in route.path.split("/"))
        known = list(route.methods)
        method = roll.choice(known) if roll.random() < 0.8 else roll.choice(METHODS)
        query = "&".join(f"{roll.choice(NAMES)}={self._value()}" for _ in range(roll.choice((0, 0, 1, 1, 2))))
        headers = {}
        if roll.random() < 0.2:
            name = roll.choice(("accept", "if-match", "if-none-match", "range", "accept-encoding", "origin"))
            headers[name] = roll.choice(WORDS).encode("ascii", "replace").decode() or "x"
        body = b""
        if method in ("POST", "PUT", "PATCH"):
            media = route.takes.get(method, "application/json")
            headers["content-type"] = (
                media if roll.random() < 0.95 else roll.choice(("text/plain", "x", "*/*"))
            )
            body = self._body(route, path)
        return method, f"{path}?{query}" if query else path, headers, body

    def _part(self, part: str) -> str:
        if not part.startswith("{"):
            return part
        name, _, extension = part[1:].partition("}")
        known = VALUES.get(name, ("1", "14"))
        return (self.random.choice(known) if self.random.random() < 0.8 else self._value()) + extension

    def _value(self) -> str:
        return self.random.choice(WORDS if self.random.random() < 0.7 else EXPRESSIONS).replace("#", "")

    def _body(self, route: Route, path: str) -> bytes:
        base = BODIES.get(route.path, FEATURE)
        if "Observations" in path and not path.endswith("CreateObservations"):
            base = OBSERVATION
        made = copy.deepcopy(base)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3))):
            made = self._spoilt(made)
        try:
            body = json.dumps(made).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError):
            body = b"{"
        if self.random.random() < 0.05:
            body = body[: self.random.randrange(len(body) + 1)]
        return body

    def _spoilt(self, value: Any) -> Any:
        """One member, at any depth, put in place of another, taken out, or added."""
        if isinstance(value, dict) and value and self.random.random() < 0.9:
            name = self.random.choice(list(value))
            if self.random.random() < 0.15:
                del value[name]
            elif self.random.random() < 0.1:
                value[self.random.choice(WORDS)] = self.random.choice(SCRAPS)
            else:
                value[name] = self._spoilt(value[name])
            return value
        if isinstance(value, list) and value and self.random.random() < 0.9:
            at = self.random.randrange(len(value))
            value[at] = self._spoilt(value[at])
            return value
        return copy.deepcopy(self.random.choice(SCRAPS))


def test_noise_in_every_room_is_no_fault(front: app.Front, caplog: pytest.LogCaptureFixture) -> None:
    routes = [route for room in front.site.rooms for route in room.routes if route.path != "/{file...}"]
    noise = Noise(routes)
    key = {"x-api-key": front.site.city.keys.add("noise")}

    async def send(client: httpx.AsyncClient, method: str, target: str, headers: Any, body: bytes) -> None:
        where = f"{method} {target} {headers} {body[:500]!r}"
        if method == "GET" and target.startswith("/stream"):
            method = "HEAD"  # it has no end
        try:
            request = client.build_request(method, target, headers=key | headers, content=body)
        except httpx.InvalidURL:
            return
        if request.url.host != "127.0.0.1":
            return
        answer = await client.send(request)
        assert answer.status_code != 500, (where, answer.text)
        if method != "HEAD" and answer.status_code >= 400:
            told = answer.json()
            assert told["status"] == answer.status_code, where
            assert told["detail"], where
            assert str(Path.cwd()) not in told["detail"], where

    async def main() -> None:
        front.site.city.bus.bind(asyncio.get_running_loop())
        transport = httpx.ASGITransport(app=cast(Any, front))
        async with httpx.AsyncClient(transport=transport, base_url=URL, timeout=60) as client:
            for path in ("/sta/v1.1/Things", "/incidents"):
                route = "/sta/v1.1/{resource...}" if path.startswith("/sta") else path
                made = await client.post(path, json=BODIES[route] | {}, headers=key)
                assert made.status_code == 201, made.text
            for _ in range(ROUNDS):
                await send(client, *noise.request())

    asyncio.run(main())
    assert "Traceback" not in caplog.text
