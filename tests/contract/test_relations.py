"""Buildings and their parts after any edit: what is derived equals a computation from scratch, and no tile
keeps its version when its bytes change."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from layers.store.base import Store
from layers.store.database import Registered
from layers.types import Field
from tests.contract.registering import Foreign, foreign
from tests.storing import load, row, spec
from tests.unit.tiles.test_ground import Slope
from tiles import scheme
from tiles.ground import FLAT, Ground
from tiles.relations import Feature
from tiles.scene import build, tree
from tiles.service import Tiles

__all__ = ["foreign"]

HOUSE = (Field("height_m", "number"), Field("min_height_m", "number"))
PART = (*HOUSE, Field("building_id", "string"))
LAYERS = {"houses": "building", "villas": "building", "parts": "cim", "annexes": "cim"}
#: A corner of four tiles of z14: features around it lie in many nodes.
CORNER = tuple(float(v) for v in scheme.lonlat(np.array(9327 / 2**14), np.array(4742 / 2**14)))
METRE = (1 / 55_600, 1 / 111_300)
#: A slope of 20 %.
HILLSIDE = Slope(CORNER[0], rate=11_000.0)


def box(rng: random.Random, side: float) -> Any:
    """A box of about that side (m) near the corner."""
    x, y = (rng.uniform(-150, 150) - side / 2 for _ in range(2))
    wide, high = side * rng.uniform(0.5, 1.5), side * rng.uniform(0.5, 1.5)
    return shapely.box(*(c * METRE[i % 2] + CORNER[i % 2] for i, c in enumerate((x, y, x + wide, y + high))))


class Town:
    """Two layers of buildings and two of parts, edited at random."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store, self.rng = store, random.Random(seed)
        self.before: list[tuple[str, int, dict[str, Any]]] = []
        for layer in LAYERS:
            self.load(layer, 3)

    def load(self, layer: str, count: int) -> None:
        """A load of the layer: as many rows, with source ids."""
        words = spec(layer, kind=LAYERS[layer], fields=self.fields(layer), crs="EPSG:4326")
        rows = [
            row(f"{layer}{i}", shape, **values)
            for i in range(count)
            for shape, values in [self.feature(layer)]
        ]
        load(self.store, words, rows)

    def fields(self, layer: str) -> tuple[Field, ...]:
        return PART if LAYERS[layer] == "cim" else HOUSE

    def feature(self, layer: str) -> tuple[Any, dict[str, Any]]:
        rng = self.rng
        if LAYERS[layer] == "building":
            shape = box(rng, rng.choice([15, 40, 90, 260]))
            return shape, {"height_m": rng.choice([None, 9.0, 30.0]), "min_height_m": rng.choice([None, 0.0])}
        low = rng.choice([None, 0.0, 4.0, 12.0])
        named = rng.choice([None, None, "houses0", "villas1", "nobody"])
        shape = box(rng, rng.choice([8, 20, 60]))
        return shape, {"height_m": rng.uniform(15, 25), "min_height_m": low, "building_id": named}

    def fids(self, layer: str) -> list[int]:
        return [int(fid) for fid in self.store.rows(layer).fids]

    def step(self) -> None:
        """One edit: create, move, change, delete, put back, load anew or drop."""
        rng = self.rng
        layer = rng.choice([one.id for one in self.store.layers()])
        what = rng.choice(["create", "move", "move", "change", "delete", "back", "load"])
        fids = self.fids(layer)
        if what == "create" or not fids:
            self.store.create(layer, self.document(layer))
        elif what == "load":
            lost = [one for one in LAYERS if one not in {known.id for known in self.store.layers()}]
            if lost or rng.random() < 0.5:
                self.load(lost[0] if lost else layer, rng.randint(1, 4))
            else:
                self.store.drop(layer)
        elif what == "back" and self.before:
            was, fid, document = rng.choice(self.before)
            if was in {known.id for known in self.store.layers()} and fid in self.fids(was):
                self.store.replace(was, fid, document)
        else:
            self.edit(layer, rng.choice(fids), what)

    def edit(self, layer: str, fid: int, what: str) -> None:
        self.before.append((layer, fid, json.loads(self.store.item(layer, fid).body)))
        if what == "delete":
            self.store.delete(layer, fid)
        elif what == "change":
            self.store.patch(layer, fid, {"properties": self.feature(layer)[1]})
        else:
            self.store.replace(layer, fid, self.document(layer))

    def document(self, layer: str) -> dict[str, Any]:
        shape, values = self.feature(layer)
        return {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": values}


def plain(store: Store) -> dict[Feature, Feature]:
    """The whole of every part, by loops over all features."""
    rows = {layer.id: store.rows(layer.id) for layer in store.layers()}
    shapes = {
        (layer, int(fid)): shapely.from_wkb(wkb)
        for layer, found in rows.items()
        for fid, wkb in zip(found.fids, found.wkb, strict=True)
    }
    ids = {
        (layer, int(fid)): source
        for layer, found in rows.items()
        for fid, source in zip(found.fids, found.properties["source_id"], strict=True)
    }
    wholes = [one for one in sorted(shapes) if LAYERS[one[0]] == "building"]
    out = {}
    for layer in [one for one in rows if LAYERS[one] == "cim"]:
        for fid, named in zip(rows[layer].fids, rows[layer].properties["building_id"], strict=True):
            part = shapes[layer, int(fid)]
            near = [w for w in wholes if shapely.box(*part.bounds).intersects(shapely.box(*shapes[w].bounds))]
            called = [w for w in near if named is not None and ids[w] == named]
            point = shapely.point_on_surface(part)
            holding = sorted((shapes[w].area, w) for w in near if shapes[w].contains(point))
            if called or holding:
                out[layer, int(fid)] = called[0] if called else holding[0][1]
    return out


def left_over(store: Store, whole: Feature, members: list[Feature]) -> float:
    """Area (square degrees) times height of what the parts leave of a whole, slivers and all."""
    properties = json.loads(store.item(*whole).body)["properties"]
    shape = shapely.from_wkb(store.rows(whole[0], [whole[1]]).wkb[0])
    low, high = properties["min_height_m"] or 0.0, properties["height_m"] or 0.0
    high = high if high > low else low + build.SLAB
    rest, total = shape, 0.0
    found = [(store.rows(layer, [fid]), layer, fid) for layer, fid in members]
    bottoms = [(rows.properties["min_height_m"][0] or 0.0, layer, fid, rows) for rows, layer, fid in found]
    for bottom, _, _, rows in sorted(bottoms, key=lambda one: one[:3]):
        part = shapely.from_wkb(rows.wkb[0])
        total += rest.intersection(part).area * max(bottom - low, 0.0)
        rest = rest.difference(part)
    return total + rest.area * (high - low)


def nodes(tiles: Tiles) -> list[tuple[str, tree.Node]]:
    """Every node of buildings and parts around the corner."""
    x, y = scheme.world(np.array([CORNER[0]]), np.array([CORNER[1]]))
    near = 500 / scheme.CIRCUMFERENCE
    around = (float(x[0]) - near, float(y[0]) - near, float(x[0]) + near, float(y[0]) + near)
    return [(layer, node) for layer in sorted(tiles.relations._layers()) for node in tree.nodes_in(around)]


def check_relation(store: Store, tiles: Tiles) -> None:
    expected = plain(store)
    relations = tiles.relations
    wholes: dict[Feature, list[Feature]] = {}
    for layer in store.layers():
        for fid in (int(fid) for fid in store.rows(layer.id).fids):
            if LAYERS[layer.id] == "cim":
                whole = relations.whole(layer.id, fid)
                assert whole == expected.get((layer.id, fid))
                if whole:
                    wholes.setdefault(whole, []).append((layer.id, fid))
    for layer in store.layers():
        if LAYERS[layer.id] != "building":
            continue
        batch = tiles._snapshot(layer.id).meeting(
            np.array([[0.0, 0.0, 1.0, 1.0]]), ("height_m", "min_height_m")
        )
        rule = tiles._body(layer.id)
        low, high = build.ends(batch, rule)  # type: ignore[arg-type]
        relations._held.clear()  # all features at once, as if in one node
        left = relations.remainders(layer.id, (0, 0, 0), batch, low, high)
        for at, fid in enumerate(batch.fids.tolist()):
            mine = wholes.get((layer.id, fid), [])
            assert relations.parts(layer.id, fid) == sorted(mine)
            if not mine:
                assert left is None or at not in left.with_parts
                continue
            assert left is not None
            pieces = zip(left.shape[left.whole == at], left.top[left.whole == at], strict=True)
            volume = sum(shape.area * (top - low[at]) for shape, top in pieces)
            sliver = 50 * METRE[0] * METRE[1] * 30
            assert volume == pytest.approx(left_over(store, (layer.id, fid), mine), rel=1e-6, abs=sliver)


@pytest.mark.parametrize(("seed", "ground"), [(0, FLAT), (1, HILLSIDE), (2, HILLSIDE)])
def test_after_any_edit_the_relation_is_that_of_the_features(
    opener: Callable[[], Store], tmp_path: Path, seed: int, ground: Ground
) -> None:
    store = opener()
    town = Town(store, seed)
    tiles = Tiles(store, tmp_path / "derived", ground)
    seen: dict[tuple[Any, ...], bytes] = {}
    held: dict[tuple[str, tree.Node], tuple[str, bytes]] = {}
    for _ in range(25):
        since = store.seq()
        town.step()
        told = tiles.changed(store.changes(since))
        check_relation(store, tiles)
        versions = {entry["url"]: entry["version"] for entry in told.tiles}
        now = {}
        for layer, node in nodes(tiles):
            made = tiles.glb(layer, *node)
            now[layer, node] = made.etag, made.body
            # one version, one content: no client is told 304 for what has changed
            assert seen.setdefault((layer, node, made.etag), made.body) == made.body
            url = f"3dtiles/{layer}/{'/'.join(map(str, node))}.glb"
            before = held.get((layer, node))
            if before is not None and before[1] != made.body:
                assert layer in told.layers or versions[url] == made.etag.strip('"')
            if url in versions and layer not in told.layers:
                assert versions[url] == made.etag.strip('"')
        held = now
    # the same after a restart, with the columns of the folder and without
    for folder in ("derived", "elsewhere"):
        again = Tiles(opener(), tmp_path / folder, ground)
        assert {key: (made.etag, made.body) for key in held for made in [again.glb(key[0], *key[1])]} == held


def test_a_deleted_part_leaves_no_hole_and_other_nodes_stay(store: Store, tmp_path: Path) -> None:
    lon, lat = CORNER
    far = [shapely.box(lon + i * 0.006, lat, lon + i * 0.006 + 0.0003, lat + 0.0002) for i in range(4)]
    values = {"height_m": 10.0, "min_height_m": 0.0}
    load(store, spec("houses", fields=HOUSE), [row(f"h{i}", shape, **values) for i, shape in enumerate(far)])
    before = store.layer("houses"), store.rows("houses").fids.tolist()
    tiles = Tiles(store, tmp_path / "d")
    at = [tree.node_of(tuple(scheme.world_boxes(np.array([shape.bounds]))[0])) for shape in far]
    whole = [tiles.glb("houses", *node) for node in at]
    load(store, spec("parts", kind="cim", fields=PART), [row("p", far[0], building_id=None, **values)])
    assert (store.layer("houses"), store.rows("houses").fids.tolist()) == before
    drawn = [tiles.glb("houses", *node) for node in at]
    assert drawn[0].etag != whole[0].etag
    assert drawn[0].body != whole[0].body
    assert drawn[1:] == whole[1:]
    assert tiles.relations.parts("houses", 1) == [("parts", 1)]
    since = store.seq()
    store.delete("parts", 1)
    told = tiles.changed(store.changes(since))
    again = [tiles.glb("houses", *node) for node in at]
    assert again[0].body == whole[0].body
    assert again[0].etag == whole[0].etag
    assert again[1:] == whole[1:]
    urls = [entry["url"] for entry in told.tiles if "houses" in entry["url"]]
    assert urls == ["3dtiles/houses/{}/{}/{}.glb".format(*at[0])]
    # nothing is known without a look at the features until it has been asked for
    tiles.freshness.update()
    assert tiles.glb_etag_known("houses", *at[0]) == again[0].etag


def test_dropping_the_parts_draws_the_buildings_whole(store: Store, tmp_path: Path) -> None:
    shape = shapely.box(*CORNER, CORNER[0] + 0.0003, CORNER[1] + 0.0002)
    values = {"height_m": 10.0, "min_height_m": 0.0}
    load(store, spec("houses", fields=HOUSE), [row("h", shape, **values)])
    node = tree.node_of(tuple(scheme.world_boxes(np.array([shape.bounds]))[0]))
    tiles = Tiles(store, tmp_path / "d")
    whole = tiles.glb("houses", *node)
    load(store, spec("parts", kind="cim", fields=PART), [row("p", shape, building_id=None, **values)])
    assert tiles.glb("houses", *node).body != whole.body
    since = store.seq()
    store.drop("parts")
    told = tiles.changed(store.changes(since))
    assert tiles.glb("houses", *node).body == whole.body
    assert {entry["url"] for entry in told.tiles} >= {"3dtiles/houses/{}/{}/{}.glb".format(*node)}


def test_a_registered_table_of_buildings_has_parts(foreign: Foreign, tmp_path: Path) -> None:
    """The table is another department's, in its own CRS, and only read."""
    lon, lat = CORNER
    foreign.run("CREATE EXTENSION IF NOT EXISTS postgis")
    foreign.run(
        "CREATE TABLE houses (id integer PRIMARY KEY, height_m float8, min_height_m float8,"
        " geom geometry(Polygon, 3879))"
    )
    for fid, east in ((1, 0.0), (2, 0.01)):
        box = f"ST_MakeEnvelope({lon + east}, {lat}, {lon + east + 0.001}, {lat + 0.001}, 4326)"
        foreign.run(f"INSERT INTO houses VALUES ({fid}, 10, 0, ST_Transform({box}, 3879))")
    store = foreign.open(houses=Registered("houses", kind="building"))
    values = {"height_m": 10.0, "min_height_m": 0.0, "building_id": None}
    inside = shapely.box(lon + 0.0002, lat + 0.0002, lon + 0.0008, lat + 0.0008)
    load(store, spec("parts", kind="cim", fields=PART, crs="EPSG:4326"), [row("p", inside, **values)])
    tiles = Tiles(store, tmp_path / "d")
    assert tiles.relations.parts("houses", 1) == [("parts", 1)]
    assert tiles.relations.whole("parts", 1) == ("houses", 1)
    at = tree.node_of(tuple(scheme.world_boxes(np.array([[lon, lat, lon + 0.001, lat + 0.001]]))[0]))
    before = tiles.glb("houses", *at)
    foreign.run("UPDATE houses SET geom = ST_Translate(geom, 2000, 0) WHERE id = 1")
    tiles.freshness.update()
    assert tiles.relations.whole("parts", 1) is None
    assert tiles.relations.parts("houses", 1) == []
    assert tiles.glb("houses", *at).etag != before.etag
    store.delete("parts", 1)
    tiles.freshness.update()
    assert tiles.relations.parts("houses", 2) == []
