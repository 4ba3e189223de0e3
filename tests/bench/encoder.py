"""Vector tiles made from columns, against ST_AsMVT on the same rows: CPU of both, everything that the tile
costs but HTTP, gzip included.

The peer is given what it is quickest with: Web Mercator in the table, a GiST index, prepared statements and
no just-in-time compilation. What martin adds to it is its HTTP server, in Rust."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyogrio.raw
import shapely
from isal import igzip

from layers.model import Rows
from layers.types import Field, FieldType
from tests.bench import database
from tests.bench.measure import usage
from tests.bench.metropolis import MIDDLE, Metropolis
from tests.bench.report import Row, part_of
from tests.postgres import Cluster
from tiles import column_build, kernel, scheme
from tiles.mesh import triangles
from tiles.scheme import EXTENT
from tiles.snapshots import Snapshot, snapshot_of
from tiles.vector import encode
from tiles.vector.clip import BUFFER

type Tile = tuple[int, int, int]

CITY = Metropolis(buildings=300_000, addresses=100_000, pipes=200_000)
#: Tiles either side of the middle, by zoom: all with the same rows in both.
AROUND = {16: 3, 14: 1, 13: 0}
TURNS = 5
_SQL = {np.dtype("int64"): "bigint", np.dtype("int32"): "bigint", np.dtype("float64"): "double precision"}
_TYPES: Mapping[str, FieldType] = {"bigint": "integer", "double precision": "number", "text": "string"}
_MERCATOR = 20_037_508.342789244


def rows(folder: Path) -> Iterator[Row]:
    """The figures; the city's files lie in ``folder``."""
    files = CITY.write(folder)
    with database.cluster() as cluster:
        url, layers = cluster.database(), {}
        for name, file in files.items():
            layers[name] = _loaded(url, name, file)
        database.settle(url)
        yield from _against(cluster, url, layers)
    yield _caps(layers["building"])


def _loaded(url: str, name: str, file: Path) -> Snapshot:
    """The columns of a file, and the same rows in a table."""
    meta, fids, geometry, fields = pyogrio.raw.read(file)
    kinds = [_SQL.get(column.dtype, "text") for column in fields]
    columns = {key: column.tolist() for key, column in zip(meta["fields"], fields, strict=True)}
    fids = np.arange(1, len(geometry) + 1)
    declared = [Field(key, _TYPES[kind]) for key, kind in zip(columns, kinds, strict=True)]
    made = column_build.from_rows(Rows(fids, list(geometry), columns), declared)
    _table(url, name, fids.tolist(), geometry, columns, kinds)
    return snapshot_of(made, 1)


def _table(
    url: str, name: str, fids: list[int], geometry: Any, columns: dict[str, list[Any]], kinds: list[str]
) -> None:
    shapes = shapely.transform(shapely.from_wkb(geometry), _mercator)
    texts = shapely.to_wkb(shapely.set_srid(shapes, 3857), hex=True, include_srid=True).tolist()
    named = "".join(f', "{key}" {kind}' for key, kind in zip(columns, kinds, strict=True))
    with psycopg.connect(url, autocommit=True) as con:
        con.execute(f"CREATE TABLE {name} (fid bigint PRIMARY KEY, geom geometry(Geometry, 3857){named})")
        with con.cursor().copy(f"COPY {name} FROM STDIN") as copy:
            for row in zip(fids, texts, *columns.values(), strict=True):
                copy.write_row(row)
        con.execute(f"CREATE INDEX ON {name} USING gist (geom)")


def _mercator(lonlat: Any) -> Any:
    x, y = scheme.world(lonlat[:, 0], lonlat[:, 1])
    return np.stack([(x - 0.5) * 2 * _MERCATOR, (0.5 - y) * 2 * _MERCATOR], axis=1)


def _tiles(zoom: int) -> list[Tile]:
    x, y = (int(each[0] * 2**zoom) for each in scheme.world(*(np.array([v]) for v in MIDDLE)))
    span = range(-AROUND[zoom], AROUND[zoom] + 1)
    return [(zoom, x + i, y + j) for i in span for j in span]


def _ours(layers: Mapping[str, Snapshot], tile: Tile) -> bytes:
    box = scheme.tile_box(*tile, BUFFER / EXTENT)
    found = ((name, *layer.found(box)) for name, layer in layers.items())
    body = b"".join(encode.layer(name, batch, *tile, "buffer", rows) for name, batch, rows in found)
    return igzip.compress(body, 1)


