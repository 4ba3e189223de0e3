"""Geometries of many city objects at once, where nothing is odd about them: lists are taken apart by C, and
numbers compared by numpy. What is odd about one is found by :mod:`layers.read.cityjson.geometry`."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.read.cityjson.features import Outline
from layers.read.cityjson.geometry import CORNERS, NESTING, SOLIDS, bare_table

type Floats = NDArray[np.float64]
type Indices = NDArray[np.int64]

#: Fewer than this are made one by one: arrays are too short to pay.
FEW = 16
_TEXT = frozenset({str})


def outlines(geometries: Sequence[Mapping[str, Any]], vertices: Sequence[Floats]) -> list[Outline | None]:
    """The faces of each geometry over its vertices; None of one that is to be made by itself."""
    out: list[Outline | None] = [None] * len(geometries)
    for depth in (0, 1):
        chosen = [k for k, each in enumerate(geometries) if _is_plain(each, depth)]
        if len(chosen) < FEW:
            continue
        try:
            made = _made([geometries[k] for k in chosen], [vertices[k] for k in chosen], depth)
        except (TypeError, ValueError, OverflowError):
            continue
        for k, one in zip(chosen, made, strict=True):
            out[k] = one
    return out


def _is_plain(geometry: Mapping[str, Any], depth: int) -> bool:
    """Whether a geometry has so many levels above its faces, and no appearance of its own."""
    plain = "texture" not in geometry and "material" not in geometry
    return plain and NESTING.get(geometry["type"]) == depth


def _made(
    geometries: Sequence[Mapping[str, Any]], vertices: Sequence[Floats], depth: int
) -> list[Outline | None]:
    """Raises TypeError, ValueError, OverflowError where any of them does not fit its type."""
    shells = [each["boundaries"] for each in geometries]
    several = np.array(list(map(len, shells)), np.int64)
    if depth:
        shells = list(chain.from_iterable(shells))
    if not all(map(list.__instancecheck__, shells)):
        raise TypeError("no list")
    in_shell = np.array(list(map(len, shells)), np.int64)
    faces = list(chain.from_iterable(shells))
    of_face = np.array(list(map(len, faces)), np.int64)
    rings = list(chain.from_iterable(faces))
    sizes = np.array(list(map(len, rings)), np.int64)
    flat = np.frombuffer(array("q", chain.from_iterable(rings)), np.int64)
    faces_end = _ends(in_shell)[np.cumsum(several)] if depth else _ends(in_shell)[1:]
    rings_end = _ends(of_face)[faces_end]
    flat_end = _ends(sizes)[rings_end]
    fine = _within(flat, flat_end, np.array(list(map(len, vertices)), np.int64))
    fine &= _least(sizes, rings_end) >= CORNERS
    fine &= _least(of_face, faces_end) > 0
    surfaces, parts, tables = _semantics(geometries, in_shell, np.cumsum(several), faces_end, depth)
    bounds = (np.append(0, one).tolist() for one in (faces_end, rings_end, flat_end))
    out: list[Outline | None] = []
    for k, ((a, b), (c, d), (e, f)) in enumerate(zip(*map(pairwise, bounds), strict=True)):
        table = tables[k]
        if not fine[k] or table is None:
            out.append(None)
            continue
        kind = geometries[k]["type"]
        out.append(
            Outline(
                *(vertices[k], flat[e:f], sizes[c:d], of_face[a:b], surfaces[a:b]),
                parts[a:b] if table else None,
                table,
                closes=kind in SOLIDS,
                solid=kind != "MultiSurface",
            )
        )
    return out


def _ends(counts: Indices) -> Indices:
    """Where the first begins, and each ends."""
    return np.append(0, np.cumsum(counts))


def _least(values: Indices, ends: Indices) -> Indices:
    """The smallest of the values up to each end from the one before on; 0 of none."""
    begins = np.append(0, ends[:-1])
    out = np.zeros(len(ends), np.int64)
    having = np.flatnonzero(ends > begins)
    if len(having):
        out[having] = np.minimum.reduceat(values, begins[having])
    return out


def _within(flat: Indices, ends: Indices, known: Indices) -> NDArray[np.bool_]:
    """Which have some indices, and all of them of the vertices that they know."""
    some = np.diff(ends, prepend=0) > 0
    return some & (_least(flat, ends) >= 0) & (-_least(-flat, ends) < known)


def _semantics(
    geometries: Sequence[Mapping[str, Any]], in_shell: Indices, shells_end: Indices, ends: Indices, depth: int
) -> tuple[Indices, Indices, list[Any]]:
    """What each face is and which part, and of each geometry the table of its parts: empty without any, None
    where it is not of types alone, or does not fit the boundaries."""
    tables: list[Any] = []
    values: list[Any] = []
    codes: list[int] = []
    firsts: list[int] = []
    known: list[int] = []
    begin = 0
    counts, shells = np.diff(ends, prepend=0).tolist(), in_shell.tolist()
    for geometry, end, count in zip(geometries, shells_end.tolist(), counts, strict=True):
        said = geometry.get("semantics")
        table = _table(said)
        own: Any = said["values"] if said and table else None
        if table and depth:
            own = own if _fits(own, shells, begin, end) else None
            own = None if own is None else (own[0] if len(own) == 1 else list(chain.from_iterable(own)))
        if table and (not isinstance(own, list) or len(own) != count):
            table, own = None, None
        tables.append(table[0] if table else table)
        values.append(own if own is not None else [None] * count)
        firsts.append(len(codes))
        codes += table[1] if table else (0,)
        known.append(len(table[1]) - 1 if table else 0)
        begin = end if depth else begin + 1
    at = np.array([v + 1 if type(v) is int else 0 for v in chain.from_iterable(values)], np.int64)
    owner = np.repeat(np.arange(len(geometries)), counts)
    at[(at < 0) | (at > np.array(known, np.int64)[owner])] = 0
    return np.array(codes, np.int64)[np.array(firsts, np.int64)[owner] + at], at, tables


def _fits(values: Any, shells: Sequence[int], begin: int, end: int) -> bool:
    """Whether there is a list of values for each shell, as long as that."""
    if not isinstance(values, list) or len(values) != end - begin:
        return False
    return all(isinstance(each, list) and len(each) == shells[begin + k] for k, each in enumerate(values))


def _table(said: Any) -> Any:
    """The parts that the surfaces of semantics are, and their codes: empty without any, None where a surface
    says more than its type."""
    if not isinstance(said, dict) or not isinstance(surfaces := said.get("surfaces"), list):
        return ()
    try:
        kinds = tuple([each["type"] for each in surfaces])
        bare = sum(map(len, surfaces)) == len(surfaces) and _TEXT.issuperset(map(type, kinds))
        if not bare or "values" not in said:
            return None
        return bare_table(kinds)
    except (KeyError, TypeError, AttributeError):
        return None
