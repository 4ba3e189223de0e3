"""What an edit writes, checked against its layer before the store is asked for anything."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from layers import kinds
from layers.errors import NotEditable, NotFound, shown
from layers.kinds import edited
from layers.store import feature
from layers.store.layer_record import LayerRecord
from layers.types import EditKind
from layers.values import stored

#: In place of a geometry that stays as it is.
KEEP = object()


@dataclass(frozen=True, slots=True)
class Draft:
    """A geometry (shapely, None, or :data:`KEEP`) and values by field, as they are to be stored."""

    shape: Any
    values: dict[str, Any]


def permit(table: LayerRecord, kind: EditKind, fid: int = 0) -> None:
    """Raises NotEditable: nobody does this to the layer; NotFound: a number that no feature has."""
    if kind not in table.edits:
        raise NotEditable(f"layer {table.id} is not edited so: {table.fixed_because}")
    if abs(fid) >= 2**63:
        raise NotFound(f"layer {table.id} has no feature {shown(fid)}")


def new(table: LayerRecord, body: Mapping[str, Any]) -> Draft:
    """Of POST: a whole feature, with what follows from its values. Raises BadBody, NotEditable."""
    permit(table, "create")
    shape, values = feature.new(table, body)
    return Draft(shape, settled(table, values, None, shape))


def whole(table: LayerRecord, fid: int, body: Mapping[str, Any]) -> Draft:
    """Of PUT: a whole feature. Raises BadBody, NotEditable, NotFound."""
    permit(table, "update", fid)
    return Draft(*feature.whole(table, fid, body))


def part(table: LayerRecord, fid: int, body: Mapping[str, Any]) -> Draft:
    """Of PATCH: what a merge patch names. Raises BadBody, NotEditable, NotFound."""
    permit(table, "update", fid)
    named, shape, values = feature.partial(table, fid, body)
    if computed := [f.name for f in table.fields if f.read_only and f.name in values]:
        raise feature.wrong_properties([(name, "computed by the database") for name in computed])
    return Draft(shape if named else KEEP, values)


def settled(
    table: LayerRecord, values: dict[str, Any], present: Mapping[str, Any] | None, shape: Any
) -> dict[str, Any]:
    """The values of an edit with what follows from them by the layer's kind."""
    fields = {f.name: f for f in table.fields if not f.read_only}
    made = edited.settled(kinds.known(table.kind), fields, values, present, shape)
    for name, value in made.items():
        if name not in values or value != values[name]:
            with suppress(ValueError):  # a column of another type than the kind's keeps what was sent
                values[name] = None if value is None else stored(fields[name].type, value)
    return values
