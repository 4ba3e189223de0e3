"""The peers' table: the town copied into PostGIS, in the same cluster that our own store uses."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
import shapely

from layers.batch import SOURCE_ID, WKB
from tests.bench.cities import settle
from tests.bench.data import FIELDS, LAYER, Town
from tests.postgres import TEMPLATE, Cluster, binaries

_TYPES = {"string": "text", "number": "double precision", "integer": "integer", "date": "date"}


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A private cluster. Raises RuntimeError where PostgreSQL or PostGIS is not installed."""
    found = binaries()
    if found is None:
        raise RuntimeError("PostgreSQL with PostGIS is not installed: make deps")
    running = Cluster.start(found)
    try:
        yield running
    finally:
        running.close()


def fill(url: str, town: Town) -> None:
    """Make the table with its spatial index and statistics, as a peer's user would."""
    columns = ", ".join(f"{field.name} {_TYPES[field.type]}" for field in FIELDS)
    names = ", ".join(field.name for field in FIELDS)
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(
            f"CREATE TABLE {LAYER} (fid integer PRIMARY KEY, geom geometry(Polygon, 4326) NOT NULL,"
            f" source_id text UNIQUE, {columns})"
        )
        with con.cursor().copy(f"COPY {LAYER} (fid, geom, source_id, {names}) FROM STDIN") as copy:
            fid = 0
            for batch in town.batches():
                shapes = shapely.set_srid(shapely.from_wkb(np.array(batch[WKB], dtype=object)), 4326)
                geometries = shapely.to_wkb(shapes, hex=True, include_srid=True).tolist()
                values = [batch[name].to_pylist() for name in (SOURCE_ID, *(f.name for f in FIELDS))]
                for row in zip(geometries, *values, strict=True):
                    fid += 1
                    copy.write_row((fid, *row))
        con.execute(f"CREATE INDEX ON {LAYER} USING gist (geom)")
    settle(url)


def versions(cluster: Cluster) -> dict[str, str]:
    """PostgreSQL's and PostGIS's versions."""
    done = subprocess.run(
        [str(cluster.bin / "postgres"), "--version"], capture_output=True, text=True, check=True
    )
    with cluster.connect(TEMPLATE) as con:
        row = con.execute("SELECT postgis_lib_version()").fetchone()
    assert row is not None
    return {"PostgreSQL": done.stdout.split()[2], "PostGIS": str(row[0])}
