"""The receiver of the documentation takes what we sign, and nothing else."""

from __future__ import annotations

import base64
import importlib.util
import time
from email.message import Message

import pytest

from tests.support import ROOT
from twin.webhooks import signature

SPEC = importlib.util.spec_from_file_location("receiver", ROOT / "docs" / "examples" / "receiver.py")
assert SPEC is not None
assert SPEC.loader is not None
receiver = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(receiver)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()


def sent(at: int, body: bytes, secret: str) -> Message:
    headers = Message()
    for name, value in signature.headers("msg_1", at, body, signature.keys(secret)).items():
        headers[name.title()] = value
    return headers


def test_what_was_signed_is_taken():
    assert receiver.verified(sent(int(time.time()), b"{}", SECRET), b"{}", SECRET)
    assert receiver.verified(sent(int(time.time()), b"{}", f"{OTHER} {SECRET}"), b"{}", SECRET)


@pytest.mark.parametrize(
    ("at", "body", "secret"),
    [(0, b"{ }", SECRET), (0, b"{}", OTHER), (-400, b"{}", SECRET), (400, b"{}", SECRET)],
)
def test_what_was_changed_or_is_old_is_not(at: int, body: bytes, secret: str):
    assert not receiver.verified(sent(int(time.time()) + at, b"{}", secret), body, SECRET)
    assert not receiver.verified(Message(), body, SECRET)


def test_it_says_what_changed(capsys: pytest.CaptureFixture[str]):
    feature = {"layer": "posts", "id": 3, "change": "removed"}
    receiver.changed({"reset": True, "layers": [{"id": "roads"}], "features": [feature]})
    assert capsys.readouterr().out.splitlines()[1:] == ["as a whole: roads", "removed posts 3"]
