"""The door "kind": one module and one table, and a file is loaded, drawn and listed as that kind."""

from __future__ import annotations

import asyncio
import json
from copy import copy
from pathlib import Path
from typing import Any, cast

import httpx
import mapbox_vector_tile
import pytest

from layers import kinds, load
from layers.kinds import kind_table
from layers.kinds.base import Columns, SourceBatch
from layers.store.open import open_store
from twin.app import build, open_city

TABLE = """
title: {zh-CN: 树木, en: Trees}
group: survey
geometry: [point]
signature: [natural=tree]
fields:
  name: {title: {zh-CN: 名称, en: Name}, aliases: [name]}
  crown_m: {title: {zh-CN: 冠幅, en: Crown}, type: number, unit: m, aliases: [diameter_crown, 冠幅]}
style:
  color: {default: "#2e7d32"}
  legend: [{title: {zh-CN: 树木, en: Tree}, color: "#2e7d32"}]
"""


def register(folder: Path) -> None:
    """All that a new kind is; in the project: layers/kinds/tree.py and config/kinds/tree.yml."""
    (folder / "tree.yml").write_text(TABLE)
    trees = kind_table.read(folder / "tree.yml")

    def normalise(batch: SourceBatch) -> Columns:
        crowns = [float(value) if value else None for value in trees.values(batch, "crown_m")]
        return {"name": trees.texts(batch, "name"), "crown_m": crowns}

    kinds.register(trees.kind("tree", normalise))


def tree(lon: float, **properties: str) -> dict[str, Any]:
    place = {"type": "Point", "coordinates": [lon, 60.17]}
    return {"type": "Feature", "properties": {"natural": "tree", **properties}, "geometry": place}


async def answers(folder: Path, *paths: str) -> list[httpx.Response]:
    city = open_city(folder)
    try:
        transport = httpx.ASGITransport(app=cast(Any, build(city)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.get(path) for path in paths]
    finally:
        city.close()


@pytest.fixture(autouse=True)
def _forgotten_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ids", "_kinds"):
        monkeypatch.setattr(kinds.KINDS, name, copy(getattr(kinds.KINDS, name)))


def test_a_new_kind_is_one_module_and_one_table(tmp_path: Path) -> None:
    register(tmp_path)
    features = [tree(24.94, name="The oak", diameter_crown="12.5"), tree(24.95, 冠幅="3")]
    (tmp_path / "trees.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (tmp_path / "city.yml").write_text("title: {en: Trees}\n")
    store = open_store(tmp_path)
    assert load.run(store, tmp_path / "trees.geojson", layer_id="trees").kind == "tree"
    store.close()
    config, tile = asyncio.run(answers(tmp_path, "/config.json", "/tiles/trees/0/0/0.mvt"))
    (layer,) = config.json()["layers"]
    assert (layer["kind"], layer["title"]["zh-CN"], layer["group"]["en"]) == ("tree", "树木", "Surveys")
    assert layer["style"]["color"]["default"] == "#2e7d32"
    assert [f["unit"] for f in layer["fields"] if f["name"] == "crown_m"] == ["m"]
    drawn = mapbox_vector_tile.decode(tile.content)["trees"]["features"]
    assert sorted(f["properties"]["crown_m"] for f in drawn) == [3, 12.5]
