"""Resource paths (OGC 18-088 clause 9.2): text → what is addressed."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

from layers.errors import NotFound, shown
from twin.things.model import OBSERVATIONS, SETS, Entity, Nav, Prop

_SEGMENT = re.compile(r"([A-Za-z]+)(?:\((\d{1,16})\))?", re.ASCII)
MAX_SEGMENTS = 8


@dataclass(frozen=True, slots=True)
class Parent:
    """The entity a set was reached from."""

    entity: Entity
    id: int
    nav: Nav


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """What a path names: a set (``id`` None) or an entity, and what of it.

    ``parent`` is there for a set below an entity. ``prop`` names one property, ``raw`` its bare
    value; ``ref`` asks for links only."""

    entity: Entity
    id: int | None = None
    parent: Parent | None = None
    prop: Prop | None = None
    raw: bool = False
    ref: bool = False


def resolve(conn: sqlite3.Connection, path: str) -> ResourcePath:
    """Walk a path, checking that every entity on the way is there. Raises NotFound."""
    name, key, rest = _begun(path)
    target = ResourcePath(SETS[name])
    if key is not None:
        target = _entity(conn, target, key)
    for i, segment in enumerate(rest, 1):
        target = _step(conn, target, segment, last=i == len(rest))
    return target


def methods(path: str) -> tuple[str, ...]:
    """What may be done at a path, by its form alone. Raises NotFound for one that names nothing."""
    name, key, rest = _begun(path)
    entity, many = SETS[name], key is None
    for segment in rest:
        if segment in ("$ref", "$value") or entity.prop(segment) is not None:
            return ("GET",)
        name, key = _split(segment)
        nav = entity.nav(name)
        if nav is None:
            raise NotFound(f"{entity.single} has no {shown(name)}")
        entity, many = SETS[nav.target], nav.many and key is None
    if many:
        return "GET", "POST"
    return ("GET",) if entity is OBSERVATIONS else ("GET", "PATCH")


def _begun(path: str) -> tuple[str, int | None, list[str]]:
    """The set that a path begins with, the id in it, and the segments that follow. Raises NotFound."""
    segments = path.strip("/").split("/")
    if len(segments) > MAX_SEGMENTS:
        raise NotFound(f"a path has at most {MAX_SEGMENTS} parts")
    name, key = _split(segments[0])
    if name not in SETS:
        raise NotFound(f"no set {shown(name)}; there are {', '.join(SETS)}")
    return name, key, segments[1:]


def _split(segment: str) -> tuple[str, int | None]:
    match = _SEGMENT.fullmatch(segment)
    if match is None:
        raise NotFound(f"{shown(segment)} is not Set or Set(id); ids are whole numbers")
    return match[1], int(match[2]) if match[2] else None


def _step(conn: sqlite3.Connection, target: ResourcePath, segment: str, *, last: bool) -> ResourcePath:
    if target.prop is not None:
        if segment == "$value" and last and not target.raw:
            return ResourcePath(target.entity, target.id, prop=target.prop, raw=True)
        raise NotFound(f"nothing lies below {target.prop.name} but $value")
    if segment == "$ref" and last:
        return ResourcePath(target.entity, target.id, target.parent, ref=True)
    if target.id is None:
        raise NotFound(f"{target.entity.set} is a set: name one entity first, as {target.entity.set}(1)")
    prop = target.entity.prop(segment)
    if prop is not None:
        return ResourcePath(target.entity, target.id, prop=prop)
    name, key = _split(segment)
    nav = target.entity.nav(name)
    if nav is None:
        raise NotFound(f"{target.entity.single} has no {shown(name)}")
    parent = Parent(target.entity, target.id, nav)
    path = ResourcePath(SETS[nav.target], parent=parent)
    if nav.many:
        return path if key is None else _entity(conn, path, key)
    if key is not None:
        raise NotFound(f"{name} is one entity and takes no id")
    return _entity(conn, path, None)


def _entity(conn: sqlite3.Connection, target: ResourcePath, key: int | None) -> ResourcePath:
    """The one entity of a set: by id, or (None) the only one a navigation leads to."""
    sql, params = source(target.entity, target.parent)
    if key is not None:
        sql, params = f"{sql} {'AND' if target.parent else 'WHERE'} a.id = ?", (*params, key)
    row = conn.execute(f"SELECT a.id {sql} LIMIT 1", params).fetchone()
    if row is None:
        raise NotFound(f"no {target.entity.single}" + (f" {key}" if key is not None else "") + " there")
    return ResourcePath(target.entity, int(row[0]))


def source(entity: Entity, parent: Parent | None) -> tuple[str, tuple[int, ...]]:
    """FROM and WHERE of a set, alias ``a``; below an entity, only what it leads to."""
    if parent is None:
        return f"FROM {entity.table} a", ()
    if parent.nav.name == "Observations" and parent.entity.set == "Datastreams":
        return f"FROM {entity.table} a WHERE a.ds = ?", (parent.id,)
    join = parent.nav.join.replace("{a}", "p").replace("{b}", "a")
    return f"FROM {entity.table} a JOIN {parent.entity.table} p ON {join} WHERE p.id = ?", (parent.id,)
