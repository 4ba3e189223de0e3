"""Clients of other makers read every layer: GDAL, OWSLib, ogc-client. Boxes, filters, all pages."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyproj
import pytest
from shapely.geometry import shape

from layers.types import LIVE_LAYERS
from tests import imagery
from tests.clients.layers import COUNT, EMPTY, HEIGHTS, MANY
from tests.support import ROOT

CRS = "EPSG:3857"
BOX = (24.935, 60.165, 24.955, 60.175)
FILTERS = {
    "buildings": "height_source",
    "building_parts": "height_source",
    "addresses": "street",
    "pipelines": "medium",
    "street_assets": "class",
    "roads": "class",
    MANY: "组",
}
#: Layers that are only listed.
OTHERS = ("land_cover", "places", EMPTY)


@pytest.fixture(scope="module")
def truth(served):
    """What a client must see of each layer: the same requests by a plain HTTP client."""
    found = {}
    for layer, name in FILTERS.items():
        everything = collected(served, layer)
        value = next(one["properties"][name] for one in everything if one["properties"][name])
        boxed = collected(served, layer, bbox=",".join(map(str, BOX)))
        assert boxed
        found[layer] = {
            "property": name,
            "value": value,
            "bbox": BOX,
            "all": everything,
            "boxed": boxed,
            "filtered": [one for one in everything if one["properties"][name] == value],
        }
    return found


def collected(served, layer, **params):
    """Every feature that a request selects, by following the next links."""
    url, features = f"/ogc/collections/{layer}/items", []
    params |= {"limit": 5000}
    while url:
        page = served.http.get(url, params=params).json()
        features += page["features"]
        url = next((one["href"] for one in page["links"] if one["rel"] == "next"), None)
        params = None
    return features


def asked(truth):
    keys = ("property", "value", "bbox")
    return {layer: {key: one[key] for key in keys} | {"crs": CRS} for layer, one in truth.items()}


def run(*command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def sources(features):
    return sorted(str(one["properties"]["source_id"]) for one in features)


def test_gdal_reads_every_layer(served, truth):
    # no proxy of this machine and no wait for one: the driver may speak to this server only
    env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    script = str(Path(__file__).parent / "oapif.py")
    done = run(sys.executable, script, f"{served.url}/ogc", json.dumps(asked(truth)), env=env)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert set(found) == {*truth, *OTHERS, *LIVE_LAYERS}
    assert found[EMPTY] == {"features": 0}
    to = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True)
    assert len(found[MANY]["sources"]) == COUNT
    for layer, one in truth.items():
        read = found[layer]
        assert sorted(read["sources"]) == sources(one["all"]), layer
        assert sorted(read["boxed"]) == sources(one["boxed"]), layer
        assert sorted(read["filtered"]) == sources(one["filtered"]), layer
        assert set(one["all"][0]["properties"]) <= set(read["fields"]) | {"id"}, layer
        assert pyproj.CRS(read["crs"]) == pyproj.CRS("OGC:CRS84")
        assert read["moved_crs"] == CRS
        first = shape(one["all"][0]["geometry"]).bounds
        assert read["moved"] == pytest.approx(
            [*to.transform(*first[:2]), *to.transform(*first[2:])], abs=0.01
        )
        assert read["numbers"]
        for name, values in read["numbers"].items():
            truly = [feature["properties"][name] for feature in one["all"]]
            assert values == sorted(float(value) for value in truly if value is not None), (layer, name)


def test_owslib_reads_every_layer(served, truth):
    from owslib.ogcapi.features import Features

    client = Features(f"{served.url}/ogc")
    assert set(client.feature_collections()) == {*truth, *OTHERS, *LIVE_LAYERS}
    assert client.conformance()["conformsTo"]
    assert client.api()["openapi"].startswith("3.0")
    for layer, one in truth.items():
        assert client.collection(layer)["id"] == layer
        schema = client.collection_schema(layer)
        assert set(one["all"][0]["properties"]) <= set(schema["properties"])
        assert one["property"] in client.collection_queryables(layer)["properties"]
        seen = []
        for offset in range(0, len(one["all"]), 900):
            seen += client.collection_items(layer, limit=900, offset=offset)["features"]
        assert sources(seen) == sources(one["all"])
        boxed = client.collection_items(layer, bbox=list(BOX), limit=10_000)
        assert sources(boxed["features"]) == sources(one["boxed"])
        filtered = client.collection_items(layer, limit=10_000, **{one["property"]: one["value"]})
        assert sources(filtered["features"]) == sources(one["filtered"])
        text = "\"{}\" = '{}'".format(one["property"], one["value"].replace("'", "''"))
        found = client.collection_items(layer, limit=10_000, filter=text, sortby=("source_id", "desc"))
        assert sources(found["features"]) == sources(one["filtered"])
        ids = [feature["properties"]["source_id"] for feature in found["features"]]
        assert ids == sorted(ids, reverse=True)
        fid = one["all"][0]["id"]
        assert client.collection_item(layer, str(fid))["id"] == fid


def test_owslib_writes(served):
    from owslib.ogcapi.features import Features

    # its own default is Content-Type: text/xml, so the caller names the type
    headers = {"Content-Type": "application/geo+json", **served.auth}
    client = Features(f"{served.url}/ogc", headers=headers)
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [24.95, 60.17]},
        "properties": {"组": "新组", "n": 2**53 - 1, "ratio": 0.1, "on": True, "day": "2024-02-29"},
    }
    assert client.collection_item_create(EMPTY, json.dumps(feature)) is True
    assert client.response_headers["location"].rpartition("/")[0] == client.request
    fid = client.response_headers["location"].rpartition("/")[2]
    read = client.collection_item(EMPTY, fid)
    assert read["geometry"] == feature["geometry"]
    assert feature["properties"].items() <= read["properties"].items()
    changed = feature | {"properties": feature["properties"] | {"组": "旧组", "on": False}}
    assert client.collection_item_update(EMPTY, fid, json.dumps(changed)) is True
    assert client.collection_item(EMPTY, fid)["properties"]["组"] == "旧组"
    assert client.collection_item_delete(EMPTY, fid) is True
    with pytest.raises(RuntimeError, match="404"):
        client.collection_item(EMPTY, fid)
    assert client.collection_items(EMPTY)["numberMatched"] == 0


def test_owslib_without_a_key_writes_nothing(served):
    from owslib.ogcapi.features import Features

    client = Features(f"{served.url}/ogc", headers={"Content-Type": "application/geo+json"})
    client.headers.pop("authorization", None)
    with pytest.raises(RuntimeError, match="401"):
        client.collection_item_create(MANY, '{"type":"Feature","geometry":null,"properties":{}}')


@pytest.fixture(scope="session")
def ogc_client(tmp_path_factory):
    """The folder of the Node client, installed from its lock file."""
    node = Path(sys.executable).parent / "node"
    if not node.exists():
        pytest.skip("Node is not in the environment: run make env")
    folder = tmp_path_factory.mktemp("clients")
    for name in ("package.json", "package-lock.json", ".npmrc", "read_all.mjs"):
        shutil.copy(ROOT / "tests" / "clients" / name, folder / name)
    env = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(
        [node.parent / "npm", "ci", "--ignore-scripts", "--prefer-offline"],
        cwd=folder,
        env=env,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return node, folder


def test_ogc_client_reads_every_layer(served, truth, ogc_client):
    node, folder = ogc_client
    done = run(str(node), str(folder / "read_all.mjs"), f"{served.url}/ogc", json.dumps(asked(truth)))
    found = json.loads(done.stdout)
    assert found["info"]["title"]
    assert found["hasFeatures"] is True
    assert found["hasTiles"] is True
    assert set(found["features"]) == {*truth, *OTHERS, *LIVE_LAYERS}
    assert set(found["vectorTiles"]) == {*truth, *OTHERS}
    assert found["tileMatrixSets"] == ["WebMercatorQuad"]
    assert found["mapTiles"] == [HEIGHTS]
    raster = found["rasters"][HEIGHTS]
    assert (raster["title"], raster["crs"][0]) == ("Heights", "http://www.opengis.net/def/crs/OGC/1.3/CRS84")
    assert set(raster["mapTileFormats"]) == {"image/png", "image/jpeg", "image/webp"}
    assert (raster["status"], raster["type"]) == (200, "image/png")
    # the tile of Helsinki in which the raster lies: some of it is drawn, some is transparent
    assert set(np.unique(imagery.pixels(base64.b64decode(raster["picture"]))[3])) == {0, 255}
    for layer, one in truth.items():
        read = found["layers"][layer]
        assert read["ids"] == [feature["id"] for feature in one["all"]]
        assert read["boxed"] == [feature["id"] for feature in one["boxed"]]
        assert read["filtered"] == [feature["id"] for feature in one["filtered"]]
        assert read["one"] == one["all"][0]["id"]
        assert one["property"] in read["queryables"]
        assert read["tileFormats"] == ["application/vnd.mapbox-vector-tile"]
