"""Entity tags: ``"epoch-revision"``, with a form behind it where an address has several of a state.

The epoch is the history of the store that counts the revisions: after a restore no old tag fits."""

from __future__ import annotations

import re

from layers.errors import BadParameter

#: What If-Match may be, for the API document: any entity tag, or a revision number.
PATTERN = r'^(\*|(W/)?"[!#-~]*"|[0-9]{1,18})$'
#: What it may be where the tag is of no revision.
TAGS = r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'
_OURS = re.compile(r'(?:W/)?"?(?:([0-9A-Za-z_]+)-)?([0-9]{1,18})(?:-[a-z]+)?"?')
#: RFC 9110, section 8.8.3.
_QUOTED = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def tag(epoch: str, revision: int, form: str = "") -> str:
    """The entity tag of a state, and of a form of it."""
    return f'"{epoch}-{revision}-{form}"' if form else f'"{epoch}-{revision}"'


def matches(condition: str | None, etag: str) -> bool:
    """Whether an If-None-Match value names this ETag (weak comparison, RFC 9110 section 8.8.3.2)."""
    if not condition:
        return False
    if condition == etag or condition == f"W/{etag}" or condition.strip() == "*":
        return True
    return "," in condition and any(part.strip().removeprefix("W/") == etag for part in condition.split(","))


def holds(if_match: str, etag: str) -> bool:
    """Whether an If-Match value names this ETag, which is of no revision. Raises BadParameter for what is no
    entity tag."""
    for one in if_match.split(","):
        if not _QUOTED.fullmatch(one.strip()):
            raise BadParameter("If-Match", if_match, "the ETag that was read")
    return matches(if_match, etag)


def revisions(if_match: str | None, epoch: str) -> frozenset[int] | None:
    """The revisions that an If-Match value names (RFC 9110 section 13.1.1); None without a condition.

    A revision number alone is taken too, quoted or not. A tag of another epoch, or none of ours, names no
    revision. Raises BadParameter for what is no entity tag."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [one for part in if_match.split(",") if (one := part.strip())] or [if_match]
    return frozenset(known for one in tags if (known := _revision(one, epoch)) is not None)


def _revision(one: str, epoch: str) -> int | None:
    match = _OURS.fullmatch(one)
    if match is None:
        if _QUOTED.fullmatch(one):
            return None
        raise BadParameter("If-Match", one, "the ETag that was read, or its revision number")
    of, revision = match.groups()
    return int(revision) if of in (None, epoch) else None
