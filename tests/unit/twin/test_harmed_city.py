"""Files of a city that are cut, altered, emptied, replaced or deleted, while they are served and at rest: no
request ends in a fault of ours, and a start goes well or says in a line what to do."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from layers.errors import TwinError
from tests.support import until
from twin import app
from twin.city import City
from twin.template import template

type Harm = Callable[[Path], object]
ITEMS, ITEM = "/ogc/collections/houses/items?f=json", "/ogc/collections/houses/items/1"
PATHS = (
    "/health/live",
    "/health/ready",
    "/ogc/collections?f=json",
    ITEMS,
    "/ogc/collections/houses/items?f=html",
    "/ogc/collections/houses/items/1?f=json",
    "/ogc/collections/houses/items?filter=height%3E1&f=json",
    "/tiles/houses/14/9327/4742.mvt",
    "/tiles/houses/16/37308/18968.mvt",
    "/3dtiles/houses/tileset.json",
    "/incidents",
    "/incidents/1",
    "/sta/v1.1/Things",
    "/sta/v1.1/Observations",
    "/ogc/jobs",
    "/search?q=a",
    "/config.json",
    "/metrics",
)
#: What is served whatever becomes of the features, and the other way round.
LIVE = ("/health/live", "/incidents", "/sta/v1.1/Things")


def truncated(path: Path) -> None:
    """In place, as another program would."""
    with path.open("r+b") as opened:
        opened.truncate(path.stat().st_size * 2 // 5)


def flipped(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    for at in range(len(raw) // 5, len(raw), max(1, len(raw) // 7)):
        raw[at : at + 20] = bytes(byte ^ 0x5A for byte in raw[at : at + 20])
    with path.open("r+b") as opened:
        opened.write(raw)


def headless(path: Path) -> None:
    with path.open("r+b") as opened:
        opened.write(b"\x00" * 100)


def emptied(path: Path) -> None:
    with path.open("r+b") as opened:
        opened.truncate(0)


def replaced(path: Path) -> None:
    """By an older copy."""
    path.with_name(f"{path.name}.old").replace(path)


def deleted(path: Path) -> None:
    path.unlink()


def alone(path: Path) -> None:
    """Without the file of shared memory beside it, too."""
    path.unlink()
    path.with_name(path.name.replace("-wal", "-shm")).unlink(missing_ok=True)


LOG = "city.gpkg-wal"
LOG_HARMS: tuple[Harm, ...] = (truncated, flipped, deleted, emptied, alone)
CASES: tuple[tuple[str, Harm], ...] = (
    *(("city.gpkg", harm) for harm in (truncated, flipped, headless, emptied, replaced, deleted)),
    *((LOG, harm) for harm in LOG_HARMS),
    *(("live.gpkg", harm) for harm in (truncated, flipped, headless, emptied, replaced, deleted)),
    *(("derived/columns/houses.cols", harm) for harm in (truncated, flipped, deleted)),
    *(("keys.json", harm) for harm in (truncated, flipped, emptied, deleted)),
    *(("city.yml", harm) for harm in (flipped, emptied, deleted)),
    *(("jobs.db", harm) for harm in (truncated, headless, emptied, deleted)),
    *(("derived/city.mark", harm) for harm in (flipped, deleted)),
    ("derived/live.mark", flipped),
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city of three houses, an incident and a sensor, with older copies of its stores."""
    from layers import load
    from layers.source import Declared

    folder = tmp_path_factory.mktemp("good")
    (folder / "city.yml").write_text(template("Town"), "utf-8")
    file = folder / "houses.geojson"
    corner = [[24.94, 60.17], [24.941, 60.17], [24.941, 60.171], [24.94, 60.17]]
    geometry = {"type": "Polygon", "coordinates": [corner]}
    features = [
        {"type": "Feature", "properties": {"source_id": name, "height": 9.0}, "geometry": geometry}
        for name in "abc"
    ]
    city = app.open_city(folder)
    city.keys.add("duty")
    for name in ("city.gpkg", "live.gpkg"):
        with sqlite3.connect(folder / name) as source, sqlite3.connect(folder / f"{name}.old") as target:
            source.backup(target)
        source.close()
        target.close()
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    load.run(city.store, file, Declared(kind="building"), layer_id="houses", mode="create")
    city.live.start()

    async def fill(client: httpx.AsyncClient) -> None:
        key = {"x-api-key": _key(folder)}
        assert (await client.post("/incidents", json={"title": "burst"}, headers=key)).status_code == 201
        for path in PATHS:
            assert (await client.get(path, headers=key)).status_code in (200, 204), path

    ask(app.build(city), fill)
    close(city)
    return folder


