"""Reading: a target and its options → the JSON of OGC 18-088 clause 9."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from layers.errors import BadParameter
from layers.observations.series import Observation
from twin.live import clock
from twin.things.model import DATASTREAMS, SETS, Entity, Prop
from twin.things.options import QueryOptions
from twin.things.paths import Parent, source

MAX_ENTITIES = 50_000
COMPONENTS = ("id", "phenomenonTime", "resultTime", "result")


@dataclass(slots=True)
class EntityReader:
    """One answer being made. ``base`` is the service root without a trailing slash."""

    conn: sqlite3.Connection
    base: str
    left: int = MAX_ENTITIES

    def link(self, entity: Entity, id_: int) -> str:
        """The self link of an entity."""
        return f"{self.base}/{entity.set}({id_})"

    def set(self, entity: Entity, options: QueryOptions, parent: Parent | None) -> dict[str, Any]:
        """A page of a set: value, and where asked or needed count and next link."""
        rows = self._rows(entity, options, parent)
        more = len(rows) > options.top
        rows = rows[: options.top]
        document: dict[str, Any] = {}
        if options.count:
            document["@iot.count"] = self._count(entity, options, parent)
        if more and options.top:
            place = f"{self.link(parent.entity, parent.id)}/{parent.nav.name}" if parent else ""
            document["@iot.nextLink"] = (
                f"{place or f'{self.base}/{entity.set}'}?{options.next_query(options.top)}"
            )
        if options.data_array:
            document["value"] = self._arrays(rows, options)
        else:
            document["value"] = [self._entity(entity, row, options) for row in rows]
        return document

    def one(self, entity: Entity, id_: int, options: QueryOptions) -> dict[str, Any]:
        """One entity that is there."""
        row = self.conn.execute(
            f"SELECT {_columns(entity.set)} FROM {entity.table} a WHERE a.id = ?",  # noqa: S608
            (id_,),
        ).fetchone()
        return self._entity(entity, row, options)

    def _rows(self, entity: Entity, options: QueryOptions, parent: Parent | None) -> list[tuple[Any, ...]]:
        sql, params = _where(entity, options, parent)
        order, order_params = options.orderby
        if order == "a.id" and parent is not None and parent.entity is DATASTREAMS and parent.nav.many:
            order = "a.t, a.n"
        rows = self.conn.execute(
            f"SELECT {_columns(entity.set)} {sql} ORDER BY {order} LIMIT ? OFFSET ?",
            (*params, *order_params, options.top + 1, options.skip),
        ).fetchall()
        self.left -= len(rows)
        if self.left < 0:
            raise BadParameter(
                "$expand", "", f"the answer would hold more than {MAX_ENTITIES} entities: lower $top"
            )
        return rows

    def _count(self, entity: Entity, options: QueryOptions, parent: Parent | None) -> int:
        if entity.set == "Observations" and options.filter is None and options.until is None:
            # kept with each commit: counting rows would cost 100 ms a million
            if parent is None:
                return int(self.conn.execute("SELECT coalesce(sum(count), 0) FROM latest").fetchone()[0])
            if parent.entity is DATASTREAMS:
                row = self.conn.execute("SELECT count FROM latest WHERE ds = ?", (parent.id,)).fetchone()
                return int(row[0]) if row else 0
        sql, params = _where(entity, options, parent)
        return int(self.conn.execute(f"SELECT count(*) {sql}", params).fetchone()[0])

    def _entity(self, entity: Entity, row: Sequence[Any], options: QueryOptions) -> dict[str, Any]:
        id_ = row[0]
        selected = options.select
        link = self.link(entity, id_)
        document: dict[str, Any] = {}
        if not selected or "@iot.id" in selected:
            document["@iot.id"] = id_
        if not selected:
            document["@iot.selfLink"] = link
        for name, prop, part, always in _parts(entity.set):
            if not selected or name in selected:
                value = render(prop, row[part])
                if value is not None or always:
                    document[name] = value
        for nav in entity.navs:
            expanded = options.expand.get(nav.name) if options.expand else None
            if expanded is not None:
                document.update(self._expanded(Parent(entity, id_, nav), expanded[1]))
            elif not selected or nav.name in selected:
                document[f"{nav.name}@iot.navigationLink"] = f"{link}/{nav.name}"
        return document

    def _expanded(self, parent: Parent, options: QueryOptions) -> dict[str, Any]:
        name = parent.nav.name
        target = SETS[parent.nav.target]
        if parent.nav.many:
            inner = self.set(target, options, parent)
            document = {name: inner["value"]}
            document.update({f"{name}{key}": inner[key] for key in inner if key != "value"})
            return document
        rows = self._rows(target, QueryOptions(top=1), parent)
        return {name: self._entity(target, rows[0], options) if rows else None}

    def _arrays(self, rows: Iterable[Sequence[Any]], options: QueryOptions) -> list[dict[str, Any]]:
        """Observations as data arrays, one a datastream (clause 12.2)."""
        chosen = options.select or COMPONENTS
        names = ["id" if name == "@iot.id" else name for name in chosen]
        entity = SETS["Observations"]
        unknown = [name for name in names if name != "id" and entity.prop(name) is None]
        if unknown:
            raise BadParameter("$select", unknown[0], "a data array holds properties only")
        places, at = {}, 1
        for prop in entity.props:
            places[prop.name] = (prop, at)
            at += len(prop.columns)
        groups: dict[int, list[list[Any]]] = {}
        for row in rows:
            values = []
            for name in names:
                if name == "id":
                    values.append(row[0])
                    continue
                prop, start = places[name]
                values.append(render(prop, row[start : start + len(prop.columns)]))
            groups.setdefault(row[-1], []).append(values)
        return [
            {
                "Datastream@iot.navigationLink": self.link(DATASTREAMS, ds),
                "components": names,
                "dataArray@iot.count": len(values),
                "dataArray": values,
            }
            for ds, values in groups.items()
        ]


def observation(base: str, id_: int, row: Observation, *, late: bool = False) -> dict[str, Any]:
    """An observation as :class:`EntityReader` would give it back, from what was just kept: a read less."""
    link = f"{base}/Observations({id_})"
    end = None if row.end == row.time else row.end
    document: dict[str, Any] = {
        "@iot.id": id_,
        "@iot.selfLink": link,
        "phenomenonTime": clock.interval(row.time, end),
        "resultTime": None if row.result_time is None else clock.iso(row.result_time),
        "result": row.number if row.text is None else orjson.Fragment(row.text),
    }
    document |= orjson.loads(row.extra) if row.extra else {}
    if late:
        document["parameters"] = {**document.get("parameters", {}), "late": True}
    document["Datastream@iot.navigationLink"] = f"{link}/Datastream"
    document["FeatureOfInterest@iot.navigationLink"] = f"{link}/FeatureOfInterest"
    return document


# of the name of a set: an entity's own hash is that of all its parts
@cache
def _columns(set_: str) -> str:
    names = ["a.id", *(sql for prop in SETS[set_].props for sql in prop.sql("a"))]
    if set_ == "Observations":
        names.append("a.ds")
    return ", ".join(names)


@cache
def _parts(set_: str) -> tuple[tuple[str, Prop, slice, bool], ...]:
    """Each property of a set: name, itself, its columns in a row, whether it is told without a value."""
    result: list[tuple[str, Prop, slice, bool]] = []
    at = 1
    for prop in SETS[set_].props:
        end = at + (len(prop.columns) or 1)
        result.append((prop.name, prop, slice(at, end), prop.name in ("result", "resultTime")))
        at = end
    return tuple(result)


def _where(entity: Entity, options: QueryOptions, parent: Parent | None) -> tuple[str, tuple[Any, ...]]:
    sql, params = source(entity, parent)
    conditions = [] if options.filter is None else [options.filter]
    if options.until is not None:
        conditions.append(("a.t <= ?", (options.until,)))
    for condition, more in conditions:
        word = "WHERE" if not parent and condition is conditions[0][0] else "AND"
        sql, params = f"{sql} {word} ({condition})", (*params, *more)
    return sql, params


def render(prop: Prop, values: Sequence[Any]) -> Any:
    """A property from its columns, ready for orjson; None when there is nothing."""
    first = values[0]
    if prop.kind == "text":
        return first
    if prop.kind == "result":
        return first if first is not None or values[1] is None else orjson.Fragment(values[1])
    if first is None:
        return None
    if prop.kind == "json":
        return orjson.Fragment(first)
    if prop.kind == "time":
        return clock.iso(first)
    if prop.kind == "interval":
        return clock.interval(first, _end(prop, first, values[1]))
    return orjson.loads(values[1]).get(prop.name)


def _end(prop: Prop, first: int, end: int | None) -> int | None:
    # a datastream's span is an interval even where it holds one instant (clause 8.2.4)
    return end if end is not None and (prop.derived or end != first) else None
