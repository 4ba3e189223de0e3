"""Every command of the documentation is run, and does what it says.

Blocks that ask a server are sent to one; the other blocks of a page are run in their order in one folder, as
a reader would. Left to their own tests: docker (test_compose.py), what ``make demo`` and ``make test`` do.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rasterio.transform import from_origin

from tests import dems, documented, launcher, raster_sources, rasters
from tests.postgres import TEMPLATE, Cluster, private
from tests.support import HELSINKI, ROOT, Server, init, twin

ADDRESS = "http://127.0.0.1:8080"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.S | re.M)
COMMAND = re.compile(r"^ *(\$ )?(twin|make|curl|psql|docker|pg_dump|ogrinfo|ogr2ogr|gdalinfo) ", re.M)
SHELL_BLOCKS = {
    f"{page.stem}-{number}": block
    for page in PAGES
    for number, (language, block) in enumerate(FENCE.findall(page.read_text("utf-8")))
    if language == "sh"
}
ASKING = {name: block for name, block in SHELL_BLOCKS.items() if f"{ADDRESS}/" in block}
PYTHON = {
    f"{page.stem}-{number}": block
    for page in PAGES
    for number, (language, block) in enumerate(FENCE.findall(page.read_text("utf-8")))
    if language == "python"
}
DOCKER = {name for name, block in SHELL_BLOCKS.items() if re.search(r"^docker ", block, re.M)}
WALKS = {
    page.stem: [
        block
        for name, block in SHELL_BLOCKS.items()
        if name.rpartition("-")[0] == page.stem and name not in ASKING and name not in DOCKER
    ]
    for page in PAGES
}
#: A refusal ends the block.
ASK = """
set -e
curl() { command curl --fail-with-body -sS "$@"; }
"""
#: A server runs until it says that it serves; of make, what it would do is enough.
WALK = """
set -e
make() { command make -C "$ROOT" -n "$@" > /dev/null; }
twin() {
    [ "$1" = serve ] || { command twin "$@"; return; }
    local log; log=$(mktemp -p .)
    command twin "$@" --port 0 > "$log" & local server=$!
    for _ in $(seq 600); do grep -q Serving "$log" && break; sleep 0.1; done
    kill "$server"; wait "$server" || true
    grep -q Serving "$log"
}
"""
#: A page of commands starts a dozen programs; a busy machine takes its time for each.
SECONDS = 400
ENDED = "\nfor job in $(jobs -p); do wait $job; done\n"


def run(script: str, folder: Path, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=folder,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def missing(block: str) -> list[str]:
    """Programs that the block runs and this machine lacks."""
    words = set(re.findall(r"^(?:\w+=\S+ )*(\w+)", block, re.M)) & {"curl", "gdalinfo", "ogrinfo", "sqlite3"}
    return [word for word in words if shutil.which(word) is None]


@pytest.fixture(scope="module")
def raster_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of rasters and terrain, where the page of them asks."""
    folder = tmp_path_factory.mktemp("rasters")
    place = {"crs": "EPSG:3857", "transform": from_origin(rasters.WEST, rasters.NORTH, 10, 10)}
    cells = {"relief": dems.hills(200, 300), "ortho": raster_sources.picture(200, 300)}
    cells |= dict.fromkeys(("flood1", "flood2"), dems.hills(200, 300))
    for name, values in cells.items():
        raster_sources.write(folder / f"{name}.tif", values, **place)
    layers: list[dict[str, str]] = [
        {"id": "relief", "file": "relief.tif", "kind": "terrain", "vertical": "EPSG:3900"},
        {"id": "ortho", "file": "ortho.tif"},
        {"id": "flood", "file": "flood1.tif", "time": "2024-05-01"},
    ]
    (folder / "load.yml").write_text(json.dumps({"layers": layers}), "utf-8")
    city = str(init(folder / "city"))
    twin("load", "--manifest", str(folder / "load.yml"), "--city", city)
    later = ("--as", "flood", "--time", "2024-05-02", "--append", "--city", city)
    twin("load", str(folder / "flood2.tif"), *later)
    running = Server.start(Path(city))
    yield running
    running.stop()


@pytest.mark.parametrize("name", [name for name in ASKING if name.startswith("coverages-")])
def test_a_block_that_asks_for_rasters_is_answered(raster_server: Server, name: str, tmp_path: Path):
    if lacking := missing(ASKING[name]):
        pytest.skip(f"not installed: {', '.join(lacking)} (make deps)")
    run(ASK + ASKING[name].replace(ADDRESS, raster_server.url), tmp_path)
    for file in tmp_path.iterdir():
        assert file.stat().st_size > 0, file.name


@pytest.mark.parametrize("name", [name for name in ASKING if not name.startswith("coverages-")])
def test_a_block_that_asks_a_server_is_answered(server: Server, name: str, tmp_path: Path):
    if lacking := missing(ASKING[name]):
        pytest.skip(f"not installed: {', '.join(lacking)} (make deps)")
    etag = server.http.get("/ogc/collections/buildings/items/1").headers["etag"]
    block = ASKING[name].replace(ADDRESS, server.url).replace('"<etag of the feature>"', etag)
    run(ASK + block, tmp_path, KEY=server.key)
    for file in tmp_path.iterdir():
        assert file.stat().st_size > 0, file.name


@pytest.mark.parametrize("name", PYTHON)
def test_a_block_of_python_runs_beside_the_server(
    server: Server,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    (tmp_path / "mycity").symlink_to(server.folder)
    monkeypatch.chdir(tmp_path)
    exec(compile(PYTHON[name], name, "exec"), {})
    assert capsys.readouterr().out


@pytest.fixture
def cluster() -> Cluster:
    """A cluster of the test's own: roles belong to a whole cluster."""
    with private() as running:
        yield running


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize("page", [page for page, blocks in WALKS.items() if blocks])
def test_the_blocks_of_a_page_are_run_one_after_another(
    page: str, tmp_path: Path, request: pytest.FixtureRequest
):
    text = "".join(f"{block}{ENDED}" for block in WALKS[page])
    if lacking := missing(text):
        pytest.skip(f"not installed: {', '.join(lacking)} (make deps)")
    for name in ("config", "docker", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("streets", "more"):
        shutil.copy(HELSINKI / "roads.geojson", tmp_path / f"{name}.geojson")
    documented.write(tmp_path, text)
    if "twin init" not in text:
        text = "twin init mycity > /dev/null\n" + text
    commands = tmp_path / ".commands"
    commands.mkdir()
    launcher.write_command(commands / "twin")
    path = [str(commands), str(ROOT / ".venv" / "bin")]
    environment = {"ROOT": str(ROOT)}
    if "createdb" in text:
        own: Cluster = request.getfixturevalue("cluster")
        text = text.replace("db.example.org", f"127.0.0.1:{own.port}")
        path.append(str(own.bin))
        environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(own.port), "PGUSER": "twin"}
        with own.connect("postgres") as con:
            con.execute(f"CREATE DATABASE twin_new TEMPLATE {TEMPLATE}")
    run(WALK + text, tmp_path, PATH=os.pathsep.join([*path, os.environ["PATH"]]), **environment)


def test_docker_has_its_own_tests():
    assert {name.rpartition("-")[0] for name in DOCKER} == {"deploying"}


def test_no_command_stands_in_a_block_that_nobody_runs():
    for page in PAGES:
        for language, block in FENCE.findall(page.read_text("utf-8")):
            assert language == "sh" or not COMMAND.search(block), f"{page.name}: {block}"


def test_there_are_such_blocks():
    assert len(ASKING) >= 5
    assert sum(map(len, WALKS.values())) >= 5