class _Peer:
    """A connection to the peer's table, and what its tiles cost."""

    def __init__(self, cluster: Cluster, url: str, layers: Mapping[str, Snapshot]) -> None:
        assert cluster.process is not None
        self._pids = (cluster.process.pid,)
        self._con = psycopg.connect(url, autocommit=True, prepare_threshold=0)
        self._con.execute("SET jit = off")
        self._sql = " || ".join(_query(name, layer) for name, layer in layers.items())

    def tile(self, tile: Tile) -> bytes:
        """The layers of a tile, gzipped."""
        found = self._con.execute(f"SELECT {self._sql}", dict(zip("zxy", tile, strict=True)), binary=True)
        row = found.fetchone()
        assert row is not None
        return igzip.compress(row[0], 1)

    def cpu(self) -> Any:
        """What the database's processes have taken so far."""
        return usage(self._pids)


def _query(name: str, layer: Snapshot) -> str:
    columns = ", ".join(f'"{key}"' for key in layer.base.props)
    place = "%(z)s, %(x)s, %(y)s"
    shape = f"ST_AsMVTGeom(geom, ST_TileEnvelope({place}), {EXTENT}, {BUFFER}, true) AS shape"
    near = f"geom && ST_TileEnvelope({place}, margin => {BUFFER / EXTENT})"
    inner = f"SELECT {columns}, {shape} FROM {name} WHERE {near} ORDER BY fid"
    return f"(SELECT ST_AsMVT(t, '{name}', {EXTENT}, 'shape', 'fid') FROM ({inner}) t)"


def _against(cluster: Cluster, url: str, layers: Mapping[str, Snapshot]) -> Iterator[Row]:
    peer = _Peer(cluster, url, layers)
    for zoom in AROUND:
        tiles = _tiles(zoom)
        theirs = sum(len(igzip.decompress(peer.tile(tile))) for tile in tiles) / len(tiles)
        ours = sum(len(igzip.decompress(_ours(layers, tile))) for tile in tiles) / len(tiles)
        costs = sorted(_turn(peer, layers, tiles) for _ in range(TURNS))
        own, other = costs[TURNS // 2]
        goal = 3 if zoom == 16 else 5
        detail = f"{own:.2f} ms, {other:.2f} ms; {ours / 1000:.0f} kB, {theirs / 1000:.0f} kB before gzip"
        yield part_of(f"3 layers from columns, zoom {zoom}, cold: to ST_AsMVT", own / other, goal, detail)
    if kernel.compiled() is not None:
        tiles = _tiles(16)
        quick = _cpu(lambda: [_ours(layers, tile) for tile in tiles])
        plain = _cpu(lambda: [_by_arrays(layers, tile) for tile in tiles])
        detail = f"{quick / len(tiles):.2f} ms, {plain / len(tiles):.2f} ms"
        yield Row("the same of zoom 16 without the kernel", f"{plain / quick:.1f} ×", "stated", detail)


def _turn(peer: _Peer, layers: Mapping[str, Snapshot], tiles: list[Tile]) -> tuple[float, float]:
    """CPU ms a tile, ours and the peer's."""
    own = _cpu(lambda: [_ours(layers, tile) for tile in tiles])
    before = peer.cpu()
    client = _cpu(lambda: [peer.tile(tile) for tile in tiles])
    return own / len(tiles), (client + peer.cpu().since(before) / 1e6) / len(tiles)


def _by_arrays(layers: Mapping[str, Snapshot], tile: Tile) -> bytes:
    box = scheme.tile_box(*tile, BUFFER / EXTENT)
    parts = (encode.by_arrays(name, one.window(box), *tile, "buffer") for name, one in layers.items())
    return igzip.compress(b"".join(parts), 1)


def _caps(layer: Snapshot) -> Row:
    shapes = layer.base.take(np.arange(500))
    own = _cpu(lambda: [triangles.triangulate(shapes) for _ in range(20)]) / 20
    plain = _cpu(lambda: [triangles.by_arrays(shapes) for _ in range(20)]) / 20
    detail = f"{own:.2f} ms, {plain:.2f} ms"
    return Row(
        "caps of 500 buildings: to mapbox-earcut ring by ring", f"1/{plain / own:.0f}", "stated", detail
    )


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1000
