"""What a page of the feed says where the log alone does not tell, and who shares it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from layers.errors import NotFound
from layers.store.base import Store
from layers.store.history import Retention
from layers.store.open import open_store
from tests.storing import grid, load, spec
from twin import settings
from twin.access.rights import EVERYBODY
from twin.catalogue import Catalogue
from twin.catalogue.view import View
from twin.city import City
from twin.http.feed import FeedRoute, _Asked
from twin.live.feed import Cursor, Feed, FeedPage, Wanted

SQUARE = [[25, 60], [25.1, 60], [25.1, 60.1], [25, 60]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Three buildings, of which no history is kept."""
    made = open_store(tmp_path, None, history=Retention(layers={"buildings": 0}))
    load(made, spec(), grid(3))
    yield made
    made.close()


@pytest.fixture
def view(store: Store, tmp_path: Path) -> View:
    """What everybody sees of them."""
    return Catalogue(store, settings.parse("themes: []\n"), EVERYBODY, tmp_path).whole


def test_what_lay_nowhere_and_is_gone_is_told_without_a_history(store: Store, view: View) -> None:
    nowhere = {"type": "Feature", "geometry": None, "properties": {"name": "nowhere"}}
    fid, _ = store.create("buildings", nowhere)
    cursor = Cursor(view.epoch, view.seq())
    store.delete("buildings", fid)
    told = Feed().page(view, cursor).features
    assert [(one["id"], one["change"]) for one in told] == [(fid, "removed")]


def test_what_lies_nowhere_is_told_as_changed_without_a_history(store: Store, view: View) -> None:
    nowhere = {"type": "Feature", "geometry": None, "properties": {"name": "nowhere"}}
    fid, _ = store.create("buildings", nowhere)
    cursor = Cursor(view.epoch, view.seq())
    store.patch("buildings", fid, {"properties": {"name": "still nowhere"}})
    store.patch("buildings", 1, {"geometry": None})
    placed = {**nowhere, "geometry": {"type": "Polygon", "coordinates": [SQUARE]}}
    new, _ = store.create("buildings", placed)
    told = {one["id"]: one["change"] for one in Feed().page(view, cursor).features}
    assert told == {fid: "changed", 1: "changed", new: "added"}


def test_an_entry_tells_what_became_of_it_outside_the_box(store: Store, view: View) -> None:
    cursor = Cursor(view.epoch, view.seq())
    box = store.feature_layer("buildings").extent
    assert box is not None
    far = {"type": "Polygon", "coordinates": [[[30, 10], [30.1, 10], [30.1, 10.1], [30, 10]]]}
    store.patch("buildings", 1, {"geometry": far})
    store.delete("buildings", 1)
    (told,) = Feed().page(view, cursor, Wanted(bbox=box)).features
    assert (told["change"], told["seq"]) == ("removed", store.seq())


def test_a_page_that_failed_is_made_anew(store: Store, view: View) -> None:
    feed = Feed()
    page, calls = feed.page, [0]

    def once_gone(*asked: Any) -> FeedPage:
        calls[0] += 1
        if calls[0] == 1:
            raise NotFound("dropped meanwhile")
        return page(*asked)

    async def aside(call: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.to_thread(call, *given)

    async def ask() -> None:
        room = SimpleNamespace(feed=SimpleNamespace(page=once_gone), aside=aside)
        route, asked = FeedRoute(cast(City, room)), _Asked(view, Wanted(), None, 1_000)
        cursor = Cursor(view.epoch, 0)
        with pytest.raises(NotFound):
            await route._shared(asked, cursor, feed.told)
        for _ in range(2):
            found, _ = await route._shared(asked, cursor, feed.told)
            assert found.cursor.seq == store.seq()
        assert calls == [2]

    asyncio.run(ask())
