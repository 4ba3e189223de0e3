"""Named keys: made once, kept as hashes, found in three headers."""

import base64
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from layers.errors import Exists, NoKey, NotAllowed, NotFound, Unavailable
from tests.support import ROOT
from twin.access import caller
from twin.access.caller import CALLER, Callers
from twin.access.keys import FILE, Keys
from twin.access.rights import EVERYBODY, Action, Objects
from twin.access.sessions import Sessions


def scope(*headers: tuple[bytes, bytes]) -> dict[str, object]:
    return {"headers": list(headers)}


def bearer(key: str) -> dict[str, object]:
    return scope((b"authorization", f"Bearer {key}".encode()))


def require(keys: Keys, given: dict[str, object], action: Action) -> str:
    """The name of the caller that the front door finds and a room asks for."""
    given[CALLER] = Callers(keys, Sessions(Path()), EVERYBODY).of(given)
    return caller.require(given, action)


def test_a_key_is_known_by_bearer_basic_and_header(tmp_path):
    keys = Keys(tmp_path)
    key = keys.add("duty")
    basic = base64.b64encode(f"anyone:{key}".encode())
    for given in (
        bearer(key),
        scope((b"authorization", b"Basic " + basic)),
        scope((b"x-api-key", key.encode())),
    ):
        assert require(keys, given, "edit") == "duty"


def test_the_header_of_its_own_wins_over_a_password_meant_for_a_proxy(tmp_path):
    keys = Keys(tmp_path)
    key = keys.add("qgis").encode()
    proxy = (b"authorization", b"Basic " + base64.b64encode(b"staff:of the proxy"))
    for given in (scope(proxy, (b"x-api-key", key)), scope((b"x-api-key", key), proxy)):
        assert require(keys, given, "edit") == "qgis"
    with pytest.raises(NoKey):
        keys.who(scope(proxy))


def test_a_damaged_file_refuses_and_says_so(tmp_path):
    keys = Keys(tmp_path)
    key = keys.add("duty")
    for text in ("{", "[1]", '[{"name": "duty"}]'):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(Unavailable, match=r"keys\.json"):
            require(Keys(tmp_path), bearer(key), "edit")


def test_the_file_holds_no_key_and_is_private(tmp_path):
    key = Keys(tmp_path).add("duty")
    text = (tmp_path / FILE).read_text()
    assert key not in text
    assert json.loads(text)[0]["name"] == "duty"
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_no_key_a_wrong_one_and_an_unreadable_one_are_refused(tmp_path):
    keys = Keys(tmp_path)
    keys.add("duty")
    assert keys.who(scope()) is None
    with pytest.raises(NoKey, match="named key"):
        require(keys, scope(), "edit")
    for given in (
        bearer("twk_wrong"),
        scope((b"authorization", b"Basic ///")),
        scope((b"authorization", b"Digest x")),
        scope((b"x-api-key", b"")),
    ):
        with pytest.raises(NoKey):
            keys.who(given)


def test_a_key_may_only_what_it_was_made_for(tmp_path):
    keys = Keys(tmp_path)
    key = keys.add("meter", ("observe",))
    assert require(keys, bearer(key), "observe") == "meter"
    with pytest.raises(NotAllowed, match="may not edit"):
        require(keys, bearer(key), "edit")


def test_keys_of_another_process_are_seen_at_once_and_their_removal_within_a_second(tmp_path, monkeypatch):
    server, command, now = Keys(tmp_path), Keys(tmp_path), [0.0]
    monkeypatch.setattr("twin.access.keys.time.monotonic", lambda: now[0])
    server.add("first")
    key = command.add("second")
    assert require(server, bearer(key), "edit") == "second"
    command.remove("second")
    now[0] = 0.99
    assert require(server, bearer(key), "edit") == "second"
    now[0] = 1.0
    with pytest.raises(NoKey):
        server.who(bearer(key))
    again = command.add("third")
    assert require(server, bearer(again), "edit") == "third"
    server.remove("third")
    with pytest.raises(NoKey):
        server.who(bearer(again))


def test_a_known_key_costs_one_look_at_the_file_a_second(tmp_path, monkeypatch):
    keys = Keys(tmp_path)
    key, now, looks = keys.add("duty"), [5.0], []
    monkeypatch.setattr("twin.access.keys.time.monotonic", lambda: now[0])
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **kw: looks.append(path.name) or stat(path, **kw))
    for _ in range(50):
        require(keys, bearer(key), "edit")
        now[0] += 0.05
    assert looks.count(FILE) == 3


def test_names_are_unique_and_known(tmp_path):
    keys = Keys(tmp_path)
    keys.add("duty")
    with pytest.raises(Exists):
        keys.add("duty")
    with pytest.raises(NotFound):
        keys.remove("nobody")
    assert keys.names() == ["duty"]


def test_an_entry_that_is_none_leaves_the_others_and_the_file_as_they_are(tmp_path, caplog):
    good = Keys(tmp_path).add("duty")
    rows = json.loads((tmp_path / FILE).read_text())
    for bad in (
        None,
        7,
        {"name": "x", "sha256": None, "may": []},
        {"name": "x", "sha256": "00", "may": None},
    ):
        text = json.dumps([*rows, bad])
        (tmp_path / FILE).write_text(text)
        keys = Keys(tmp_path)
        assert require(keys, bearer(good), "edit") == "duty"
        with pytest.raises(Unavailable, match=r"keys\.json"):
            require(keys, bearer("twk_other"), "edit")
        for change in (lambda: keys.add("new"), lambda: keys.remove("duty")):  # noqa: B023
            with pytest.raises(Unavailable, match=r"keys\.json"):
                change()
        assert (tmp_path / FILE).read_text() == text
    assert "1 of its 2 entries" in caplog.text


def test_a_disk_without_room_leaves_the_file_as_it_was(tmp_path):
    """As a full disk would: a limit of the size of files, which is of a process."""
    (tmp_path / "city.yml").write_text("title: {en: Town}\n")
    key = Keys(tmp_path).add("duty")
    before = (tmp_path / FILE).read_bytes()
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -f 0; exec {sys.executable} -m twin key add second --city {tmp_path}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("twin: ")
    assert "Traceback" not in done.stderr
    assert (tmp_path / FILE).read_bytes() == before
    assert not (tmp_path / "keys.part").exists()
    assert require(Keys(tmp_path), bearer(key), "edit") == "duty"


def test_what_a_key_is_limited_to_is_kept_with_it(tmp_path):
    objects = Objects.named(["Datastreams(7)", "Things(3)", "Things(2)"])
    Keys(tmp_path).add("meter", ["observe"], objects)
    assert json.loads((tmp_path / FILE).read_text())[0]["of"] == ["Things(2)", "Things(3)", "Datastreams(7)"]
    again = Keys(tmp_path)
    again.add("second")
    (digest,) = [row["sha256"] for row in json.loads((tmp_path / FILE).read_text()) if row["name"] == "meter"]
    assert again.known(digest).of == objects
