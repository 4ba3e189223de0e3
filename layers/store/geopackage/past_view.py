"""One reading connection of a moment: what has changed since, layer by layer, brought up to its snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layers.model import FeatureLayer, Item
from layers.store import forms as other_forms
from layers.store.geopackage import catalog, keeping, log, past_table, recorded, rtree
from layers.store.geopackage.catalog import FeatureTable
from layers.store.geopackage.past_table import PastTable
from layers.store.geopackage.read_view import ReadView, RowSource, among, listed
from layers.store.layer_record import OK
from layers.types import Bbox

#: Boxes from which on an R-tree is packed instead of filled one by one.
_MANY = 2_000


class PastView(ReadView):
    """A view of the city after change ``moment``; used by one thread at a time."""

    def __init__(self, con: sqlite3.Connection, crs_also: tuple[str, ...], moment: int) -> None:
        super().__init__(con, crs_also)
        self.moment = moment
        self.summaries: dict[str, tuple[tuple[int, str], FeatureLayer]] = {}
        self._departed: dict[str, NDArray[np.int64]] = {}  # layer → fids that changed since, ascending
        self._seen: dict[str, int] = {}  # layer → number up to which its changes are in the connection
        self._records: dict[str, Mapping[str, Any] | None] = {}
        self._since: dict[str, int] = {}

    def begin(self) -> None:
        """Begin a read transaction."""
        self.con.execute("BEGIN")
        version = self.data_version()
        if version != self.version:
            self.renew(version)

    def renew(self, version: int) -> None:
        """Read what changed of the layers' records, and of the log, since the last transaction."""
        con = self.con
        meta = dict(con.execute("SELECT key, value FROM twin_meta WHERE key IN ('epoch','stamp')"))
        self.epoch, self.seq, self.version = meta["epoch"], log.last_seq(con), version
        if meta["stamp"] != self.stamp:
            for layer in self._seen:
                self._forget(layer)
            self._seen, self._records, self.tables = {}, {}, {}
            self.stamp = meta["stamp"]
        self._seqs = {}
        self._unplaced = {}
        self._since = {}

    def doubt(self) -> None:
        """Forget what may have been found out of two moments."""
        self.summaries.clear()
        self._seqs, self._unplaced = {}, {}

    def _forget(self, layer: str) -> None:
        self._departed.pop(layer, None)
        found = self.con.execute(
            "SELECT type, name FROM temp.sqlite_master WHERE name GLOB ? AND sql IS NOT NULL"
            " ORDER BY type = 'table'",
            (f"twin_at_{layer}_*",),
        ).fetchall()
        names = {f"twin_at_{layer}_{part}" for part in _PARTS}
        for type_, name in found:
            if name in names:
                self.con.execute(f'DROP {type_} temp."{name}"')

    # What there was

    def layer_ids(self) -> list[str]:
        """Every layer of which something may be known at the moment."""
        return recorded.layers(self.con)

    def record(self, layer: str) -> Mapping[str, Any] | None:
        """The record of a layer; None where there was none."""
        if layer not in self._records:
            self._records[layer] = recorded.at(self.con, layer, self.moment)
        return self._records[layer]

    def is_gone(self, layer: str) -> bool:
        """Whether the rows of a layer are no longer known."""
        return self._kept_from(layer) > self.moment

    def _kept_from(self, layer: str) -> int:
        if layer not in self._since:
            self._since[layer] = keeping.since(self.con, layer)
        return self._since[layer]

    def table(self, layer: str) -> PastTable:
        """A layer of features, without its changes being looked at. Raises NotFound, Gone, Unreadable."""
        record = self.record(layer)
        if record is None:
            raise past_table.absent(layer, layer in self.layer_ids())
        if record["table"] == "twin_forms":
            raise other_forms.no_features(layer, record["form"])
        self.known(layer)
        known = self.tables.get(layer)
        if not isinstance(known, PastTable):
            known = self.tables[layer] = past_table.at(self.con, layer, self.moment, record)
        return known.usable()

    def known(self, layer: str) -> None:
        """Raises Gone: what there was of a layer is no longer kept."""
        if self.is_gone(layer):
            raise past_table.gone(layer, self._kept_from(layer))

    def ready(self, layer: str) -> PastTable:
        """A layer to be read whole: what changed of it is in the connection. Raises as ``table``."""
        table = self.table(layer)
        seen = self._seen.get(layer)
        if seen is None:
            self._forget(layer)
            for statement in past_table.views(table):
                self.con.execute(statement)
        if seen is None or seen < self.seq:
            self._fill(table, self.moment if seen is None else seen)
            self._seen[layer] = self.seq
        return table

    def is_ready(self, layer: str) -> bool:
        """Whether the changes of a layer are at hand."""
        return layer in self._seen

    def has_all(self, layer: str) -> bool:
        """Whether they are all there, as of the last transaction."""
        return self._seen.get(layer) == self.seq

    def _fill(self, table: PastTable, seen: int) -> None:
        """Take features that changed after a number, and had not changed before since the moment."""
        if not table.has_old:
            return
        con, changed, boxes = self.con, table.changed, table.temp("boxes")
        con.execute("CREATE TEMP TABLE IF NOT EXISTS twin_fresh (fid INTEGER PRIMARY KEY, n INTEGER)")
        con.execute("DELETE FROM temp.twin_fresh")
        chosen = f"{table.since} AND until > {seen} GROUP BY fid"
        first = f"SELECT fid, n, there, min(until) FROM {table.old} WHERE {chosen}"
        con.execute(
            f"INSERT INTO temp.twin_fresh SELECT fid, CASE WHEN there THEN n END FROM ({first})"
            f" WHERE fid NOT IN (SELECT fid FROM {changed})"
        )
        con.execute(f"INSERT INTO {changed} SELECT fid, n FROM temp.twin_fresh")
        fids = con.execute("SELECT fid FROM temp.twin_fresh ORDER BY fid")
        fresh, known = np.fromiter((row[0] for row in fids), np.int64), self._departed.get(table.id, _NONE)
        self._departed[table.id] = np.insert(known, np.searchsorted(known, fresh), fresh)
        old = f"temp.twin_fresh f CROSS JOIN {table.old} p ON p.n = f.n"
        con.execute(f"INSERT INTO {table.temp('nowhere')} SELECT f.fid FROM {old} WHERE p.minx IS NULL")
        placed = f"SELECT f.fid, p.minx, p.maxx, p.miny, p.maxy FROM {old} WHERE p.minx IS NOT NULL"
        if len(fresh) > _MANY and con.execute(f"SELECT NOT EXISTS (SELECT 1 FROM {boxes})").fetchone()[0]:
            rtree.fill(con, f"twin_at_{table.id}_boxes", placed, "temp")
        else:
            con.execute(f"INSERT INTO {boxes} {placed}")

    def keep(self, table: PastTable, made: Mapping[int, bytes]) -> None:
        """Keep GeoJSON that a read had to make, of features that have changed since."""
        if made and table.trusted and self.is_ready(table.id):
            self.con.executemany(
                f"INSERT OR IGNORE INTO {table.temp('texts')} SELECT fid, :body FROM {table.changed}"
                " WHERE fid = :fid",
                [{"fid": fid, "body": body} for fid, body in made.items()],
            )

    # What is asked of a layer

    def sources(self, table: FeatureTable) -> tuple[RowSource, ...]:
        """The present rows, of which those that changed since are others; and the old rows of these."""
        assert isinstance(table, PastTable)
        found = []
        if table.end is None:
            others = self._departed.get(table.id, _NONE)
            found.append(RowSource(table.temp("now"), f'main."rtree_{table.id}_geom"', others))
        if table.has_old:
            found.append(RowSource(table.temp("then"), table.temp("boxes")))
        return tuple(found) or super().sources(table)

    def texts_of(self, table: FeatureTable, fids: list[int]) -> tuple[str, str]:
        """As for what is now; those that changed since are told to SQLite as texts."""
        assert isinstance(table, PastTable)
        kept = f"(SELECT x.body FROM {table.temp('texts')} x WHERE x.fid = CAST(e.value AS INTEGER))"
        if table.end is not None:
            return f"SELECT {kept} AS body FROM json_each(?) e", listed(fids)
        body = f"CASE WHEN typeof(e.value) = 'text' THEN {kept} ELSE j.body END AS body"
        sql = f"SELECT {body} FROM json_each(?) e LEFT JOIN {table.json_now} j ON j.fid = e.value"
        departed = self._departed.get(table.id, _NONE)
        if not len(departed):
            return sql, listed(fids)
        changed = among(departed, np.array(fids, np.int64)).tolist()
        told = [str(fid) if other else fid for fid, other in zip(fids, changed, strict=True)]
        return sql, orjson.dumps(told).decode()

    def layer_seq(self, layer: str) -> int:
        """The newest number of the log of a layer, at the moment."""
        seq = self._seqs.get(layer)
        if seq is None:
            sql = "SELECT max(seq) FROM twin_changes WHERE layer=? AND seq <= ?"
            row = self.con.execute(sql, (layer, self.moment)).fetchone()
            seq = self._seqs[layer] = row[0] or 0
        return seq

    def revision(self, table: PastTable, fid: int) -> int:
        """The revision of a feature at the moment. It is not looked whether there was such a feature."""
        bound = {"layer": table.id, "fid": fid, "at": self.moment}
        return int(self.con.execute(f"SELECT {table.revision}", bound).fetchone()[0])

    def stored(self, layer: str, fid: int) -> Item | None:
        """A feature whose GeoJSON is kept, of now where it has not changed since; None where none is. What
        else has changed of the layer need not be known. Raises as ``table``."""
        table = self.table(layer)
        if not table.trusted:
            return None
        bound = {"layer": layer, "fid": fid, "at": self.moment}
        sql = f"SELECT x.body, {table.revision} FROM {{}} x WHERE x.fid = :fid"
        row = None
        if table.end is None:
            row = self.con.execute(sql.format(table.json_now) + table.not_since, bound).fetchone()
        if row is None and self.is_ready(layer):
            row = self.con.execute(sql.format(table.temp("texts")), bound).fetchone()
        return None if row is None else Item(row[0], fid, row[1])

    def count(self, table: FeatureTable) -> int:
        """The present number, without the features that changed since, and with what these were."""
        table = self.ready(table.id)
        then = self._one(f"SELECT count(n) FROM {table.changed}")
        if table.end is not None:
            return int(then)
        now = catalog.tables(self.con)[table.id]
        same = f'SELECT 1 FROM main."{table.id}" l WHERE l.fid = c.fid'
        changed = self._one(f"SELECT count(*) FROM {table.changed} c WHERE EXISTS ({same})")
        return int(catalog.count(self.con, now) - changed + then)

    def extent(self, table: FeatureTable) -> Bbox | None:
        """The present box, unless what reached a side of it has changed, and that of the old rows."""
        table = self.ready(table.id)
        old = self._hull(f"{table.temp('boxes')} r")
        if table.end is not None:
            return _world(old)
        index = f'main."rtree_{table.id}_geom"'
        box = catalog.extent(self.con, table.id)
        if box is not None and self._reaches(table, index, box):
            box = self._hull(f"{index} r WHERE r.id NOT IN (SELECT fid FROM {table.changed})")
        if box is None or old is None:
            return _world(box or old)
        return _world((min(box[0], old[0]), min(box[1], old[1]), max(box[2], old[2]), max(box[3], old[3])))

    def _reaches(self, table: PastTable, index: str, box: Bbox) -> bool:
        sql = (
            f"SELECT EXISTS (SELECT 1 FROM {table.changed} c CROSS JOIN {index} r ON r.id = c.fid"
            " WHERE r.minx <= ? OR r.miny <= ? OR r.maxx >= ? OR r.maxy >= ?)"
        )
        return bool(self.con.execute(sql, box).fetchone()[0])

    def _hull(self, source: str) -> Bbox | None:
        sql = f"SELECT min(r.minx), min(r.miny), max(r.maxx), max(r.maxy) FROM {source}"
        row: Bbox = self.con.execute(sql).fetchone()
        return None if row[0] is None else row

    def _one(self, sql: str) -> Any:
        return self.con.execute(sql).fetchone()[0]

    def is_listed(self, layer: str) -> bool:
        """Whether a layer can be told among those of the moment."""
        record = self.record(layer)
        if record is None:
            return False
        return not self.is_gone(layer) and (record["table"] == "twin_forms" or record["state"] == OK)


_NONE = np.empty(0, np.int64)
_PARTS = ("now", "then", "changed", "nowhere", "texts", "boxes", "rows", "rtree", "json", "mesh", "unplaced")


def _world(box: Bbox | None) -> Bbox | None:
    if box is None:
        return None
    west, south, east, north = box
    return max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)
