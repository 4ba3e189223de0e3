"""Every past state of a city made from the tables of its store alone, by SQL and Python: what a feature was
after a change is its old row with the least ``until`` above that, and where there is none, what it is now."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from layers.store.geopackage import blob
from layers.types import Field
from tests.histories.foreign import Hand, PostgresHand, quoted
from tests.histories.model import Body, City, LayerState

#: (until, there, values by column, WKB, mesh)
type OldRow = tuple[int, bool, Mapping[str, Any], bytes | None, bytes | None]


class Rebuilt(ABC):
    """The old rows of a store, read once; ``city`` is the present of the model."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self._layers: dict[str, dict[int, list[OldRow]]] = {}

    def check(self, states: Mapping[int, City], lost: Mapping[str, Mapping[str, int]]) -> None:
        """Old rows and present ones make every state of the model; each old row is of a change."""
        names = {name for city in states.values() for name, s in city.items() if isinstance(s, LayerState)}
        last = states[max(states)]
        since = {name: max(fields.values()) for name, fields in lost.items()}
        with self.hand.transaction(kept=False):
            for name in names:
                self._layers[name] = self.old_rows(name)
                self._check_log(name, since.get(name, 0))
        for seq, city in states.items():
            for name, state in city.items():
                if isinstance(state, LayerState) and seq >= since.get(name, 0):
                    # where it was dropped since, what came after that is another layer
                    end = min(
                        (n for n, later in states.items() if n > seq and name not in later), default=None
                    )
                    now = last[name] if end is None else None
                    rows = _with_fields(now, state.fields) if isinstance(now, LayerState) else {}
                    made = self._state(name, seq, end, state.fields, rows)
                    assert made == dict(state.bodies), (name, seq)

    def _state(
        self, name: str, seq: int, end: int | None, fields: Sequence[Field], now: Mapping[int, Body]
    ) -> dict[int, Body]:
        state = dict(now)
        for fid, rows in self._layers[name].items():
            row = next((row for row in rows if row[0] > seq and (end is None or row[0] <= end)), None)
            if row is None:
                continue
            _, there, values, wkb, mesh = row
            if there:
                state[fid] = Body({f.name: self.value(f, values, seq) for f in fields}, wkb, mesh)
            else:
                state.pop(fid, None)
        return dict(sorted(state.items()))

    def _check_log(self, name: str, since: int) -> None:
        """Each change of a feature left one old row, and there is no old row without a change."""
        table = self.hand.table("twin_changes")
        log = self.hand.run(f"SELECT seq, fid FROM {table} WHERE layer = ? AND seq > ?", [name, since])
        each = {(fid, seq) for seq, fid in log if fid is not None}
        whole = {seq for seq, fid in log if fid is None}
        kept = [(fid, row[0]) for fid, rows in self._layers[name].items() for row in rows if row[0] > since]
        assert len(kept) == len(set(kept))
        assert each <= set(kept)
        assert all(pair in each or pair[1] in whole for pair in kept)

    @abstractmethod
    def old_rows(self, name: str) -> dict[int, list[OldRow]]:
        """The old rows of a layer by fid, in their order."""

    @abstractmethod
    def value(self, field: Field, values: Mapping[str, Any], seq: int) -> Any:
        """A field of an old row as the model has it."""


def _with_fields(state: LayerState, fields: Sequence[Field]) -> dict[int, Body]:
    """Features with the fields of another time: a value that was in another one would have an old row."""
    types = {f.name: f.type for f in state.fields}
    return {
        fid: Body(
            {f.name: body.values[f.name] if types.get(f.name) == f.type else None for f in fields},
            body.wkb,
            body.mesh,
        )
        for fid, body in state.bodies.items()
    }


