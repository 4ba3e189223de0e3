"""What was read can be put back, in every CRS, as often as one likes: nothing changes by it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from tests.conformance.crs import known, offered
from tests.conformance.outside import CRS84, GEOJSON, geometry, sample

STORES = pytest.mark.parametrize("store", ["geopackage", "postgis"])


def put(fire, href, feature, **headers):
    headers = {**fire.server.auth, "content-type": GEOJSON, **headers}
    return fire.api.http.put(href, content=json.dumps(feature), headers=headers)


@STORES
def test_what_was_read_can_be_put_back(fuzzed, store):
    """Each feature looked at keeps its geometry and its properties, nulls and all."""
    fire = fuzzed[store]
    for collection in fire.api.editable():
        page = fire.api.get(fire.api.items(collection), GEOJSON, limit=500)
        for feature in sample(page["features"]):
            href = fire.api.feature(collection, feature["id"])
            before = fire.api.ask(href, GEOJSON)
            done = put(fire, href, before.json(), **{"if-match": before.headers["etag"]})
            assert done.status_code == 204, (href, done.text)
            after = fire.api.get(href, GEOJSON)
            for name in ("id", "geometry", "properties"):
                assert after[name] == before.json()[name], (href, name)


@STORES
def test_what_was_read_in_a_crs_can_be_put_back_in_it(fuzzed, store):
    """The way there and back costs less than a centimetre, in the axis order of each CRS."""
    fire = fuzzed[store]
    tried = 0
    for collection in fire.api.editable():
        page = fire.api.get(fire.api.items(collection), GEOJSON, limit=500)
        feature = sample(page["features"])[0]
        shape = geometry(feature)
        if shape is None or not -80 < shape.bounds[1] <= shape.bounds[3] < 80:
            continue
        for uri in offered(fire.api, collection):
            area = known(uri).area_of_use
            if area and not shapely.box(area.west, area.south, area.east, area.north).contains(shape):
                continue
            href = fire.api.feature(collection, feature["id"])
            moved = fire.api.get(href, GEOJSON, crs=uri)
            done = put(fire, href, moved, **{"content-crs": f"<{uri}>"})
            assert done.status_code == 204, (href, uri, done.text)
            after = geometry(fire.api.get(href, GEOJSON))
            apart = np.abs(shapely.get_coordinates(after) - shapely.get_coordinates(shape)).max()
            assert apart < 1e-7, (href, uri, apart)
            tried += uri != CRS84
    assert tried
