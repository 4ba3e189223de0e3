"""The door "analysis": one module outside the project, done by the pool of jobs over what its caller sees."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.storing import grid, load, spec
from tests.support import event_loop
from tests.unit.twin.jobs.installing import install
from twin import app
from twin.access.caller import Caller

#: All that a new analysis is: in the project a module of twin/jobs/works, else one with an entry point.
MODULE = """
import msgspec
from layers.query import Query
from twin.jobs.work import Work

class Input(msgspec.Struct, forbid_unknown_fields=True):
    layer: str
    bbox: tuple[float, float, float, float]

def run(given, context):
    import scipy_like_heavy
    rows = context.view.select(given.layer, Query(bbox=given.bbox, limit=10_000)).rows
    return {"features": len(rows.fids), "by": scipy_like_heavy.NAME}

WORK = Work("count", {"en": "Features within a box", "zh-CN": "框内要素统计"}, Input, run)
"""


def test_a_new_analysis_is_done_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path / "site", MODULE)
    (tmp_path / "site" / "scipy_like_heavy.py").write_text("NAME = 'heavy'")
    folder = tmp_path / "city"
    folder.mkdir()
    (folder / "city.yml").write_text("title: {en: Test}\n", "utf-8")
    city = app.open_city(folder)
    load(city.store, spec(), grid(25))
    (west, south, *_), *_ = [one.extent for one in city.store.layers() if one.extent]
    site = app.build(city)

    async def ask() -> tuple[object, Sequence[dict[str, object]]]:
        box = [west, south, west + 1, south + 1]
        job = await city.jobs.start("count", {"layer": "buildings", "bbox": box}, Caller())
        result = await job.result()
        transport = httpx.ASGITransport(app=site)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            listed = (await client.get("/ogc/jobs")).json()["jobs"]
        await city.jobs.stop()
        return result, listed

    with event_loop() as run:
        result, listed = run(ask())
    assert result == {"features": 25, "by": "heavy"}
    assert [(one["processID"], one["status"], one["result"]) for one in listed] == [
        ("count", "successful", result)
    ]
    assert "scipy_like_heavy" not in sys.modules  # what is heavy is imported by the process of the pool
    city.live.stop()
    city.close()
