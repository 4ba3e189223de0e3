"""A new OGC API is one Room: ten lines from outside, and no other file knows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import openapi_spec_validator
import pytest

from tests.support import twin
from twin import app
from twin.access.caller import CALLER
from twin.city import City
from twin.http import answers
from twin.http.context import link
from twin.http.formats import JSON
from twin.http.openapi_parts import get, ok
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site

CLASS = "http://www.opengis.net/spec/ogcapi-toy-1/0.0/conf/core"


def toy(site: Site) -> Sequence[Room]:
    """How many layers the city has."""

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        await answers.give_json(scope, send, {"layers": len(site.city.catalogue.of(scope[CALLER]).layers())})

    item = {"get": get("toy.count", "toy", "Count", ok("The number", {JSON: {"type": "object"}}), [])}
    route = Route("/ogc/toy", {"GET": count}, lambda context: item)
    return (
        Room(
            name="toy",
            title=("Toy", "玩具"),
            routes=(route,),
            landing=lambda context: [link("toy", f"{context.base}/toy", JSON, "Toy")],
            collection=lambda context, layer: [link("toy", f"{context.base}/toy", JSON, "Toy")],
            conformance=(CLASS,),
        ),
    )


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    twin("init", str(tmp_path / "city"))
    file = tmp_path / "points.geojson"
    file.write_text('{"type":"Feature","properties":{"a":1},"geometry":{"type":"Point","coordinates":[1,2]}}')
    twin("load", str(file), "--as", "points", "--city", str(tmp_path / "city"))
    opened = app.open_city(tmp_path / "city")
    yield opened
    opened.live.file.close()
    opened.close()


def test_a_toy_api_is_linked_declared_described_and_served(city: City):
    front = app.build(city, [*app.makers(), toy])

    async def main() -> None:
        transport = httpx.ASGITransport(app=cast(Any, front))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

            async def read(path: str) -> Any:
                return (
                    await client.get(path, params={"f": "json"}, headers={"accept-language": "en"})
                ).json()

            assert (await client.get("/ogc/toy")).json() == {"layers": 1}
            here = "http://127.0.0.1/ogc/toy"
            assert here in [one["href"] for one in (await read("/ogc"))["links"]]
            assert here in [one["href"] for one in (await read("/ogc/collections/points"))["links"]]
            assert CLASS in (await read("/ogc/conformance"))["conformsTo"]
            page = await client.get("/ogc", params={"f": "html"})
            assert f'<a href="{here}">Toy</a>' in page.text
            document = await read("/ogc/api")
            openapi_spec_validator.validate(document)
            assert document["paths"]["/toy"]["get"]["operationId"] == "toy.count"
            assert {"name": "toy", "description": "Toy"} in document["tags"]
            options = await client.options("/ogc/toy")
            assert (options.status_code, options.headers["allow"]) == (200, "GET, HEAD, OPTIONS")
            refused = await client.delete("/ogc/toy")
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
            head = await client.head("/ogc/toy")
            assert (head.status_code, head.content) == (200, b"")
            for answer in (options, refused, head):
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["access-control-allow-origin"] == "*"

    asyncio.run(main())
