"""What every store records of its layers, and gives of a record: one set of words, whichever keeps it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from layers.crs import LABEL84
from layers.errors import BadParameter, NotFound, Unreadable
from layers.model import FeatureLayer
from layers.query import Query
from layers.store.base import LayerSpec
from layers.types import EDITS, Bbox, EditKind, Field, Titles, VersionMark

#: States of a layer; any other text is the reason why it cannot be read.
OK = "ok"
MISSING = "missing"
LOAD_AGAIN = "load it again with twin load --replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord(LayerSpec):
    """A layer as a store's catalogue has it: what was said of it, and what became of that."""

    generation: int
    state: str

    @property
    def edits(self) -> tuple[EditKind, ...]:
        """What may be done to single features."""
        return EDITS

    @property
    def fixed_because(self) -> str:
        """Why not everything may be done, for whoever runs the server; empty when all may."""
        return ""

    @property
    def storage_crs(self) -> str:
        """The CRS in which the rows are kept."""
        return LABEL84

    @property
    def remedy(self) -> str:
        """What an operator can do where the layer cannot be read."""
        return LOAD_AGAIN

    def field(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((f for f in self.fields if f.name == name), None)

    def usable(self) -> Self:
        """Itself. Raises NotFound when its table is gone, Unreadable when its state is not in order."""
        if self.state == MISSING:
            raise NotFound(f"layer {self.id} was removed from the store by another program; {LOAD_AGAIN}")
        if self.state != OK:
            raise Unreadable(f"layer {self.id} cannot be read: {self.state}; {self.remedy}")
        return self


def layer(
    record: LayerRecord,
    *,
    extent: Bbox | None,
    count: int,
    seq: int,
    crs_also: tuple[str, ...],
) -> FeatureLayer:
    """The public words of a layer, with what is true of its rows now."""
    return FeatureLayer(
        id=record.id,
        kind=record.kind,
        title=record.title,
        fields=record.fields,
        geometry_type=record.geometry_type,
        extent=extent,
        crs=record.crs,
        vertical_datum=record.vertical_datum,
        count=count,
        generation=record.generation,
        seq=seq,
        time_field=record.time_field,
        edits=record.edits,
        fixed_because=record.fixed_because,
        crs_also=crs_also,
        storage_crs=record.storage_crs,
        model_version=record.model_version,
    )


def chosen_fields(record: LayerRecord, query: Query) -> tuple[Field, ...]:
    """The fields that a query wants, in the order of the layer. Raises BadParameter for another name."""
    if query.properties is None:
        return record.fields
    for name in query.properties:
        if record.field(name) is None:
            raise BadParameter("properties", name, f"layer {record.id} has no such property")
    return tuple(f for f in record.fields if f.name in query.properties)


#: Columns of ``twin_layers`` that hold what a load says, in both stores.
WORDS = "kind, title, geometry_type, crs, time_field, key, vertical_datum, fields, model_version"


def words(spec: LayerSpec, geometry_type: str, fields: Sequence[Field]) -> tuple[str | None, ...]:
    """The values of :data:`WORDS` after a load, which may have changed the type and the fields."""
    title, key = json.dumps(dict(spec.title), ensure_ascii=False), json.dumps(list(spec.key))
    named = (spec.kind, title, geometry_type, spec.crs, spec.time_field, key, spec.vertical_datum)
    return (*named, dump_fields(fields), dump_mark(spec.model_version))


def dump_mark(mark: VersionMark | None) -> str | None:
    """What is recorded of model versions, as JSON; null of a layer that has nothing to do with them."""
    return None if mark is None else json.dumps(asdict(mark), ensure_ascii=False)


def read_mark(text: str | None) -> VersionMark | None:
    """What :func:`dump_mark` wrote."""
    return None if text is None else VersionMark(**json.loads(text))


#: A layer as cities of before have it, in which no mark was recorded: its id, and the report of its load.
_FORMERLY = re.compile(r"([a-z][a-z0-9_]*?)__([1-9][0-9]{0,5})")


def formerly(reports: Mapping[str, str]) -> dict[str, str]:
    """The marks, as JSON, of layers whose loads noted in their ``reports`` (JSON, by layer) the name of a
    model version: only a check-in gave such an id with such a name."""
    found: dict[str, str] = {}
    for layer, report in reports.items():
        if name := json.loads(report).get("version"):
            match = _FORMERLY.fullmatch(layer)
            mark = VersionMark(name, match[1], int(match[2])) if match else VersionMark(name)
            found[layer] = json.dumps(asdict(mark), ensure_ascii=False)
    return found


def dump_fields(fields: Sequence[Field]) -> str:
    """Fields as JSON, whose members are the arguments of :class:`layers.model.Field`."""
    return json.dumps(
        [
            {"name": f.name, "type": f.type, "title": dict(f.title), "unit": f.unit, "codes": _plain(f.codes)}
            for f in fields
        ],
        ensure_ascii=False,
    )


def _plain(codes: Mapping[str, Titles] | None) -> dict[str, dict[str, str]] | None:
    return None if codes is None else {code: dict(title) for code, title in codes.items()}
