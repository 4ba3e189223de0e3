"""The forms in which changes are given: JSON, GeoJSON, and CSV with a line a field."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import shapely

from layers.diff import Counts, FeatureChange, State
from layers.formula import guarded
from layers.model import ChangeSet
from layers.wkb import shapes

#: Columns of the CSV.
COLUMNS = ("layer", "id", "change", "field", "old", "new", "set", "at", "via", "actor")
#: In the column ``field``: the geometry, old and new as WKT, and the body, of which no value is given.
GEOMETRY, BODY = "geometry", "body"


def told(one: ChangeSet, named: bool) -> dict[str, Any]:
    """What is told of a change set; who made it and why only to those to whom people are named."""
    document: dict[str, Any] = {
        "id": one.id,
        "first": one.first,
        "last": one.last,
        "at": one.at,
        "via": one.via,
    }
    if one.undone is not None:
        document["undone"] = one.undone
    return document | ({"actor": one.actor, "message": one.message} if named else {})


def counted(counts: Counts) -> dict[str, Any]:
    """The numbers of a layer."""
    return {
        "added": counts.added,
        "removed": counts.removed,
        "changed": counts.changed,
        "fields": counts.fields,
        "geometry": counts.geometry,
    }


def plain(change: FeatureChange, named: bool) -> dict[str, Any]:
    """One change, in JSON."""
    boxes = {"old": _box(change.old), "new": _box(change.new)}
    return {
        "layer": change.layer,
        "id": change.fid,
        "change": change.kind,
        "fields": {name: {"old": old, "new": new} for name, (old, new) in change.fields.items()},
        "geometryChanged": change.geometry_changed,
        "bodyChanged": change.mesh_changed,
        "bbox": boxes,
        "seq": change.seq,
        "set": None if change.set is None else told(change.set, named),
    }


def feature(change: FeatureChange, named: bool) -> dict[str, Any]:
    """One change as a GeoJSON feature, where it is now or, if it is gone, was. ``oldGeometry`` is beside it
    where that is another one."""
    document = {
        "type": "Feature",
        "id": f"{change.layer}.{change.fid}",
        "geometry": geometry(change.new or change.old),
        "properties": plain(change, named),
    }
    if change.kind == "changed" and change.geometry_changed:
        document["oldGeometry"] = geometry(change.old)
    return document


def table(changes: Iterable[FeatureChange], named: bool) -> bytes:
    """Changes as CSV (RFC 4180) for a spreadsheet: UTF-8 with a byte order mark, a line a field."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS if named else COLUMNS[:-1])
    for change in changes:
        for name, old, new in _lines(change):
            line = [change.layer, change.fid, change.kind, guarded(name), _cell(old), _cell(new)]
            made = change.set
            line += ["", "", ""] if made is None else [made.id, made.at, made.via]
            writer.writerow([*line, guarded((made and made.actor) or "")] if named else line)
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8", "replace")


def _lines(change: FeatureChange) -> Sequence[tuple[str, Any, Any]]:
    lines: list[tuple[str, Any, Any]] = [(name, *pair) for name, pair in change.fields.items()]
    if change.geometry_changed:
        lines.append((GEOMETRY, _wkt(change.old), _wkt(change.new)))
    if change.mesh_changed:
        lines.append((BODY, None, None))
    return lines or [("", None, None)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return guarded(value)
    return json.dumps(value, ensure_ascii=False)


def _box(state: State | None) -> list[float] | None:
    box = None if state is None else state.box
    return None if box is None else list(box)


def _shape(state: State | None) -> Any:
    return None if state is None or state.wkb is None else shapes([state.wkb])[0]


def geometry(state: State | None) -> Any:
    """The geometry of a state as GeoJSON; None without one."""
    shape = _shape(state)
    return None if shape is None else json.loads(shapely.to_geojson(shape))


def _wkt(state: State | None) -> str | None:
    shape = _shape(state)
    return None if shape is None else shapely.to_wkt(shape, rounding_precision=9)
