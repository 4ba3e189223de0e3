"""Sessions: opened with a key, known by a cookie alone, ended with the key, kept over a restart; and from
where a browser may write."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from layers.errors import ReadOnly
from tests.storing import grid, load, spec
from twin import app
from twin.access import sessions
from twin.access.sessions import FILE, Sessions
from twin.city import City
from twin.template import template

ITEM = "/ogc/collections/buildings/items/1"
HERE = "http://127.0.0.1:8080"


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    (tmp_path / "city.yml").write_text(template("Town"), "utf-8")
    opened = app.open_city(tmp_path)
    load(opened.store, spec(), grid(2))
    yield opened
    opened.live.stop()
    opened.close()


def ask(city: City, method: str, path: str, base: str = HERE, **headers: str) -> httpx.Response:
    """One request; a PATCH changes a name."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b""
    if method == "PATCH":
        given["content-type"] = "application/merge-patch+json"
        body = b'{"properties": {"name": "other"}}'

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=app.build(city))
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, content=body, headers=given)

    return asyncio.run(run())


def opened_by(city: City, key: str, base: str = HERE) -> str:
    """The cookie of a new session."""
    answer = ask(city, "POST", "/session", base, authorization=f"Bearer {key}")
    assert answer.status_code == 201, answer.text
    return answer.headers["set-cookie"].partition(";")[0]


def test_a_session_stands_for_its_key(city):
    key = city.keys.add("duty", ["edit"])
    answer = ask(city, "POST", "/session", authorization=f"Bearer {key}")
    assert answer.json() == {"name": "duty", "may": ["edit"]}
    whole = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="):
        assert word in whole
    assert "Secure" not in whole
    assert answer.headers["cache-control"] == "no-store"
    cookie = whole.partition(";")[0]
    assert ask(city, "GET", "/session", cookie=cookie).json() == {"name": "duty", "may": ["edit"]}
    assert ask(city, "GET", "/session").json() == {"name": None, "may": []}
    assert ask(city, "PATCH", ITEM, cookie=cookie, origin=HERE).status_code == 204
    (newest, *_) = city.catalogue.whole.versions("buildings", 1)
    assert newest.set is not None
    assert newest.set.actor == "duty"
    assert "PATCH" in ask(city, "OPTIONS", ITEM, cookie=f"a=b; {cookie}").headers["allow"]


def test_over_https_the_cookie_is_secure(city):
    key = city.keys.add("duty")
    answer = ask(city, "POST", "/session", "https://127.0.0.1", authorization=f"Bearer {key}")
    assert "; Secure" in answer.headers["set-cookie"]


def test_only_a_key_opens_a_session(city):
    key = city.keys.add("duty")
    assert ask(city, "POST", "/session").status_code == 401
    assert ask(city, "POST", "/session", authorization="Bearer wrong").status_code == 401
    cookie = opened_by(city, key)
    assert ask(city, "POST", "/session", cookie=cookie, origin=HERE).status_code == 401
    assert ask(city, "PUT", "/session", authorization=f"Bearer {key}").status_code == 405


def test_a_session_ends_when_it_is_closed_or_its_key_is_removed(city):
    key = city.keys.add("duty")
    one, two = opened_by(city, key), opened_by(city, key)
    gone = ask(city, "DELETE", "/session", cookie=one, origin=HERE)
    assert (gone.status_code, "Max-Age=0" in gone.headers["set-cookie"]) == (204, True)
    assert ask(city, "GET", "/session", cookie=one).json()["name"] is None
    assert ask(city, "GET", "/session", cookie=two).json()["name"] == "duty"
    city.keys.remove("duty")
    city.keys.add("duty")
    assert ask(city, "GET", "/session", cookie=two).json()["name"] is None
    assert ask(city, "PATCH", ITEM, cookie=two, origin=HERE).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": HERE}, 204),
        ({"sec_fetch_site": "same-origin"}, 204),
        ({}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "none"}, 403),
        ({"origin": "http://127.0.0.1:8081", "sec_fetch_site": "same-origin"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "https://127.0.0.1:8080"}, 403),
        ({"origin": "http://localhost:8080"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "http://127.0.0.1:99999"}, 403),
    ],
)
def test_a_session_writes_from_its_own_page_alone(city, headers, status):
    cookie = opened_by(city, city.keys.add("duty"))
    assert ask(city, "PATCH", ITEM, cookie=cookie, **headers).status_code == status


def test_a_key_in_a_header_needs_no_origin_and_takes_no_foreign_one(city):
    auth = {"authorization": f"Bearer {city.keys.add('duty')}"}
    assert ask(city, "PATCH", ITEM, **auth).status_code == 204
    assert ask(city, "PATCH", ITEM, origin=HERE, **auth).status_code == 204
    for other in ("http://127.0.0.1:8081", "https://127.0.0.1:8080", "http://localhost:8080"):
        assert ask(city, "PATCH", ITEM, origin=other, **auth).status_code == 403
    assert ask(city, "PATCH", ITEM, "http://localhost", origin="http://localhost", **auth).status_code == 204


def test_the_public_address_is_an_origin_of_ours(tmp_path):
    text = template("Town") + "\nurl: https://map.example.org/twin\n"
    (tmp_path / "city.yml").write_text(text, "utf-8")
    city = app.open_city(tmp_path)
    auth = {"authorization": f"Bearer {city.keys.add('duty')}"}
    for origin, status in (("https://map.example.org", 201), ("http://map.example.org", 403)):
        assert ask(city, "POST", "/session", origin=origin, **auth).status_code == status
    city.live.stop()
    city.close()


def test_a_restart_ends_no_session_and_opens_none_that_was_closed(tmp_path):
    first = Sessions(tmp_path)
    token, other = first.open("digest"), first.open("digest")
    assert token not in (tmp_path / FILE).read_text()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    again = Sessions(tmp_path)
    assert (again.key(token), again.cookie) == ("digest", first.cookie)
    again.close(token)
    again.close(token)
    assert [Sessions(tmp_path).key(one) for one in (token, other)] == [None, "digest"]


def test_a_copy_of_the_folder_knows_its_sessions_and_another_city_does_not(tmp_path):
    token = Sessions(tmp_path).open("digest")
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / FILE, tmp_path / "copy")
    assert Sessions(tmp_path / "copy").key(token) == "digest"
    (tmp_path / "other").mkdir()
    other = Sessions(tmp_path / "other")
    other.open("digest")
    assert other.key(token) is None
    assert other.cookie != Sessions(tmp_path).cookie


@pytest.mark.parametrize(
    "token", ["", ".", "a.1.b.c", "digest.9999999999.number.", "\udce9.1.2.3", "x" * 5000]
)
def test_what_was_not_signed_here_is_no_session(tmp_path, token):
    kept = Sessions(tmp_path)
    assert kept.key(token) is None
    good = kept.open("digest")
    kept.close(token)
    assert kept.key(token) is None
    assert kept.key(good.replace("digest", "chief")) is None
    assert kept.key(good) == "digest"


def test_sessions_end_by_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "SECONDS", -1)
    kept = Sessions(tmp_path)
    assert kept.key(kept.open("d")) is None


def test_a_damaged_file_is_begun_anew_and_said(tmp_path, caplog):
    (tmp_path / FILE).write_text(json.dumps([{"sha256": 1}]))
    assert Sessions(tmp_path).key("x") is None
    assert "damaged" in caplog.text


def test_a_folder_that_cannot_be_written_opens_no_session(tmp_path: Path, monkeypatch: Any):
    kept = Sessions(tmp_path / "absent")
    with pytest.raises(ReadOnly):
        kept.open("digest")
