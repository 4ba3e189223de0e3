"""The one table: error class → HTTP status, and the one error shape.

RFC 9457 members (type, title, status, detail) with OGC's ``code`` and ``description``
(OGC API Common Part 1, requirement 8 family) beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

import orjson

from layers import errors

type Headers = list[tuple[bytes, bytes]]

#: What stands in a fragment as it is (RFC 3986, section 3.5).
_FRAGMENT = "/?:@!$&'()*+,;=~"

STATUS: dict[type[errors.TwinError], int] = {
    errors.TooLarge: 413,
    errors.BadInput: 400,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.NoKey: 401,
    errors.TooMany: 429,
    errors.NotAllowed: 403,
    errors.Stale: 412,
    errors.Unconditional: 428,
    errors.Conflict: 409,
    errors.Unavailable: 503,
}


class NotAcceptable(errors.BadInput):
    """None of the media types the client accepts can be given."""

    code = "NotAcceptable"


class WrongMedia(errors.BadInput):
    """The body's media type is not one this resource takes."""

    code = "UnsupportedMediaType"


class WrongMethod(errors.BadInput):
    """The method is not one this resource has; ``allow`` lists those."""

    code = "MethodNotAllowed"

    def __init__(self, method: str, allow: str, reason: str = "") -> None:
        self.allow = allow
        super().__init__(f"{errors.shown(method)} is not allowed here: {reason or allow}")


class Late(errors.BadInput):
    """The request has not arrived whole in its time (RFC 9110 section 15.5.9)."""

    code = "RequestTimeout"


class WrongRange(errors.BadInput):
    """Nothing of the range that is asked for is there (RFC 9110 section 15.5.17); ``size`` is in bytes."""

    code = "RangeNotSatisfiable"

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"Range: the file has {size} bytes")


class TransactionRefused(errors.BadInput):
    """An atomic transaction of which nothing is written; ``members`` of the answer tell every reason."""

    code = "TransactionRefused"

    def __init__(self, detail: str, members: Mapping[str, object]) -> None:
        self.members = members
        super().__init__(detail)


class UndoRefused(errors.Conflict):
    """An undo of which nothing is done; ``members`` of the answer tell who has changed what since."""

    code = "UndoRefused"

    def __init__(self, detail: str, members: Mapping[str, object]) -> None:
        self.members = members
        super().__init__(detail)


STATUS |= {
    Late: 408,
    TransactionRefused: 422,
    errors.KeyReused: 422,
    NotAcceptable: 406,
    WrongMedia: 415,
    WrongMethod: 405,
    WrongRange: 416,
}


def status_of(error: errors.TwinError) -> int:
    """The HTTP status of an error: of its own class, else of the nearest base in the table."""
    return next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)


def problem(error: errors.TwinError) -> tuple[int, Headers, bytes]:
    """Status, headers and body of the answer to an error."""
    status = status_of(error)
    headers: Headers = [(b"content-type", b"application/problem+json")]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="twin", Basic realm="twin"'))
    if status == 408:
        # what is still to come of the body is nobody's request
        headers.append((b"connection", b"close"))
    if status == 503:
        headers.append((b"retry-after", b"2"))
    if isinstance(error, WrongRange):
        headers.append((b"content-range", b"bytes */%d" % error.size))
    if status == 429:
        headers.append((b"retry-after", b"60"))
    if isinstance(error, WrongMethod):
        headers.append((b"allow", error.allow.encode("ascii")))
    members: Mapping[str, object] = faults(error)
    if isinstance(error, TransactionRefused | UndoRefused):
        members = error.members
    if isinstance(error, errors.Gone) and error.kept is not None:
        members = {"kept": dict(zip(("seq", "at"), error.kept, strict=True))}
    return status, headers, orjson.dumps({**document(status, error.code, str(error)), **members})


def faults(error: errors.TwinError) -> dict[str, object]:
    """The members of the body that are wrong, each with why, as in section 3 of RFC 9457; their pointers are
    JSON pointers as fragments (RFC 6901, section 6)."""
    if not isinstance(error, errors.BadBody) or not error.faults:
        return {}
    told = [("#" + quote(pointer, safe=_FRAGMENT), reason) for pointer, reason in error.faults]
    return {"errors": [{"detail": reason, "pointer": pointer} for pointer, reason in told]}


def body(status: int, code: str, detail: str) -> bytes:
    """The JSON body of an error answer."""
    return orjson.dumps(document(status, code, detail))


def document(status: int, code: str, detail: str) -> dict[str, object]:
    """The members of an error answer."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "description": detail,
    }
