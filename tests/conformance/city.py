"""The city under test: the data of the CQL2 standard, two layers of Helsinki, and one of odd features."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import shapely
import yaml

from layers.store.base import LayerSpec
from layers.store.database import Database
from layers.store.open import open_store
from layers.types import Field
from tests.postgres import Cluster
from tests.storing import load, row
from tests.support import HELSINKI, ROOT, Server, copy_city, twin
from tests.templates import LOADED_BY, made_once
from tests.unit.twin.live.rooms import thing

DATA = Path(__file__).parent / "cql2"
COUNTRIES = "ne_110m_admin_0_countries"
PLACES = "ne_110m_populated_places_simple"
RIVERS = "ne_110m_rivers_lake_centerlines"
ODD = "odd"
FIELDS = {
    COUNTRIES: (Field("NAME", "string"), Field("POP_EST", "number")),
    PLACES: (
        Field("name", "string"),
        Field("nameascii", "string"),
        Field("pop_max", "integer"),
        Field("pop_min", "integer"),
        Field("pop_other", "integer"),
        Field("date", "date"),
        Field("start", "datetime"),
        Field("end", "datetime"),
        Field("boolean", "boolean"),
    ),
    RIVERS: (Field("name", "string"),),
    ODD: (
        Field("名称", "string"),
        Field("管径_mm", "integer", {"zh-CN": "管径"}, "mm"),
        Field("ratio", "number"),
        Field("已启用", "boolean"),
        Field("built", "date"),
        Field("checked", "datetime"),
        Field("tags", "array"),
    ),
}


def made(folder: Path, cluster: Cluster | None = None) -> Path:
    """A city folder of one's own, its features in a new database of a cluster where one is given. It is
    loaded once a machine."""

    def load_it(into: Path) -> None:
        if cluster is None:
            build(into / "city")
            return
        url = cluster.database()
        build(into / "city", url)
        cluster.dump(url, into / "dump")

    sources = (*LOADED_BY, HELSINKI, Path(__file__).parent, ROOT / "tests" / "storing.py")
    if cluster is None:
        return copy_city(made_once("conformance", sources, load_it) / "city", folder)
    template = made_once("conformance-postgis", (*sources, cluster.bin / "postgres"), load_it)
    city = copy_city(template / "city", folder)
    _settle(city, cluster.restored(template / "dump", lasting=True))
    return city


def build(folder: Path, url: str | None = None) -> Path:
    """Make the city folder and load it, into the database of ``url`` where that is given.

    Helsinki's layers take the road of every load; the others go to the store with the types that the
    standard's data has, which GeoJSON cannot carry."""
    twin("init", str(folder))
    _settle(folder, url)
    sources = folder / "sources"
    sources.mkdir()
    entries = []
    for name, kind in (("pipelines", "pipeline"), ("building_parts", "cim")):
        shutil.copy(HELSINKI / f"{name}.geojson", sources)
        entries.append({"id": name, "file": f"{name}.geojson", "kind": kind})
    (sources / "load.yml").write_text(yaml.safe_dump({"layers": entries}), "utf-8")
    twin("load", "--manifest", str(sources / "load.yml"), "--city", str(folder))
    store = open_store(folder, Database(url) if url else None)
    try:
        for name, types, time in (
            (COUNTRIES, "MultiPolygon", None),
            (PLACES, "Point", None),
            (RIVERS, "LineString", None),
            (ODD, "Geometry", "checked"),
        ):
            spec = LayerSpec(name, "feature", {"en": name}, FIELDS[name], types, "EPSG:4326", time)
            load(store, spec, [_staged(one) for one in source(name)])
        # no file brings a feature without a geometry, but editors make them
        store.create(ODD, {"type": "Feature", "geometry": None, "properties": {"名称": "无几何"}})
    finally:
        store.close()
    return folder


