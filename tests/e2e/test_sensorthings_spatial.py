"""Geospatial filters at the real process: a real client, and what is changed is found where it is now."""

import frost_sta_client as fsc
import pytest
import shapely
from geojson import Point

from tests import sensing
from tests.support import Server, init

#: frost_sta_client itself uses a deprecated property of the library that it builds on
pytestmark = pytest.mark.filterwarnings("ignore:furl.pathstr is deprecated:DeprecationWarning")
COUNT = 2_000
AREA = shapely.Polygon([(24.9, 60.14), (25.0, 60.15), (24.98, 60.2), (24.92, 60.19)])
LITERAL = f"geography'{AREA.wkt}'"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sta") / "city"
    init(folder)
    sensing.fill(folder, COUNT)
    running = Server.start(folder)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def service(live):
    return fsc.SensorThingsService(f"{live.url}/sta/v1.1", auth_handler=fsc.AuthHandler("device", live.key))


@pytest.fixture(scope="module")
def inside():
    return {i for i in range(1, COUNT + 1) if AREA.contains(shapely.Point(sensing.place(i)))}


def found(entities):
    return {entity.id for entity in entities.query().filter(entities.asked).top(1000).list()}


@pytest.mark.parametrize(
    ("set_", "path"),
    [
        ("things", "Locations/location"),
        ("locations", "location"),
        ("datastreams", "Thing/Locations/location"),
        ("observations", "Datastream/Thing/Locations/location"),
        ("observations", "FeatureOfInterest/feature"),
        ("features_of_interest", "feature"),
    ],
)
def test_a_client_finds_what_lies_in_an_area(service, inside, set_, path):
    entities = getattr(service, set_)()
    entities.asked = f"st_within({path},{LITERAL})"
    assert 100 < len(inside) < COUNT / 2
    assert found(entities) == inside


def test_newest_values_of_an_area_in_one_request(live, inside):
    query = {
        "$filter": f"st_within(Thing/Locations/location,{LITERAL})",
        "$expand": "Observations($orderby=phenomenonTime desc;$top=1)",
        "$top": "1000",
        "$count": "true",
    }
    answer = live.http.get("/sta/v1.1/Datastreams", params=query).json()
    assert answer["@iot.count"] == len(inside)
    values = {one["@iot.id"]: one["Observations"][0]["result"] for one in answer["value"]}
    assert values == {i: sensing.value(i) for i in inside}


def test_the_nearest_come_first(live):
    here = shapely.Point(sensing.LON, sensing.LAT)
    query = {"$orderby": f"geo.distance(location,geography'{here.wkt}')", "$top": "20"}
    told = [one["@iot.id"] for one in live.http.get("/sta/v1.1/Locations", params=query).json()["value"]]
    far = {i: here.distance(shapely.Point(sensing.place(i))) for i in range(1, COUNT + 1)}
    assert told == sorted(far, key=lambda i: (far[i], i))[:20]
    near = {"$filter": f"geo.distance(location,geography'{here.wkt}') lt 0.01", "$count": "true", "$top": "0"}
    count = live.http.get("/sta/v1.1/Locations", params=near).json()["@iot.count"]
    assert count == sum(distance < 0.01 for distance in far.values())


def test_what_is_made_and_moved_is_found_where_it_is(live, service):
    spot = "geography'POLYGON ((10 10, 11 10, 11 11, 10 11, 10 10))'"
    things, places = service.things(), service.locations()
    things.asked, places.asked = f"st_within(Locations/location,{spot})", f"st_within(location,{spot})"
    assert found(things) == set()
    place = fsc.Location(
        name="quay", description="quay", encoding_type="application/geo+json", location=Point((10.5, 10.5))
    )
    made = fsc.Thing(name="moving", description="moves", locations=[place])
    service.create(made)
    assert found(things) == {made.id}
    (id_,) = found(places)
    moved = live.http.patch(
        f"/sta/v1.1/Locations({id_})",
        json={"location": {"type": "Point", "coordinates": [12, 12]}},
        headers=live.auth,
    )
    assert moved.status_code == 200
    assert (found(things), found(places)) == (set(), set())


def test_what_is_no_geometry_is_a_400_that_says_so(live):
    for text, why in [
        ("st_within(location,geography'CIRCLE(1 2 3)')", "WKT"),
        ("st_within(name,geography'POINT(1 2)')", "name is not a geometry"),
        ("st_buffer(location)", "st_within"),
    ]:
        answer = live.http.get("/sta/v1.1/Locations", params={"$filter": text})
        assert answer.status_code == 400
        assert why in answer.json()["detail"]
