"""Layers of other forms than features in the views of a catalogue: all of one is seen, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from layers.errors import NotFound
from layers.model import Layer
from layers.query import Query
from layers.store.base import FormSpec, Store
from layers.store.open import open_store
from tests import dems
from tests.storing import grid, load, spec
from twin.access.rights import ALL, WHOLE, Share
from twin.catalogue import Catalogue
from twin.catalogue.view import View
from twin.settings import parse


@dataclass
class Rules:
    """What one class sees of each layer; the whole of those that are not named."""

    shares: dict[str, Share | None] = field(default_factory=dict)

    def class_of(self, name: str | None, may: object) -> str:
        return ALL

    def share(self, rights: str, layer: Layer) -> Share | None:
        return self.shares.get(layer.id, WHOLE)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    load(opened, spec("buildings"), grid(2))
    opened.record(FormSpec("ortho", "coverage", "raster", {"en": "Orthophoto"}, "EPSG:3879"))
    yield opened
    opened.close()


def narrowed(store: Store, folder: Path, **shares: Share | None) -> View:
    settings = parse("layers:\n  ortho: {title: {zh-CN: 正射影像}, visible: false}\n")
    return Catalogue(store, settings, Rules(dict(shares)), folder).view("guest")


def test_what_the_city_says_of_a_coverage(store: Store, tmp_path: Path) -> None:
    for view in (narrowed(store, tmp_path), Catalogue(store, parse(""), Rules(), tmp_path).whole):
        assert [layer.id for layer in view.layers()] == ["buildings", "ortho"]
        assert [layer.id for layer in view.feature_layers()] == ["buildings"]
        assert view.layer("buildings") == view.feature_layer("buildings")
    mine = narrowed(store, tmp_path)
    (first, _) = mine.all_published()
    assert (first.layer.id, first.visible) == ("ortho", False)
    assert dict(mine.layer("ortho").title) == {"en": "Orthophoto", "zh-CN": "正射影像"}


@pytest.mark.parametrize("share", [None, Share(frozenset({"name"})), Share(where="levels > 3")])
def test_a_coverage_of_which_not_all_is_seen_is_not_there(
    store: Store, tmp_path: Path, share: Share | None
) -> None:
    view = narrowed(store, tmp_path, ortho=share)
    assert [layer.id for layer in view.layers()] == ["buildings"]
    asked = (
        view.layer,
        view.layer,
        lambda name: view.items(name, Query()),
        lambda name: view.item(name, 1),
    )
    for ask in asked:
        told = []
        for name in ("ortho", "nosuch"):
            with pytest.raises(NotFound) as caught:
                ask(name)
            told.append(str(caught.value).replace(name, "…"))
        assert told[0] == told[1]


def test_changes_of_a_coverage_are_told_to_who_sees_it(store: Store, tmp_path: Path) -> None:
    seeing, other = narrowed(store, tmp_path), narrowed(store, tmp_path, ortho=None)
    before = store.seq()
    store.record(FormSpec("ortho", "coverage", "raster", {}, "EPSG:3879"))
    assert [change.layer for change in seeing.changes(before)] == ["ortho"]
    assert other.changes(before) == []


def test_who_does_not_see_the_terrain_stands_on_none_of_it(store: Store, tmp_path: Path) -> None:
    dems.record(
        store, "dem", dems.write(tmp_path / "r/dem.tif", dems.hills(20, 20), cog=False), below=tmp_path
    )
    settings = parse("heights: {ground: terrain}\n")
    seen = Catalogue(store, settings, Rules({"dem": WHOLE}), tmp_path).view("guest").make_tiles().terrain
    hidden = Catalogue(store, settings, Rules({"dem": None}), tmp_path).view("guest").make_tiles().terrain
    assert seen is not None
    assert hidden is not None
    assert seen.ground() is not None
    assert hidden.ground() is None
    assert hidden.key() == ""
    with pytest.raises(NotFound, match="there is no surface dem"):
        hidden.mesh("dem", 0, 0, 0)
