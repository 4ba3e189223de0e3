"""Columns are there before the first tile: after a load, a start, a restore."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest

from tests import launcher
from tests.e2e.test_reload import write
from tests.support import Server, init, twin, until
from tiles import columnfile
from twin.columns import LOOK_SECONDS


def columns(folder: Path, layer: str = "blocks") -> Path:
    return folder / "derived" / "columns" / f"{layer}.cols"


def state(file: Path) -> tuple[int, int]:
    """Which file it is, and when it was written."""
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns


def load(folder: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return twin("load", str(file), "--as", "blocks", "--kind", "feature", "--city", str(folder), *options)


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


def counted(server: Server) -> int:
    """How many features the tile of the world tells of."""
    found = server.http.get("/tiles/blocks/0/0/0.mvt")
    assert found.status_code == 200
    features = mapbox_vector_tile.decode(found.content)["blocks"]["features"]
    return sum(one["properties"].get("group_count", 1) for one in features)


def begun(folder: Path) -> bool:
    """Whether somebody makes them, or has: in an empty folder."""
    return columns(folder).with_name(".blocks.cols.lock").exists()


def test_a_load_that_is_killed_while_it_makes_them(tmp_path: Path, serve: Callable[..., Server]) -> None:
    city = tmp_path / "city"
    init(city)
    load(city, write(tmp_path / "0.geojson", 0, 600))
    for number, seconds in enumerate((0.0, 0.3), 1):
        # what the load before made stays beside it
        columns(city).with_name(".blocks.cols.lock").unlink(missing_ok=True)
        file, count = write(tmp_path / f"{number}.geojson", number, 8_000 + number), 8_000 + number
        options = ["--as", "blocks", "--kind", "feature", "--city", str(city), "--replace"]
        loader = launcher.start(["load", str(file), *options])
        until(lambda: begun(city), 30)
        time.sleep(seconds)
        loader.kill()
        loader.wait(10)
        for pipe in (loader.stdout, loader.stderr):
            assert pipe is not None
            pipe.close()
        server = serve(city)
        assert counted(server) == count
        until(lambda: not list(columns(city).parent.glob(".*.part")))
        server.stop()


def test_a_layer_that_goes_or_is_loaded_anew_while_they_are_made(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    city = tmp_path / "city"
    init(city)
    load(city, write(tmp_path / "a.geojson", 0, 12_000))
    shutil.rmtree(columns(city).parent)
    server = serve(city)
    until(lambda: begun(city))
    load(city, write(tmp_path / "b.geojson", 1, 700), "--replace")
    assert counted(server) == 700
    server.stop()
    load(city, write(tmp_path / "c.geojson", 2, 12_000), "--replace")
    shutil.rmtree(columns(city).parent)
    server = serve(city)
    until(lambda: begun(city))
    twin("drop", "blocks", "--yes", "--city", str(city))
    assert server.http.get("/tiles/blocks/0/0/0.mvt").status_code == 404
    time.sleep(2 * LOOK_SECONDS)
    assert not columns(city).exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A city whose columns lie on a disk of their own, of 2 MB."""
    city = tmp_path / "city"
    init(city)
    folder = columns(city).parent
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield city
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_full_leaves_the_old_ones_and_is_told(
    small_disk: Path, tmp_path: Path, serve: Callable[..., Server]
) -> None:
    city = small_disk
    load(city, write(tmp_path / "a.geojson", 0, 100))
    made = state(columns(city))
    server = serve(city, clean=False)
    assert counted(server) == 100
    told = load(city, write(tmp_path / "b.geojson", 1, 12_000), "--replace")
    assert "the columns of layer blocks could not be made (No space left on device)" in told.stderr
    assert state(columns(city)) == made
    assert counted(server) == 12_000

    def derived() -> Any:
        return server.http.get("/health/ready").json()["parts"]["derived"]

    until(lambda: derived()["status"] == "degraded")
    assert "No space left on device" in derived()["reason"]
    assert not list(columns(city).parent.glob(".*.part"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(columns(city).parent)], check=True)
    load(city, write(tmp_path / "c.geojson", 2, 12_001), "--replace")
    assert counted(server) == 12_001
    until(lambda: derived()["status"] == "ok")
    server.stop()
    assert sum("the columns of layer blocks stay in memory" in line for line in server.log) == 1
