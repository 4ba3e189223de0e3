"""Who makes a change, from where, and why: what of a request is kept with its change set."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from layers.errors import BadParameter
from layers.model import Author
from twin.access import caller
from twin.http import respond
from twin.http.openapi_parts import header_parameter
from twin.http.respond import Scope

if TYPE_CHECKING:
    from twin.city import City

#: Characters of a message.
MAX_MESSAGE = 1_000
HEADER = "Change-Message"
PARAMETER = header_parameter(
    HEADER,
    "Why: kept with the change set. Percent-encoded UTF-8, as Slug has it (RFC 5023)",
    {"type": "string"},
)


def author(city: City, scope: Scope, message: str | None = None) -> Author:
    """The author of an edit, with its ``message`` where the body has one, else with that of the header.

    Raises NoKey, NotAllowed, Unavailable, BadParameter."""
    actor = caller.require(scope, "edit")
    why = _message(scope) if message is None else message
    return Author(actor=actor, address=respond.client(city, scope), message=why)


def _message(scope: Scope) -> str:
    """The header's text: no registered one is for this; it is written as Slug is (RFC 5023, 9.7.1)."""
    sent = respond.header(scope, HEADER.lower().encode())
    if sent is None:
        return ""
    try:
        text = unquote_to_bytes(sent.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise BadParameter(HEADER, sent, "percent-encoded UTF-8") from None
    if len(text) > MAX_MESSAGE or "\0" in text:
        raise BadParameter(HEADER, text, f"at most {MAX_MESSAGE} characters, none of them NUL")
    return text
