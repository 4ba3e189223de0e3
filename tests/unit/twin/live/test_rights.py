"""What a key may do to things and datastreams, over HTTP, in process."""

import pytest

from layers.errors import BadParameter
from tests.unit.twin.live.rooms import ROOT, thing
from twin.access.rights import Objects


def test_to_observe_is_not_to_configure_and_either_may_be_of_some_things_alone(room):
    """Whoever sends what a sensor measured could take its thresholds away, and so silence its alarm."""

    async def scenario(client):
        def key(name, may, *of):
            named = Objects.named(of) if of else None
            return {"authorization": f"Bearer {room.keys.add(name, may, named)}"}

        for name in ("one", "two"):
            assert (await client.post(f"{ROOT}/Things", json=thing(name))).status_code == 201
        calm = {"properties": {"thresholds": {"red": {"above": 1e9}}}}
        value = {"result": 1.0}

        async def post(who, path, body):
            return (await client.post(f"{ROOT}/{path}", json=body, headers=who)).status_code

        async def patch(who, path, body):
            return (await client.patch(f"{ROOT}/{path}", json=body, headers=who)).status_code

        observer = key("observer", ["observe"])
        assert await post(observer, "Datastreams(1)/Observations", value) == 201
        assert await patch(observer, "Datastreams(1)", calm) == 403
        assert await post(observer, "Things", thing("three")) == 403
        engineer = key("engineer", ["configure"])
        assert await patch(engineer, "Datastreams(1)", {"name": "x"}) == 200
        assert await post(engineer, "Datastreams(1)/Observations", value) == 403
        assert await post(engineer, "Things", thing("three")) == 201
        inner = thing("four")
        inner["Datastreams"][0]["Observations"] = [value]
        assert await post(engineer, "Things", inner) == 403, "what is nested in it is asked for, too"

        for of in ("Things(2)", "Datastreams(2)"):
            meter = key(f"meter of {of}", ["observe"], of)
            foi = {"FeatureOfInterest": {"@iot.id": 1}}
            assert await post(meter, "Datastreams(2)/Observations", value) == 201
            assert await post(meter, "Datastreams(2)/Observations", value | foi) == 201
            assert await post(meter, "Observations", value | {"Datastream": {"@iot.id": 2}}) == 201
            assert await post(meter, "Datastreams(1)/Observations", value) == 403
            assert await post(meter, "Datastreams(1)/Observations", value | foi) == 403
            arrays = [
                {"Datastream": {"@iot.id": id_}, "components": ["result"], "dataArray": [[5.5]]}
                for id_ in (1, 2)
            ]
            answer = await client.post(f"{ROOT}/CreateObservations", json=arrays, headers=meter)
            first, second = answer.json()
            assert first.startswith("error")
            assert "may observe only" in first
            assert second.startswith("http")
        owner = key("owner", ["configure"], "Things(2)")
        assert await patch(owner, "Things(2)", {"name": "mine"}) == 200
        assert await patch(owner, "Datastreams(2)", {"name": "mine"}) == 200
        assert await post(owner, "Things(2)/Datastreams", thing("x")["Datastreams"][0]) == 201
        assert await patch(owner, "Datastreams(1)", calm) == 403
        assert await patch(owner, "ObservedProperties(1)", {"name": "x"}) == 403
        assert await post(owner, "Things", thing("five")) == 403
        assert room.live.streams[1].name == "x"

    room.run(scenario)


@pytest.mark.parametrize(
    "text", ["Things", "Things(0)", "things(1)", "Things(1)/Datastreams", "Sensors(1)", ""]
)
def test_what_a_key_is_limited_to_is_a_thing_or_a_datastream(text):
    with pytest.raises(BadParameter, match="of="):
        Objects.named([text])
