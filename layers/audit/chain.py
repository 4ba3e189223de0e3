"""The chain: entries, each of which holds the hash of the one before.

An entry is a JSON object of texts, whole numbers, truths, nulls and lists of these. Its hash is that of its
canonical form (RFC 8785: members in order, no blanks, UTF-8), so whoever changes one, takes one out or puts
one in has to make anew all that follow. A line of an exported file is the entry with ``hash`` as one more
member:

    {"at":"2026-11-30T08:00:00.000Z","kind":"change","n":17,"prev":"sha256:5d0c…",…,"hash":"sha256:9b1e…"}

``n`` counts from 1. ``prev`` is empty in the first. ``kind`` says what is told of:

``begin``    the audit begins: ``set`` is the change set that was the newest then, and is in no entry
``change``   a change set, with the facts of :class:`layers.model.ChangeSet` and a digest of what it changed
``request``  a request that wrote, or wanted to: refused, or done where that makes no change set
``key``      a key that was made or removed
``server``   a server that began or ended to serve the city
``restored`` the store is another copy than before: ``epoch`` names its history
``cut``      entries up to ``through``, the ``last`` of which had that hash, are no longer kept
``lost``     so many entries could not be written
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from layers.audit import hashes
from layers.audit.hashes import Algorithm
from layers.model import Link

type Entry = Mapping[str, Any]


def canonical(entry: Entry) -> str:
    """The text that is hashed: RFC 8785, for objects of texts, whole numbers below 2^53, truths and nulls,
    whose names are ASCII."""
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS).decode()


def chained(head: Link | None, bodies: Iterable[Entry], algorithm: Algorithm) -> list[Link]:
    """Entries as the links that follow another one."""
    links = []
    for body in bodies:
        number, prev = (1, "") if head is None else (head.n + 1, head.hash)
        text = canonical({**body, "n": number, "prev": prev})
        head = Link(number, text, hashes.digest(algorithm, text.encode()), _set(body))
        links.append(head)
    return links


def line(link: Link) -> str:
    """A link as a line of an exported file."""
    return f'{link.entry[:-1]},"hash":"{link.hash}"}}\n'


def of_line(text: str) -> Link:
    """The inverse of :func:`line`, of JSON however it is written. Raises ValueError."""
    try:
        entry = json.loads(text)
    except RecursionError as error:
        raise ValueError("nests too deep") from error
    if not isinstance(entry, dict):
        raise ValueError("not a JSON object")
    stored = entry.pop("hash", None)
    if not isinstance(stored, str) or not _is_number(entry.get("n")):
        raise ValueError("without a hash or a number")
    try:
        text = canonical(entry)
    except (TypeError, RecursionError) as error:
        raise ValueError("with a text or a number that no entry has") from error
    return Link(entry["n"], text, stored, _set(entry))


def _is_number(value: object) -> bool:
    """Whether it is the number of an entry: a whole one that JSON has exactly."""
    return type(value) is int and 0 < value < 2**53


def _set(entry: Entry) -> int | None:
    """The change set up to which all are sealed by the entries up to this one."""
    return entry.get("set") if entry.get("kind") in ("begin", "change") else None


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry that is not true, and why; ``n`` 0 where it is not said by an entry."""

    n: int
    why: str


def followed(links: Iterable[Link], head: Link | None = None) -> Iterator[Link | Fault]:
    """Each link that follows truly on the one before; a fault ends it.

    Without a ``head`` the first is taken as it is: what was before it is told by its ``prev``."""
    for link in links:
        why = _wrong(link, head)
        if why is not None:
            yield Fault(link.n, why)
            return
        yield link
        head = link


def _wrong(link: Link, head: Link | None) -> str | None:
    try:
        entry = json.loads(link.entry)
        text = canonical(entry)
    except (ValueError, TypeError, RecursionError):
        return "is no JSON"
    if not isinstance(entry, dict) or entry.get("n") != link.n:
        return f"says of itself that it has another number than {link.n}"
    if head is not None and link.n != head.n + 1:
        return f"follows on entry {head.n}: what was between them is gone"
    if (head is not None and entry.get("prev") != head.hash) or (link.n == 1 and entry.get("prev") != ""):
        return "does not hold the hash of the one before"
    algorithm = hashes.algorithm_of(link.hash)
    if algorithm is None:
        return "has a hash of no known algorithm"
    if hashes.digest(algorithm, text.encode("utf-8", "surrogatepass")) != link.hash:
        return "is not what its hash says: it was changed"
    if _set(entry) != link.set:
        return "is kept as that of another change set"
    return None if _is_whole(entry) else "lacks what an entry of its kind says"


def _is_whole(entry: Entry) -> bool:
    """Whether an entry has the members that others go by, each of its type."""
    if not isinstance(entry.get("kind"), str) or not isinstance(entry.get("prev"), str):
        return False
    match entry["kind"]:
        case "begin":
            return type(entry.get("set")) is int
        case "change":
            names, digest = entry.get("layers"), entry.get("digest", 0)
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                return False
            return type(entry.get("set")) is int and (digest is None or isinstance(digest, str))
        case "cut":
            return type(entry.get("through")) is int and isinstance(entry.get("last"), str)
    return True
