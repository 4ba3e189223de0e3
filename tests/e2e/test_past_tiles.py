"""Vector tiles (decoded) and 3D nodes (their pick lists and triangles) of a moment are what they were when it
was the present: one server a store, edited over the API, by other programs and by loads."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely

from layers.store.database import Database
from tests.e2e import edits
from tests.histories.foreign import Hand, hand_at
from tests.postgres import Cluster
from tests.support import Server, init, twin, until
from tests.unit.tiles import gltf

WEST, SOUTH = 24.93, 60.165
LAYERS = ("blocks", "lines")


def blocks(rng: Random, count: int) -> dict[str, Any]:
    """Houses with heights."""
    return collection(
        {
            "id": f"h{i}",
            "name": f"house {i}",
            "height_m": rng.choice((None, 3.5, 12, 40)),
        }
        | {"geometry": block(rng)}
        for i in range(count)
    )


def lines(rng: Random, count: int) -> dict[str, Any]:
    """Ways."""
    return collection({"id": f"w{i}", "name": rng.choice("ab"), "geometry": way(rng)} for i in range(count))


def block(rng: Random) -> Any:
    """A square of 20 m."""
    x, y = WEST + rng.random() * 0.02, SOUTH + rng.random() * 0.01
    return shapely.geometry.mapping(shapely.box(x, y, x + 4e-4, y + 2e-4))


def way(rng: Random) -> Any:
    """A line across the city, or a short one."""
    x, y, far = WEST + rng.random() * 0.02, SOUTH + rng.random() * 0.01, rng.choice((1e-4, 5e-3))
    return {"type": "LineString", "coordinates": [[x, y], [x + far, y + far / 3]]}


def collection(rows: Any) -> dict[str, Any]:
    """A GeoJSON file."""
    features = []
    for row in rows:
        geometry = row.pop("geometry")
        features.append({"type": "Feature", "geometry": geometry, "properties": row})
    return {"type": "FeatureCollection", "features": features}


@dataclass(frozen=True)
class Seen:
    """What tiles and nodes hold: features by tile and layer, picks by node."""

    vector: Mapping[str, Any]
    scene: Mapping[str, Any]


class Drawn:
    """A city with a server, and another program beside it."""

    def __init__(self, server: Server, hand: Hand, rng: Random) -> None:
        self.server, self.hand, self.rng = server, hand, rng
        self.seen: dict[int, Seen] = {}
        self.said: list[str] = []

    def newest(self) -> int:
        """The newest number of the log."""
        with self.hand.transaction():
            return int(self.hand.run(f"SELECT max(seq) FROM {self.hand.table('twin_changes')}")[0][0])

    def hold(self) -> None:
        """Keep what is drawn now, when it is drawn."""
        self.seen[self.newest()] = self.look("")

    def look(self, at: str) -> Seen:
        """What is drawn, ``at`` a moment or now."""
        params = {"at": at} if at else {}
        vector = {
            url: self._vector(url, params) for z in (16, 14, 11, 8) for url in _tiles(z, ",".join(LAYERS))
        }
        answer = self.server.http.get("/3dtiles/blocks/tileset.json", params=params)
        assert answer.status_code == 200, answer.text
        scene = {}
        for uri in gltf.check_tileset(answer.json()):
            node = self.server.http.get(f"/3dtiles/blocks/{uri}")
            assert node.status_code == 200, node.text
            scene[uri.partition("?")[0]] = _picks(gltf.read(node.content))
        return Seen(vector, {uri: picks for uri, picks in scene.items() if picks})

    def _vector(self, url: str, params: Mapping[str, str]) -> Any:
        answer = self.server.http.get(url, params=params)
        assert answer.status_code in (200, 204), answer.text
        decoded = mapbox_vector_tile.decode(answer.content) if answer.content else {}
        return {
            name: {f["id"]: (f["properties"], f["geometry"]) for f in layer["features"]}
            for name, layer in decoded.items()
        }

    # What is done

    def any_fid(self, layer: str) -> int:
        """A feature that is there."""
        with self.hand.transaction():
            return int(self.rng.choice(self.hand.run(f"SELECT fid FROM {self.hand.table(layer)}"))[0])

    def edit(self) -> None:
        """An edit over the API."""
        layer = self.rng.choice(LAYERS)
        fid = self.any_fid(layer)
        what = self.rng.choice(("name", "move", "delete", "create"))
        self.said.append(f"{what} {layer} {fid}")
        shape = block(self.rng) if layer == "blocks" else way(self.rng)
        values = {"name": f"n{self.rng.random()}"}
        if what == "name":
            done = edits.patch(self.server, edits.item(layer, fid), {"properties": values})
        elif what == "move":
            done = edits.patch(self.server, edits.item(layer, fid), {"geometry": shape})
        elif what == "create":
            feature = {"type": "Feature", "geometry": shape, "properties": values}
            done = edits.post(self.server, layer, feature)
        else:
            done = self.server.http.delete(edits.item(layer, fid), headers=self.server.auth)
        assert done.status_code in (201, 204), done.text

    def other_program(self) -> None:
        """Several rows by SQL, in one transaction."""
        layer = self.rng.choice(LAYERS)
        fids = [self.any_fid(layer) for _ in range(3)]
        self.said.append(f"another program: {layer} {fids}")
        shape = block(self.rng) if layer == "blocks" else way(self.rng)
        wkb = shapely.to_wkb(shapely.geometry.shape(shape), byte_order=1, flavor="iso")
        with self.hand.transaction():
            self.hand.update(layer, fids[:2], "name", "string", f"x{self.rng.random()}")
            self.hand.move(layer, fids[0], wkb)
            self.hand.insert(layer, wkb, {"name": ("string", "new")})
            self.hand.put(layer, fids[2], wkb, {"name": ("string", "put")})

    def load(self) -> None:
        """A load, of which a part is as it was."""
        layer = self.rng.choice(LAYERS)
        make = blocks if layer == "blocks" else lines
        document = make(Random(1), 60)
        for feature in self.rng.sample(document["features"], 6):
            feature["geometry"] = block(self.rng) if layer == "blocks" else way(self.rng)
        if self.rng.random() < 0.5:
            for feature in document["features"]:
                feature["properties"]["more"] = self.rng.randrange(5)
        self.said.append(f"load {layer}")
        put_in(self.server.folder, layer, document, "--replace")

    def step(self, act: Any) -> None:
        """Do it, wait until it is drawn, and keep what is."""
        (whole,) = _tiles(8, ",".join(LAYERS))
        before = self.server.http.get(whole).headers["etag"]
        act()
        until(lambda: self.server.http.get(whole).headers["etag"] != before, what="the change")
        self.hold()


def put_in(folder: Path, layer: str, document: Any, *options: str) -> None:
    """Load a layer by the command line."""
    file = folder.parent / f"{layer}.geojson"
    file.write_text(json.dumps(document), "utf-8")
    kind = {"blocks": "building", "lines": "road"}[layer]
    twin("load", str(file), "--as", layer, "--kind", kind, "--id", "id", "--city", str(folder), *options)


def _tiles(z: int, ids: str) -> list[str]:
    """The tiles over the city."""

    def place(lon: float, lat: float) -> tuple[int, int]:
        y = math.asinh(math.tan(math.radians(lat)))
        return int((lon + 180) / 360 * 2**z), int((1 - y / math.pi) / 2 * 2**z)

    west, north = place(WEST, SOUTH + 0.012)
    east, south = place(WEST + 0.026, SOUTH)
    return [f"/tiles/{ids}/{z}/{x}/{y}.mvt" for x in range(west, east + 1) for y in range(north, south + 1)]


def _picks(file: gltf.File) -> dict[int, Any]:
    """Of each feature that can be picked: its values, how many triangles it has, and its box in metres."""
    found = {}
    for row, fid in enumerate(file.table["fid"]):
        mine = file.positions[file.ids == row]
        values = {name: column[row] for name, column in file.table.items()}
        box = (*mine.min(axis=0), *mine.max(axis=0))
        found[fid] = (values, len(file.of(row)), [round(float(side), 2) for side in box])
    return found


@pytest.fixture(params=["geopackage", "postgis"])
def drawn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Drawn]:
    """A small city of two layers, served."""
    folder, database = tmp_path / "city", None
    if request.param == "postgis":
        cluster: Cluster = request.getfixturevalue("postgres")
        database = Database(cluster.database())
    init(folder, database and database.url)
    put_in(folder, "blocks", blocks(Random(1), 60))
    put_in(folder, "lines", lines(Random(2), 30))
    server = Server.start(folder)
    city = Drawn(server, hand_at(folder, database), Random(3))
    try:
        yield city
    except BaseException as error:
        error.add_note("\n".join(city.said))
        raise
    finally:
        city.server.stop()


def test_what_was_drawn_is_drawn_of_its_moment(drawn: Drawn) -> None:
    drawn.hold()
    acts = [drawn.edit, drawn.other_program, drawn.edit, drawn.load, drawn.edit, drawn.other_program]
    for act in [*acts, drawn.load, drawn.edit]:
        drawn.step(act)
        check(drawn, drawn.rng.choice(list(drawn.seen)))
    drawn.server.stop()
    drawn.server = Server.start(drawn.server.folder)  # with nothing made yet
    for seq in drawn.rng.sample(list(drawn.seen), len(drawn.seen)):
        check(drawn, seq)


def check(city: Drawn, seq: int) -> None:
    """One moment."""
    now, then = city.look(f"@{seq}"), city.seen[seq]
    assert now.vector == then.vector, (seq, city.said)
    assert now.scene.keys() == then.scene.keys(), (seq, city.said)
    for uri, picks in then.scene.items():
        assert now.scene[uri].keys() == picks.keys()
        for fid, (values, count, box) in picks.items():
            other = now.scene[uri][fid]
            assert other[:2] == (values, count)
            assert np.allclose(other[2], box, atol=0.02)
