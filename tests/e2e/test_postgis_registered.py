"""A table of another department on the map where it lies: named in city.yml, in its own CRS, with the
rights that docs/deploying.md asks for and no more."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from layers.types import LIVE_LAYERS
from tests.postgres import Cluster
from tests.support import HELSINKI, Server, twin, until

SETTINGS = """
store:
  url: {writer}
  read_url: {reader}
layers:
  wells:
    table: gis.Wells
    title: {{en: Wells, zh-CN: 检查井}}
    kind: component
    locking: strict
  deep_wells: {{table: gis.deep, fid: gid, geometry: shape, refresh: 1}}
"""
TABLES = """
CREATE SCHEMA gis;
CREATE TABLE gis."Wells" (
    gid serial PRIMARY KEY, "Depth m" numeric(6, 2), 名称 varchar(40), tags text[],
    shape geometry(Point, 3067) NOT NULL
);
INSERT INTO gis."Wells" ("Depth m", 名称, tags, shape)
    SELECT n, '井 ' || n, ARRAY['a', 'b'], ST_SetSRID(ST_Point(385000 + n * 10, 6672000), 3067)
    FROM generate_series(1, 50) n;
CREATE VIEW gis.deep AS SELECT * FROM gis."Wells" WHERE "Depth m" > 40;
"""


@pytest.fixture
def database(postgres: Cluster) -> Iterator[str]:
    """The name of a database with the tables and two roles that own nothing in it."""
    name = postgres.database().rsplit("/", 1)[1]
    with postgres.connect(name) as con:
        con.execute(TABLES)
        con.execute("CREATE ROLE city_writer LOGIN")
        con.execute("CREATE ROLE city_reader LOGIN")
        con.execute(f"GRANT CREATE ON DATABASE {name} TO city_writer")
        con.execute("GRANT USAGE ON SCHEMA gis TO city_writer, city_reader")
        con.execute('GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON gis."Wells" TO city_writer')
        con.execute("GRANT SELECT ON gis.deep TO city_writer")
        con.execute('GRANT SELECT ON gis."Wells", gis.deep TO city_reader')
    yield name
    with postgres.connect("postgres") as con:
        con.execute(f"DROP DATABASE {name} WITH (FORCE)")
        con.execute("DROP ROLE city_writer")
        con.execute("DROP ROLE city_reader")


@pytest.fixture
def running(postgres: Cluster, database: str, tmp_path: Path) -> Iterator[Server]:
    """A server on it."""
    text = SETTINGS.format(
        writer=postgres.url(database, "city_writer"), reader=postgres.url(database, "city_reader")
    )
    (tmp_path / "city.yml").write_text(text, "utf-8")
    server = Server.start(tmp_path)
    yield server
    server.stop()


def test_a_registered_table_is_read_edited_and_watched(running: Server, postgres: Cluster, database: str):
    base = "/ogc/collections/wells"
    collection = running.http.get(base, headers={"accept-language": "zh-CN"}).json()
    assert collection["title"] == "检查井"
    assert collection["storageCrs"] in collection["crs"]
    assert collection["storageCrs"].endswith("/EPSG/0/3067")
    page = running.http.get(f"{base}/items", params={"limit": "100"}).json()
    assert page["numberMatched"] == 50
    first = page["features"][0]
    assert first["properties"]["名称"] == "井 1"
    assert first["properties"]["Depth m"] == 1
    assert first["properties"]["tags"] == ["a", "b"]
    lon, lat = first["geometry"]["coordinates"]
    assert (lon, lat) == (pytest.approx(24.93, abs=0.05), pytest.approx(60.17, abs=0.05))
    deep = running.http.get("/ogc/collections/deep_wells/items").json()
    assert deep["numberMatched"] == 10
    assert running.http.get("/tiles/wells/14/9326/4743.mvt").status_code in (200, 204)
    layers = running.http.get("/config.json").json()["layers"]
    edits = ["create", "update", "delete"]
    assert {one["id"]: one["edits"] for one in layers} == {"wells": edits, "deep_wells": []}

    item = f"{base}/items/1"
    headers = {**running.auth, "content-type": "application/merge-patch+json"}
    body = {"properties": {"名称": "新井"}, "geometry": {"type": "Point", "coordinates": [24.95, 60.17]}}
    assert running.http.patch(item, json=body, headers=headers).status_code == 428
    etag = running.http.get(item).headers["etag"]
    done = running.http.patch(item, json=body, headers={**headers, "if-match": etag})
    assert done.status_code in (200, 204), done.text
    assert running.http.get(item, headers={"if-none-match": etag}).json()["properties"]["名称"] == "新井"
    with postgres.connect(database) as con:
        name, srid, x = con.execute(
            'SELECT 名称, ST_SRID(shape), ST_X(shape) FROM gis."Wells" WHERE gid = 1'
        ).fetchone() or (None, None, None)
        assert (name, srid) == ("新井", 3067)
        assert x == pytest.approx(386300, abs=1500)

        # another program's edit: in the very next answer
        etag = running.http.get(item).headers["etag"]
        con.execute('UPDATE gis."Wells" SET "Depth m" = 99.5 WHERE gid = 1')
        after = running.http.get(item, headers={"if-none-match": etag})
        assert after.status_code == 200
        assert after.json()["properties"]["Depth m"] == 99.5
        until(
            lambda: running.http.get("/ogc/collections/deep_wells/items").json()["numberMatched"] == 11,
            seconds=4,
            what="the view",
        )


def test_what_cannot_be_edited_says_so_before_and_after(running: Server, postgres: Cluster, database: str):
    """A view is only read; a table is, as long as the role of the server has no right to change it."""
    http, base = running.http, "/ogc/collections/deep_wells/items"
    patch = {**running.auth, "content-type": "application/merge-patch+json"}
    post = {**running.auth, "content-type": "application/geo+json"}
    feature = {"type": "Feature", "geometry": None, "properties": {}}

    def answers() -> list[httpx.Response]:
        return [
            http.patch(f"{base}/50", json={"properties": {"名称": "x"}}, headers=patch),
            http.put(f"{base}/50", json=feature, headers=post),
            http.delete(f"{base}/50", headers=running.auth),
            http.post(base, json=feature, headers=post),
        ]

    for refused in answers():
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert (
            "deep_wells is not edited so: what it shows is read again every 1 s" in refused.json()["detail"]
        )
    for path in (base, f"{base}/50"):
        assert http.options(path, headers=running.auth).headers["allow"] == "GET, HEAD, OPTIONS"
    assert http.patch(f"{base}/50", json={}, headers={"content-type": "x/y"}).status_code == 401

    def written(layer: str) -> set[str]:
        paths = http.get("/ogc/api").json()["paths"]
        here = f"/collections/{layer}/items"
        return {*paths[here], *paths[f"{here}/{{featureId}}"]} & {"post", "put", "patch", "delete"}

    assert written("deep_wells") == set()
    assert written("wells") == {"post", "put", "patch", "delete"}
    with postgres.connect(database) as con:
        con.execute('REVOKE INSERT, DELETE ON gis."Wells" FROM city_writer')
    item = "/ogc/collections/wells/items/1"
    allowed = "GET, HEAD, OPTIONS, PUT, PATCH"
    until(
        lambda: http.options(item, headers=running.auth).headers["allow"] == allowed,
        seconds=3,
        what="the rights that were taken",
    )
    assert written("wells") == {"put", "patch"}
    refused = http.delete(item, headers=running.auth)
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert "no right to INSERT, DELETE its rows; grant it" in refused.json()["detail"]
    assert http.request("TRACE", item).headers["allow"] == allowed


def test_no_stale_304_for_a_view_that_is_another_one(running: Server, postgres: Cluster, database: str):
    page, item = "/ogc/collections/deep_wells/items", "/ogc/collections/deep_wells/items/45"
    tags = {path: running.http.get(path).headers["etag"] for path in (page, item)}
    with postgres.connect(database) as con:
        con.execute(
            'CREATE OR REPLACE VIEW gis.deep AS SELECT gid, ("Depth m" + 1)::numeric(6, 2) AS "Depth m",'
            ' 名称, tags, shape FROM gis."Wells" WHERE "Depth m" > 42'
        )
    for path, tag in tags.items():
        fresh = until(
            lambda p=path, t=tag: (
                (r := running.http.get(p, headers={"if-none-match": t})).status_code == 200 and r
            ),
            seconds=3,
            what="the view's new ETag",
        )
        assert isinstance(fresh, httpx.Response)
        body = fresh.json()
        shown = body["properties"] if path is item else body["features"][2]["properties"]
        assert shown["Depth m"] == 46


def test_a_table_that_is_dropped_takes_no_other_layer_with_it(
    running: Server, postgres: Cluster, database: str
):
    with postgres.connect(database) as con:
        con.execute("DROP VIEW gis.deep")
    seen = set()

    def gone() -> bool:
        seen.add(running.http.get("/ogc/collections/wells/items?limit=1").status_code)
        answer = running.http.get("/ogc/collections/deep_wells/items")
        return answer.status_code == 503 and "not there" in answer.json()["detail"]

    until(gone, seconds=3, what="the view to be gone")
    for _ in range(50):
        gone()
    assert seen == {200}
    layers = [layer["id"] for layer in running.http.get("/ogc/collections").json()["collections"]]
    assert layers == ["wells", *LIVE_LAYERS]


def test_a_table_of_another_program_is_not_dropped(running: Server):
    refused = twin("drop", "wells", "--yes", "--city", str(running.folder), check=False)
    assert refused.returncode == 1
    assert "layer wells is a table that city.yml names: take it out there" in refused.stderr
    assert running.http.get("/ogc/collections/wells/items").json()["numberMatched"] == 50


def test_a_layer_taken_out_of_the_settings_is_gone_and_its_table_stays(
    running: Server, postgres: Cluster, database: str
):
    folder = running.folder
    running.stop()
    text = (folder / "city.yml").read_text("utf-8")
    (folder / "city.yml").write_text(text[: text.index("layers:")], "utf-8")
    assert json.loads(twin("layers", "--city", str(folder), "--json").stdout) == []
    with postgres.connect(database) as con:
        assert con.execute('SELECT count(*) FROM gis."Wells"').fetchone() == (50,)
        con.execute('UPDATE gis."Wells" SET "Depth m" = 1')
        left = con.execute(
            "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'gis.\"Wells\"'::regclass AND NOT tgisinternal"
        )
        assert left.fetchone() == (0,)


def test_a_table_that_cannot_be_published_says_why(
    postgres: Cluster, database: str, tmp_path: Path, serve: Callable[..., Server]
):
    text = SETTINGS.format(
        writer=postgres.url(database, "city_writer"), reader=postgres.url(database, "city_reader")
    )
    (tmp_path / "city.yml").write_text(text.replace("gis.Wells", "gis.nothing"), "utf-8")
    listed = twin("layers", "--city", str(tmp_path), "--json")
    assert [layer["id"] for layer in json.loads(listed.stdout)] == ["deep_wells"]
    (said,) = listed.stderr.splitlines()
    assert "layer wells cannot be read: the table or view is not there" in said
    server = serve(tmp_path, clean=False)
    answer = server.http.get("/ogc/collections/wells/items")
    assert answer.status_code == 503
    assert answer.json()["detail"] in said
    ready = server.http.get("/health/ready")
    assert (ready.status_code, ready.json()["unreadable"]) == (200, {"wells": answer.json()["detail"]})
    assert server.log == [f"WARNING twin {answer.json()['detail']}\n"]
    with postgres.connect(database) as con, pytest.raises(psycopg.errors.UndefinedTable):
        con.execute("SELECT * FROM gis.nothing")
    server.stop()


def test_who_edits_in_sql_needs_rights_on_the_layers_table_alone(postgres: Cluster, tmp_path: Path):
    url = postgres.database()
    name = url.rsplit("/", 1)[1]
    (tmp_path / "city.yml").write_text(f"store: {url}\n", "utf-8")
    twin("load", str(HELSINKI / "street_assets.geojson"), "--as", "assets", "--kind", "component",
         "--city", str(tmp_path))  # fmt: skip
    with postgres.connect(name) as con:
        con.execute("CREATE ROLE qgis_editor LOGIN")
        con.execute("GRANT USAGE ON SCHEMA city TO qgis_editor")
        con.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON city.assets TO qgis_editor")
    server = Server.start(tmp_path)
    try:
        item = "/ogc/collections/assets/items/1"
        etag = server.http.get(item).headers["etag"]
        with postgres.connect(name, "qgis_editor") as con:
            con.execute("UPDATE city.assets SET name = 'by an editor' WHERE fid = 1")
            made = con.execute(
                "INSERT INTO city.assets (geom, name) SELECT geom, 'new' FROM city.assets WHERE fid = 1"
                " RETURNING fid"
            ).fetchone()
            con.execute("DELETE FROM city.assets WHERE fid = 2")
        after = server.http.get(item, headers={"if-none-match": etag})
        assert (after.status_code, after.json()["properties"]["name"]) == (200, "by an editor")
        assert made is not None
        new = server.http.get(f"/ogc/collections/assets/items/{made[0]}")
        assert new.json()["properties"]["name"] == "new"
        assert server.http.get("/ogc/collections/assets/items/2").status_code == 404
    finally:
        server.stop()
        with postgres.connect("postgres") as con:
            con.execute(f"DROP DATABASE {name} WITH (FORCE)")
            con.execute("DROP ROLE qgis_editor")


def test_a_download_in_its_own_crs_gives_back_what_the_table_has(running: Server):
    """Published as longitude, latitude and brought back: not a millimetre is lost."""
    path = "/ogc/collections/wells/download"
    answer = running.http.get(path, params={"f": "csv", "crs": "EPSG:3067", "sortby": "Depth m"})
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/EPSG/0/3067>"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert [(float(one["x"]), float(one["y"])) for one in rows] == [
        (385000 + n * 10, 6672000) for n in range(1, 51)
    ]
    assert [(one["名称"], one["tags"], one["crs"]) for one in rows[:1]] == [
        ("井 1", '["a","b"]', "EPSG:3067")
    ]