def _settle(folder: Path, url: str | None) -> None:
    settings: dict[str, Any] = {
        "title": {"en": "Conformance", "zh-CN": "一致性测试"},
        "languages": ["en", "zh-CN"],
        "heights": {"ground": 0},
        # schemathesis and the fuzzers send them to every operation
        "limits": {"wrong_keys": 1_000_000},
    }
    if url:
        settings["store"] = url
    (folder / "city.yml").write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")


def observe(server: Server) -> None:
    """What makes the collections of live data have features: incidents, and observations of gauges."""
    far = thing("far gauge")
    far["Locations"][0]["location"] = {"type": "Point", "coordinates": [24.99, 60.21]}
    observed = [{"result": 1.25, "Datastream": {"@iot.id": n}} for n in (1, 2)]
    incident = {"title": "井盖", "class": "other", "level": 2, "lon": 24.95, "lat": 60.17}
    for path, body in (
        ("/incidents", incident),
        ("/incidents", {**incident, "lon": 24.99, "lat": 60.21}),
        *(("/sta/v1.1/Things", one) for one in (thing(), far)),
        *(("/sta/v1.1/Observations", one) for one in observed),
    ):
        done = server.http.post(path, json=body, headers=server.auth)
        assert done.status_code == 201, done.text


def source(layer: str) -> list[dict[str, Any]]:
    """The GeoJSON features that a layer is made of."""
    if layer == ODD:
        return odd()
    text = gzip.decompress((DATA / f"{layer}.geojson.gz").read_bytes())
    found: list[dict[str, Any]] = json.loads(text)["features"]
    return found


def _staged(feature: dict[str, Any]) -> dict[str, Any]:
    return row(
        str(feature["id"]),
        shapely.orient_polygons(shapely.from_geojson(json.dumps(feature["geometry"]))),
        **feature["properties"],
    )


def odd() -> list[dict[str, Any]]:
    """What real data has and clean data has not: every type, nulls, quotes, accents, both hemispheres."""
    geometries: list[dict[str, Any]] = [
        {"type": "Point", "coordinates": [120.1551, 30.2741]},
        {"type": "Point", "coordinates": [-179.9, -17.5]},
        {"type": "LineString", "coordinates": [[179.5, -16.5], [179.99, -16.4]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]},
        {"type": "MultiPoint", "coordinates": [[7, 50], [10, 51]]},
        {"type": "Point", "coordinates": [0, 90]},
        {"type": "Point", "coordinates": [0, -90]},
        {"type": "MultiLineString", "coordinates": [[[-5, 40], [0, 45]], [[20, 60], [25, 61]]]},
        {"type": "MultiPolygon", "coordinates": [[[[30, 30], [31, 30], [31, 31], [30, 30]]]]},
        {"type": "Point", "coordinates": [24.94, 60.17]},
        {"type": "Point", "coordinates": [24.94, 60.17]},
        {"type": "Point", "coordinates": [24.940000001, 60.17]},
    ]
    names = [
        "井盖",
        "O'Hare",
        'say "hi"',
        "Ærø",
        "Straße",
        "",
        "50% off_now",
        "\\back",
        "𝕏𝒴",
        "İstanbul",
        None,
        "é",
    ]
    rows = []
    for n, (geometry, name) in enumerate(zip(geometries, names, strict=True)):
        rows.append(
            {
                "type": "Feature",
                "id": n + 1,
                "geometry": geometry,
                "properties": {
                    "名称": name,
                    "管径_mm": None if n == 3 else (n - 4) * 100,
                    "ratio": None if n == 5 else (n - 5) / 7,
                    "已启用": None if n == 6 else n % 2 == 0,
                    "built": None if n == 7 else f"20{n:02d}-02-2{n % 9}",
                    "checked": None if n == 8 else f"2024-0{n % 9 + 1}-15T08:30:{n:02d}.000Z",
                    "tags": None if n == 9 else ["foo", "bar", "水"][: n % 4],
                },
            }
        )
    return rows
