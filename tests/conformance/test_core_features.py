"""OGC API Features Part 1 (OGC 17-069r4), Annex A.2: the features of a collection, and one feature."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta

import pytest
import shapely

from tests.conformance.outside import (
    GEOJSON,
    INSTANT,
    MANY,
    boxes,
    encodings,
    extent,
    geometry,
    link,
    links,
    media,
    sample,
    shifted,
    text,
    told,
    untyped,
)

# -- the features of a collection -----------------------------------------------------------------------


def test_core_fc_op(api):
    """/conf/core/fc-op: each link to features leads to them."""
    for collection in api.collections:
        for one in links(collection, "items"):
            answer = api.ask(one["href"], one["type"])
            assert answer.status_code == 200, told(answer)
            assert media(answer) == one["type"].partition(";")[0]


def test_core_fc_bbox_definition(api):
    """/conf/core/fc-bbox-definition: bbox is described as the standard asks, and taken as described."""
    for collection in api.collections:
        bbox = api.parameters(collection)["bbox"]
        assert bbox.get("required", False) is False
        assert bbox["style"] == "form"
        assert bbox.get("explode") is False
        schema = api.resolve(bbox["schema"])
        assert schema["type"] == "array"
        assert schema["items"]["type"] == "number"
        assert {4, 6} <= set(range(schema["minItems"], schema["maxItems"] + 1))
        for value in ("-10,-10,10,10", "-10,-10,-100,10,10,1000", "-180,-90,180,90"):
            answer = api.ask(api.items(collection), GEOJSON, bbox=value, limit=1)
            assert answer.status_code == 200, told(answer)
        for value in ("1,2", "1,2,3", "1,2,3,4,5", "1,2,3,4,5,6,7", "a,b,c,d", "1;2;3;4"):
            answer = api.ask(api.items(collection), GEOJSON, bbox=value)
            assert answer.status_code == 400, told(answer)


def test_core_fc_bbox_response(api):
    """/conf/core/fc-bbox-response: the features that intersect the box, and those alone.

    Boxes are set on the very coordinates of the data, where rounding to single precision would show."""
    for collection in api.collections:
        features = api.features(collection)
        shapes = {one["id"]: geometry(one) for one in features}
        bare = {fid for fid, shape in shapes.items() if shape is None}
        for box in boxes(*extent(features)):
            # what the published nine decimals leave open may fall on either side
            surely = {f for f, s in shapes.items() if s is not None and meets(s, shifted(box, -2e-9))}
            maybe = {f for f, s in shapes.items() if s is not None and meets(s, shifted(box, 2e-9))}
            found = api.matching(collection, bbox=text(box))
            assert surely <= found, (collection["id"], box, surely - found)
            assert found - bare <= maybe, (collection["id"], box, found - maybe)


def meets(shape, box):
    """Whether a geometry meets a box; an inverted box is a point or nothing."""
    west, south, east, north = box
    if west > east or south > north:
        return False
    return bool(shapely.intersects(shape, shapely.box(west, south, east, north)))


def test_core_fc_limit_definition(api):
    """/conf/core/fc-limit-definition: limit is described as the standard asks."""
    for collection in api.collections:
        schema = api.described(collection, "limit")
        assert schema["type"] == "integer"
        assert schema["minimum"] >= 0
        assert schema["default"] >= schema["minimum"]


def test_core_fc_limit_response(api):
    """/conf/core/fc-limit-response: never more than the limit; above the maximum it is clamped."""
    for collection in api.collections:
        schema = api.resolve(api.parameters(collection)["limit"]["schema"])
        total = len(api.features(collection))
        for limit in (1, 2, 10, schema["default"], schema["maximum"], schema["maximum"] + 1, 10**9):
            page = api.get(api.items(collection), GEOJSON, limit=limit)
            assert len(page["features"]) == min(limit, total, schema["maximum"])
        page = api.get(api.items(collection), GEOJSON)
        assert len(page["features"]) == min(schema["default"], total)
        for wrong in ("0", "-1", "unlimited", "1.5", ""):
            answer = api.ask(api.items(collection), GEOJSON, limit=wrong)
            assert answer.status_code == 400, told(answer)


def test_core_fc_time_definition(api):
    """/conf/core/fc-time-definition: datetime is described as the standard asks."""
    for collection in api.collections:
        assert api.described(collection, "datetime")["type"] == "string"


def test_core_fc_time_response(api):
    """/conf/core/fc-time-response: instants, intervals and half-open ones, with dots and without.

    A collection with a temporal extent has the property that its schema calls the primary instant."""
    timed = 0
    for collection in api.collections:
        features = api.features(collection)
        name = next(
            (
                n
                for n, one in api.queryables(collection).items()
                if one.get("x-ogc-role") == "primary-instant"
            ),
            None,
        )
        times = {one["id"]: moment(one["properties"].get(name)) if name else None for one in features}
        known = sorted(one for one in times.values() if one is not None)
        timed += bool(known)
        first = known[len(known) // 3] if known else datetime(2020, 5, 1, tzinfo=UTC)
        last = known[2 * len(known) // 3] if known else datetime(2021, 5, 1, tzinfo=UTC)
        a, b = stamp(first), stamp(last)
        for value, start, end in (
            (a, first, first),
            (f"{a}/{b}", first, last),
            (f"../{b}", None, last),
            (f"/{b}", None, last),
            (f"{a}/..", first, None),
            (f"{a}/", first, None),
            (stamp(first + timedelta(hours=2), "+02:00"), first, first),
        ):
            right = {
                fid
                for fid, at in times.items()
                if at is None or ((start is None or start <= at) and (end is None or at <= end))
            }
            assert api.matching(collection, datetime=value) == right, (collection["id"], value)
        for wrong in ("foo", "2020-13-01T00:00:00Z", f"{b}/{a}" if a < b else "1/2/3", "2020-01-01T00:00:00"):
            answer = api.ask(api.items(collection), GEOJSON, datetime=wrong)
            assert answer.status_code == 400, told(answer)
    assert timed or not api.ours, "no collection under test has times"


def moment(text_):
    """A property as a time; None when it has none."""
    return datetime.fromisoformat(text_) if text_ else None


def stamp(at, zone="Z"):
    """A time as RFC 3339 writes it, its clock reading left as it is."""
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds" if at.microsecond else "seconds") + zone


def test_core_fc_links(api):
    """/conf/core/fc-links: a page links itself and its other representations, with rel and type."""
    for collection in api.collections:
        page = api.get(api.items(collection), GEOJSON, limit=2)
        own = link(page, "self")
        assert own["type"] == GEOJSON
        assert api.get(own["href"], GEOJSON)["features"] == page["features"]
        others = {one["type"] for one in links(page, "alternate")}
        assert encodings(api, features=True) - {GEOJSON} <= others
        for one in links(page, "alternate"):
            answer = api.ask(one["href"])
            assert answer.status_code == 200, told(answer)
            assert media(answer) == one["type"].partition(";")[0]
        assert untyped(page) == []
        if len(api.features(collection)) > 2:
            assert link(page, "next")["type"] == GEOJSON


def test_core_fc_timeStamp(api):
    """/conf/core/fc-timeStamp: the time of the answer, of now."""
    for collection in api.collections:
        before = datetime.now(UTC)
        page = api.get(api.items(collection), GEOJSON, limit=1)
        assert INSTANT.fullmatch(page["timeStamp"])
        at = datetime.fromisoformat(page["timeStamp"])
        assert before - timedelta(seconds=2) <= at <= datetime.now(UTC) + timedelta(seconds=2)


def test_core_fc_numberMatched(api):
    """/conf/core/fc-numberMatched: as many as following every next link gives, without a repetition."""
    for collection in api.collections:
        west, south, east, north = extent(api.features(collection))
        for params in ({}, {"bbox": text((west, south, (west + east) / 2, (south + north) / 2))}):
            seen, said = [], set()
            for page in api.pages(api.items(collection), limit=37, **params):
                seen += [one["id"] for one in page["features"]]
                said.add(page["numberMatched"])
            assert said == {len(seen)}, (collection["id"], params)
            assert len(set(seen)) == len(seen), (collection["id"], params)


def test_core_fc_numberReturned(api):
    """/conf/core/fc-numberReturned: as many as the page has, on every page."""
    for collection in api.collections:
        for page in api.pages(api.items(collection), limit=50):
            assert page["numberReturned"] == len(page["features"])


def test_core_fc_response(api):
    """/conf/core/fc-response: a page of features as the standard's schema has it."""
    for collection in api.collections:
        answer = api.ask(api.items(collection), GEOJSON, limit=MANY)
        assert answer.status_code == 200
        page = answer.json()
        assert page["type"] == "FeatureCollection"
        for feature in page["features"]:
            assert feature["type"] == "Feature"
            assert isinstance(feature["id"], str | int)
            assert "geometry" in feature
            assert feature["properties"] is None or isinstance(feature["properties"], dict)


