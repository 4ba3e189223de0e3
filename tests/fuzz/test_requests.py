"""Random requests to both stores: never a 5xx, every refusal in one shape, and both answer alike."""

from __future__ import annotations

import json
import os
import re

import httpx
import pytest

from tests.fuzz.requests import Request, Requests

#: How many requests a run sends to each store; ``make drill`` sends more.
ROUNDS = int(os.environ.get("TWIN_FUZZ_ROUNDS", "450"))
SEED = os.environ.get("TWIN_FUZZ_SEED", "1")
PROBLEM = {"type", "title", "status", "detail", "code", "description"}
#: Types of which every byte is the same.
SAME = ("text/csv", "application/flatgeobuf", "application/vnd.mapbox-vector-tile")
VARYING = frozenset({"timeStamp", "extent", "bounds", "center", "boundingBox", "boundingVolume"})
REVISION = re.compile(r"revision (is )?\d+(, not \d+)?")
#: What no message may hold.
INTERNAL = (
    "Traceback",
    ".py",
    "OperationalError",
    "psycopg",
    "SELECT ",
    "site-packages",
    "city.gpkg",
    "LINE 1",
)


def send(fuzzed, request: Request) -> httpx.Response:
    """Send it as it is: the client may not mend what was spoiled."""
    headers = {"accept-encoding": "identity", **request.headers}
    beside = request.target.startswith("/../")
    url = fuzzed.server.url + request.target[3:] if beside else fuzzed.api.root + request.target
    return fuzzed.api.http.request(request.method, url, headers=headers, content=request.body)


def judge(answer: httpx.Response, request: Request) -> None:
    """No fault of the server; a refusal as every refusal is; a success with what it says it has."""
    where = f"{request.method} {request.target} {request.headers} {request.body!r}: {answer.status_code}"
    assert answer.status_code < 500, (where, answer.text[:500])
    if request.method == "HEAD":
        assert answer.content == b""
    elif answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", where
        told = answer.json()
        assert set(told) - {"errors"} == PROBLEM, where
        assert all(set(one) == {"detail", "pointer"} for one in told.get("errors", ())), where
        assert told["status"] == answer.status_code, where
        assert told["detail"] == told["description"] != "", where
        for internal in INTERNAL:
            assert internal not in told["detail"] or internal in request.target, (where, told["detail"])
        assert len(told["detail"]) < 2000, where
    elif "json" in answer.headers.get("content-type", ""):
        json.loads(answer.content)


def comparable(answer: httpx.Response, address: str) -> object:
    """What two stores must answer alike: all but the time, the address, the number of a revision (one of
    the databases was put back from a dump, and counts on from there), and how closely an extent fits what
    edits have left, which a database may estimate."""
    kind = answer.headers.get("content-type", "")
    if kind.startswith(SAME):
        return answer.content
    if "json" not in kind:
        return kind, len(answer.content) > 0
    return _without(json.loads(REVISION.sub("revision", answer.text.replace(address, ""))))


def _without(node: object) -> object:
    if isinstance(node, dict):
        return {name: _without(one) for name, one in node.items() if name not in VARYING}
    return [_without(one) for one in node] if isinstance(node, list) else node


def test_random_requests(fuzzed):
    """The same requests in the same order to both: edits too, so that they stay equal."""
    embedded, scaled = fuzzed["geopackage"], fuzzed["postgis"]
    sources = [
        Requests(embedded.api, SEED, embedded.server.key),
        Requests(scaled.api, SEED, scaled.server.key),
    ]
    seen: dict[int, int] = {}
    different = []
    for _ in range(ROUNDS):
        one, other = (next(source) for source in sources)
        assert (one.method, one.target, one.body) == (other.method, other.target, other.body)
        answers = send(embedded, one), send(scaled, other)
        for answer in answers:
            judge(answer, one)
        seen[answers[0].status_code] = seen.get(answers[0].status_code, 0) + 1
        same = answers[0].status_code == answers[1].status_code and (
            one.method == "HEAD"
            or comparable(answers[0], embedded.server.url) == comparable(answers[1], scaled.server.url)
        )
        if not same:
            different.append(
                (one.method, one.target, one.body, *((a.status_code, a.text[:300]) for a in answers))
            )
    assert not different, f"{len(different)} of {ROUNDS}, the first: {different[:3]}"
    # a fuzzer that is refused everything, or allowed everything, finds nothing
    assert seen.get(200, 0) > ROUNDS // 4, seen
    assert seen.get(400, 0) > ROUNDS // 8, seen
    assert {201, 204, 404} <= set(seen), seen


@pytest.mark.parametrize("store", ["geopackage", "postgis"])
@pytest.mark.parametrize(
    "target",
    [
        "/collections/odd/items?filter=%00",
        "/collections/odd/items?filter=" + "(" * 4000,
        "/collections/odd/items?filter=" + "(" * 31 + "id=" + ")" * 31,
        "/collections/odd/items?filter=A_EQUALS(" + "(" * 30 + "1,2" + "),3" * 30 + ")",
        "/collections/odd/items?filter=" + "NOT%20" * 1500 + "true",
        "/collections/odd/items?filter=" + "-" * 3000 + "1=1",
        "/collections/odd/items?filter-lang=cql2-json&filter=" + "[" * 6000,
        "/collections/odd/items?filter-lang=cql2-json&filter=" + '{"op":"not","args":[' * 300,
        "/collections/odd/items?q=" + "a," * 3000,
        "/collections/odd/items?sortby=" + "-ratio," * 500,
        "/collections/odd/items?properties=" + "ratio," * 2000,
        "/collections/odd/items?bbox=" + "1," * 5000,
        "/collections/odd/items?after=" + "A" * 5000,
        "/collections/odd/items?" + "&".join(f"x{i}=1" for i in range(300)),
        "/collections/odd/items?%FF=%FE",
        "/collections/odd/items?limit=1&limit=1",
        "/collections/odd/items?" + "a" * 20_000,
    ],
    ids=lambda target: target[:60],
)
def test_what_is_too_big_is_refused(fuzzed, store, target):
    """Depth, length and number: each has its bound, and none ends the process."""
    api = fuzzed[store].api
    answer = api.http.get(api.root + target)
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert set(answer.json()) == PROBLEM
    assert len(answer.content) < 4000
    assert api.http.get(api.root + "/conformance").status_code == 200
