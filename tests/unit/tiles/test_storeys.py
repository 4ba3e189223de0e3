"""The storeys and categories of a layer: counted from its columns, and anew after an edit."""

from __future__ import annotations

import json
from pathlib import Path

import orjson

from layers import load
from layers.store.base import Store
from tests.ifcs import house
from tiles.service import Tiles
from tiles.storeys import Choices, Storey


def test_they_follow_what_is_there(tmp_path: Path, store: Store) -> None:
    load.run(store, house().write(tmp_path / "a.ifc"), layer_id="house")
    (tmp_path / "b.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"a": 1},'
        ' "geometry": {"type": "Point", "coordinates": [11, 48]}}]}'
    )
    load.run(store, tmp_path / "b.geojson", layer_id="points")
    tiles = Tiles(store, tmp_path / "derived")
    every = (Storey(-1, "Cellar", -2.8), Storey(1, "Ground", 0.0), Storey(2, "Upper", 3.0))
    categories = ("door", "equipment", "foundation", "roof", "slab", "space", "wall")
    assert tiles.choices("house") == Choices(every, categories)
    assert tiles.choices("house") is tiles.choices("house")
    assert tiles.choices("points") == Choices()
    rows = store.rows("house")
    (footing,) = (
        fid
        for fid, category in zip(rows.fids.tolist(), rows.properties["category"], strict=True)
        if category == "foundation"
    )
    store.delete("house", footing)
    assert tiles.choices("house") == Choices(every[1:], tuple(c for c in categories if c != "foundation"))


def test_what_is_no_storey_and_what_nobody_would_choose_among_is_not_offered(
    tmp_path: Path, store: Store
) -> None:
    said = [(1, "odd"), (1, "Lobby"), (1, "Lobby"), (2.5, "mezzanine"), (1e300, "sky"), (None, "none")]
    features = [
        {
            "type": "Feature",
            "properties": {"storey_no": number, "storey": name, "category": f"c{i}"},
            "geometry": {"type": "Point", "coordinates": [11, 48]},
        }
        for i, (number, name) in enumerate(said * 60)
    ]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    load.run(store, tmp_path / "a.geojson", layer_id="rooms")
    choices = Tiles(store, tmp_path / "derived").choices("rooms")
    assert choices == Choices((Storey(1, "Lobby", None),))
    orjson.dumps([one.number for one in choices.storeys])  # it stands in /config.json


def test_what_was_edited_counts_with_what_was_not_and_what_was_before(tmp_path: Path, store: Store) -> None:
    load.run(store, house().write(tmp_path / "a.ifc"), layer_id="house")
    tiles = Tiles(store, tmp_path / "derived")
    before, seq = tiles.choices("house"), store.seq()
    fid = int(store.rows("house").fids[0])
    store.patch("house", fid, {"properties": {"storey_no": 3, "storey": "Attic", "category": "covering"}})
    after = tiles.choices("house")
    assert [(one.number, one.name) for one in after.storeys][-2:] == [(2, "Upper"), (3, "Attic")]
    assert set(after.categories) == {*before.categories, "covering"} - {"wall"}
    assert Tiles(store.as_of(seq), tiles).choices("house") == before
