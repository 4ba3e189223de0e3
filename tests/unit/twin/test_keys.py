"""Named keys: made once, kept as hashes, found in three headers."""

import base64
import json
import stat
from pathlib import Path

import pytest

from layers.errors import Exists, NoKey, NotAllowed, NotFound, Unavailable
from twin.access import caller
from twin.access.caller import CALLER, Callers
from twin.access.keys import FILE, Action, Keys
from twin.access.rights import EVERYBODY
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


def test_keys_of_another_process_are_seen_and_removal_is_at_once(tmp_path):
    server, command = Keys(tmp_path), Keys(tmp_path)
    server.add("first")
    key = command.add("second")
    assert require(server, bearer(key), "edit") == "second"
    command.remove("second")
    with pytest.raises(NoKey):
        server.who(bearer(key))


def test_names_are_unique_and_known(tmp_path):
    keys = Keys(tmp_path)
    keys.add("duty")
    with pytest.raises(Exists):
        keys.add("duty")
    with pytest.raises(NotFound):
        keys.remove("nobody")
    assert keys.names() == ["duty"]
