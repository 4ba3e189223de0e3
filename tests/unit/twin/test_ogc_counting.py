"""A page whose matches were not counted, in every form: without their number, and else as always."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from layers.store import geopackage
from tests.storing import grid, load, spec
from twin import app
from twin.access.rights import EVERYBODY
from twin.catalogue import Catalogue
from twin.city import City

ITEMS = "/ogc/collections/buildings/items"
HALF = {"bbox": "24.9999,59,25.0445,61", "limit": "4"}
FEW = {"bbox": "24.9999,59,25.0005,61", "limit": "2"}


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """A city with 40 buildings whose store gathers up to 5."""
    (tmp_path / "city.yml").write_text("title: {en: Test}\n", "utf-8")
    opened = app.open_city(tmp_path)
    load(opened.store, spec(), grid(40))
    opened.store.close()
    opened.store = geopackage.open(tmp_path / "city.gpkg", few=5)
    opened.catalogue = Catalogue(opened.store, opened.settings, EVERYBODY, tmp_path)
    yield opened
    opened.live.stop()
    opened.close()


def ask(city: City, **query: str) -> httpx.Response:
    """One page."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=app.build(city))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(ITEMS, params=query)

    answer = asyncio.run(run())
    assert answer.status_code == 200, answer.text
    return answer


def has_next(answer: httpx.Response) -> bool:
    """Whether the header links to a next page."""
    return "next" in answer.links


@pytest.mark.parametrize("form", ["json", "jsonfg"])
def test_geojson_leaves_the_number_out(city, form):
    asked = {"f": "json"} | ({"profile": "jsonfg"} if form == "jsonfg" else {})
    answer = ask(city, **HALF, **asked)
    page = answer.json()
    assert "numberMatched" not in page
    assert (page["numberReturned"], len(page["features"])) == (4, 4)
    assert [link["rel"] for link in page["links"]].count("next") == 1
    assert "ogc-numbermatched" not in answer.headers
    assert answer.headers["ogc-numberreturned"] == "4"


@pytest.mark.parametrize("form", ["csv", "fgb"])
def test_headers_leave_the_number_out(city, form):
    answer = ask(city, **HALF, f=form)
    assert "ogc-numbermatched" not in answer.headers
    assert answer.headers["ogc-numberreturned"] == "4"
    assert has_next(answer)
    counted = ask(city, **FEW, f=form)
    assert counted.headers["ogc-numbermatched"] == "4"


def test_html_leaves_the_number_out(city):
    answer = ask(city, **HALF, f="html")
    assert "4 / " not in answer.text
    assert "after=" in answer.text
    assert "2 / 4" in (ask(city, **FEW, f="html")).text


def test_a_few_and_a_whole_layer_are_counted(city):
    assert (ask(city, **FEW)).json()["numberMatched"] == 4
    assert (ask(city, limit="3")).json()["numberMatched"] == 40
    assert (ask(city, bbox="20,50,30,70", limit="3")).json()["numberMatched"] == 40


def test_following_next_gives_every_match_once(city):
    seen, answer = [], ask(city, **HALF)
    while True:
        page = answer.json()
        assert "numberMatched" not in page
        seen += [feature["id"] for feature in page["features"]]
        if not has_next(answer):
            break
        answer = ask(city, **dict(httpx.URL(answer.links["next"]["url"]).params))
    assert len(set(seen)) == len(seen) == 20
