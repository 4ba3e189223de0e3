"""The error tree of the project.

TwinError
├── BadInput                what the caller sent is wrong
│   ├── BadParameter        one request parameter or setting
│   ├── BadConfig           a YAML file: settings, a manifest, a theme, a kind
│   ├── BadBody             a request body
│   ├── BadFile             a file that cannot become a layer
│   └── TooLarge            a body, file or answer beyond its limit
├── NotFound                no such layer, feature, thing, tile
├── Gone                    it was there, and is no longer kept
├── NotAllowed              the caller may not do this
│   ├── NoKey               the caller did not say who it is, or with a wrong key
│   ├── TooMany             the caller asks too often
│   └── NotEditable         nobody may do this to the layer
├── Conflict                the state does not permit it
│   ├── Exists              the id is taken
│   ├── Stale               If-Match does not name the current revision
│   └── Unconditional       If-Match is required and absent
└── Unavailable             try again later, or the operator must act
    ├── Busy                another process holds the city, or a queue is full
    ├── Unreadable          one layer cannot be read until the operator acts; the others can
    └── ReadOnly            the city folder cannot be written

No class knows an HTTP status: ``twin.http.errors`` holds the one table.
Messages are for clients: never a file path, a stack trace or an SQL text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

SHOWN = 80
#: The folders of an absolute path in a text.
_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^/\s'\"]+/)+")


def shown(value: object) -> str:
    """A client's value on one line, shortened so that an answer or log line stays readable; as JSON where it
    came so."""
    text = _line(_json(value) if isinstance(value, bool | dict | list | None) else str(value))
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def listed(names: Collection[object], most: int = 20) -> str:
    """Names as :func:`shown` has them, joined by commas; of many the first, and how many more there are."""
    some = ", ".join(shown(name) for name in islice(names, most))
    return some if len(names) <= most else f"{some} and {len(names) - most} more"


def scrubbed(text: str, *folders: str) -> str:
    """What a library says, as one line that names no folder: neither these, however it writes their names,
    nor that of any absolute path."""
    line = _line(text)
    for folder in sorted(folders, key=len, reverse=True):
        for written in (folder, repr(folder)[1:-1], json.dumps(folder)[1:-1]):
            line = line.replace(_line(written).rstrip("/") + "/", "")
    return _FOLDERS.sub("", line)


def _line(text: str) -> str:
    """The text with a blank for each line break and other sign that does not print."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "a value that nests too deep"


class TwinError(Exception):
    """Base of every error the project raises on purpose."""

    code = "ServerError"

    def __reduce__(self) -> tuple[Any, ...]:
        # as it is, not made anew by a constructor that takes other arguments: it crosses between processes
        return _again, (type(self), self.args, vars(self))


def _again(cls: type[TwinError], args: tuple[Any, ...], members: dict[str, Any]) -> TwinError:
    error = cls.__new__(cls, *args)
    error.args = args
    vars(error).update(members)
    return error


class BadInput(TwinError):
    """What the caller sent is wrong."""

    code = "InvalidValue"


class BadParameter(BadInput):
    """One parameter or setting is wrong: its name, its value (shortened), what is allowed."""

    code = "InvalidParameterValue"

    def __init__(self, name: str, value: object, allowed: str) -> None:
        self.name, self.allowed = name, allowed
        super().__init__(f"{name}={shown(value)}: {allowed}")


class BadConfig(BadInput):
    """A YAML file cannot be used; the message names every fault with file, line and path."""

    code = "InvalidConfiguration"


class BadBody(BadInput):
    """A request body cannot be read or breaks a rule; ``faults`` are the JSON pointers (RFC 6901) of the
    members that are wrong, each with why, where they are known one by one."""

    code = "InvalidBody"

    def __init__(self, reason: str, faults: Sequence[tuple[str, str]] = ()) -> None:
        self.faults = tuple(faults)
        super().__init__(reason)


class BadFile(BadInput):
    """A file cannot become a layer; ``rule`` is the stable id of the reason."""

    code = "InvalidFile"

    def __init__(self, rule: str, reason: str) -> None:
        self.rule = rule
        self.reason = reason
        super().__init__(f"{rule}: {reason}")


class TooLarge(BadInput):
    """A body, file or answer is beyond its limit."""

    code = "TooLarge"


class NotFound(TwinError):
    """There is no such thing."""

    code = "NotFound"


class Gone(TwinError):
    """It was there, and is no longer kept; the message says what is. ``kept`` is the earliest change of the
    log that can be asked for, and its instant, where that is known."""

    code = "Gone"
    kept: tuple[int, str] | None = None


class NotAllowed(TwinError):
    """The caller may not do this."""

    code = "Forbidden"


class NoKey(NotAllowed):
    """A write needs a named key and none, or a wrong one, was given."""

    code = "Unauthorized"


class TooMany(NotAllowed):
    """The caller has asked for the same too often."""

    code = "TooManyRequests"


class NotEditable(NotAllowed):
    """Features of the layer are not created, changed or removed so, whoever asks."""

    code = "NotEditable"


class Conflict(TwinError):
    """The present state does not permit it."""

    code = "Conflict"


class KeyReused(Conflict):
    """The key of a request that was done is given to another one."""

    code = "KeyReused"


class Exists(Conflict):
    """The id is taken."""

    code = "AlreadyExists"


class Stale(Conflict):
    """The revision named in If-Match is not the current one."""

    code = "PreconditionFailed"


class Unconditional(Conflict):
    """The layer's locking is strict and no If-Match was sent."""

    code = "PreconditionRequired"


class Unavailable(TwinError):
    """Not now: try again, or the operator must act."""

    code = "Unavailable"


class Busy(Unavailable):
    """Another process holds the city, or a queue is full."""

    code = "Busy"


class Unreadable(Unavailable):
    """One layer or feature cannot be read until the operator acts; the others can."""

    code = "Unreadable"


class ReadOnly(Unavailable):
    """The city folder cannot be written."""

    code = "ReadOnly"
