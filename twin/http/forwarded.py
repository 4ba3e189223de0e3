"""What a trusted proxy says of the address that a client asked for.

``X-Forwarded-Proto``, ``-Host`` and ``-Prefix``; where neither of the first two is there, ``Forwarded``
(RFC 7239). Of several proxies in a row the first value is that of the client's own. What is no scheme, host
or path counts as not said: all of it begins the links of the answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

type Pairs = Iterable[tuple[bytes, bytes]]

_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'\s*({_WORD})=(?:({_WORD})|"((?:[^"\\]|\\.)*)")\s*(;|,|$)')
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+):\d+", re.ASCII)
#: Characters of a header that are read.
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Scheme and host with its port, None where not said; the path before that of this server, without a
    slash at its end."""

    scheme: str | None
    host: str | None
    prefix: str


def read(headers: Pairs) -> Forwarded:
    """What the headers of a request say; whether they are to be believed is the caller's to know."""
    values = {name: value.decode("latin-1") for name, value in reversed([*headers])}
    scheme, host = _first(values, b"x-forwarded-proto"), _first(values, b"x-forwarded-host")
    if not scheme and not host:
        forwarded = dict(_pairs(values.get(b"forwarded", "")))
        scheme, host = forwarded.get("proto", ""), forwarded.get("host", "")
    scheme = scheme.lower()
    prefix = _first(values, b"x-forwarded-prefix").rstrip("/")
    return Forwarded(
        scheme if scheme in ("http", "https") else None,
        host if host_name(host) is not None else None,
        prefix if _PREFIX.fullmatch(prefix) else "",
    )


def host_name(host: str) -> str | None:
    """The host name of a Host header, lower-case; None for what is not a name and a port.

    The whole header begins the links of the answers, so nothing else may stand in it."""
    match = _HOST.fullmatch(host)
    return (match["six"] or match["name"]).lower() if match else None


def clients(headers: Pairs) -> list[str]:
    """The addresses that the request came through, that of the client's own first: X-Forwarded-For, else
    ``for`` of Forwarded. Any of them but the last may be invented by who is before it."""
    headers = [*headers]
    listed = _joined(headers, b"x-forwarded-for")
    if listed:
        return [_address(one) for one in listed.split(",")]
    value, at, found = _joined(headers, b"forwarded"), 0, []
    while at <= LONGEST and (match := _PAIR.match(value, at)):
        at = match.end()
        if match[1].lower() == "for":
            found.append(_address(_value(match)))
    return found if at == len(value) else []  # what stands behind the rest, nobody knows


def _joined(headers: Pairs, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in headers if key == name)


def _address(text: str) -> str:
    """An address without the port and the brackets that some proxies write."""
    bare = text.strip()
    match = _WITH_PORT.fullmatch(bare)
    return (match[1] or match[2]) if match else bare


def _first(headers: Mapping[bytes, str], name: bytes) -> str:
    return headers.get(name, "").partition(",")[0].strip()


def _pairs(value: str) -> Iterator[tuple[str, str]]:
    """Names (lower-case) and values of the first element of a Forwarded header (RFC 7239, section 4)."""
    at, value = 0, value[:LONGEST]
    while match := _PAIR.match(value, at):
        yield match[1].lower(), _value(match)
        if match[4] != ";":
            return
        at = match.end()


def _value(match: re.Match[str]) -> str:
    token, quoted = match[2], match[3]
    return token if token is not None else re.sub(r"\\(.)", r"\1", quoted)