class RebuiltGeoPackage(Rebuilt):
    """A table of old rows a layer, whose columns have places."""

    def old_rows(self, name: str) -> dict[int, list[OldRow]]:
        run = self.hand.run
        columns = "SELECT name, place, first, until FROM twin_columns WHERE layer = ?"
        self._places = getattr(self, "_places", {})
        self._places[name] = run(columns, [name])
        names = [row[1] for row in run(f"PRAGMA table_info({quoted(f'twin_past_{name}')})")]
        found: dict[int, list[OldRow]] = defaultdict(list)
        shared: dict[tuple[int, int], int] = {}
        for row in run(f"SELECT * FROM {quoted(f'twin_past_{name}')} ORDER BY fid, until"):
            old = dict(zip(names, row, strict=True))
            if old["there"] > 1:
                shared[old["fid"], old["until"]] = old["there"]
            geom = old["geom"] and blob.present(old["geom"])
            values = {
                place: (column, old[place], first, until)
                for column, place, first, until in self._places[name]
            }
            found[old["fid"]].append((old["until"], bool(old["there"]), values, geom, old["mesh"]))
        return {fid: self._whole(name, fid, rows, shared) for fid, rows in found.items()}

    def _whole(
        self, name: str, fid: int, rows: list[OldRow], shared: Mapping[tuple[int, int], int]
    ) -> list[OldRow]:
        """The rows of a feature, each with the geometry and the body that it shares with the next."""
        geom, mesh = self._now(name, fid) if (fid, rows[-1][0]) in shared else (None, None)
        whole = []
        for until, there, values, own, body in reversed(rows):
            how = shared.get((fid, until), 1)
            geom, mesh = (geom if how > 1 else own), (mesh if how == 3 else body)
            whole.append((until, there, values, geom, mesh))
        return whole[::-1]

    def _now(self, name: str, fid: int) -> tuple[bytes | None, bytes | None]:
        geom = self.hand.run(f"SELECT geom FROM {quoted(name)} WHERE fid = ?", [fid])
        mesh = self.hand.run(f"SELECT body FROM {quoted(f'twin_mesh_{name}')} WHERE fid = ?", [fid])
        return geom and blob.present(geom[0][0]), mesh[0][0] if mesh else None

    def value(self, field: Field, values: Mapping[str, Any], seq: int) -> Any:
        value = next(
            value
            for name, value, first, until in values.values()
            if name == field.name and first <= seq and (until is None or seq < until)
        )
        if value is None or field.type not in ("array", "boolean"):
            return value
        return json.loads(value) if field.type == "array" else bool(value)


class RebuiltPostgis(Rebuilt):
    """One table of old rows, whose columns are JSON: of a row that has not all, what the next one has."""

    def old_rows(self, name: str) -> dict[int, list[OldRow]]:
        table = self.hand.table("twin_past")
        sql = (
            "SELECT fid, until, there, old, ST_AsBinary(geom, 'NDR'), mesh, lent"
            f" FROM {table} WHERE layer = ? AND until IS NOT NULL ORDER BY fid, until DESC"
        )
        now = self._now(name)
        found: dict[int, list[OldRow]] = defaultdict(list)
        for fid, until, there, old, geom, mesh, lent in self.hand.run(sql, [name]):
            rows = found[fid]
            later = rows[-1][2:] if rows else now.get(fid, ({}, None, None))
            values = {**later[0], **(old or {})} if lent & 1 else old or {}
            rows.append(
                (until, there, values, later[1] if lent & 2 else geom, later[2] if lent & 4 else mesh)
            )
        return {fid: rows[::-1] for fid, rows in found.items()}

    def _now(self, name: str) -> dict[int, tuple[Mapping[str, Any], bytes | None, bytes | None]]:
        """The present rows of a layer, where there is one."""
        table, mesh = (self.hand.table(one) for one in (name, f"twin_mesh_{name}"))
        if self.hand.run("SELECT to_regclass(?)", [table]) == [(None,)]:
            return {}
        sql = (
            "SELECT t.fid, row_to_json(json_populate_record(t.*, '{\"geom\": null}')),"
            f" ST_AsBinary(t.geom, 'NDR'), m.body FROM {table} t LEFT JOIN {mesh} m ON m.fid = t.fid"
        )
        return {fid: (values, geom, body) for fid, values, geom, body in self.hand.run(sql)}

    def value(self, field: Field, values: Mapping[str, Any], seq: int) -> Any:
        value = values.get(self.hand.column(field.name)[1:-1].replace('""', '"'))
        if value is None or field.type != "datetime":
            return value
        instant = datetime.fromisoformat(value).astimezone(UTC)
        return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def rebuilt(hand: Hand) -> Rebuilt:
    """For the store that a program works at."""
    return RebuiltPostgis(hand) if isinstance(hand, PostgresHand) else RebuiltGeoPackage(hand)
