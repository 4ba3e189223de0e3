"""``make conformance SUITES=DIR``: the OGC's all-in-one jars that lie in DIR, against a served Helsinki.

One suite at a time, each against a city of its own that is thrown away afterwards. Exit code 0: every suite
that ran is good (``results.troubles``); 1: one is not; 2: nothing could run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.conformance_suites import results
from tests.conformance_suites.results import Allowed, Outcome
from tests.conformance_suites.suites import RESULTS, SUITES, Suite, properties
from tests.postgres import Cluster, binaries
from tests.support import HELSINKI, Server, copy_city, twin

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
ALLOWED = HERE / "allowed.json"
#: A suite takes up to a minute of CPU; a busy machine may need several times that.
SECONDS = 900


def main(arguments: list[str] | None = None) -> int:
    """Run what is there, print the counts, judge. The exit code."""
    asked = _asked(arguments)
    java = _java()
    if java is None:
        print("conformance: no java found; install a JRE 17 or newer (Debian: default-jre-headless)")
        return 2
    if not asked.suites.is_dir():
        print(f"conformance: there is no folder {asked.suites}")
        return 2
    jars = {suite.name: suite.found(asked.suites) for suite in SUITES}
    _tell_absent(jars, asked.suites)
    present = [suite for suite in SUITES if jars[suite.name] is not None]
    if not present:
        print("conformance: NO SUITE RAN")
        return 2
    good = True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twin-conformance-")))
        city = _city(folder, _database(stack) if asked.postgis else None)
        for suite in present:
            jar = jars[suite.name]
            assert jar is not None
            good = _one(suite, java, jar, city, folder, record=asked.record) and good
    _tell_absent(jars, asked.suites)
    return 0 if good else 1


def _asked(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__)
    parser.add_argument("suites", type=Path, help="folder with the suites' all-in-one jars")
    parser.add_argument("--postgis", action="store_true", help="keep the city in PostGIS, not in its folder")
    parser.add_argument("--record", action="store_true", help="write the counts as the new baseline")
    return parser.parse_args(arguments)


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    inside = Path(home) / "bin" / "java" if home else None
    return str(inside) if inside and inside.exists() else shutil.which("java")


def _tell_absent(jars: dict[str, Path | None], folder: Path) -> None:
    for suite in SUITES:
        if jars[suite.name] is None:
            print(f"!! ABSENT, NOT RUN: {suite.name} ({suite.standard}): no {suite.jar} in {folder}")


def _database(stack: ExitStack) -> str:
    """An empty database of a private cluster that ends with the run."""
    installed = binaries()
    if installed is None:
        raise SystemExit("conformance: PostgreSQL with PostGIS is not installed (make deps)")
    cluster = Cluster.start(installed)
    stack.callback(cluster.close)
    return cluster.database()


def _city(folder: Path, database: str | None) -> Path:
    """Helsinki, loaded by the command line into its folder or into a database."""
    city = folder / "helsinki"
    twin("init", str(city))
    settings = (HELSINKI / "city.yml").read_text("utf-8")
    if database is not None:
        settings += f"store: {database}\n"
    (city / "city.yml").write_text(settings, "utf-8")
    twin("load", "--manifest", str(HELSINKI / "load.yml"), "--city", str(city))
    return city


def _one(suite: Suite, java: str, jar: Path, city: Path, folder: Path, *, record: bool) -> bool:
    """Run one suite and tell; whether it is as good as it should be."""
    version = _version(jar)
    outcome, troubles = _run(suite, java, jar, copy_city(city, folder / suite.name), folder / "out")
    if outcome is None:
        print(f"{suite.name} {version}: did not run")
    else:
        print(
            f"{suite.name} {version}: {outcome.passed} passed, {outcome.failed} failed, {outcome.skipped}"
            f" skipped ({outcome.cascades} of them because another test failed), {outcome.total} in all"
        )
        if record:
            _record(suite, version, outcome)
        allowed = results.load_allowed(ALLOWED)
        baseline = _baseline().get(suite.name)
        if baseline is None:
            print(f"!! NO BASELINE RECORDED: {suite.name}; look at the counts, then record them (RECORD=1)")
        troubles += results.troubles(suite.name, outcome, allowed, baseline)
        _tell_allowed(suite, outcome, allowed)
    for line in troubles:
        print(f"   ✗ {line}")
    return not troubles


def _run(suite: Suite, java: str, jar: Path, city: Path, out: Path) -> tuple[Outcome | None, list[str]]:
    """The outcome, and what went wrong around it: no results, a server that logged or fell."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    server = Server.start(city)
    troubles: list[str] = []
    outcome = None
    try:
        arguments = out / "arguments.xml"
        arguments.write_text(properties(suite.arguments(server)), "utf-8")
        done = subprocess.run(
            suite.command(java, jar, arguments, out), capture_output=True, text=True, timeout=SECONDS
        )
        found = sorted(out.rglob(RESULTS))
        if found:  # the exit code is 0 even with failed tests: the file decides
            outcome = results.read(found[-1])
        else:
            troubles.append(
                f"no {RESULTS} (exit code {done.returncode}): {(done.stderr or done.stdout)[-500:]}"
            )
    except (subprocess.TimeoutExpired, ValueError) as error:
        troubles.append(str(error)[:500])
    finally:
        try:
            server.stop()
        except AssertionError as error:
            troubles.append(f"the server: {str(error)[:500]}")
    return outcome, troubles


def _tell_allowed(suite: Suite, outcome: Outcome, allowed: list[Allowed]) -> None:
    for fault in outcome.faults:
        for entry in allowed:
            if entry.covers(suite.name, fault):
                print(f"   · {fault.method}: {fault.message[:120]} — allowed: {entry.reason}")
    for line in results.unused(suite.name, outcome, allowed):
        print(f"   · {line}; take the entry out of {ALLOWED.name}")


def _version(jar: Path) -> str:
    found = re.search(r"-(\d[\w.]*?)(?:-aio)?\.jar$", jar.name)
    return found[1] if found else "?"


def _baseline() -> dict[str, dict[str, Any]]:
    return dict(json.loads(BASELINE.read_text("utf-8"))) if BASELINE.exists() else {}


def _record(suite: Suite, version: str, outcome: Outcome) -> None:
    counts = {
        "version": version,
        "total": outcome.total,
        "passed": outcome.passed,
        "failed": outcome.failed,
        "skipped": outcome.skipped,
    }
    recorded = dict(sorted({**_baseline(), suite.name: counts}.items()))
    BASELINE.write_text(json.dumps(recorded, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
