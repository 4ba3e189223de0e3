"""Following ``next`` while others edit: what did not move is seen once, and nothing is skipped."""

from __future__ import annotations

import json
from random import Random

import pytest

from tests.conformance.city import PLACES
from tests.conformance.outside import GEOJSON, MANY, links


@pytest.mark.parametrize("store", ["geopackage", "postgis"])
@pytest.mark.parametrize(
    "sortby", ["", "name", "-pop_other", "start,-name", "-boolean,pop_max", "+nameascii,-id"]
)
def test_a_walk_among_edits(fuzzed, store, sortby):
    """Between any two pages features are made, deleted, and moved in the order that is walked."""
    fire = fuzzed[store]
    api, chance = fire.api, Random(sortby)
    items = f"{api.root}/collections/{PLACES}/items"
    before = {one["id"] for one in api.get(items, GEOJSON, limit=MANY)["features"]}
    params = {"limit": 7} | ({"sortby": sortby} if sortby else {})
    touched: set[int] = set()
    seen: list[int] = []
    made: list[str] = []
    page = api.get(items, GEOJSON, **params)
    while True:
        seen += [one["id"] for one in page["features"]]
        following = links(page, "next")
        if not following:
            break
        touched |= edit(fire, items, chance, sorted(before - touched), made)
        page = api.get(following[0]["href"], GEOJSON)
        assert len(seen) < 2000
    still = before - touched
    assert len(still) > 100
    assert sorted(one for one in seen if one in still) == sorted(still)
    for href in made:
        assert api.http.delete(href, headers=fire.server.auth).status_code == 204


def edit(fire, items, chance, free, made):
    """Move one feature and delete another, or make one; the ids of those of before."""
    http, auth = fire.api.http, fire.server.auth
    properties = {
        "name": chance.choice(("Aarau", "Zug", None, "Ålesund", "井")),
        "nameascii": chance.choice(("Aarau", "Zug", None)),
        "pop_other": chance.choice((0, 10**7, None)),
        "pop_max": chance.choice((0, 10**7, None)),
        "start": chance.choice(("1990-01-01T00:00:00Z", None, "2030-01-01T00:00:00Z")),
        "boolean": chance.choice((True, False, None)),
    }
    if chance.random() < 0.4:
        place = {"type": "Point", "coordinates": [chance.uniform(-170, 170), chance.uniform(-80, 80)]}
        feature = {"type": "Feature", "geometry": place, "properties": properties}
        headers = {**auth, "content-type": GEOJSON}
        done = http.post(items, content=json.dumps(feature), headers=headers)
        assert done.status_code == 201, done.text
        made.append(done.headers["location"])
        return set()
    moved, gone = chance.sample(free, 2)
    headers = {**auth, "content-type": "application/merge-patch+json"}
    done = http.patch(f"{items}/{moved}", content=json.dumps({"properties": properties}), headers=headers)
    assert done.status_code == 204, done.text
    if chance.random() < 0.1:
        done = http.delete(f"{items}/{gone}", headers=auth)
        assert done.status_code == 204, done.text
        return {moved, gone}
    return {moved}
