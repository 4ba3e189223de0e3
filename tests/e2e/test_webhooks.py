"""Another system is told of every change, once a page, whatever befalls it or us: a real server, a real
receiver, and signatures that another implementation verifies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from layers import load
from layers.store.database import Database
from layers.store.open import open_store
from tests.postgres import Cluster
from tests.receiving import SECRET, Inbox, receiver
from tests.support import Server, until

MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with receiver() as made:
        yield made
        assert made.refused == []


@pytest.fixture
def folder(tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A city of 100 points whose settings name a receiver."""
    city = tmp_path / "city"
    city.mkdir()
    store = open_store(city)
    load.run(store, _points(tmp_path / "posts.geojson", "a"), layer_id="posts")
    store.close()
    (tmp_path / "secret").write_text(SECRET + "\n")
    hook = f"{{name: crm, url: '{inbox.url}', secret_file: ../secret}}"
    (city / "city.yml").write_text(f"webhooks: [{hook}]\n")
    return city


def _points(path: Path, name: str) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {"key": f"p{n}", "name": name},
            "geometry": {"type": "Point", "coordinates": [24.9 + n / 1000, 60.17]},
        }
        for n in range(100)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def _rename(server: Server, fid: int, name: str) -> None:
    done = server.http.patch(
        f"/ogc/collections/posts/items/{fid}",
        json={"properties": {"name": name}},
        headers={**server.auth, **MERGE},
    )
    assert done.status_code == 204, done.text


def _cursor(server: Server) -> str:
    return str(server.http.get("/changes").json()["cursor"])


def _kept(folder: Path) -> Callable[[], bool]:
    """Whether the hook has begun: from then on nothing is missed."""
    return (folder / "cursors.json").exists


def _up_to_date(server: Server, inbox: Inbox) -> bool:
    return bool(inbox.taken) and inbox.taken[-1].document["cursor"] == _cursor(server)


def _log(server: Server) -> list[str]:
    return [line.partition("webhook crm: ")[2].strip() for line in server.log]


def test_what_changes_is_sent_as_the_pages_of_the_feed(
    folder: Path, inbox: Inbox, serve: Callable[..., Server]
):
    server = serve(folder)
    until(_kept(folder), what="the beginning")
    begins = [_cursor(server)]
    for n in range(40):
        _rename(server, 1 + n % 20, f"burst {n}")
    until(lambda: _up_to_date(server, inbox), what="the last page")
    assert inbox.features() == {("posts", fid): "changed" for fid in range(1, 21)}
    # they are merged into a page a second
    assert len(inbox.messages) < 10
    # each page begins where the one before ended
    for message in inbox.messages:
        page = server.http.get("/changes", params={"after": begins[-1]}).json()
        begins.append(message.document["cursor"])
        told = {one["id"] for one in message.document["features"]}
        assert told <= {one["id"] for one in page["features"]}
        assert message.document["tiles"]
    # a machine that edits quickly has all of it in one page
    last = server.http.get("/changes", params={"after": begins[-2]}).json()
    del last["links"]
    assert inbox.messages[-1].document == last


def test_a_receiver_that_fails_is_tried_again_and_the_log_told_twice(
    folder: Path, inbox: Inbox, serve: Callable[..., Server]
):
    server = serve(folder, clean=False)
    until(_kept(folder), what="the beginning")
    inbox.answer(503, retry_after="0")
    inbox.answer(302, location=inbox.url)
    inbox.answer(0)
    _rename(server, 1, "b")
    until(lambda: len(inbox.messages) >= 2, what="the second attempt")
    ready = server.http.get("/health/ready").json()
    assert ready["status"] == "degraded"
    assert ready["parts"]["webhooks"] == {"status": "degraded", "reason": "1 of 1 are not taken"}
    assert inbox.url not in server.http.get("/health/ready").text
    figures = server.http.get("/metrics", headers=server.auth).text
    assert 'twin_webhook_ok{webhook="crm"} 0.0' in figures
    _rename(server, 2, "b")
    until(lambda: _up_to_date(server, inbox), 20, "the message that is taken")
    assert inbox.features() == {("posts", 1): "changed", ("posts", 2): "changed"}
    assert [message.status for message in inbox.messages] == [503, 302, 0, 204]
    # the same changes have the same id, others another one
    assert inbox.messages[0].id == inbox.messages[1].id != inbox.messages[3].id
    assert server.http.get("/health/ready").json()["parts"]["webhooks"] == {"status": "ok"}
    assert (
        'twin_webhook_delivered_total{webhook="crm"} 1.0'
        in server.http.get("/metrics", headers=server.auth).text
    )
    assert _log(server) == [
        "it answered 503 Service Unavailable; it is sent again until it is taken",
        "taken again, after 3 attempts in vain",
    ]


