"""SensorThings at the real process: a real client, a QGIS-like reader, and what must be refused."""

import json
from datetime import UTC, datetime, timedelta

import frost_sta_client as fsc
import httpx
import pytest
from geojson import Point

from tests.support import Server, twin

#: frost_sta_client itself uses a deprecated property of the library that it builds on
pytestmark = pytest.mark.filterwarnings("ignore:furl.pathstr is deprecated:DeprecationWarning")
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sta") / "city"
    twin("init", str(folder))
    running = Server.start(folder)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def service(live):
    return fsc.SensorThingsService(f"{live.url}/sta/v1.1", auth_handler=fsc.AuthHandler("device", live.key))


def new_thing(name):
    datastream = fsc.Datastream(
        name=f"{name} level",
        description="level",
        observation_type=MEASUREMENT,
        unit_of_measurement=fsc.UnitOfMeasurement(name="metre", symbol="m", definition="ucum:m"),
        properties={"period": 60},
    )
    datastream.sensor = fsc.Sensor(
        name="probe", description="probe", encoding_type="text/html", metadata="https://example.org/probe"
    )
    datastream.observed_property = fsc.ObservedProperty(
        name="water_level", definition="https://example.org/level", description="level"
    )
    place = fsc.Location(
        name="quay", description="quay", encoding_type="application/geo+json", location=Point((24.95, 60.17))
    )
    return fsc.Thing(
        name=name,
        description="a gauge",
        properties={"owner": "city"},
        locations=[place],
        datastreams=[datastream],
    )


@pytest.fixture(scope="module")
def thing(service):
    made = new_thing("frost gauge")
    service.create(made)
    return made


@pytest.fixture(scope="module")
def datastream(service, thing):
    return service.things().find(thing.id).get_datastreams().query().list().entities[0]


def minutes(count, end=None):
    end = end or datetime.now(UTC).replace(second=0, microsecond=0)
    return [(end - timedelta(minutes=count - i)).isoformat() for i in range(count)]


def test_frost_client_deep_inserts_and_reads_back(service, thing):
    found = service.things().find(thing.id)
    assert (found.name, found.properties) == ("frost gauge", {"owner": "city"})
    places = found.get_locations().query().list().entities
    assert places[0].location["coordinates"] == [24.95, 60.17]
    streams = found.get_datastreams().query().expand("Sensor,ObservedProperty").list().entities
    assert streams[0].sensor.metadata == "https://example.org/probe"
    assert streams[0].observed_property.name == "water_level"
    assert streams[0].unit_of_measurement.symbol == "m"


def test_frost_client_posts_single_observations(service, datastream):
    made = fsc.Observation(phenomenon_time=minutes(1)[0], result=1.25, datastream=datastream)
    service.create(made)
    found = service.observations().find(made.id)
    assert found.result == 1.25
    assert service.observations().query().filter(f"id eq {made.id}").list().entities[0].result == 1.25


def test_frost_client_posts_data_arrays_and_queries_them(service, datastream):
    times = minutes(200, datetime(2026, 3, 1, tzinfo=UTC))
    array = fsc.model.ext.data_array_value.DataArrayValue()
    array.datastream = datastream
    array.components = {array.Property.PHENOMENON_TIME, array.Property.RESULT}
    for i, time in enumerate(times):
        array.add_observation(fsc.Observation(phenomenon_time=time, result=i / 10, datastream=datastream))
    document = fsc.model.ext.data_array_document.DataArrayDocument()
    document.add_data_array_value(array)
    links = service.observations().create(document)
    assert len(links) == 200
    query = datastream.get_observations().query()
    newest = query.filter("result ge 10 and result lt 15").orderby("result", "DESC").top(3).count().list()
    assert [o.result for o in newest.entities] == [14.9, 14.8, 14.7]
    assert newest.count == 50
    window = f"phenomenonTime ge {times[10]} and phenomenonTime lt {times[15]}"
    some = datastream.get_observations().query().filter(window).orderby("phenomenonTime", "ASC").list()
    assert [o.result for o in some.entities] == [1.0, 1.1, 1.2, 1.3, 1.4]
    skipped = (
        datastream.get_observations().query().filter(window).orderby("phenomenonTime", "ASC").skip(3).list()
    )
    assert [o.result for o in skipped.entities] == [1.3, 1.4]


