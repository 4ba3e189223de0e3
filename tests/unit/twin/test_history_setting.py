"""``history`` and ``layers.ID.history`` of city.yml reach the store, and what is kept follows them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from layers.errors import BadConfig, Gone
from layers.store.geopackage import GeoPackageStore
from layers.store.history import Retention
from layers.store.open import open_store
from tests.storing import features, grid, load, spec
from twin import settings
from twin.access.keys import Keys
from twin.app import open_city


def test_what_is_said_of_the_city_and_of_layers() -> None:
    text = "history: {days: 30}\nlayers: {a: {history: forever}, b: {history: 0}, c: {visible: false}}"
    assert settings.parse(text).retention() == Retention(30, {"a": None, "b": 0})
    assert settings.parse("").retention() == Retention(90)
    for wrong in (
        "history: {days: -1}",
        "history: {days: for_ever}",
        "history: 90",
        "layers: {a: {history: x}}",
    ):
        with pytest.raises(BadConfig, match="history"):
            settings.parse(wrong)


def test_a_layer_without_history(tmp_path: Path) -> None:
    Keys(tmp_path).add("tester")
    with closing(open_store(tmp_path)) as made:
        load(made, spec(), grid(3))
        load(made, spec("other"), grid(3))
        made.patch("other", 1, {"properties": {"name": "earlier"}})
    (tmp_path / "city.yml").write_text("layers: {other: {history: 0}}\n")
    for _ in range(2):  # what was said once is not said again
        with closing(open_city(tmp_path)) as city:
            store = cast(GeoPackageStore, city.store)
            before = store.seq()
            for layer in ("buildings", "other"):
                store.patch(layer, 1, {"properties": {"name": f"of {before}"}})
            past = store.as_of(before)
            assert features(past)[0]["properties"]["name"] != f"of {before}"  # type: ignore[arg-type]
            with pytest.raises(Gone, match="layer other is not known as it was then"):
                past.item("other", 1)
            assert store.kept("buildings").seq == 0
            assert store.kept("other").seq == store.seq()
            assert [layer.id for layer in store.as_of(store.seq()).layers()] == ["buildings", "other"]
            assert [layer.id for layer in past.layers()] == ["buildings"]
    (tmp_path / "city.yml").write_text("history: {days: forever}\n")
    with closing(open_city(tmp_path)) as city:
        store = cast(GeoPackageStore, city.store)
        before = store.seq()
        store.patch("other", 1, {"properties": {"name": "last"}})
        assert features(store.as_of(before), "other")[0]["properties"]["name"] != "last"  # type: ignore[arg-type]
        assert store.kept("other").seq == before
