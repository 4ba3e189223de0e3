"""Edits of single features through the store, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import shapely

from layers.errors import BadBody, Exists, NotFound, Stale
from layers.model import Author
from tests.histories.acting import Acting
from tests.histories.model import Body


class Edits(Acting):
    """POST, PUT, PATCH, DELETE."""

    def create(self) -> None:
        """POST."""
        if (found := self.any_layer()) is None:
            return
        name, state = found
        values = {"source_id": self.source(), **self.values(state.fields, 0.7)}
        wkb = self.wkb(name) if self.rng.random() < 0.8 else None
        by = self.by()
        fid, revision = self.store.create(name, _feature(wkb, values), by=by)
        self.said.append(f"create {name} {fid}")
        assert fid not in state.bodies
        body = Body({f.name: values.get(f.name) for f in state.fields}, wkb)
        self._wrote(name, {fid: body}, revision, by)

    def patch(self) -> None:
        """PATCH of some values, the geometry, or nothing."""
        if (found := self.any_feature()) is None:
            return
        name, state, fid = found
        body, patch = state.bodies[fid], {}
        values = self.values(state.fields, 0.3)
        if values or self.rng.random() < 0.5:
            patch["properties"] = values
        body = replace(body, values={**body.values, **values})
        if self.rng.random() < 0.4:
            wkb = self.wkb(name) if self.rng.random() < 0.8 else None
            patch["geometry"] = _geometry(wkb)
            body = replace(body, wkb=wkb, mesh=body.mesh if wkb == body.wkb else None)
        by = self.by()
        self.said.append(f"patch {name} {fid} {sorted(patch)}")
        revision = self.store.patch(name, fid, patch, self._if_match(name, fid), by)
        self._wrote(name, {fid: body}, revision, by)

    def replace(self) -> None:
        """PUT."""
        if (found := self.any_feature()) is None:
            return
        name, state, fid = found
        values = self.values(state.fields, 0.7)
        wkb = self.wkb(name) if self.rng.random() < 0.7 else None
        source = state.bodies[fid].values["source_id"]
        mesh = state.bodies[fid].mesh if wkb == state.bodies[fid].wkb else None
        body = Body({f.name: values.get(f.name) for f in state.fields} | {"source_id": source}, wkb, mesh)
        by = self.by()
        self.said.append(f"replace {name} {fid}")
        revision = self.store.replace(name, fid, _feature(wkb, values), self._if_match(name, fid), by)
        self._wrote(name, {fid: body}, revision, by)

    def send_back(self) -> None:
        """PUT of what was read: an edit that changes nothing, neither digits nor mesh."""
        if (found := self.any_feature()) is None:
            return
        name, state, fid = found
        by = self.by()
        self.said.append(f"send back {name} {fid}")
        revision = self.store.replace(name, fid, json.loads(self.store.item(name, fid).body), by=by)
        self._wrote(name, {fid: state.bodies[fid]}, revision, by)

    def delete(self) -> None:
        """DELETE."""
        if (found := self.any_feature()) is None:
            return
        name, _, fid = found
        by = self.by()
        self.said.append(f"delete {name} {fid}")
        number = self.store.delete(name, fid, self._if_match(name, fid), by)
        self._wrote(name, {fid: None}, number, by)

    def _if_match(self, name: str, fid: int) -> int | None:
        return self.store.revision(name, fid) if self.rng.random() < 0.5 else None

    def _wrote(self, name: str, changed: Mapping[int, Body | None], number: int, by: Author) -> None:
        assert self.store.seq() >= number
        self.city[name] = self.layer(name).with_bodies(changed)
        self.did(by, number)

    def mistake(self) -> None:
        """What is refused changes nothing."""
        if (found := self.any_feature()) is None:
            return
        name, state, fid = found
        self.said.append(f"mistakes with {name} {fid}")
        before = self.logged()
        with pytest.raises(NotFound):
            self.store.delete(name, 10**9)
        with pytest.raises(Stale):
            self.store.patch(name, fid, {"properties": {}}, 10**9)
        with pytest.raises(BadBody):
            self.store.patch(name, fid, {"properties": {"never": 1}})
        taken = next((b.values["source_id"] for f, b in state.bodies.items() if f != fid), None)
        if taken is not None:
            with pytest.raises(Exists):
                self.store.patch(name, fid, {"properties": {"source_id": taken}})
        assert self.logged() == before


def _geometry(wkb: bytes | None) -> Any:
    return None if wkb is None else json.loads(shapely.to_geojson(shapely.from_wkb(wkb)))


def _feature(wkb: bytes | None, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": _geometry(wkb), "properties": dict(values)}
