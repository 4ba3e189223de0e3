"""A registered raster that changes where it lies: every address of it has another ETag, and says what is
true again once its file is back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import rasterio

from layers.raster import files
from tests import imagery, rasters
from tests.imagery import Ask
from tiles.imagery import service

LAYER = "/ogc/collections/dem"
TILE = f"{imagery.ZOOM}/{imagery.COLUMN}/{imagery.ROW}"
ADDRESSES = (
    f"{LAYER}/coverage?f=geotiff",
    f"{LAYER}/coverage?f=covjson&scale-factor=8",
    f"{LAYER}/coverage/domainset",
    f"{LAYER}/coverage/rangetype",
    f"{LAYER}/schema",
    f"{LAYER}?f=json",
    f"{LAYER}?f=html",
    "/ogc/collections?f=json",
    f"{LAYER}/map?width=32",
    f"{LAYER}/map/tiles/WebMercatorQuad",
    f"{LAYER}/position?coords=POINT(24.94 60.17)",
    f"/imagery/dem/{TILE}.png",
    "/imagery/dem.json",
    "/terrain/dem/layer.json",
    "/terrain/dem/14/18654/13668.terrain",
    f"/terrain/dem/{TILE}.png",
    "/stac/dem/dem-1",
    "/stac/dem/dem-1.tif",
)
#: Those that say nothing of how many cells there are, or which values they have.
SAME = (f"{LAYER}/coverage/rangetype", f"{LAYER}/schema")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return rasters.write(tmp_path / "elsewhere/dem.tif", [rasters.ramp() / 1000])


@pytest.fixture
def ask(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    monkeypatch.setattr(files, "TRUSTED", 0.0)
    monkeypatch.setattr(service, "TRUSTED", 0.0)
    folder = imagery.city(tmp_path / "city", "heights: {ground: terrain}\n")
    rasters.record(folder, "dem", str(file), form="surface")
    with imagery.asking(folder) as (_, ask):
        yield ask


def given(ask: Ask, path: str, **headers: str) -> httpx.Response:
    answer = ask(path, **headers)
    assert answer.status_code in (200, 304), (path, answer.text)
    return answer


def test_no_address_gives_the_files_of_now_for_those_of_then(ask: Ask) -> None:
    """Rasters keep no history: their record is told of a moment, nothing that is read from their files."""
    of_record = {f"{LAYER}?f=json", f"{LAYER}?f=html", f"{LAYER}/schema", "/ogc/collections?f=json"}
    for path in ADDRESSES:
        given(ask, path)
    for path in (*ADDRESSES, f"{LAYER}/download?f=geotiff", f"{LAYER}/download?f=png&width=32"):
        answer = ask(f"{path}{'&' if '?' in path else '?'}at=@1")
        if path in of_record:
            assert answer.status_code == 200, path
            assert "memento-datetime" in answer.headers
        else:
            assert answer.status_code == 400, (path, answer.text)
            assert "nothing is kept" in answer.json()["detail"], path


def test_every_address_has_another_etag(ask: Ask, file: Path, tmp_path: Path) -> None:
    first = {path: given(ask, path) for path in ADDRESSES}
    tags = {path: one.headers["etag"] for path, one in first.items()}
    for path, tag in tags.items():
        assert given(ask, path, **{"if-none-match": tag}).status_code == 304, path
    # the same inode and, as cp -p has it, the same time of its content
    other = rasters.write(tmp_path / "other.tif", [rasters.ramp(310, 220) / 500 + np.float32(3)])
    before = file.stat()
    with other.open("rb") as source, file.open("r+b") as target:
        target.truncate()
        shutil.copyfileobj(source, target)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    for path, tag in tags.items():
        answer = given(ask, path, **{"if-none-match": tag})
        if path in SAME:
            continue
        assert answer.status_code == 200, path
        assert answer.headers["etag"] != tag, path
        assert answer.content != first[path].content, path
    tag = tags["/stac/dem/dem-1.tif"]
    assert ask("/stac/dem/dem-1.tif", **{"range": "bytes=0-9", "if-range": tag}).status_code == 200


def test_a_file_that_was_away_is_back(ask: Ask, file: Path) -> None:
    def grid() -> object:
        spatial = ask(f"{LAYER}?f=json").json()["extent"]["spatial"]
        return spatial.get("grid")

    there = grid()
    assert there
    away = file.rename(file.with_suffix(".away"))
    assert grid() is None
    assert ask(f"{LAYER}/coverage").status_code == 503
    config = ask("/config.json").json()
    assert config["terrain"] is None
    assert "No such file" in config["terrainMissing"]
    away.rename(file)
    assert grid() == there
    assert ask(f"{LAYER}/coverage").status_code == 200
    config = ask("/config.json").json()
    assert (config["terrain"]["layer"], "terrainMissing" in config) == ("dem", False)


def test_a_document_that_lacks_something_is_not_kept(
    ask: Ask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file that cannot be read for a moment while its state stays as it is."""

    def fails(*args: object, **more: object) -> None:
        raise rasterio.errors.RasterioIOError("Too many open files")

    file.touch()  # what is open already is no longer lent
    with monkeypatch.context() as moment:
        moment.setattr(rasterio, "open", fails)
        assert "grid" not in ask(f"{LAYER}?f=json").json()["extent"]["spatial"]
    assert "grid" in ask(f"{LAYER}?f=json").json()["extent"]["spatial"]


def test_each_link_of_a_record_of_then_that_names_the_moment_leads_somewhere(ask: Ask) -> None:
    told = ask(f"{LAYER}?f=json&at=@1").json()["links"]
    then = [one["href"] for one in told if "at=@1" in one["href"]]
    assert then
    for href in then:
        given(ask, href[href.index("/ogc/") :])
