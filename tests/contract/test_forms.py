"""A layer has a form: what has no features is recorded beside what has, and asked for no features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from layers.errors import BadFile, Exists, NotFound
from layers.model import Asset, ContentLayer, has_features
from layers.query import Query
from layers.store.base import FormSpec, Store
from tests.storing import fids, grid, load, spec

BOX = (24.9, 60.1, 25.1, 60.2)
OTHER = (24.8, 60.1, 25.0, 60.2)


def form(id: str = "ortho", **changes: Any) -> FormSpec:
    """What is recorded of a coverage."""
    words: dict[str, Any] = {
        "id": id,
        "form": "coverage",
        "kind": "raster",
        "title": {"en": "Orthophoto", "zh-CN": "正射影像"},
        "crs": "EPSG:3879",
        "extent": BOX,
    }
    return FormSpec(**(words | changes))


def test_every_form_is_listed_by_id(opener: Callable[[], Store]) -> None:
    store, other = opener(), opener()
    load(store, spec("buildings"), grid(3))
    assert store.record(form("ground", form="surface", kind="terrain", vertical_datum="N2000 height")) == 1
    store.record(form("aerial"))
    store.record(form("mesh", form="scene", kind="scene", extent=None))
    for each in (store, other, opener()):
        found = each.layers()
        told = [(layer.id, layer.form, layer.kind) for layer in found]
        assert told == [
            ("aerial", "coverage", "raster"),
            ("buildings", "features", "building"),
            ("ground", "surface", "terrain"),
            ("mesh", "scene", "scene"),
        ]
        assert [has_features(layer) for layer in found] == [False, True, False, False]
        aerial, _, ground, mesh = found
        assert (dict(aerial.title), aerial.crs, aerial.extent) == (
            {"en": "Orthophoto", "zh-CN": "正射影像"},
            "EPSG:3879",
            BOX,
        )
        assert (aerial.vertical_datum, ground.vertical_datum) == ("", "N2000 height")
        assert mesh.extent is None
        assert aerial.generation == 1
        assert [each.layer(layer.id) for layer in found] == found
        assert aerial.seq > ground.seq > 0


def test_a_record_is_renewed_and_logged(store: Store) -> None:
    store.record(form())
    before = store.seq()
    assert store.record(form(extent=OTHER, title={"en": "Newer"})) == 2
    (layer,) = store.layers()
    assert (layer.generation, layer.extent, layer.title["en"]) == (2, OTHER, "Newer")
    (change,) = store.changes(before)
    assert (change.layer, change.fid, change.old, change.new) == ("ortho", None, BOX, OTHER)
    assert layer.seq == change.seq == store.seq()


def test_where_the_content_lies_is_recorded(opener: Callable[[], Store]) -> None:
    places = (
        Asset(href="rasters/ortho/2023.tif", media_type="image/tiff; application=geotiff", time="2023-05-01"),
        Asset(href="/mnt/archive/正射 2024.tif", time="2024-05-01T10:00:00.000Z"),
        Asset(href="https://example.org/ortho.tif"),
    )
    opener().record(form(assets=places))
    (layer,) = opener().layers()
    assert isinstance(layer, ContentLayer)
    assert layer.assets == places
    opener().record(form(assets=places[1:]))
    renewed = opener().layer("ortho")
    assert isinstance(renewed, ContentLayer)
    assert (renewed.generation, renewed.assets) == (2, places[1:])


@pytest.mark.parametrize(
    "href",
    ["", "../other/ortho.tif", "a/../../b.tif", "/vsicurl/https://example.org/a.tif", "http://example.org/a.tif",
     "s3://bucket/a.tif", "https:///a.tif", "a\\b.tif", "a\0.tif"],
)  # fmt: skip
def test_content_that_lies_nowhere_is_refused(store: Store, href: str) -> None:
    with pytest.raises(BadFile) as caught:
        store.record(form(assets=(Asset(href=href),)))
    assert caught.value.rule == "store.asset"
    with pytest.raises(BadFile, match="neither a date nor a timestamp"):
        store.record(form(assets=(Asset(href="a.tif", time="last May"),)))
    assert store.layers() == []


def test_a_dropped_record_is_gone_and_its_generations_are_not_used_again(store: Store) -> None:
    store.record(form())
    store.save_report("ortho", {"read": 1})
    store.drop("ortho")
    assert store.layers() == []
    assert store.report("ortho") is None
    assert store.changes(0)[-1].old == BOX
    with pytest.raises(NotFound, match="there is no layer ortho"):
        store.layer("ortho")
    with pytest.raises(NotFound):
        store.drop("ortho")
    assert store.record(form()) == 2
    store.drop("ortho")
    assert load(store, spec("ortho"), grid(1)).generation == 3


def test_an_id_has_one_form(store: Store) -> None:
    load(store, spec("buildings"), grid(2))
    with pytest.raises(Exists, match="of the form features"):
        store.record(form("buildings"))
    store.record(form())
    for mode in ("create", "replace", "append"):
        stage = store.stage(spec("ortho"))
        with pytest.raises(Exists, match="of the form coverage"):
            store.publish(stage, mode=mode)
        stage.drop()
    assert len(fids(store)) == 2
    assert [layer.form for layer in store.layers()] == ["features", "coverage"]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"form": "features"}, "store.form"),
        ({"id": "twin_x"}, "store.layer-id"),
        ({"id": "Ä"}, "store.layer-id"),
    ],
)
def test_what_cannot_be_recorded(store: Store, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(BadFile) as caught:
        store.record(form(**changes))
    assert caught.value.rule == rule
    assert store.layers() == []


def _asked(store: Store) -> Iterator[Callable[[], object]]:
    feature = {"type": "Feature", "geometry": None, "properties": {}}
    yield lambda: store.feature_layer("ortho")
    yield lambda: store.items("ortho", Query())
    yield lambda: store.select("ortho", Query())
    yield lambda: store.count("ortho", Query(), 10)
    yield lambda: list(store.scan("ortho", Query(limit=None)))
    yield lambda: store.item("ortho", 1)
    yield lambda: store.revision("ortho", 1)
    yield lambda: store.rows("ortho")
    yield lambda: store.interval("ortho")
    yield lambda: store.create("ortho", feature)
    yield lambda: store.replace("ortho", 1, feature)
    yield lambda: store.patch("ortho", 1, {"properties": {}})
    yield lambda: store.delete("ortho", 1)


def test_a_layer_of_another_form_has_no_features(opener: Callable[[], Store]) -> None:
    opener().record(form())
    store = opener()
    assert store.layer("ortho").form == "coverage"
    for ask in _asked(store):
        with pytest.raises(NotFound, match="layer ortho is a coverage: it has no features"):
            ask()


def test_a_layer_of_features_records_its_vertical_datum(opener: Callable[[], Store]) -> None:
    store = opener()
    load(store, spec(vertical_datum="N2000 height"), grid(2))
    load(store, spec("parcels"), grid(1))
    known = {layer.id: layer.vertical_datum for layer in opener().feature_layers()}
    assert known == {"buildings": "N2000 height", "parcels": ""}
    before = store.seq()
    load(store, spec(vertical_datum="EVRF2019 height"), grid(2))
    assert store.feature_layer("buildings").vertical_datum == "EVRF2019 height"
    assert [(c.layer, c.fid) for c in store.changes(before)] == [("buildings", None)]
