"""An R-tree that is written whole is what SQLite itself would accept, search and go on with."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.store.geopackage import rtree
from layers.store.geopackage.connection import connect

NUMBER = st.one_of(st.integers(-180, 180).map(float), st.floats(-180, 180, allow_subnormal=False))
BOX = st.tuples(NUMBER, NUMBER, NUMBER, NUMBER).map(
    lambda b: (min(b[:2]), max(b[:2]), min(b[2:]), max(b[2:]))
)


def filled(
    boxes: list[tuple[float, float, float, float]], path: Path | str = ":memory:"
) -> sqlite3.Connection:
    con = sqlite3.connect(path)
    con.execute("CREATE VIRTUAL TABLE rtree_x_geom USING rtree(id, minx, maxx, miny, maxy)")
    con.execute("INSERT INTO rtree_x_geom VALUES (99999, 0, 1, 0, 1)")
    con.execute("CREATE TABLE b (fid, minx, maxx, miny, maxy)")
    con.executemany("INSERT INTO b VALUES (?,?,?,?,?)", [(3 * i, *box) for i, box in enumerate(boxes)])
    rtree.fill(con, "rtree_x_geom", "SELECT * FROM b")
    return con


def sound(con: sqlite3.Connection) -> bool:
    return bool(con.execute("SELECT rtreecheck('rtree_x_geom')").fetchone() == ("ok",))


@given(boxes=st.lists(BOX, max_size=40), area=BOX)
@settings(max_examples=60, deadline=None)
def test_boxes_are_never_smaller_than_the_features(
    boxes: list[tuple[float, float, float, float]], area: tuple[float, float, float, float]
) -> None:
    con = filled(boxes)
    assert sound(con)
    kept = con.execute("SELECT b.*, r.* FROM b LEFT JOIN rtree_x_geom r ON r.id = b.fid").fetchall()
    assert len(kept) == con.execute("SELECT count(*) FROM rtree_x_geom").fetchone()[0] == len(boxes)
    for _, west, east, south, north, _, *box in kept:
        assert box[0] <= west
        assert east <= box[1]
        assert box[2] <= south
        assert north <= box[3]
        assert max(abs(a - b) for a, b in zip(box, (west, east, south, north), strict=True)) < 2**-15
    where = "maxx >= ? AND minx <= ? AND maxy >= ? AND miny <= ?"
    wanted = (area[0], area[1], area[2], area[3])
    exact = {row[0] for row in con.execute(f"SELECT fid FROM b WHERE {where}", wanted)}
    assert exact <= {row[0] for row in con.execute(f"SELECT id FROM rtree_x_geom WHERE {where}", wanted)}
    con.close()


@pytest.mark.parametrize("count", [0, 1, 45, 46, 47, 2_000, 9_000])
def test_trees_of_every_depth_can_be_changed_afterwards(count: int) -> None:
    boxes = [(x, x + 0.5, y, y + 0.5) for i in range(count) for x, y in [(i * 37 % 101, i * 53 % 97)]]
    con = filled(boxes)
    assert sound(con)
    for i in range(0, count, 7):
        con.execute("DELETE FROM rtree_x_geom WHERE id = ?", (3 * i,))
    con.executemany("INSERT INTO rtree_x_geom VALUES (?,1,2,1,2)", [(3 * i + 1,) for i in range(500)])
    assert sound(con)
    left = count - len(range(0, count, 7)) + 500
    assert con.execute("SELECT count(*) FROM rtree_x_geom").fetchone() == (left,)
    con.close()


def test_another_connection_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "x.gpkg"
    con = filled([(i, i + 1, 0, 1) for i in range(300)], path)
    con.commit()
    con.close()
    again = connect(path, "rw")
    assert again.execute("SELECT count(*) FROM rtree_x_geom WHERE minx >= 100").fetchone() == (200,)
    again.close()
