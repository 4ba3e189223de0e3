"""Columns are there before the first tile: after a load, a start, a restore."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.e2e.test_reload import write
from tests.support import Server, init, twin, until
from tiles import columnfile


def columns(folder: Path, layer: str = "blocks") -> Path:
    return folder / "derived" / "columns" / f"{layer}.cols"


def state(file: Path) -> tuple[int, int]:
    """Which file it is, and when it was written."""
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns


def load(folder: Path, file: Path, *options: str) -> None:
    twin("load", str(file), "--as", "blocks", "--kind", "feature", "--city", str(folder), *options)


def tile(server: Server) -> int:
    found = server.http.get("/tiles/blocks/14/9325/4748.mvt")
    assert found.status_code == 200
    return len(found.content)


def test_a_load_ends_with_them_and_the_server_makes_no_others(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    city = tmp_path / "city"
    init(city)
    load(city, write(tmp_path / "a.geojson", 0, 600))
    made = state(columns(city))
    whole = columnfile.read(columns(city))
    assert whole is not None
    assert any(name.startswith("levels/") for name in whole[2])
    server = serve(city)
    tile(server)
    assert state(columns(city)) == made
    # beside the running server
    load(city, write(tmp_path / "b.geojson", 1, 700), "--replace")
    again = state(columns(city))
    assert again != made
    tile(server)
    assert state(columns(city)) == again
    twin("drop", "blocks", "--yes", "--city", str(city))
    until(lambda: not columns(city).exists())


def test_they_are_made_in_the_background_where_they_are_missing_or_of_another_city(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, count in ((one, 600), (other, 50)):
        init(folder)
        load(folder, write(tmp_path / f"{count}.geojson", 0, count))
    shutil.rmtree(one / "derived" / "columns")
    server = serve(one)
    until(columns(one).exists)
    made = state(columns(one))
    tile(server)
    assert state(columns(one)) == made
    server.stop()
    # a restore: another store beside the columns of this one
    shutil.copy(other / "city.gpkg", one / "city.gpkg")
    serve(one)
    until(lambda: state(columns(one)) != made)


def test_columns_that_cannot_be_kept_are_told(tmp_path: Path, serve: Callable[..., Server]) -> None:
    city = tmp_path / "city"
    init(city)
    load(city, write(tmp_path / "a.geojson", 0, 600))
    folder = columns(city).parent
    shutil.rmtree(folder)
    folder.write_text("no folder")
    server = serve(city, clean=False)
    until(lambda: server.http.get("/health/ready").json()["parts"]["derived"]["status"] == "degraded")
    assert tile(server) > 0
    server.stop()
    assert any("the columns of layer blocks stay in memory" in line for line in server.log)
