"""SensorThings over HTTP, in process: the sets, their entities and what is told of them."""

import pytest

from layers.errors import BadConfig
from tests.unit.twin.live.rooms import ROOT, STREAM, THEMES, Room, made, thing
from twin import settings


def test_the_root_lists_the_eight_sets_and_what_is_true(room):
    async def scenario(client):
        body = (await client.get(ROOT)).json()
        assert len(body["value"]) == 8
        for entry in body["value"]:
            assert entry["url"] == f"http://127.0.0.1{ROOT}/{entry['name']}"
            assert (await client.get(entry["url"])).json() == {"value": []}
        declared = body["serverSettings"]["conformance"]
        assert not [c for c in declared if "delete-entity" in c or "mqtt" in c or "batch" in c]

    room.run(scenario)


def test_a_deep_insert_makes_everything_and_links_it(room):
    async def scenario(client):
        answer = await made(client)
        assert answer.headers["location"] == f"http://127.0.0.1{ROOT}/Things(1)"
        for path, name in [
            ("Things(1)/Locations", "quay"),
            ("Locations(1)/Things", "gauge"),
            ("Things(1)/Datastreams(1)/Sensor/Datastreams", "gauge water_level"),
            ("Datastreams(1)/ObservedProperty/Datastreams", "gauge water_level"),
            ("HistoricalLocations(1)/Locations", "quay"),
            ("Things(1)/HistoricalLocations(1)/Thing/Locations", "quay"),
        ]:
            found = (await client.get(f"{ROOT}/{path}")).json()
            assert [v["name"] for v in found["value"]] == [name], path
        observed = await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 1.0})
        feature = (await client.get(observed.headers["location"] + "/FeatureOfInterest")).json()
        assert feature["feature"]["coordinates"] == [24.95, 60.17]

    room.run(scenario)


def test_a_bad_inner_entity_undoes_the_whole_insert(room):
    async def scenario(client):
        for spoil in (
            lambda b: b["Datastreams"][0]["Sensor"].pop("metadata"),
            lambda b: b["Datastreams"][0].update(Thing={"@iot.id": 77}),
            lambda b: b["Datastreams"][0].update(Observations=[{"result": "wet"}]),
            lambda b: b["Locations"][0]["location"].update(coordinates=[500, 95]),
            lambda b: b["Locations"][0]["location"].update(coordinates=["a"]),
            lambda b: b["Locations"].append({"@iot.id": 99}),
            lambda b: b.update(nmae="x"),
            lambda b: b.update(name=None),
            lambda b: b.update({"@iot.id": 5}),
            lambda b: b["Datastreams"][0]["properties"].update(thresholds=[{"level": "red"}]),
            lambda b: b["Datastreams"][0]["properties"].update(period=-1),
        ):
            body = thing()
            spoil(body)
            answer = await client.post(f"{ROOT}/Things", json=body)
            assert answer.status_code == 400, answer.text
            assert answer.json()["code"] == "InvalidBody"
        for name in ("Things", "Locations", "Datastreams", "Sensors", "FeaturesOfInterest"):
            assert (await client.get(f"{ROOT}/{name}")).json()["value"] == [], name
        await made(client)
        assert room.live.streams[1].state == "stale"

    room.run(scenario)


def test_media_types_and_methods(room):
    async def scenario(client):
        answer = await client.post(f"{ROOT}/Things", content=b"{}", headers={"content-type": "text/plain"})
        assert answer.status_code == 415
        for method, path in [
            ("DELETE", "Things"),
            ("PUT", "Things(1)"),
            ("POST", ""),
            ("GET", "CreateObservations"),
        ]:
            answer = await client.request(method, f"{ROOT}/{path}")
            assert answer.status_code == 405, (method, path)
            assert "GET" in answer.headers["allow"] or "POST" in answer.headers["allow"]
        assert (await client.options(f"{ROOT}/Things")).status_code == 200
        assert (await client.head(f"{ROOT}/Things")).status_code == 200

    room.run(scenario)


def test_writing_needs_a_key_that_may(room):
    weak = room.keys.add("reporter", ["incident"])

    async def scenario(client):
        for headers, status in [
            ({"authorization": ""}, 401),
            ({"authorization": "Bearer nonsense"}, 401),
            ({"authorization": f"Bearer {weak}"}, 403),
        ]:
            for path in ("Things", "Observations", "CreateObservations"):
                answer = await client.post(f"{ROOT}/{path}", json={}, headers=headers)
                assert answer.status_code == status, (path, headers)
        del client.headers["authorization"]
        assert (await client.post(f"{ROOT}/Things", json={})).status_code == 401
        assert (await client.post(f"{ROOT}/Things", json={}, auth=("any", room.key))).status_code == 400

    room.run(scenario)


