"""POST /ogc/transactions over the real server, on both stores."""

import json
import threading

import httpx
import pytest

from tests.e2e import both
from tests.e2e.edits import item

server = both.server

MEDIA = "application/ogc-tx+json"
LAYER = "street_assets"
POINT = {"type": "Point", "coordinates": [24.95, 60.17]}


def transact(server, actions, semantic=None, **headers):
    document = {"transaction": actions, "description": "the plan of spring"}
    if semantic:
        document["semantic"] = semantic
    return send(server, json.dumps(document), **headers)


def send(server, content, **headers) -> httpx.Response:
    headers = {"content-type": MEDIA, **server.auth, **headers}
    return server.http.post("/ogc/transactions", content=content, headers=headers)


def insert(*items, collection=LAYER, **more):
    return {"action": "insert", "collection": collection, "items": list(items), **more}


def delete(chosen, collection=LAYER, **more):
    return {"action": "delete", "collection": collection, "filter": chosen, **more}


def update(chosen, collection=LAYER, condition=None, **values):
    pairs = [{"name": name, "value": value} for name, value in values.items()]
    action = {"action": "update", "collection": collection, "filter": chosen, "properties": {"modify": pairs}}
    return action if condition is None else action | {"if-match": condition}


def feature(**properties):
    return {"type": "Feature", "geometry": POINT, "properties": properties}


def etag(server, fid, layer=LAYER):
    return server.http.get(item(layer, fid)).headers["etag"]


def name(server, fid, layer=LAYER):
    return server.http.get(item(layer, fid)).json()["properties"]["name"]


@pytest.fixture
def fids(server):
    """Features that no other test of this module has taken."""
    page = server.http.get(f"/ogc/collections/{LAYER}/items", params={"limit": 500}).json()
    taken = getattr(server, "taken", 0)
    server.taken = taken + 3
    return [one["id"] for one in page["features"][taken : taken + 3]]


@pytest.fixture
def building(server):
    return server.http.get("/ogc/collections/buildings/items", params={"limit": 1}).json()["features"][0]


def test_all_of_it_is_written(server, fids, building):
    whole = server.http.get(item(LAYER, fids[1])).json()
    whole["properties"]["name"] = "whole"
    read = etag(server, fids[0])
    done = transact(
        server,
        [
            insert(feature(name="one"), feature(name="two")),
            update(f"id = {fids[0]}", condition=read, name="changed", geometry=POINT),
            {"action": "replace", "collection": LAYER, "filter": f"id = {fids[1]}", "feature": whole},
            delete({"op": "=", "args": [{"property": "id"}, fids[2]]}),
            update(f"id = {building['id']}", "buildings", name="Town hall"),
        ],
    )
    assert done.status_code == 200, done.text
    assert "no-store" in done.headers["cache-control"]
    told = done.json()
    assert told["semantic"] == "atomic"
    summary = {"totalInserted": 2, "totalReplaced": 1, "totalUpdated": 2, "totalDeleted": 1}
    assert told["summary"] == summary
    assert "exceptions" not in told
    for address, wanted in zip(told["insertResults"], ("one", "two"), strict=True):
        found = server.http.get(address)
        assert found.json()["properties"]["name"] == wanted
        assert found.headers["etag"] == told["etags"][address]
    assert told["updateResults"][0].endswith(item(LAYER, fids[0]))
    changed = server.http.get(told["updateResults"][0])
    assert (changed.json()["properties"]["name"], changed.json()["geometry"]) == ("changed", POINT)
    assert name(server, fids[1]) == "whole"
    assert server.http.get(item(LAYER, fids[2])).status_code == 404
    assert name(server, building["id"], "buildings") == "Town hall"
    sets = [
        server.http.get(f"{item(layer, fid)}/versions", headers=server.auth).json()["versions"][0]["set"]
        for layer, fid in ((LAYER, fids[0]), ("buildings", building["id"]))
    ]
    assert sets[0] == sets[1]
    assert (sets[0]["actor"], sets[0]["message"]) == ("test", "the plan of spring")
    assert sets[0]["last"] - sets[0]["first"] == 5