def _key(folder: Path) -> str:
    """A key of the folder, or none where no more are made."""
    from twin.access.keys import Keys

    keys = Keys(folder)
    try:
        return keys.add(f"more {len(keys.names())}")
    except TwinError:
        return "twk_none"


def ask(front: app.Front, scenario: Callable[[httpx.AsyncClient], Any]) -> Any:
    async def main() -> Any:
        front.site.city.bus.bind(asyncio.get_running_loop())
        transport = httpx.ASGITransport(app=cast(Any, front))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=30) as client:
            return await scenario(client)

    return asyncio.run(main())


def edited(good: Path, tmp_path: Path) -> tuple[Path, dict[str, str], City, app.Front]:
    """A copy of the city, a key of it, and the city open and started, with an edit that none has read."""
    folder = shutil.copytree(good, tmp_path / "city")
    key = {"x-api-key": _key(folder)}
    city = app.open_city(folder)
    city.live.start()
    front = app.build(city)
    ask(front, partial(edit, key=key))
    return folder, key, city, front


def close(city: City) -> None:
    city.live.stop()
    city.close()


@pytest.mark.parametrize(("name", "harm"), CASES, ids=[f"{name}-{harm.__name__}" for name, harm in CASES])
def test_a_file_that_is_harmed_while_it_is_open_ends_nothing(
    good: Path, tmp_path: Path, name: str, harm: Harm, caplog: pytest.LogCaptureFixture
) -> None:
    folder, key, city, front = edited(good, tmp_path)
    ask(front, partial(asked, key=key))
    harm(folder / name)
    if name == "live.gpkg":
        until(lambda: not city.live.file.changed(), 20)
    while_open = ask(front, partial(asked, key=key))
    close(city)
    check(while_open, name)
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"], caplog.text


@pytest.mark.parametrize("harm", LOG_HARMS)
def test_a_log_that_is_harmed_before_its_commits_were_read_is_told(
    good: Path, tmp_path: Path, harm: Harm, caplog: pytest.LogCaptureFixture
) -> None:
    """A transaction that fails with the file is over: ending it again would be a fault of ours."""
    folder, key, city, front = edited(good, tmp_path)
    harm(folder / LOG)
    found = [ask(front, partial(asked, key=key)) for _ in range(2)]
    close(city)
    for one in found:
        check(one, LOG)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(("name", "harm"), CASES, ids=[f"{name}-{harm.__name__}" for name, harm in CASES])
def test_a_file_that_was_harmed_at_rest_ends_nothing(
    good: Path, tmp_path: Path, name: str, harm: Harm, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(good, tmp_path / "city")
    key = {"x-api-key": _key(folder)}
    if name == LOG:
        (folder / name).write_bytes(b"\x37\x7f\x06\x82" + bytes(5000))
    harm(folder / name)
    try:
        city = app.open_city(folder)
    except TwinError as error:
        told = str(error)
    else:
        city.live.start()
        found = ask(app.build(city), partial(asked, key=key))
        close(city)
        check(found, name)
        lost = name == "city.gpkg" and harm not in (replaced, flipped)
        assert found["/health/ready"] == found[ITEMS] == 503 or not lost
        assert found["/config.json"] == 200, "the page opens, and says what it cannot show"
        told = ""
    assert not told or name == "city.yml", told
    assert len(told) < 300
    assert "Traceback" not in caplog.text


async def asked(client: httpx.AsyncClient, key: dict[str, str]) -> dict[str, int]:
    found = {path: (await client.get(path, headers=key)).status_code for path in PATHS}
    posted = await client.post("/incidents", json={"title": "another"}, headers=key)
    return found | {"POST": posted.status_code}


async def edit(client: httpx.AsyncClient, key: dict[str, str]) -> None:
    headers = key | {"content-type": "application/merge-patch+json"}
    answer = await client.patch(ITEM, json={"properties": {"height": 5}}, headers=headers)
    assert answer.status_code == 204, answer.text


def check(found: dict[str, int], name: str) -> None:
    """No answer is a fault; what has nothing to do with the file is answered as ever."""
    assert 500 not in found.values(), found
    if name != "live.gpkg":
        assert {found[path] for path in LIVE} == {200}, found
    else:
        assert found[ITEMS] == 200, found
    if name.startswith("derived"):
        assert set(found.values()) <= {200, 201, 204}, found
