"""``twin tiles``: what is built is whole, the check tells what is not, and a running layer passes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support import Server, twin
from tiles.static import check, scene
from tiles.static.check import Found
from tiles.static.spread import in_order
from twin import static_verbs


@pytest.fixture(scope="module")
def built(helsinki_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3D tiles of Helsinki's buildings and pipelines, and an archive of two layers."""
    to = tmp_path_factory.mktemp("static")
    city = ("--city", str(helsinki_module), "--processes", "2")
    twin("tiles", "build", str(to / "sets"), "--layer", "buildings", "--layer", "pipelines", *city)
    twin("tiles", "build", str(to / "city.pmtiles"), "--layer", "buildings", "--layer", "addresses", *city)
    return to


def found(folder: Path) -> Found:
    """What the check says of a folder."""
    return list(check.scene(static_verbs._reader(folder), None))[-1]


def test_what_is_built_is_whole(built: Path) -> None:
    assert {one.name for one in (built / "sets").iterdir()} == {"buildings", "pipelines"}
    said = twin("tiles", "check", str(built / "sets")).stdout
    assert said.count("nothing is wrong") == 2
    document = json.loads((built / "sets/buildings/tileset.json").read_text("utf-8"))
    files = {
        str(file.relative_to(built / "sets/buildings")) for file in built.glob("sets/buildings/**/*.glb")
    }
    assert files == set(scene.contents(document["root"]))
    assert any(uri.startswith("blocks/") for uri in files)
    result = found(built / "sets/buildings")
    assert result.problems == []
    extras = document["extras"]
    assert result.counts["features"] + result.counts["drawn by their parts"] == extras["features"]
    told = list(check.archive(built / "city.pmtiles"))[-1]
    assert told.problems == []
    assert told.counts["features of buildings"] == extras["features"]


@pytest.mark.parametrize("harm", ["gone", "cut", "moved", "error", "twice", "count"])
def test_the_check_tells_what_is_wrong(built: Path, tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "set"
    shutil.copytree(built / "sets/pipelines", folder)
    document = json.loads((folder / "tileset.json").read_text("utf-8"))
    top = document["root"]["children"][0]
    files = sorted(folder.glob("16/*/*.glb"))
    if harm == "gone":
        files[0].unlink()
    elif harm == "cut":
        files[0].write_bytes(files[0].read_bytes()[:-8])
    elif harm == "moved":
        top["boundingVolume"]["region"][0] += 0.5
    elif harm == "error":
        top["geometricError"] = 10 * document["geometricError"]
    elif harm == "twice":
        shutil.copy(files[0], files[1])
    else:
        document["extras"]["features"] += 1
    (folder / "tileset.json").write_text(json.dumps(document), "utf-8")
    assert found(folder).problems


def test_a_running_layer_is_whole(built: Path, server: Server) -> None:
    for layer in ("buildings", "pipelines"):
        said = twin("tiles", "check", f"{server.url}/3dtiles/{layer}/tileset.json").stdout
        assert "nothing is wrong" in said


def test_few_pieces_are_under_way_at_a_time() -> None:
    from concurrent.futures import Executor, Future

    class Counting(Executor):
        waiting = most = 0

        def submit(self, function, /, *args, **kwargs):  # type: ignore[no-untyped-def]
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            done: Future[int] = Future()
            done.set_result(function(*args))
            return done

    executor = Counting()
    for n, result in enumerate(in_order(executor, lambda piece: 2 * piece, range(1000))):
        executor.waiting -= 1
        assert result == 2 * n
    assert executor.most <= 9


def test_dask_builds_what_processes_build(built: Path, helsinki_module: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        city = static_verbs.City(helsinki_module)
        static_verbs.spread(city, tmp_path, ["pipelines"], client.get_executor())
    for file in (built / "sets/pipelines").rglob("*.*"):
        there = tmp_path / "pipelines" / file.relative_to(built / "sets/pipelines")
        assert there.read_bytes() == file.read_bytes()
