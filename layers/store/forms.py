"""Layers of other forms than features: coverages, surfaces and scenes.

A store records of them what is true of every form; what is in them lies elsewhere, and is served by whoever
knows the form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from layers.errors import BadFile, Exists, NotFound
from layers.model import Layer
from layers.store import staged
from layers.store.base import FormSpec
from layers.types import Bbox

#: Columns of ``twin_forms``, in both stores.
COLUMNS = "id, form, kind, title, crs, vertical_datum, minx, miny, maxx, maxy, generation"


def check(spec: FormSpec) -> None:
    """Raises BadFile for what cannot be recorded: an id that is none, or a layer of features."""
    staged.check_id(spec.id)
    if spec.form == "features":
        raise BadFile("store.form", f"{spec.id} has features: they are staged and published")


def values(spec: FormSpec, generation: int) -> tuple[Any, ...]:
    """A record as the values of :data:`COLUMNS`."""
    title = json.dumps(dict(spec.title), ensure_ascii=False)
    box: Sequence[float | None] = spec.extent or (None, None, None, None)
    return (spec.id, spec.form, spec.kind, title, spec.crs, spec.vertical_datum, *box, generation)


def layer(row: Sequence[Any], seq: int) -> Layer:
    """The public words of a record, from the values of :data:`COLUMNS`."""
    layer_id, form, kind, title, crs, vertical_datum, *box, generation = row
    return Layer(
        id=layer_id,
        form=form,
        kind=kind,
        title=json.loads(title),
        crs=crs,
        vertical_datum=vertical_datum,
        extent=None if box[0] is None else cast(Bbox, tuple(box)),
        generation=generation,
        seq=seq,
    )


def taken(layer_id: str, form: str) -> Exists:
    """The refusal to give one id to layers of two forms."""
    return Exists(f"layer {layer_id} exists already, as one of the form {form}; drop it or take another id")


def no_features(layer_id: str, form: str) -> NotFound:
    """The answer to who asks a layer of another form for features."""
    return NotFound(f"layer {layer_id} is a {form}: it has no features")
