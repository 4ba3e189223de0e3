"""The catalogue: one view a class of rights, and a layer as the store and ``city.yml`` say it together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.storing import grid, load, spec
from twin import app
from twin.access.caller import Caller
from twin.catalogue.narrow import NarrowedView
from twin.city import City

CITY = """
title: {en: Town}
layers:
  roads: {visible: false}
  buildings:
    title: {en: Houses}
    locking: strict
    style: {color: "#123456"}
"""


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    (tmp_path / "city.yml").write_text(CITY, "utf-8")
    opened = app.open_city(tmp_path)
    load(opened.store, spec("areas", kind="feature", title={}), grid(1))
    load(opened.store, spec("buildings", title={"en": "Buildings", "zh-CN": "建筑"}), grid(2))
    load(opened.store, spec("roads", kind="road"), grid(1))
    yield opened
    opened.live.stop()
    opened.close()


def get(city: City, path: str) -> Any:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=app.build(city))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(run()).json()


def test_views_are_kept_by_class_and_everybody_has_the_same(city):
    catalogue = city.catalogue
    whole = catalogue.of(Caller())
    assert whole is catalogue.whole
    assert catalogue.of(Caller("duty", ("edit",))) is whole
    other = catalogue.of(Caller(rights="guest"))
    assert isinstance(other, NarrowedView)
    assert catalogue.of(Caller("x", rights="guest")) is other
    assert other.epoch != whole.epoch == city.store.epoch


def test_what_the_city_says_of_a_layer_is_merged_once(city):
    view = city.catalogue.whole
    houses = view.published("buildings")
    assert dict(houses.layer.title) == {"en": "Houses", "zh-CN": "建筑"}
    assert (houses.strict, houses.visible, houses.style["color"]) == (True, True, "#123456")
    assert view.published("areas").strict is False
    assert [one.layer.id for one in view.all_published()] == ["roads", "buildings", "areas"]
    assert view.layer("buildings") is houses.layer


def test_every_room_tells_the_same_of_it(city):
    by_id = {one["id"]: one for one in get(city, "/config.json")["layers"]}
    assert list(by_id) == ["roads", "buildings", "areas"]
    houses = by_id["buildings"]
    assert (houses["title"]["en"], houses["title"]["zh-CN"]) == ("Houses", "建筑")
    assert (houses["visible"], by_id["roads"]["visible"]) == (True, False)
    assert get(city, "/ogc/collections/buildings?f=json")["title"] in ("Houses", "建筑")
    (told,) = get(city, "/tiles/buildings.json")["vector_layers"]
    assert told["description"] == "Houses"


def test_a_layer_that_changed_is_published_anew(city):
    view = city.catalogue.whole
    before = view.layer("buildings")
    load(city.store, spec("buildings", title={"en": "Buildings", "zh-CN": "楼"}), grid(3))
    assert (before.count, view.layer("buildings").count) == (2, 3)
    assert view.layer("buildings").title["zh-CN"] == "楼"