def test_every_fault_is_told_by_its_index_and_nothing_is_written(server, fids):
    before = server.http.get(f"/ogc/collections/{LAYER}/items", params={"limit": 1000}).json()["features"]
    refused = transact(
        server,
        [
            insert(feature(name="right"), feature(nonsense=1), {"type": "Feature"}, id="first"),
            update(f"id = {fids[0]}", name="right"),
            update(f"id = {fids[1]}", condition='"another-7"', name="late"),
            update("id = 999999999", name="nobody"),
            delete("id = 1", "nowhere"),
            {"action": "merge", "collection": LAYER},
            "no action",
            delete("name = 'all'"),
            delete(f"id = {fids[0]}", iff="7"),
            update(f"id IN ({fids[1]}, {fids[2]})", condition=etag(server, fids[1]), name="both"),
            {"action": ["delete"], "collection": LAYER},
        ],
    )
    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    told = refused.json()
    assert told["code"] == "TransactionRefused"
    assert told["detail"] == "nothing is written: 11 edits of 13 cannot be done"
    assert told["summary"] == dict.fromkeys(told["summary"], 0)
    assert told["numberOfExceptions"] == len(told["exceptions"]) == 11
    found = [(one["index"], one.get("item"), one["status"]) for one in told["exceptions"]]
    assert found == [
        (0, 1, 400),
        (0, 2, 400),
        (2, None, 412),
        (3, None, 404),
        (4, None, 404),
        *((index, None, 400) for index in range(5, 11)),
    ]
    first = told["exceptions"][0]
    assert (first["actionId"], first["action"], first["collectionId"]) == ("first", "insert", LAYER)
    assert "nonsense" in first["detail"]
    assert first["errors"] == [
        {"detail": "the layer has no such property", "pointer": "#/properties/nonsense"},
    ]
    assert (
        server.http.get(f"/ogc/collections/{LAYER}/items", params={"limit": 1000}).json()["features"]
        == before
    )


def test_a_batch_writes_what_is_right(server, fids):
    done = transact(
        server, [update(f"id = {fids[0]}", name="right"), delete("id = 999999999")], semantic="batch"
    )
    assert done.status_code == 200, done.text
    told = done.json()
    assert told["summary"]["totalUpdated"] == 1
    assert [(one["index"], one["status"], one["code"]) for one in told["exceptions"]] == [
        (1, 404, "NotFound")
    ]
    assert name(server, fids[0]) == "right"


def test_a_later_action_names_a_feature_by_the_source_id_of_an_earlier_one(server):
    done = transact(
        server, [insert(feature(name="a", source_id="tx-1")), update("source_id = 'tx-1'", name="b")]
    )
    assert done.status_code == 200, done.text
    address = done.json()["insertResults"][0]
    assert set(done.json()["updateResults"]) == {address}
    assert server.http.get(address).json()["properties"]["name"] == "b"
    circle = [update("source_id = 'tx-3'", name="c"), insert(feature(source_id="tx-3"))]
    refused = transact(server, circle)
    assert [one["index"] for one in refused.json()["exceptions"]] == [0]


def test_coordinates_come_in_the_crs_of_the_request(server, fids):
    crs = "http://www.opengis.net/def/crs/EPSG/0/4326"
    turned = POINT | {"coordinates": POINT["coordinates"][::-1]}
    done = transact(server, [update(f"id = {fids[0]}", geometry=turned)], **{"content-crs": f"<{crs}>"})
    assert done.status_code == 200, done.text
    found = server.http.get(item(LAYER, fids[0])).json()["geometry"]
    assert found["coordinates"] == pytest.approx(POINT["coordinates"])
    refused = transact(server, [update(f"id = {fids[0]}", geometry=POINT)], **{"content-crs": "<EPSG:28992>"})
    assert refused.status_code == 422
    assert "Content-Crs" in refused.json()["exceptions"][0]["detail"]


