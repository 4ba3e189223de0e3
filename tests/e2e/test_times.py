"""Dates from a surveyor's files, from the command line to the API and back, on both stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Server, init, twin
from tests.unit.layers.load.test_load_times import by_gdal

CSV = """lon,lat,编号,竣工日期,巡检时间
24.90,60.10,P1,2019-12-31,2020-01-01 08:00:00
24.90,60.20,P2,2020-01-01,2020-06-01 00:00:00
24.90,60.30,P3,2021-05-05,
24.90,60.40,P4,,2020-01-02 07:59:59
"""
WORKS = {"begun": ("date", ["2019-07-01", "2020-01-01", "2022-02-02", None])}


@pytest.fixture(scope="module", params=["geopackage", "postgis"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a city of two layers: ``works`` of a GeoPackage, ``pipes`` of a CSV."""
    files = tmp_path_factory.mktemp("files")
    database = request.getfixturevalue("postgres").database() if request.param == "postgis" else None
    city = init(files / "city", database)
    (files / "pipes.csv").write_text(CSV, "utf-8-sig")
    said = ("--as", "pipes", "--kind", "feature", "--time-field", "竣工日期", "--city", str(city), "--json")
    (report,) = json.loads(twin("load", str(files / "pipes.csv"), *said).stdout)
    # city.yml says Asia/Shanghai: the zone of times that name none
    assert (report["time_zone"], report["time_field"]) == ("Asia/Shanghai", "竣工日期")
    shown = twin(
        "load", str(by_gdal(files / "works.gpkg", WORKS)), "--as", "works", "--city", str(city)
    ).stdout
    assert "time field begun" in shown
    running = Server.start(city)
    yield running
    running.stop()


def items(server: Server, layer: str, **parameters: str) -> list[dict[str, Any]]:
    answer = server.http.get(f"/ogc/collections/{layer}/items", params=parameters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["features"])


def begun(server: Server, **parameters: str) -> list[str | None]:
    return [f["properties"]["begun"] for f in items(server, "works", **parameters)]


def test_the_collection_tells_its_time(server: Server) -> None:
    extent = server.http.get("/ogc/collections/works").json()["extent"]
    assert extent["temporal"]["interval"] == [["2019-07-01T00:00:00.000Z", "2022-02-02T23:59:59.999Z"]]
    listed = server.http.get("/ogc/collections").json()["collections"][:2]
    assert [c["extent"]["temporal"]["interval"][0][0][:10] for c in listed] == [
        "2019-12-31",
        "2019-07-01",
    ]
    schema = server.http.get("/ogc/collections/pipes/schema").json()["properties"]
    assert (schema["竣工日期"]["format"], schema["竣工日期"]["x-ogc-role"]) == ("date", "primary-instant")
    assert schema["巡检时间"]["format"] == "date-time"
    queryables = server.http.get("/ogc/collections/pipes/queryables").json()["properties"]
    assert (queryables["竣工日期"]["format"], queryables["巡检时间"]["format"]) == ("date", "date-time")


def test_datetime_filters_by_it(server: Server) -> None:
    assert begun(server, datetime="2020-01-01/..") == ["2020-01-01", "2022-02-02", None]
    assert begun(server, datetime="2019-01-01/2019-12-31") == ["2019-07-01", None]
    assert begun(server, datetime="2020-01-01T12:00:00Z") == ["2020-01-01", None]


def test_filters_and_order(server: Server) -> None:
    assert begun(server, filter="T_AFTER(begun, DATE('2020-01-01'))") == ["2022-02-02"]
    assert begun(server, sortby="-begun") == ["2022-02-02", "2020-01-01", "2019-07-01", None]
    late = "T_INTERSECTS(巡检时间, INTERVAL('2020-01-01T23:59:59Z', '..'))"
    found = items(server, "pipes", filter=late, sortby="-竣工日期")
    assert [f["properties"]["巡检时间"] for f in found] == [
        "2020-05-31T16:00:00.000Z",
        "2020-01-01T23:59:59.000Z",
    ]


def test_a_body_with_dates(server: Server) -> None:
    body = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [24.9, 60.9]},
        "properties": {"编号": "P9", "竣工日期": "2023-03-03", "巡检时间": "2023-03-03T10:00:00+08:00"},
    }
    url = "/ogc/collections/pipes/items"
    said = {**server.auth, "content-type": "application/geo+json"}
    made = server.http.post(url, json=body, headers=said)
    assert made.status_code == 201, made.text
    there = made.headers["location"]
    found = server.http.get(there)
    assert found.json()["properties"]["巡检时间"] == "2023-03-03T02:00:00.000Z"
    interval = server.http.get("/ogc/collections/pipes").json()["extent"]["temporal"]["interval"]
    assert interval == [["2019-12-31T00:00:00.000Z", "2023-03-03T23:59:59.999Z"]]
    body["properties"]["竣工日期"] = "2023-02-29"
    refused = server.http.put(there, json=body, headers={**said, "if-match": found.headers["etag"]})
    assert refused.status_code == 400
    assert "竣工日期" in refused.text
    assert "2023-02-29" in refused.text
    assert server.http.delete(there, headers=server.auth).status_code == 204


def test_a_download_loaded_again_is_the_same_layer(server: Server, tmp_path: Path) -> None:
    """Every format: the contract suite."""
    answer = server.http.get("/ogc/collections/works/download", params={"f": "csv"})
    assert answer.status_code == 200
    (tmp_path / "works.csv").write_bytes(answer.content)
    before = items(server, "works")
    load = ("load", str(tmp_path / "works.csv"), "--as", "works", "--replace", "--city", str(server.folder))
    (report,) = json.loads(twin(*load, "--json").stdout)
    assert (report["unchanged"], report["created"], report["updated"], report["deleted"]) == (4, 0, 0, 0)
    assert (report["time_field"], report["time_zone"]) == ("begun", "")
    assert items(server, "works") == before
    assert server.http.get("/ogc/collections/works/schema").json()["properties"]["begun"]["format"] == "date"


def test_what_is_wrong_is_told_in_a_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV, "utf-8")
    load = ("load", str(tmp_path / "a.csv"), "--as", "wrong", "--city", str(server.folder))
    for option, value, text in (
        ("--time-field", "编号", "expected a column of dates or times: 竣工日期, 巡检时间"),
        ("--time-zone", "Shanghai", "time_zone=Shanghai"),
    ):
        done = twin(*load, option, value, check=False)
        assert done.returncode == 1
        assert text in done.stderr
        assert done.stderr.count("\n") == 1
    checked = json.loads(twin("check", str(tmp_path / "a.csv"), "--time-zone", "Asia/Tokyo", "--json").stdout)
    assert checked[0]["time_zone"] == "Asia/Tokyo"
