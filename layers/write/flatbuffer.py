"""The little of FlatBuffers that a FlatGeobuf header needs: tables of scalars, texts and tables.

Every piece is made for a place on a multiple of 8 bytes and refers only to itself, so pieces are put
together by laying them one after another.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes, a multiple of 8 long, and where in them the thing lies that an offset points to."""

    body: bytes
    at: int = 0


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value held in the table itself; ``form`` is its letter in :mod:`struct`."""

    form: str
    value: int | bool


type Slot = Piece | Scalar | None


def padded(body: bytes) -> bytes:
    """Zeros up to a multiple of 8."""
    return body + bytes(-len(body) % 8)


def text(value: str) -> Piece:
    """A string."""
    raw = value.encode("utf-8", "replace")
    return Piece(padded(struct.pack("<I", len(raw)) + raw + b"\0"))


def vector(pieces: Sequence[Piece]) -> Piece:
    """A vector of tables."""
    start = 4 + 4 * len(pieces)
    start += -start % 8
    offsets, bodies = [len(pieces)], []
    for index, piece in enumerate(pieces):
        offsets.append(start + piece.at - (4 + 4 * index))
        bodies.append(piece.body)
        start += len(piece.body)
    return Piece(padded(struct.pack(f"<{len(offsets)}I", *offsets)) + b"".join(bodies))


def table(slots: Sequence[Slot]) -> Piece:
    """A table, its fields in the order of the schema; None for one that is absent."""
    at = 4 + 2 * len(slots)
    at += -at % 4
    entries, end = [], at + 4
    for slot in slots:
        size = 0 if slot is None else 4 if isinstance(slot, Piece) else struct.calcsize(slot.form)
        end += -end % size if size else 0
        entries.append(end - at if size else 0)
        end += size
    body = bytearray(end + -end % 8)
    struct.pack_into(f"<{2 + len(slots)}H", body, 0, 4 + 2 * len(slots), end - at, *entries)
    struct.pack_into("<i", body, at, at)
    children: list[bytes] = []
    size = len(body)
    for slot, entry in zip(slots, entries, strict=True):
        if isinstance(slot, Scalar):
            struct.pack_into("<" + slot.form, body, at + entry, slot.value)
        elif slot is not None:
            struct.pack_into("<I", body, at + entry, size + slot.at - (at + entry))
            children.append(slot.body)
            size += len(slot.body)
    return Piece(bytes(body) + b"".join(children), at)


def root(piece: Piece) -> bytes:
    """A whole buffer with its size before it."""
    return struct.pack("<II", 4 + len(piece.body), 4 + piece.at) + piece.body
