"""Rows that are kept elsewhere, as layers of a store that is thrown away with its process.

Whoever reads them gets all that a store can: boxes, filters, order, pages, forms, revisions."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import shapely

from layers.store.base import LayerSpec, Store
from layers.store.geopackage import blob, log, open
from layers.store.geopackage.connection import connect, quoted, transaction
from layers.store.history import Retention
from layers.types import SOURCE_FIELD

#: Longitude and latitude or None, what the row is called at its source, and the values of the fields.
type Row = tuple[tuple[float, float] | None, str | None, tuple[object, ...]]


class Mirror:
    """Layers of points; each has the rows that it was given last. Safe to use from several threads."""

    def __init__(self, folder: Path, specs: Sequence[LayerSpec], crs_also: tuple[str, ...] = ()) -> None:
        """``folder`` is empty, and whoever made it removes it after :meth:`close`."""
        path = folder / "mirror.gpkg"
        self.store: Store = open(path, crs_also=crs_also, history=Retention(0))
        for spec in specs:
            self.store.publish(self.store.stage(spec), mode="create")
        self._columns = {s.id: [SOURCE_FIELD.name, *(field.name for field in s.fields)] for s in specs}
        self._known: dict[str, Mapping[int, Row]] = {}
        self._lock = threading.Lock()
        self._pruned = 0
        self._con = connect(path, "rw")
        # nothing of it outlives the process
        self._con.execute("PRAGMA synchronous=OFF")

    def put(self, layer_id: str, rows: Mapping[int, Row]) -> None:
        """Make these the rows of a layer, by feature id; those that are there already stay as they are."""
        with self._lock:
            known = self._known.get(layer_id, {})
            fresh = [fid for fid in rows if fid not in known]
            moved = [fid for fid, row in rows.items() if fid in known and known[fid] != row]
            gone = [(fid,) for fid in known.keys() - rows.keys()]
            if not (fresh or moved or gone):
                return
            names = ["geom", *map(quoted, self._columns[layer_id])]
            table, marks = quoted(layer_id), ", ".join("?" * len(names))
            with transaction(self._con) as con:
                con.executemany(f"DELETE FROM {table} WHERE fid=?", gone)
                con.executemany(
                    f"UPDATE {table} SET ({', '.join(names)}) = ({marks}) WHERE fid=?", _values(rows, moved)
                )
                con.executemany(
                    f"INSERT INTO {table} ({', '.join(names)}, fid) VALUES ({marks}, ?)", _values(rows, fresh)
                )
                while log.is_prune_due(con, self._pruned):
                    self._pruned = log.prune(con)
            self._known[layer_id] = dict(rows)

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            self._con.close()
            self.store.close()


def _values(rows: Mapping[int, Row], fids: Sequence[int]) -> list[tuple[object, ...]]:
    """Geometry, source id, values and fid of some rows."""
    chosen = [rows[fid] for fid in fids]
    placed = [row[0] for row in chosen if row[0] is not None]
    blobs = iter(blob.encode(shapely.points(np.array(placed, float).reshape(-1, 2))))
    return [
        (None if place is None else next(blobs), source, *values, fid)
        for fid, (place, source, values) in zip(fids, chosen, strict=True)
    ]
