"""Layers of other forms than features in the database: their records, and nothing else of them."""

from __future__ import annotations

from typing import Any

from layers.model import Author, ContentLayer
from layers.store import forms
from layers.store.base import FormSpec
from layers.store.postgis import ddl, history, schema
from layers.store.postgis.connection import bound
from layers.store.postgis.ddl import DdlTarget


def layers(con: Any, city: str, layer: str | None = None) -> list[ContentLayer]:
    """The recorded layers, or the one of an id, of one moment, by id."""
    s = bound(city)
    newest = f"(SELECT coalesce(max(seq), 0) FROM {s}.twin_changes c WHERE c.layer = f.id)"
    which = "" if layer is None else " WHERE f.id = %s"
    rows = con.execute(
        f"SELECT {newest}, {forms.COLUMNS} FROM {s}.twin_forms f{which} ORDER BY id",
        () if layer is None else (layer,),
    ).fetchall()
    return [forms.layer(row[1:], row[0]) for row in rows]


def present(place: DdlTarget, layer: str) -> ContentLayer | None:
    """The recorded layer of an id; None where there is no record."""
    return next(iter(layers(place.con, place.schema, layer)), None)


def record(place: DdlTarget, spec: FormSpec, by: Author) -> int:
    """Put a record in place inside the caller's transaction; the layer's new generation. Raises Exists."""
    hold(place, spec.id)
    if place.one(f"SELECT 1 FROM {place.s}.twin_layers WHERE id = %s", (spec.id,)) is not None:
        raise forms.in_use(spec.id, "features")
    known = present(place, spec.id)
    gone = place.one(f"SELECT generation FROM {place.s}.twin_history WHERE layer = %s", (spec.id,))
    generation = 1 + max(known.generation if known else 0, gone or 0)
    values = forms.values(spec, generation)
    names = forms.COLUMNS.split(", ")
    renewed = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    place.con.execute(
        f"INSERT INTO {place.s}.twin_forms ({forms.COLUMNS}) VALUES ({', '.join(['%s'] * len(values))})"
        f" ON CONFLICT (id) DO UPDATE SET {renewed}",
        values,
    )
    ddl.log_whole(place, spec.id, 0, known.extent if known else None, spec.extent)
    ddl.touch(place)
    history.sign(place.con, by, generation)
    return generation


def drop(place: DdlTarget, layer: str) -> bool:
    """Remove a record inside the caller's transaction; whether there was one."""
    known = present(place, layer)
    if known is None:
        return False
    for own in ("twin_forms WHERE id", "twin_reports WHERE layer"):
        place.con.execute(f"DELETE FROM {place.s}.{own} = %s", (layer,))
    ddl.remember(place, layer, 0, known.generation)
    ddl.log_whole(place, layer, 0, known.extent, None)
    ddl.touch(place)
    return True


def hold(place: DdlTarget, layer: str) -> None:
    """Keep others from making a layer of that id, till the transaction ends."""
    place.con.execute("SELECT pg_advisory_xact_lock(%s)", (schema.key(place.schema, f"layer {layer}"),))
