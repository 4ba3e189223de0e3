"""The hash functions of the chain: SHA-256 (FIPS 180-4) and SM3 (GB/T 32905-2016, ISO/IEC 10118-3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Literal, Protocol, get_args

from layers.errors import Unavailable

type Algorithm = Literal["sha256", "sm3"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm.__value__)


class Hash(Protocol):
    """What takes bytes and gives their hash."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def maker(algorithm: Algorithm) -> Callable[[], Hash]:
    """What begins a hash. Raises Unavailable where neither Python's OpenSSL nor ``cryptography`` has SM3."""
    if algorithm == "sha256":
        return hashlib.sha256
    try:
        hashlib.new("sm3")
        return lambda: hashlib.new("sm3")
    except ValueError:  # an OpenSSL without it, as some distributions build theirs
        pass
    try:
        _Sm3()
    except Exception as error:  # not installed, or an OpenSSL without SM3 as well
        raise Unavailable(
            "audit.hash: sm3 is not in the OpenSSL of this Python: pip install 'onemap-twin[sm3]'"
        ) from error
    return _Sm3


class _Sm3:
    """SM3 of the package ``cryptography``, which brings an OpenSSL of its own."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives import hashes

        self._hash: Any = hashes.Hash(hashes.SM3())

    def update(self, data: bytes, /) -> None:
        self._hash.update(data)

    def hexdigest(self) -> str:
        text: str = self._hash.copy().finalize().hex()
        return text


def digest(algorithm: Algorithm, data: bytes) -> str:
    """The hash of some bytes, as ``sha256:1f8a…``."""
    begun = maker(algorithm)()
    begun.update(data)
    return named(algorithm, begun)


def named(algorithm: Algorithm, begun: Hash) -> str:
    """A hash with the name of its algorithm before it."""
    return f"{algorithm}:{begun.hexdigest()}"


def algorithm_of(text: str) -> Algorithm | None:
    """The algorithm that a hash names; None for one that is not known."""
    name = text.partition(":")[0]
    return next((one for one in ALGORITHMS if one == name), None)
