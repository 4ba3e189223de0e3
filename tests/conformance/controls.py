"""The controls: pygeoapi and tipg over the same data, and what each of them is known to fail.

With ``TWIN_CONTROLS=1`` the suite runs against them too. A test that a control is recorded to fail and
passes, or the other way round, is a failure: so a test that everything passes, or nothing, is noticed.
``python -m tests.conformance.controls REPORT.xml`` makes the record anew from such a run's JUnit report.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import psycopg

from tests.bench.peers import install
from tests.conformance import city
from tests.support import ROOT

RECORD = Path(__file__).with_name("controls.json")
TABLES = (city.COUNTRIES, city.PLACES, city.RIVERS, "pipelines")


def recorded() -> dict[str, list[str]]:
    """By control: the names of the tests that it fails."""
    found: dict[str, list[str]] = json.loads(RECORD.read_text("utf-8"))
    return found


@contextmanager
def served(name: str, database: str, folder: Path) -> Iterator[str]:
    """The address of a control that serves the tables; it is stopped at the end."""
    city.build(folder, database)
    with psycopg.connect(database, autocommit=True) as con:
        for table in TABLES:
            con.execute(f'CREATE TABLE public."{table}" AS TABLE city."{table}"')
            con.execute(f'ALTER TABLE public."{table}" ADD PRIMARY KEY (fid)')
    command = install.command(name, database, *TABLES)
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    late = threading.Timer(90, process.kill)
    late.start()
    try:
        line = process.stdout.readline()
        late.cancel()
        assert " at " in line, f"{name} did not start"
        yield line.split(" at ")[1].strip().rstrip("/")
    finally:
        late.cancel()
        process.kill()
        process.wait(10)
        process.stdout.close()


def record(report: Path) -> dict[str, list[str]]:
    """What each control failed, by the JUnit report of a run."""
    found: dict[str, list[str]] = {name: [] for name in install.PEERS}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = case.get("name", "")
        control = next((one for one in found if re.search(rf"\[{one}\b", name)), None)
        failed = case.find("failure") is not None or case.find("error") is not None
        skipped = case.find("skipped")
        xfailed = skipped is not None and skipped.get("type") == "pytest.xfail"
        strict = failed and "XPASS(strict)" in (getattr(case.find("failure"), "text", "") or "")
        if control and (failed or xfailed) and not strict:
            found[control].append(name)
    return {name: sorted(tests) for name, tests in found.items()}


if __name__ == "__main__":
    RECORD.write_text(json.dumps(record(Path(sys.argv[1])), indent=1, ensure_ascii=False) + "\n", "utf-8")