def test_core_query_param_unknown(api):
    """/conf/core/query-param-unknown: a parameter that the API document does not name is refused."""
    for collection in api.collections:
        assert "nosuchparameter" not in api.parameters(collection)
        answer = api.ask(api.items(collection), GEOJSON, nosuchparameter=1)
        assert answer.status_code == 400, told(answer)
        answer = api.ask(
            api.feature(collection, api.features(collection)[0]["id"]), GEOJSON, nosuchparameter=1
        )
        assert answer.status_code == 400, told(answer)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "many"),
        ("limit", "-5"),
        ("bbox", "west,south,east,north"),
        ("bbox", "1,2,3"),
        ("bbox", "0,50,10,40"),
        ("datetime", "yesterday"),
        ("datetime", "2020-01-01T00:00:00Z/2019-01-01T00:00:00Z"),
        ("crs", "EPSG:nothing"),
        ("bbox-crs", "http://www.opengis.net/def/crs/0/unsupported"),
    ],
)
def test_core_query_param_invalid(api, name, value):
    """/conf/core/query-param-invalid: a value outside what the API document says is refused."""
    for collection in api.collections:
        params = {name: value} | ({"bbox": "0,0,1,1"} if name == "bbox-crs" else {})
        answer = api.ask(api.items(collection), GEOJSON, **params)
        assert answer.status_code == 400, told(answer)


