"""What the audit costs: CPU of edits over HTTP, their sealing included, with it and without."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from tests.bench.measure import Connection, usage
from tests.bench.processes import one_core
from tests.bench.report import Row
from tests.support import COLD, Server, until

EDITS, ROUNDS = 200, 7
TYPE = ("content-type", "application/merge-patch+json")


def figures(city: Path, folder: Path) -> Iterator[Row]:
    """Buildings of a city, Helsinki's, are edited one by one, the two servers in turns."""
    servers: list[Server] = []
    try:
        with one_core():
            for enabled in (True, False):
                copy = folder / f"audited-{enabled}"
                shutil.copytree(city, copy, ignore=shutil.ignore_patterns("city.lock"))
                if enabled:
                    with (copy / "city.yml").open("a", encoding="utf-8") as file:
                        file.write("\naudit: {enabled: true}\n")
                servers.append(Server.start(copy, prefix=COLD))
            spent = np.array([[_spent(server, turn) for server in servers] for turn in range(ROUNDS + 1)])[1:]
    finally:
        for server in servers:
            server.stop()
    with_, without = np.median(spent, axis=0)
    ratio = float(np.median(spent[:, 0] / spent[:, 1]))
    detail = f"{with_:.0f} µs, {without:.0f} µs, sealing included"
    yield Row("an edit over HTTP, to one without audit (GeoPackage)", f"{ratio:.2f} ×", "stated", detail)


def _spent(server: Server, turn: int) -> float:
    """µs of CPU an edit, until all are sealed."""
    connection = Connection(server.url)
    body = json.dumps({"properties": {"name": f"{turn}"}}).encode()
    headers = (TYPE, *((name.lower(), value) for name, value in server.auth.items()))
    before = usage((server.process.pid,))
    try:
        for fid in range(1, EDITS + 1):
            path = f"/ogc/collections/buildings/items/{fid}"
            status, _, answer = connection.request(path, headers, "PATCH", body)
            if status != 204:
                raise AssertionError(f"{path}: {status}: {answer[:200]!r}")
    finally:
        connection.close()
    until(lambda: _sealed(server.folder / "city.gpkg"), 30, "the audit")
    return usage((server.process.pid,)).since(before) / EDITS / 1000


def _sealed(file: Path) -> bool:
    """Whether the newest change set is in the chain, where there is one."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as con:
        tables = {name for (name,) in con.execute("SELECT name FROM sqlite_master")}
        if "twin_audit" not in tables:
            return True
        newest, sealed = con.execute(
            "SELECT (SELECT max(id) FROM twin_sets), (SELECT max(change) FROM twin_audit)"
        ).fetchone()
        return bool(newest == sealed)
