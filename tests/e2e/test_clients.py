"""Clients of other makers read every layer: GDAL, OWSLib, ogc-client. Boxes, filters, all pages."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

BOX = (24.935, 60.165, 24.955, 60.175)
FILTERS = {
    "buildings": "height_source",
    "building_parts": "height_source",
    "addresses": "street",
    "pipelines": "medium",
    "street_assets": "class",
    "roads": "class",
}


@pytest.fixture(scope="module")
def truth(server):
    """What a client must see of each layer: the same requests by a plain HTTP client."""
    found = {}
    for layer, name in FILTERS.items():
        path = f"/ogc/collections/{layer}/items"
        everything = server.http.get(path, params={"limit": 10_000}).json()["features"]
        value = next(one["properties"][name] for one in everything if one["properties"][name])
        box = ",".join(map(str, BOX))
        boxed = server.http.get(path, params={"limit": 10_000, "bbox": box}).json()["features"]
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


def asked(truth):
    keys = ("property", "value", "bbox")
    return {layer: {key: one[key] for key in keys} for layer, one in truth.items()}


def run(*command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def sources(features):
    return sorted(str(one["properties"]["source_id"]) for one in features)


def test_gdal_reads_every_layer(server, truth):
    # no proxy of this machine and no wait for one: the driver may speak to this server only
    env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    script = str(Path(__file__).parent / "oapif.py")
    done = run(sys.executable, script, f"{server.url}/ogc", json.dumps(asked(truth)), env=env)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert set(found) == set(truth)
    for layer, one in truth.items():
        read = found[layer]
        assert sorted(read["sources"]) == sources(one["all"]), layer
        assert sorted(read["boxed"]) == sources(one["boxed"]), layer
        assert sorted(read["filtered"]) == sources(one["filtered"]), layer
        assert set(one["all"][0]["properties"]) <= set(read["fields"]) | {"id"}, layer
        assert read["numbers"]
        for name, values in read["numbers"].items():
            truly = [feature["properties"][name] for feature in one["all"]]
            assert values == sorted(float(value) for value in truly if value is not None), (layer, name)


def test_owslib_reads_every_layer(server, truth):
    from owslib.ogcapi.features import Features

    client = Features(f"{server.url}/ogc")
    assert set(client.feature_collections()) == set(truth)
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
        fid = one["all"][0]["id"]
        assert client.collection_item(layer, str(fid))["id"] == fid


@pytest.fixture(scope="module")
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


def test_ogc_client_reads_every_layer(server, truth, ogc_client):
    node, folder = ogc_client
    done = run(str(node), str(folder / "read_all.mjs"), f"{server.url}/ogc", json.dumps(asked(truth)))
    found = json.loads(done.stdout)
    assert found["info"]["title"]
    assert found["hasFeatures"] is True
    assert found["hasTiles"] is True
    assert set(found["features"]) == set(found["vectorTiles"]) == set(truth)
    assert found["tileMatrixSets"] == ["WebMercatorQuad"]
    for layer, one in truth.items():
        read = found["layers"][layer]
        assert read["ids"] == [feature["id"] for feature in one["all"]]
        assert read["boxed"] == [feature["id"] for feature in one["boxed"]]
        assert read["filtered"] == [feature["id"] for feature in one["filtered"]]
        assert read["one"] == one["all"][0]["id"]
        assert one["property"] in read["queryables"]
        assert read["tileFormats"] == ["application/vnd.mapbox-vector-tile"]
