"""POST /ogc/undo over the real server, on both stores."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.e2e import both
from tests.e2e.edits import item, patch, post
from tests.support import Server

server = both.server

LAYER = "street_assets"
POINT = {"type": "Point", "coordinates": [24.95, 60.17]}


def ask(server: Server, content: str = "", **members: Any) -> httpx.Response:
    headers = {"content-type": "application/json", **server.auth}
    members = {name.rstrip("_"): value for name, value in members.items()}
    return server.http.post("/ogc/undo", content=content or json.dumps(members), headers=headers)


def name(server: Server, fid: int) -> Any:
    return server.http.get(item(LAYER, fid)).json()["properties"]["name"]


def renamed(server: Server, fid: int, text: str, **headers: str) -> int:
    """The change set of an edit, and its number, which are told by the log."""
    answer = patch(server, item(LAYER, fid), {"properties": {"name": text}}, **headers)
    assert answer.status_code == 204, answer.text
    return int(answer.headers["etag"].strip('"').rsplit("-", 1)[1])


def newest(server: Server) -> dict[str, Any]:
    page = server.http.get("/ogc/change-sets", params={"limit": 1}, headers=server.auth).json()
    found: dict[str, Any] = page["changeSets"][0]
    return found


@pytest.fixture
def fids(server: Server) -> list[int]:
    """Features that no other test of this module has taken."""
    page = server.http.get(f"/ogc/collections/{LAYER}/items", params={"limit": 500}).json()
    taken = getattr(server, "taken", 0)
    server.taken = taken + 3  # type: ignore[attr-defined]
    return [one["id"] for one in page["features"][taken : taken + 3]]


def test_a_change_set_is_shown_then_taken_back(server: Server, fids: list[int]) -> None:
    before = name(server, fids[0])
    renamed(server, fids[0], "wrong")
    one = newest(server)
    assert {link["rel"]: link["href"] for link in one["links"]}["undo"].endswith("/ogc/undo")
    anonymous = server.http.get("/ogc/change-sets", params={"limit": 1}).json()["changeSets"][0]
    assert [link["rel"] for link in anonymous["links"]] == ["changes"]
    shown = ask(server, set=one["id"], dryRun=True)
    assert shown.status_code == 200, shown.text
    assert "no-store" in shown.headers["cache-control"]
    plan = shown.json()
    assert plan["summary"] == {"added": 0, "removed": 0, "changed": 1, "conflicts": 0}
    assert (plan["set"], plan["complete"], plan["lost"], plan["leftOut"]) == (one["id"], True, {}, [])
    (step,) = plan["steps"]
    assert (step["layer"], step["id"], step["conflict"]) == (LAYER, fids[0], None)
    assert step["fields"] == {"name": {"old": "wrong", "new": before}}
    assert name(server, fids[0]) == "wrong"
    done = ask(server, set=one["id"], seq=plan["seq"], message="not this one")
    assert done.status_code == 200, done.text
    told = done.json()
    assert told["summary"]["changed"] == 1
    assert name(server, fids[0]) == before
    made = newest(server)
    assert (made["id"], made["last"], made["via"], made["undone"]) == (
        told["set"],
        told["seq"],
        "undo",
        one["id"],
    )
    assert (made["actor"], made["message"]) == ("test", "not this one")
    changes = server.http.get(told["links"][0]["href"]).json()["changes"]
    assert [(change["id"], change["fields"]["name"]["new"]) for change in changes] == [(fids[0], before)]
    path, asked = f"{item(LAYER, fids[0])}/versions", {"limit": 1, "before": made["last"]}
    page = server.http.get(path, params=asked).json()
    own = next(link["href"] for link in page["links"] if link["rel"] == "self")
    assert server.http.get(own).json() == page
    assert [version["until"] for version in page["versions"]] == [made["last"]]
    again = ask(server, set=made["id"])
    assert again.status_code == 200
    assert name(server, fids[0]) == "wrong"


def test_conflicts_are_told_and_left_out(server: Server, fids: list[int]) -> None:
    document = {
        "transaction": [
            {
                "action": "update",
                "collection": LAYER,
                "filter": f"id IN ({fids[0]}, {fids[1]})",
                "properties": {"modify": [{"name": "name", "value": "both"}]},
            }
        ]
    }
    headers = {"content-type": "application/ogc-tx+json", **server.auth}
    written = server.http.post("/ogc/transactions", content=json.dumps(document), headers=headers)
    assert written.status_code == 200
    number = newest(server)["id"]
    renamed(server, fids[1], "since")
    since = newest(server)
    refused = ask(server, set=number)
    assert refused.status_code == 409
    told = refused.json()
    assert told["code"] == "UndoRefused"
    assert told["summary"]["conflicts"] == 1
    (conflict,) = told["conflicts"]
    assert conflict["id"] == fids[1]
    assert conflict["conflict"] == {"set": since["id"], "actor": "test", "via": "api", "at": since["at"]}
    done = ask(server, set=number, leaveOutConflicts=True).json()
    assert done["summary"] == {"added": 0, "removed": 0, "changed": 1, "conflicts": 1}
    assert name(server, fids[0]) != "both"
    assert name(server, fids[1]) == "since"


def test_a_plan_that_was_overtaken_changes_nothing(server: Server, fids: list[int]) -> None:
    renamed(server, fids[0], "one")
    number = newest(server)["id"]
    plan = ask(server, set=number, dryRun=True).json()
    renamed(server, fids[0], "two")
    for more in ({}, {"leaveOutConflicts": True}):
        refused = ask(server, set=number, seq=plan["seq"], **more)
        assert refused.status_code == 409, refused.text
    assert name(server, fids[0]) == "two"
    # another feature's change is none of it
    plan = ask(server, layer=LAYER, feature=fids[0], to=f"@{plan['seq']}", dryRun=True).json()
    renamed(server, fids[1], "other")
    to = plan["seq"] - 1
    assert ask(server, layer=LAYER, feature=fids[0], to=f"@{to}", seq=plan["seq"]).status_code == 200
    assert name(server, fids[0]) == "one"


def test_a_feature_a_person_and_an_area(server: Server, fids: list[int]) -> None:
    begin = renamed(server, fids[0], "first")
    geometry = {"type": "Point", "coordinates": [24.90001, 60.19001]}
    new = {"type": "Feature", "geometry": geometry, "properties": {"name": "new"}}
    made = int(post(server, LAYER, new).headers["location"].rsplit("/", 1)[1])
    renamed(server, fids[0], "second")
    renamed(server, fids[1], "third")
    gone = server.http.delete(item(LAYER, fids[2]), headers=server.auth)
    assert gone.status_code == 204
    shown = ask(server, layer=LAYER, feature=fids[2], to=f"@{begin}", dryRun=True).json()
    assert [step["change"] for step in shown["steps"]] == ["added"]
    box = [24.9, 60.19, 24.90002, 60.19002]
    area = ask(server, bbox=box, from_=f"@{begin}", dryRun=True).json()
    assert [(step["id"], step["change"]) for step in area["steps"]] == [(made, "removed")]
    assert ask(server, bbox=box, from_=f"@{begin}", layers=["addresses"]).json()["set"] is None
    assert ask(server, bbox=box, from_=f"@{begin}", layers=[LAYER]).json()["summary"]["removed"] == 1
    assert server.http.get(item(LAYER, made)).status_code == 404
    every = ask(server, actor="test", from_=f"@{begin}", to=f"@{begin + 4}", dryRun=True).json()
    assert {step["id"] for step in every["steps"]} == set(fids)
    done = ask(server, actor="test", from_=f"@{begin}", to=f"@{begin + 4}")
    assert done.status_code == 200, done.text
    assert done.json()["summary"] == {"added": 1, "removed": 0, "changed": 2, "conflicts": 0}
    assert name(server, fids[0]) == "first"
    assert server.http.get(item(LAYER, fids[2])).status_code == 200
    nobody = ask(server, actor="nobody", from_=f"@{begin}").json()
    assert nobody["set"] is None
    assert nobody["summary"] == {"added": 0, "removed": 0, "changed": 0, "conflicts": 0}


@pytest.mark.parametrize(
    ("members", "status", "words"),
    [
        ({}, 400, "missing"),
        ({"set": "7"}, 400, "set"),
        ({"set": True}, 400, "set"),
        ({"set": 10**19}, 400, "set"),
        ({"set": 999_999}, 404, "change set"),
        ({"set": 1, "feature": 2}, 400, "beside set"),
        ({"set": 1, "dryrun": True}, 400, "unknown member"),
        ({"set": 1, "dryRun": 1}, 400, "dryRun"),
        ({"set": 1, "leaveOutConflicts": "yes"}, 400, "leaveOutConflicts"),
        ({"set": 1, "message": "x" * 1001}, 400, "message"),
        ({"set": 1, "message": 3}, 400, "message"),
        ({"set": 1, "seq": -1}, 400, "seq"),
        ({"layer": LAYER, "feature": 1}, 400, "to"),
        ({"layer": "Street", "feature": 1, "to": "@9"}, 400, "layer"),
        ({"layer": "nowhere", "feature": 1, "to": "@9999"}, 404, "no layer"),
        ({"layer": LAYER, "feature": 10**12, "to": "@9999"}, 404, "no feature"),
        ({"layer": LAYER, "feature": 1, "to": "1999-01-01T00:00:00Z"}, 410, "is kept from"),
        ({"layer": LAYER, "feature": 1, "to": "2999-01-01T00:00:00Z"}, 400, "to="),
        ({"layer": LAYER, "feature": 1, "to": "2026-01-01T00:00:00"}, 400, "to="),
        ({"layer": LAYER, "feature": 1, "to": "@99999999"}, 400, "to="),
        ({"actor": "test"}, 400, "from"),
        ({"actor": "test", "from": 5}, 400, "from"),
        ({"actor": "", "from": "@9999"}, 400, "actor"),
        ({"actor": "test", "from": "@9999", "to": "@2"}, 400, "not after"),
        ({"actor": "test", "from": "@9999", "layers": ["buildings"]}, 400, "layers"),
        ({"bbox": [1, 2, 3], "from": "@9999"}, 400, "bbox"),
        ({"bbox": [1, 2, 3, None], "from": "@9999"}, 400, "bbox"),
        ({"bbox": [1, 9, 3, 4], "from": "@9999"}, 400, "bbox"),
        ({"bbox": [1, 2, 3, 4], "from": "@9999", "layers": []}, 400, "layers"),
        ({"bbox": [1, 2, 3, 4], "from": "@9999", "layers": ["nowhere"]}, 404, "nowhere"),
    ],
)
def test_mistakes(server: Server, members: dict[str, Any], status: int, words: str) -> None:
    seq = newest(server)["last"]
    for member in ("from", "to"):
        if members.get(member) == "@9999":  # now
            members = members | {member: f"@{seq}"}
    answer = ask(server, json.dumps(members))
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert newest(server)["last"] == seq


def test_who_may_and_what_is_taken(server: Server) -> None:
    assert server.http.post("/ogc/undo", json={"set": 1}).status_code == 401
    assert server.http.get("/ogc/undo").status_code == 405
    for content, media, status in (
        ("not JSON", "application/json", 400),
        ("[]", "application/json", 400),
        ('{"set": 1}', "text/plain", 415),
        (" " * 70_000, "application/json", 413),
    ):
        headers = {"content-type": media, **server.auth}
        answer = server.http.post("/ogc/undo", content=content, headers=headers)
        assert answer.status_code == status, answer.text
    unknown = server.http.post("/ogc/undo?set=1", json={"set": 1}, headers=server.auth)
    assert unknown.status_code == 400