def test_reading_back_by_options(room):
    async def scenario(client):
        await made(client)
        rows = [[f"2026-01-01T00:{i:02d}:00Z", i] for i in range(60)]
        body = [{**STREAM, "components": ["phenomenonTime", "result"], "dataArray": rows}]
        await client.post(f"{ROOT}/CreateObservations", json=body)
        newest = await client.get(
            f"{ROOT}/Datastreams(1)/Observations?%24orderby=phenomenonTime+desc&%24top=2&%24select=result"
        )
        assert newest.json()["value"] == [{"result": 59}, {"result": 58}]
        seen, url = (
            [],
            f"{ROOT}/Datastreams(1)/Observations?$top=25&$orderby=phenomenonTime&$filter=result ge 5",
        )
        while url:
            page = (await client.get(url)).json()
            seen += [v["result"] for v in page["value"]]
            url = page.get("@iot.nextLink")
        assert seen == list(range(5, 60))
        arrays = (
            await client.get(
                f"{ROOT}/Datastreams(1)/Observations", params={"$resultFormat": "dataArray", "$top": "3"}
            )
        ).json()["value"]
        assert arrays[0]["components"] == ["id", "phenomenonTime", "resultTime", "result"]
        assert arrays[0]["dataArray"][0][1:] == ["2026-01-01T00:00:00Z", None, 0]
        page = (
            await client.get(f"{ROOT}/Things?$expand=Datastreams($expand=Observations($top=1;$count=true))")
        ).json()
        inner = page["value"][0]["Datastreams"][0]
        assert inner["Observations@iot.count"] == 60
        assert inner["phenomenonTime"] == "2026-01-01T00:00:00Z/2026-01-01T00:59:00Z"
        more = (await client.get(inner["Observations@iot.nextLink"])).json()
        assert more["value"][0]["result"] == 1

    room.run(scenario)


def test_an_answer_that_would_be_huge_is_refused(room, monkeypatch):
    monkeypatch.setattr("twin.things.service.EntityReader.__init__.__defaults__", (3,))

    async def scenario(client):
        await made(client)
        await made(client)
        answer = await client.get(f"{ROOT}/Things?$expand=Locations,Datastreams")
        assert answer.status_code == 400
        assert "$expand" in answer.json()["detail"]

    room.run(scenario)


def test_paths(room):
    async def scenario(client):
        await made(client)
        absent = ["Things(2)", "Nope", "Things(1)/Nope", "Things(1)/Datastreams(9)", "Things(x)"]
        absent += ["Things/Locations", "Things(1)/name/x", "Things('1')", "Observations(1)/Datastream(1)"]
        absent += ["Things(%D9%A1)", "Things(1)%0A", "Things(%EF%BC%91)/name"]
        absent += ["/".join(["Things(1)"] * 9), "Things(99999999999999999999)"]
        for path in absent:
            assert (await client.get(f"{ROOT}/{path}")).status_code == 404, path
        assert (await client.get("/sta/v1.0/Things")).status_code == 404
        assert (await client.get(f"{ROOT}/Things(1)/name/$value")).text == "gauge"
        assert (await client.get(f"{ROOT}/Sensors(1)/metadata/$value")).text == "none"
        assert (await client.get(f"{ROOT}/Datastreams(1)/phenomenonTime")).status_code == 204
        ref = (await client.get(f"{ROOT}/Things(1)/Datastreams/$ref")).json()
        assert ref["value"] == [{"@iot.selfLink": f"http://127.0.0.1{ROOT}/Datastreams(1)"}]
        assert (await client.get(f"{ROOT}/Things(1)?$top=1")).status_code == 400
        assert (await client.get(f"{ROOT}/Things?$top=1&$top=2")).status_code == 400
        assert (await client.get(f"{ROOT}/Things?top=1")).status_code == 400

    room.run(scenario)


