"""The hash functions of the chain, each way in which SM3 may be there."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from layers.audit import hashes
from layers.errors import Unavailable

#: GB/T 32905-2016, annex A: the hashes of "abc", and of "abcd" sixteen times.
SM3 = {
    b"abc": "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
    b"abcd" * 16: "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
}


@pytest.fixture(params=["openssl", "cryptography"])
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "cryptography":
        without_sm3(monkeypatch)


def without_sm3(monkeypatch: pytest.MonkeyPatch) -> None:
    def new(name: str, *_: Any) -> Any:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", new)


@pytest.mark.parametrize("text", SM3)
def test_sm3(provider: None, text: bytes) -> None:
    assert hashes.digest("sm3", text) == f"sm3:{SM3[text]}"
    begun = hashes.maker("sm3")()
    for byte in text:
        begun.update(bytes([byte]))
    assert begun.hexdigest() == begun.hexdigest() == SM3[text]


def test_sha256() -> None:
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4, of "abc"
    assert hashes.digest("sha256", b"abc") == f"sha256:{known}"
    assert hashes.algorithm_of(f"sha256:{known}") == "sha256"
    assert hashes.algorithm_of("md5:00") is None


def test_sm3_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    without_sm3(monkeypatch)
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives", None)
    with pytest.raises(Unavailable, match=r"pip install 'onemap-twin\[sm3\]'"):
        hashes.maker("sm3")