def test_a_killed_server_sends_again_what_was_not_taken_and_what_changed_meanwhile(
    folder: Path, tmp_path: Path, inbox: Inbox, serve: Callable[..., Server]
):
    server = serve(folder)
    until(_kept(folder), what="the beginning")
    _rename(server, 1, "first")
    until(lambda: _up_to_date(server, inbox), what="the first message")
    inbox.answer(-1)
    _rename(server, 2, "second")
    until(lambda: len(inbox.messages) == 2, what="the message that gets no answer")
    # an unanswered message holds nobody up
    _rename(server, 3, "third")
    server.kill()
    store = open_store(folder)
    load.run(store, _points(tmp_path / "posts.geojson", "loaded"), layer_id="posts", mode="append")
    store.close()
    again = serve(folder)
    until(lambda: _up_to_date(again, inbox), what="all of it")
    assert {message.id for message in inbox.taken[1:]}.isdisjoint({inbox.taken[0].id})
    told = {one["id"] for message in inbox.taken[1:] for one in message.document["features"]}
    assert {2, 3} <= told
    # what was taken before the kill is not told again but for what changed since
    assert inbox.taken[1].document["features"][0]["seq"] > inbox.taken[0].document["features"][0]["seq"]
    _rename(again, 4, "after")
    until(lambda: _up_to_date(again, inbox), what="what follows")


def test_a_receiver_that_is_gone_is_asked_again_after_a_restart(
    folder: Path, inbox: Inbox, serve: Callable[..., Server]
):
    server = serve(folder, clean=False)
    until(_kept(folder), what="the beginning")
    inbox.answer(410)
    _rename(server, 1, "b")
    off = "its receiver says that it is gone (410); nothing more is sent until the server starts anew"
    until(lambda: _log(server) == [off], what="the end")
    _rename(server, 2, "b")
    server.stop()
    assert len(inbox.messages) == 1
    again = serve(folder)
    until(lambda: _up_to_date(again, inbox), what="both changes")
    assert inbox.features() == {("posts", 1): "changed", ("posts", 2): "changed"}


def test_of_two_servers_at_a_database_one_sends_and_the_other_goes_on(
    postgres: Cluster, tmp_path: Path, inbox: Inbox, serve: Callable[..., Server]
):
    url = postgres.database()
    hook = f"{{name: crm, url: '{inbox.url}', secret: {SECRET}}}"
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "city.yml").write_text(f"store: {url}\nwebhooks: [{hook}]\n")
    store = open_store(folders[0], Database(url))
    load.run(store, _points(tmp_path / "posts.geojson", "a"), layer_id="posts")
    first, second = (serve(folder) for folder in folders)
    cursors = store.cursors()
    until(lambda: cursors.get("crm"), what="the beginning")
    for n in range(1, 4):
        _rename((first, second)[n % 2], n, "b")
        until(lambda n=n: ("posts", n) in inbox.features(), what="the message")
    told = [one["id"] for message in inbox.messages for one in message.document["features"]]
    assert sorted(told) == [1, 2, 3]
    # what was taken is told again where its taking was not noted
    until(lambda: cursors.get("crm") == inbox.messages[-1].document["cursor"], what="the note of it")
    first.kill()
    _rename(second, 4, "b")
    until(lambda: ("posts", 4) in inbox.features(), 20, "the message of the other server")
    told = [one["id"] for message in inbox.messages for one in message.document["features"]]
    assert sorted(told) == [1, 2, 3, 4]
    cursors.close()
    store.close()