def test_a_short_answer(server, fids):
    done = transact(server, [update(f"id = {fids[0]}", name="short")], prefer="return=minimal")
    assert (done.status_code, done.headers["preference-applied"]) == (200, "return=minimal")
    assert sorted(done.json()) == ["semantic", "summary"]


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        ("{", 400, "not JSON"),
        ("[]", 400, "JSON object"),
        ("{}", 400, "transaction: must be an array"),
        ('{"transaction": {}}', 400, "transaction: must be an array"),
        ('{"transaction": [], "semantic": "perhaps"}', 400, "neither atomic nor batch"),
        ('{"transaction": [], "atomic": true}', 400, "unknown member"),
        ('{"transaction": [], "description": 7}', 400, "description"),
        (json.dumps({"transaction": [{}] * 100_000}), 413, "at most 5000"),
        (json.dumps({"transaction": [insert(*[0] * 100_000)]}), 413, "at most 5000"),
        ("[" * 100_000, 400, "not JSON"),
        (" " * (8 * 1_048_576 + 1), 413, "8388609"),
    ],
)
def test_what_is_no_transaction(server, content, status, detail):
    answer = send(server, content)
    assert (answer.status_code, detail in answer.json()["detail"]) == (status, True), answer.text


def test_an_empty_one_writes_nothing(server):
    done = transact(server, [])
    assert done.status_code == 200
    assert done.json()["summary"] == dict.fromkeys(done.json()["summary"], 0)


def test_who_may(server):
    content = json.dumps({"transaction": []})
    anonymous = server.http.post("/ogc/transactions", content=content, headers={"content-type": MEDIA})
    assert anonymous.status_code == 401
    assert send(server, content, **{"content-type": "text/plain"}).status_code == 415
    assert send(server, content, **{"content-type": "application/json"}).status_code == 200
    options = server.http.options("/ogc/transactions")
    assert (options.headers["allow"], options.headers["accept-post"]) == (
        "OPTIONS, POST",
        f"{MEDIA}, application/json",
    )
    assert server.http.get("/ogc/transactions").status_code == 405
    described = server.http.get("/ogc/api", params={"f": "json"}).json()["paths"]["/transactions"]
    assert {"200", "400", "401", "403", "413", "415", "422", "503"} <= set(described["post"]["responses"])


def test_single_edits_go_on_beside_it(server, fids):
    """None waits for all of a large one, or is refused."""
    sent = [insert(*[feature(name="many")] * 1000)]
    answers = []
    thread = threading.Thread(target=lambda: answers.append(transact(server, sent)))
    thread.start()
    headers = {"content-type": "application/merge-patch+json", **server.auth}
    with httpx.Client(base_url=server.url, timeout=30) as http:
        for number in range(10):
            body = json.dumps({"properties": {"name": f"single {number}"}})
            assert http.patch(item(LAYER, fids[0]), content=body, headers=headers).status_code == 204
    thread.join()
    assert answers[0].json()["summary"]["totalInserted"] == 1000


def test_a_request_that_is_sent_again_with_its_key_is_done_once(server):
    count = server.http.get(f"/ogc/collections/{LAYER}/items?limit=1").json()["numberMatched"]
    actions = [insert(feature(name="once"))]
    answers = [transact(server, actions, **{"idempotency-key": key}) for key in ('"a-1"', "a-1", '"a-1"')]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert server.http.get(f"/ogc/collections/{LAYER}/items?limit=1").json()["numberMatched"] == count + 1
    other = transact(server, [insert(feature(name="other"))], **{"idempotency-key": '"a-1"'})
    assert (other.status_code, other.json()["code"]) == (422, "KeyReused")
    batch = transact(server, actions, "batch", **{"idempotency-key": '"a-2"'})
    assert (batch.status_code, "atomic" in batch.text) == (400, True)
    for wrong in ('""', '"' + "x" * 129 + '"', '"open', "two words"):
        assert transact(server, actions, **{"idempotency-key": wrong}).status_code == 400
    assert server.http.get(f"/ogc/collections/{LAYER}/items?limit=1").json()["numberMatched"] == count + 1