def test_frost_client_pages_through_everything_once(service, datastream):
    listed = datastream.get_observations().query().filter("result lt 100").top(30).list()
    ids = [o.id for o in listed]
    assert len(ids) >= 200
    assert len(ids) == len(set(ids))


def test_what_qgis_asks_is_answered(live, thing):
    """QGIS pages with $top and $count=false and ignores the next link of what it expanded."""
    page = live.http.get(
        "/sta/v1.1/Things?$top=200&$count=false&$expand=Datastreams($orderby=id;$top=1000),Locations"
        "&$filter=startswith(name,'frost')"
    ).json()
    assert [t["name"] for t in page["value"]] == ["frost gauge"]
    assert len(page["value"][0]["Datastreams"]) == 1
    counted = live.http.get("/sta/v1.1/Locations?$top=0&$count=true").json()
    assert counted["@iot.count"] >= 1


def test_latest_of_everything_in_one_request(live, datastream):
    answer = live.http.get(
        "/sta/v1.1/Things?$expand=Locations,"
        "Datastreams($expand=Observations($orderby=phenomenonTime desc;$top=1))"
    )
    stream = answer.json()["value"][0]["Datastreams"][0]
    assert len(stream["Observations"]) == 1
    assert stream["phenomenonTime"].endswith(stream["Observations"][0]["phenomenonTime"])


def test_a_body_of_50_mb_is_refused_and_the_server_goes_on(live):
    def chunks():
        yield b'[{"Datastream":{"@iot.id":1},"components":["result"],"dataArray":[[0]'
        for _ in range(50):
            yield b",[1]" * 250_000
        yield b"]}]"

    headers = {**live.auth, "content-type": "application/json"}
    declared = {**headers, "content-length": str(50_000_000)}
    for path in ("Observations", "CreateObservations"):
        url = f"{live.url}/sta/v1.1/{path}"
        answer = httpx.post(url, headers=declared, content=b"x" * 50_000_000, timeout=60)
        assert answer.status_code == 413
        assert answer.json()["code"] == "TooLarge"
    answer = _streamed(live, headers, chunks())
    assert answer in (413, None)
    assert live.http.get("/sta/v1.1").status_code == 200


def _streamed(live, headers, chunks):
    """The status of a chunked body; None when the server closed before it was all sent."""
    try:
        answer = httpx.post(
            f"{live.url}/sta/v1.1/CreateObservations", headers=headers, content=chunks, timeout=60
        )
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return None
    return answer.status_code


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"host": "evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
    ],
)
def test_writes_from_strangers_are_refused(live, headers, status):
    given = {"content-type": "application/json", **headers}
    if status == 403:
        given |= live.auth
    answer = live.http.post("/sta/v1.1/Observations", headers=given, content=b"{}")
    assert answer.status_code == status
    assert {"type", "title", "status", "detail", "code", "description"} <= set(answer.json())


def test_a_batch_of_a_day_comes_back_whole_and_ordered(live, service, datastream):
    base = datetime(2026, 2, 1, tzinfo=UTC)
    rows = [[(base + timedelta(seconds=10 * i)).isoformat(), i] for i in range(8640)]
    body = [
        {
            "Datastream": {"@iot.id": datastream.id},
            "components": ["phenomenonTime", "result"],
            "dataArray": rows,
        }
    ]
    answer = live.http.post("/sta/v1.1/CreateObservations", json=body, headers=live.auth)
    assert answer.status_code == 201
    assert len(answer.json()) == 8640
    day = live.http.get(
        f"/sta/v1.1/Datastreams({datastream.id})/Observations",
        params={
            "$resultFormat": "dataArray",
            "$top": "10000",
            "$select": "phenomenonTime,result",
            "$orderby": "phenomenonTime",
            "$filter": "phenomenonTime ge 2026-02-01T00:00:00Z and phenomenonTime lt 2026-02-02T00:00:00Z",
        },
    )
    values = json.loads(day.content)["value"][0]["dataArray"]
    assert [v[1] for v in values] == list(range(8640))
