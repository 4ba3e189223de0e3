"""How a message is signed: Standard Webhooks 1.0, symmetric signatures (HMAC-SHA256).

The library of the same name does it for texts in a class; these are three lines. It verifies in the tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"
#: Bytes of a secret, as the specification has it.
LEAST, MOST = 24, 64


def keys(text: str) -> tuple[bytes, ...]:
    """The secrets of a text, one or several separated by white space: while one is replaced, a message is
    signed by the old and the new one. Raises ValueError, which never tells what was given."""
    found = tuple(map(_key, text.split()))
    if not found:
        raise ValueError("there is no secret")
    return found


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(PREFIX) or not LEAST <= len(key) <= MOST:
        raise ValueError(f"a secret is {PREFIX} and {LEAST} to {MOST} random bytes in base64")
    return key


def headers(message: str, at: int, body: bytes, secrets: Iterable[bytes]) -> dict[str, str]:
    """The headers of a message with that id, sent at that second (Unix time); a signature of each secret."""
    signed = b"%b.%d.%b" % (message.encode(), at, body)
    signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in secrets)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{signature.decode()}" for signature in signatures),
    }
