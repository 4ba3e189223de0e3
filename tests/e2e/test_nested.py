"""A geometry that ends native parsers, written into the city by another program: the server stands."""

from __future__ import annotations

import json
import sqlite3
import struct
from pathlib import Path

import shapely
from shapely.geometry import mapping

from tests.storing import square
from tests.support import Server, init, twin

NESTED = b"".join(b"\x01" + struct.pack("<II", 7, 1) for _ in range(13_000)) + shapely.to_wkb(
    shapely.Point(25, 60)
)
ENVELOPE = b"GP\0\x03" + struct.pack("<i4d", 4326, 25, 25.001, 60, 60.001)
ITEMS = "/ogc/collections/buildings/items"
ROUTES = (
    f"{ITEMS}?limit=10",
    f"{ITEMS}?limit=10&f=html",
    f"{ITEMS}?bbox=24,59,26,61",
    f"{ITEMS}?filter=S_INTERSECTS(geometry,BBOX(24,59,26,61))",
    f"{ITEMS}/1",
    "/tiles/buildings/14/9329/4744.mvt",
    "/tiles/buildings/16/37319/18978.mvt",
    "/3dtiles/buildings/tileset.json",
    "/search?q=house",
    "/ogc/collections/buildings/download?f=fgb",
    "/ogc/collections/buildings/download?f=geojson",
    "/health/ready",
)


def test_the_server_stands_and_tells_of_the_row(tmp_path: Path) -> None:
    folder = init(tmp_path / "city")
    rows = [
        {
            "type": "Feature",
            "properties": {"name": f"house {n}"},
            "geometry": mapping(square(25 + n / 500, 60)),
        }
        for n in range(5)
    ]
    source = tmp_path / "houses.geojson"
    source.write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
    twin("load", str(source), "--as", "buildings", "--kind", "building", "--city", str(folder))
    con = sqlite3.connect(folder / "city.gpkg")
    for name in ("IsEmpty", "MinX", "MaxX", "MinY", "MaxY"):
        con.create_function(f"ST_{name}", 1, lambda _, of=name: {"X": 25.0, "Y": 60.0}.get(of[-1], 0))
    con.execute("UPDATE buildings SET geom = ? WHERE fid = 3", (ENVELOPE + NESTED,))
    con.commit()
    con.close()
    for _ in range(2):  # it stands, and stands again after a restart
        server = Server.start(folder, clean=False)
        for route in ROUTES:
            answer = server.http.get(route, follow_redirects=True)
            assert answer.status_code in (200, 204), (route, answer.text)
        for route in (f"{ITEMS}/3", f"{ITEMS}/3?f=html"):
            answer = server.http.get(route)
            assert answer.status_code == 503
            assert "16 deep" in answer.text
        assert {f["id"] for f in server.http.get(ROUTES[0]).json()["features"] if f["geometry"]} == {
            *(1, 2, 4, 5)
        }
        assert "house 1" in server.http.get("/search?q=house%201").text
        server.stop()
        told = [line for line in server.log if "16 deep" in line]
        assert told
        assert len(told) <= 2  # the server, and the process that made the downloads
        assert server.log == told