def test_a_thing_that_moves_keeps_its_history_and_its_sensor_moves(room):
    async def scenario(client):
        await made(client)
        place = thing()["Locations"][0] | {"location": {"type": "Point", "coordinates": [25.0, 60.2]}}
        answer = await client.post(f"{ROOT}/Things(1)/Locations", json=place)
        assert answer.status_code == 201
        now = (await client.get(f"{ROOT}/Things(1)/Locations")).json()["value"]
        assert [v["@iot.id"] for v in now] == [2]
        history = (await client.get(f"{ROOT}/Things(1)/HistoricalLocations?$expand=Locations")).json()[
            "value"
        ]
        assert [h["Locations"][0]["@iot.id"] for h in history] == [1, 2]
        assert (room.live.streams[1].lon, room.live.streams[1].lat) == (25.0, 60.2)

    room.run(scenario)


def test_patch_changes_what_it_names_and_nothing_else(room):
    async def scenario(client):
        await made(client)
        answer = await client.patch(
            f"{ROOT}/Things(1)", json={"name": "renamed", "properties": {"simulated": True}}
        )
        assert answer.json()["name"] == "renamed"
        assert answer.json()["description"] == "a gauge"
        assert room.live.streams[1].simulated
        for body, status in [
            ({"name": None}, 400),
            ({"nope": 1}, 400),
            ({}, 400),
            ({"Locations": []}, 400),
            ({"properties": []}, 400),
        ]:
            assert (await client.patch(f"{ROOT}/Things(1)", json=body)).status_code == status, body
        assert (await client.patch(f"{ROOT}/Datastreams(1)", json={"phenomenonTime": "x"})).status_code == 400
        assert (await client.patch(f"{ROOT}/Things(9)", json={"name": "x"})).status_code == 404
        thresholds = [{"level": "red", "side": "above", "raise": 5, "clear": 4}]
        await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 6})
        await client.patch(f"{ROOT}/Datastreams(1)", json={"properties": {"thresholds": thresholds}})
        assert room.live.streams[1].state == "red"

    room.run(scenario)


def test_a_theme_that_is_not_there_stops_the_start(tmp_path):
    from twin.live import Live
    from twin.live.bus import Bus

    with pytest.raises(BadConfig, match="did you mean `water`"):
        Live(tmp_path, settings.parse(THEMES.replace("water", "wather")), Bus())


def test_a_folder_that_cannot_be_written_serves_reading_and_refuses_writing(room, monkeypatch):
    async def fill(client):
        await made(client)
        await client.post(f"{ROOT}/Observations", json={**STREAM, "result": 1.6})

    room.run(fill)
    room.live.stop()
    monkeypatch.setattr("layers.observations.livefile.os.access", lambda *_: False)
    again = Room(room.folder)
    again.key = room.key
    again.live.start()

    async def scenario(client):
        assert (await client.get(f"{ROOT}/Observations")).json()["value"][0]["result"] == 1.6
        assert (await client.get("/incidents")).json()["incidents"] == []
        for path, body in [
            (f"{ROOT}/Observations", {**STREAM, "result": 1}),
            (f"{ROOT}/Things", thing()),
            ("/incidents", {"title": "x"}),
        ]:
            answer = await client.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "ReadOnly"), path

    again.run(scenario)
    again.close()


@pytest.mark.parametrize("at", [[True, False], [24.9, True], ["24.9", "60.1"], [None, 1], [24.9]])
def test_a_position_is_made_of_numbers(room, at):
    body = {"name": "a", "description": "b", "encodingType": "application/geo+json"}

    async def scenario(client):
        answer = await client.post(
            f"{ROOT}/Locations", json=body | {"location": {"type": "Point", "coordinates": at}}
        )
        assert (answer.status_code, "location" in answer.text) == (400, True), answer.text

    room.run(scenario)


@pytest.mark.parametrize("value", [{}, [], None, 7, True, [{}], "a\0b"])
@pytest.mark.parametrize("member", ["encodingType", "name", "location"])
def test_a_member_of_another_type_is_named_not_a_fault(room, member, value):
    good = {"name": "a", "description": "b", "encodingType": "application/geo+json"}
    good["location"] = {"type": "Point", "coordinates": [1, 2]}

    async def scenario(client):
        for body, path in (
            (good | {member: value}, "Locations"),
            ({"name": "t", "description": "t", "Locations": [good | {member: value}]}, "Things"),
        ):
            answer = await client.post(f"{ROOT}/{path}", json=body)
            assert answer.status_code == 400, answer.text
            assert member in answer.json()["detail"]
        assert (await client.post(f"{ROOT}/Locations", json=good)).status_code == 201
        answer = await client.patch(f"{ROOT}/Locations(1)", json={member: value})
        assert answer.status_code == 400, answer.text

    room.run(scenario)
