"""The door "relation": a kind says of which kind its features may be parts, and who asks is told them."""

from __future__ import annotations

import asyncio
import json
from copy import copy
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import shapely

from layers import kinds, load
from layers.kinds import kind_table
from layers.source import Declared
from layers.store.open import open_store
from twin.app import build, open_city

TABLE = """
title: {zh-CN: 露台, en: Terraces}
group: survey
geometry: [polygon]
part_of: building
fields:
  name: {title: {zh-CN: 名称, en: Name}, aliases: [name]}
style:
  color: {default: "#888888"}
  legend: [{title: {zh-CN: 露台, en: Terrace}, color: "#888888"}]
"""


def register(folder: Path) -> None:
    """All that a new relation is: ``part_of`` in the table of a kind."""
    (folder / "terrace.yml").write_text(TABLE)
    terraces = kind_table.read(folder / "terrace.yml")
    kinds.register(terraces.kind("terrace", lambda batch: {"name": terraces.texts(batch, "name")}))


@pytest.fixture(autouse=True)
def _forgotten_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ids", "_kinds"):
        monkeypatch.setattr(kinds.KINDS, name, copy(getattr(kinds.KINDS, name)))


def write(path: Path, *shapes: Any) -> Path:
    features = [
        {"type": "Feature", "properties": {"name": str(i)}, "geometry": shapely.geometry.mapping(shape)}
        for i, shape in enumerate(shapes)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_a_relation_comes_with_a_kind(tmp_path: Path) -> None:
    register(tmp_path)
    (tmp_path / "city").mkdir()
    (tmp_path / "city" / "city.yml").write_text("title: {en: Town}\n")
    store = open_store(tmp_path / "city")
    near, far = shapely.box(24, 60, 24.001, 60.001), shapely.box(25, 60, 25.001, 60.001)
    houses = write(tmp_path / "houses.geojson", near, far)
    terrace = write(tmp_path / "terraces.geojson", shapely.box(25.0002, 60.0002, 25.0004, 60.0004))
    load.run(store, houses, Declared(kind="building"), layer_id="houses")
    load.run(store, terrace, Declared(kind="terrace"), layer_id="terraces")
    store.close()

    async def ask(*paths: str) -> list[httpx.Response]:
        city = open_city(tmp_path / "city")
        try:
            transport = httpx.ASGITransport(app=cast(Any, build(city)))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return [await client.get(path) for path in paths]
        finally:
            city.close()

    here = "/ogc/collections/{}/items/{}/related"
    paths = here.format("houses", 1), here.format("houses", 2), here.format("terraces", 1)
    plain, parted, part = asyncio.run(ask(*paths))
    relations = [
        {one["rel"].rpartition("/")[2]: one["href"].rpartition("/ogc")[2] for one in answer.json()["links"]}
        for answer in (plain, parted, part)
    ]
    assert "hasPart" not in relations[0]
    assert relations[1]["hasPart"] == "/collections/terraces/items/1"
    assert relations[2]["isPartOf"] == "/collections/houses/items/2"
