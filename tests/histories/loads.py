"""Loads of layers, drops of them, and layers of other forms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from layers.batch import MESH, SOURCE_ID, WKB
from layers.errors import BadFile, Exists
from layers.model import Asset, Author
from layers.query import Query
from layers.store.base import FormSpec, LayerSpec
from layers.types import Field
from tests import queries
from tests.histories.acting import Acting
from tests.histories.model import Body, FormState, LayerState, identity, loaded
from tests.storing import batch

LAYERS = ("houses", "things", "pipes")
FORM = "ground"
_KINDS = ("feature", "road", "place", "building", "cim", "pipeline")
_ODD = queries.ODD
#: Fields that a load may bring; those of one name differ in type from load to load.
_NAMES: Mapping[str, tuple[Any, ...]] = {
    "name": ("string",),
    "名称": ("string",),
    _ODD: ("string",),
    "levels": ("integer", "integer", "string", "number"),
    "height_m": ("number", "number", "integer"),
    "listed": ("boolean",),
    "built": ("date", "string"),
    "seen": ("datetime",),
    "tags": ("array", "array", "string"),
}


class Loads(Acting):
    """Whole layers."""

    def load(self) -> None:
        """A load of any mode, with the fields of the layer or others."""
        name = self.rng.choice(LAYERS)
        state = self.city.get(name)
        assert not isinstance(state, FormState)
        mode = self.rng.choice(("replace", "replace", "append")) if state else "create"
        spec = self._spec(name, state, mode)
        rows = self._rows(name, state, spec)
        self.said.append(f"load {name} {mode}: {len(rows)} rows, {[(f.name, f.type) for f in spec.fields]}")
        by = self.by("load")
        told = self._load(name, spec, rows, mode, by)
        assert told.seq <= self.store.seq()
        fresh = self._fresh(name, state, rows)
        self.generations[name] = self.generations.get(name, 0) + 1
        made = loaded(state, spec, rows, mode, self.generations[name], fresh)
        assert told.generation == made.state.generation
        assert (told.created, told.updated, told.unchanged, told.deleted) == (
            made.created,
            made.updated,
            made.unchanged,
            made.deleted,
        )
        self.city[name] = made.state
        # what another program did may be logged before a load that changes nothing: a table that was emptied
        repaired = self.store.change_sets(limit=1)[0].via == "repair"
        if told.seq > max(self.states) and not repaired:
            self.did(by, told.seq)
        else:
            assert state is not None
            assert (made.state.fields, made.state.bodies) == (state.fields, state.bodies)
        if self.rng.random() < 0.3:
            self.store.save_report(name, {"layer": name, "read": len(rows)})

    def refused_load(self) -> None:
        """A load that is refused changes nothing."""
        if (found := self.any_layer()) is None:
            return
        name, state = found
        self.said.append(f"refused load {name}")
        before = self.logged()
        with pytest.raises(Exists):
            self._load(name, state.spec, [], "create")
        clash = replace(state.spec, fields=(Field("source_id", "string"), Field("name", "integer")))
        if any(f.name == "name" for f in state.fields):
            with pytest.raises(BadFile):
                self._load(name, clash, [], "append")
        assert self.logged() == before

    def _load(
        self, name: str, spec: LayerSpec, rows: Sequence[Body], mode: str, by: Author | None = None
    ) -> Any:
        stage = self.store.stage(spec)
        columns = [
            {SOURCE_ID: row.values["source_id"], WKB: row.wkb, MESH: row.mesh, **_staged(row.values)}
            for row in rows
        ]
        if columns:
            stage.add(batch(columns))
        return self.store.publish(stage, mode=mode, by=by or Author(via="load"))

    def _spec(self, name: str, state: LayerState | None, mode: str) -> LayerSpec:
        rng = self.rng
        if state is not None and rng.random() < 0.6:
            fields = tuple(f for f in state.spec.fields if f in state.fields)
            spec = replace(state.spec, fields=fields)
            if rng.random() < 0.2:
                spec = replace(spec, title={"en": rng.choice(("One", "Two"))})
        else:
            chosen = rng.sample(list(_NAMES), rng.randrange(2, len(_NAMES) + 1))
            types = {f.name: f.type for f in state.fields} if state and mode == "append" else {}
            fields = tuple(Field(n, types.get(n) or rng.choice(_NAMES[n])) for n in chosen)
            spec = LayerSpec(
                id=name,
                kind=rng.choice(_KINDS),
                title={"en": name, "zh-CN": "层"},
                fields=fields,
                geometry_type={"houses": "Polygon", "pipes": "LineString"}.get(name, "Geometry"),  # type: ignore[arg-type]
                crs=rng.choice(("EPSG:4326", "EPSG:3879")),
            )
        timed = any(f.name == "seen" for f in spec.fields)
        return replace(spec, time_field="seen" if timed else None)

    def _rows(self, name: str, state: LayerState | None, spec: LayerSpec) -> list[Body]:
        """Rows that are there as they are, changed ones and new ones."""
        rng, rows = self.rng, []
        names = {f.name for f in spec.fields}
        equal, changed = rng.choice(((1, 0), (0.8, 0.1), (0.3, 0.4), (0, 0)))
        for body in state.bodies.values() if state else ():
            chance = rng.random()
            if body.wkb is None or chance > equal + changed:
                continue
            values = {n: v for n, v in body.values.items() if n in names and self._fits(n, v, state, spec)}
            row = Body({**dict.fromkeys(names), **values, "source_id": body.values["source_id"]}, body.wkb)
            row = replace(row, mesh=body.mesh)
            if chance > equal:
                row = replace(row, values={**row.values, **self.values(spec.fields, 0.5)})
                if body.values["source_id"] is not None and rng.random() < 0.5:
                    row = replace(row, wkb=self.wkb(name), mesh=self.mesh())
                elif rng.random() < 0.3:
                    row = replace(row, mesh=self.mesh())
            rows.append(row)
        for _ in range(0 if equal == 1 and state else rng.randrange(8)):
            values = {**self.values(spec.fields), "source_id": self.source()}
            wkb = self.wkb(name)
            rows.append(Body(values, self.digits(wkb) if rng.random() < 0.2 else wkb, self.mesh()))
        return rows

    def _fits(self, name: str, value: Any, state: LayerState | None, spec: LayerSpec) -> bool:
        """Whether a value of the layer is one of the load's field."""
        types = [{f.name: f.type for f in fields}.get(name) for fields in (state.fields, spec.fields)]  # type: ignore[union-attr]
        return value is None or types[0] == types[1]

    def _fresh(self, name: str, state: LayerState | None, rows: Sequence[Body]) -> dict[Any, int]:
        """The fids that the store gave to what was not there."""
        known = {identity(body) for body in state.bodies.values()} if state else set()
        now = self.store.select(name, Query(limit=10_000)).rows
        by_source = dict(zip(now.properties["source_id"], now.fids.tolist(), strict=True))
        by_place = dict(zip(now.wkb, now.fids.tolist(), strict=True))
        fresh = {
            identity(row): by_place[row.wkb]
            if row.values["source_id"] is None
            else by_source[row.values["source_id"]]
            for row in rows
            if identity(row) not in known
        }
        assert not set(fresh.values()) & set(state.bodies if state else ())
        return fresh

    def drop(self) -> None:
        """Remove a layer of any form."""
        if not self.city:
            return
        name = self.rng.choice(list(self.city))
        self.said.append(f"drop {name}")
        by = self.by("drop")
        self.store.drop(name, by)
        del self.city[name]
        self.did(by)

    def record(self) -> None:
        """A layer of another form."""
        spec = FormSpec(
            id=FORM,
            form=self.rng.choice(("coverage", "surface")),
            kind="raster",
            title={"en": self.rng.choice(("Relief", "Picture"))},
            crs="EPSG:3857",
            extent=self.rng.choice((None, (25.0, 60.0, 26.0, 61.0))),
            assets=(Asset(href=f"rasters/{self.rng.randrange(9)}.tif", media_type="image/tiff"),),
        )
        self.said.append(f"record {spec.form}")
        by = self.by("load")
        generation = self.store.record(spec, by)
        self.generations[FORM] = self.generations.get(FORM, 0) + 1
        assert generation == self.generations[FORM]
        self.city[FORM] = FormState(spec, generation)
        self.did(by)


def _staged(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name != "source_id"
    }
