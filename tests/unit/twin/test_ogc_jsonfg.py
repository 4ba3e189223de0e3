"""JSON-FG made from GeoJSON (OGC 21-045r1, clauses 8 and 13)."""

import orjson
import pytest

from layers.errors import BadParameter
from layers.model import FeatureLayer
from layers.query import Query
from layers.types import CRS84, Field
from twin.http.ogc import jsonfg

EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"
SCHEMA = "https://map.example/ogc/collections/things/schema"
POINT = {"type": "Point", "coordinates": [24.9, 60.1]}


def layer(time_field=None, kind="Point", time_type="datetime"):
    fields = (Field("name", "string"), Field("seen", time_type), Field("number", "integer"))
    return FeatureLayer(
        id="things",
        kind="feature",
        title={},
        fields=fields,
        geometry_type=kind,
        extent=None,
        crs="EPSG:4326",
        count=1,
        generation=1,
        seq=1,
        time_field=time_field,
    )


def feature(fid=1, geometry=POINT, **properties):
    return {"type": "Feature", "id": fid, "geometry": geometry, "properties": properties}


def collection(of, query, *features):
    joined = b",".join(orjson.dumps(one) for one in features)
    made, root = jsonfg.collection(of, query, joined, SCHEMA)
    return orjson.loads(b'{"features":[' + made + b"]" + root + b"}")


def test_an_instant_is_a_timestamp_and_a_day_a_date():
    moment = "2026-02-03T04:05:06.000Z"
    made = collection(layer("seen"), Query(), feature(seen=moment, name="x"), feature(2, seen=None))
    assert [one["time"] for one in made["features"]] == [{"timestamp": moment}, None]
    assert made["features"][0]["properties"] == {"seen": moment, "name": "x"}
    made = collection(layer("seen", time_type="date"), Query(), feature(seen="2026-02-03"))
    assert made["features"][0]["time"] == {"date": "2026-02-03"}
    assert collection(layer(), Query(), feature(seen=moment))["features"][0]["time"] is None


def test_the_time_is_told_though_its_property_is_not_asked_for():
    of, asked = layer("seen"), Query(properties=("name",))
    wanted = jsonfg.wanted(of, asked)
    assert wanted.properties == ("name", "seen")
    made = collection(of, asked, feature(name="x", seen="2026-02-03T04:05:06.000Z"))
    assert made["features"][0]["properties"] == {"name": "x"}
    assert made["features"][0]["time"] == {"timestamp": "2026-02-03T04:05:06.000Z"}
    for same in (Query(), Query(properties=("seen",))):
        assert jsonfg.wanted(of, same) is same


def test_place_has_every_crs_but_lon_lat():
    plain = collection(layer(), Query(), feature(), feature(2, geometry=None))
    assert [(one["geometry"], one["place"]) for one in plain["features"]] == [(POINT, None), (None, None)]
    assert "coordRefSys" not in plain
    other = collection(layer(), Query(crs=EPSG_4326), feature())
    assert (other["features"][0]["geometry"], other["features"][0]["place"]) == (None, POINT)
    assert other["coordRefSys"] == EPSG_4326


@pytest.mark.parametrize(
    ("kind", "dimension"),
    [("Point", 0), ("MultiPoint", 0), ("LineString", 1), ("MultiPolygon", 2), ("Geometry", None)],
)
def test_the_root_says_what_the_features_are(kind, dimension):
    made = collection(layer(kind=kind), Query())
    assert made["features"] == []
    assert made["conformsTo"] == list(jsonfg.CONFORMS)
    assert made["featureType"] == "things"
    assert made["featureSchema"] == SCHEMA
    assert made.get("geometryDimension") == dimension


def test_one_feature_is_its_own_root():
    body = orjson.dumps(feature(7, name="x"))
    made = orjson.loads(jsonfg.feature(layer(), CRS84, body, SCHEMA))
    assert made["id"] == 7
    assert made["conformsTo"] == list(jsonfg.CONFORMS)
    assert "features" not in made
    assert set(made) >= {"type", "time", "place", "geometry", "properties"}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (None, None),
        ("jsonfg", "jsonfg"),
        ("rfc7946,jsonfg", "rfc7946"),
        ("http://www.opengis.net/def/profile/OGC/0/jsonfg", "jsonfg"),
        ("[ogc-profile:rfc7946]", "rfc7946"),
    ],
)
def test_profiles(text, chosen):
    assert jsonfg.profile(text) == chosen


@pytest.mark.parametrize("text", ["", "other", "jsonfg,", "jsonfg,other", "[ogc-profile:x]", "JSONFG"])
def test_what_is_no_profile(text):
    with pytest.raises(BadParameter, match="profile"):
        jsonfg.profile(text)