# -- one feature ------------------------------------------------------------------------------------------


def test_core_f_op(api):
    """/conf/core/f-op: a feature can be asked for by its id; another id is not found."""
    for collection in api.collections:
        for feature in sample(api.features(collection)):
            answer = api.ask(api.feature(collection, feature["id"]), GEOJSON)
            assert answer.status_code == 200, told(answer)
        for other in ("no-such-feature", 10**15):
            assert api.ask(api.feature(collection, other), GEOJSON).status_code == 404


def test_core_f_success(api):
    """/conf/core/f-success: alone a feature is what it is in the list."""
    for collection in api.collections:
        for feature in sample(api.features(collection)):
            alone = api.get(api.feature(collection, feature["id"]), GEOJSON)
            assert alone["type"] == "Feature"
            for name in ("id", "geometry", "properties"):
                assert alone[name] == feature[name], (collection["id"], feature["id"])


def test_core_f_links(api):
    """/conf/core/f-links: a feature links itself, its other representations and its collection."""
    for collection in api.collections:
        for feature in sample(api.features(collection)):
            alone = api.get(api.feature(collection, feature["id"]), GEOJSON)
            assert link(alone, "self")["type"] == GEOJSON
            assert encodings(api, features=True) - {GEOJSON} <= {
                one["type"] for one in links(alone, "alternate")
            }
            of = api.get(link(alone, "collection")["href"])
            assert of["id"] == collection["id"]
            assert untyped(alone) == []
            for one in itertools.chain(links(alone, "self"), links(alone, "alternate")):
                answer = api.ask(one["href"])
                assert answer.status_code == 200, told(answer)
                assert media(answer) == one["type"].partition(";")[0]


def test_coordinates_are_finite(api):
    """/req/core/fc-response, read with RFC 8259: no number that JSON has not."""
    for collection in api.collections:
        for feature in api.features(collection):
            shape = geometry(feature)
            assert shape is None or all(map(math.isfinite, shape.bounds)), feature["id"]
