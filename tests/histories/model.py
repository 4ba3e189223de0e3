"""A city as plain Python values: what each layer held after every change, with no store in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from layers.store.base import FormSpec, LayerSpec
from layers.types import SOURCE_FIELD, Field


@dataclass(frozen=True)
class Body:
    """One feature: its values by field, its geometry as WKB, its mesh as a blob."""

    values: Mapping[str, Any]
    wkb: bytes | None
    mesh: bytes | None = None


@dataclass(frozen=True)
class LayerState:
    """A layer at one moment. ``spec`` is what the load said that made it, ``fields`` what it has."""

    spec: LayerSpec
    fields: tuple[Field, ...]
    generation: int
    bodies: Mapping[int, Body] = field(default_factory=dict)

    def with_bodies(self, changed: Mapping[int, Body | None]) -> LayerState:
        """The same with some features written, or removed where they are None."""
        bodies = {fid: body for fid, body in {**self.bodies, **changed}.items() if body is not None}
        return replace(self, bodies=dict(sorted(bodies.items())))

    def with_column(self, name: str, kind: Any) -> LayerState:
        """The same with one more field, null everywhere."""
        bodies = {fid: replace(b, values={**b.values, name: None}) for fid, b in self.bodies.items()}
        return replace(self, fields=(*self.fields, Field(name, kind)), bodies=bodies)

    def without_column(self, name: str) -> LayerState:
        """The same with a field less."""
        bodies = {
            fid: replace(b, values={n: v for n, v in b.values.items() if n != name})
            for fid, b in self.bodies.items()
        }
        return replace(self, fields=tuple(f for f in self.fields if f.name != name), bodies=bodies)


@dataclass(frozen=True)
class FormState:
    """A layer of another form at one moment."""

    spec: FormSpec
    generation: int


#: Every layer there is, by id.
type City = Mapping[str, LayerState | FormState]


@dataclass(frozen=True)
class Loaded:
    """What a load makes of a layer: its state, and how many features it made, changed, left, removed."""

    state: LayerState
    created: int
    updated: int
    unchanged: int
    deleted: int


def loaded(
    present: LayerState | None,
    spec: LayerSpec,
    rows: Iterable[Body],
    mode: str,
    generation: int,
    fresh: Mapping[Any, int],
) -> Loaded:
    """A load of rows into a layer. Rows are features by their source id, else by their geometry; the fids of
    new ones are in ``fresh``, by the same."""
    staged = (SOURCE_FIELD, *(f for f in spec.fields if f.name != "source_id"))
    before = {} if present is None else present.bodies
    known = {identity(body): fid for fid, body in before.items()}
    fields = staged
    if mode == "append" and present is not None:
        there = {f.name for f in present.fields}
        fields = (*present.fields, *(f for f in staged if f.name not in there))
    written: dict[int, Body] = {}
    created = 0
    for row in rows:
        fid = known.get(identity(row))
        if fid is None:
            created += 1
            fid = fresh[identity(row)]
        old = before[fid].values if fid in before and mode == "append" else {}
        values = {f.name: row.values.get(f.name, old.get(f.name)) for f in fields}
        written[fid] = replace(row, values=values)
    types = {} if present is None else {f.name: f.type for f in present.fields}
    there = {f.name for f in fields if types.get(f.name) == f.type}  # of another type, it is another column
    kept = {fid: _fitted(body, fields, there) for fid, body in before.items() if fid not in written}
    unchanged = sum(fid in before and written[fid] == _fitted(before[fid], fields, there) for fid in written)
    bodies = {**kept, **written} if mode == "append" else written
    state = LayerState(spec, fields, generation, dict(sorted(bodies.items())))
    updated = len(written) - created - unchanged
    return Loaded(state, created, updated, unchanged, 0 if mode == "append" else len(kept))


def identity(body: Body) -> Any:
    """What tells a feature from the others for a load."""
    source = body.values.get("source_id")
    return body.wkb if source is None else source


def _fitted(body: Body, fields: tuple[Field, ...], there: set[str]) -> Body:
    values = {f.name: body.values[f.name] if f.name in there else None for f in fields}
    return replace(body, values=values)
