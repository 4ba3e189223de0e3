"""What other programs do to the tables, by SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tests import queries
from tests.histories.acting import Acting
from tests.histories.model import Body, LayerState
from tests.support import until


class Others(Acting):
    """Another program, a transaction at a time."""

    def other_program(self) -> None:
        """Another program works at one layer, in one transaction that it keeps or not."""
        if (found := self.any_layer()) is None:
            return
        name, before = found
        kept = self.rng.random() < 0.85
        self.said.append(f"another program, {'kept' if kept else 'rolled back'}:")
        with self.hand.transaction(kept=kept):
            for _ in range(self.rng.choice((1, 1, 2, 4))):
                self._foreign_act(name)
        if not kept:
            self.city[name] = before

    def other_columns(self) -> None:
        """Another program gives a layer a column, or takes one: what was in that is lost to us."""
        if (found := self.any_layer()) is None:
            return
        name, state = found
        droppable = [f.name for f in state.fields if f.name not in ("source_id", state.spec.time_field)]
        with self.hand.transaction():
            if droppable and self.rng.random() < 0.5:
                field = self.rng.choice(droppable)
                self.said.append(f"another program drops {name}.{field}")
                self.hand.drop_column(name, field)
                self.city[name] = state.without_column(field)
                self.lost.setdefault(name, {})[field] = max(self.states) + 1
            else:
                self.counter += 1
                field = f"More {self.counter}"
                self.said.append(f"another program adds {name}.{field}")
                kind = self.rng.choice(("string", "integer", "number"))
                self.hand.add_column(name, field, kind)
                self.city[name] = state.with_column(field, kind)
        wanted = [f.name for f in self.layer(name).fields]
        until(lambda: [f.name for f in self.store.feature_layer(name).fields] == wanted, what="the column")

    def _foreign_act(self, name: str) -> None:
        state = self.layer(name)
        fids = list(state.bodies)
        acts: list[Callable[[str, LayerState], None]] = [self._foreign_insert]
        if fids:
            acts += [self._foreign_update, self._foreign_move, self._foreign_delete, self._foreign_renumber]
            acts += [self._foreign_put, self._foreign_update, self._foreign_move, self._foreign_undone]
            acts += [self._foreign_clear] * (self.rng.random() < 0.2)
        self.rng.choice(acts)(name, state)

    def _foreign_insert(self, name: str, state: LayerState) -> None:
        values = {"source_id": self.source(), **self.values(state.fields, 0.5)}
        wkb = self.wkb(name) if self.rng.random() < 0.8 else None
        fid = self.hand.insert(name, wkb, _typed(state, values))
        self.said.append(f"  insert {name} {fid}")
        self.city[name] = state.with_bodies(
            {fid: Body({f.name: values.get(f.name) for f in state.fields}, wkb)}
        )

    def _foreign_put(self, name: str, state: LayerState) -> None:
        """A row in place of another one of that fid."""
        fid = self.rng.choice(list(state.bodies))
        values = self.values(state.fields, 0.5)
        wkb = self.wkb(name)
        self.said.append(f"  put {name} {fid}")
        kept = self.hand.put(name, fid, wkb, _typed(state, values))
        old = state.bodies[fid].values if kept else {}
        body = Body({f.name: values.get(f.name, old.get(f.name)) for f in state.fields}, wkb)
        self.city[name] = state.with_bodies({fid: body})

    def _foreign_update(self, name: str, state: LayerState) -> None:
        field = self.rng.choice([f for f in state.fields if f.name != "source_id"] or [None])
        if field is None:
            return
        fids = self.rng.sample(list(state.bodies), self.rng.randrange(1, len(state.bodies) + 1))
        value = self.rng.choice(queries.VALUES[field.type])
        self.said.append(f"  update {name} {fids} {field.name}")
        self.hand.update(name, fids, field.name, field.type, value)
        bodies = state.bodies
        self.city[name] = state.with_bodies(
            {fid: replace(bodies[fid], values={**bodies[fid].values, field.name: value}) for fid in fids}
        )

    def _foreign_move(self, name: str, state: LayerState) -> None:
        fid = self.rng.choice(list(state.bodies))
        wkb = self.wkb(name) if self.rng.random() < 0.8 else None
        self.said.append(f"  move {name} {fid}")
        self.hand.move(name, fid, wkb)
        body = state.bodies[fid]
        mesh = body.mesh if wkb == body.wkb else None
        self.city[name] = state.with_bodies({fid: replace(body, wkb=wkb, mesh=mesh)})

    def _foreign_delete(self, name: str, state: LayerState) -> None:
        fids = self.rng.sample(list(state.bodies), self.rng.randrange(1, min(4, len(state.bodies)) + 1))
        self.said.append(f"  delete {name} {fids}")
        self.hand.delete(name, fids)
        self.city[name] = state.with_bodies(dict.fromkeys(fids))

    def _foreign_clear(self, name: str, state: LayerState) -> None:
        self.said.append(f"  clear {name}")
        self.hand.clear(name)
        self.city[name] = state.with_bodies(dict.fromkeys(state.bodies))

    def _foreign_undone(self, name: str, state: LayerState) -> None:
        """Something that the program takes back before it ends."""
        self.said.append("  to be undone:")
        self.hand.run("SAVEPOINT here")
        self._foreign_act(name)
        self.hand.run("ROLLBACK TO SAVEPOINT here")
        self.said.append("  undone")
        self.city[name] = state

    def _foreign_renumber(self, name: str, state: LayerState) -> None:
        fid, other = self.rng.choice(list(state.bodies)), 500 + self.rng.randrange(500)
        if other in state.bodies:
            return
        self.said.append(f"  renumber {name} {fid} {other}")
        self.hand.renumber(name, fid, other)
        self.city[name] = state.with_bodies({fid: None, other: replace(state.bodies[fid], mesh=None)})


def _typed(state: LayerState, values: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    types = {f.name: f.type for f in state.fields}
    return {name: (types[name], value) for name, value in values.items()}
