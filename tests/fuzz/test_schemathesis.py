"""schemathesis reads the API document and sends what it says and what it does not: every check is on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.city import ODD

HERE = Path(__file__).parent / "schemathesis"
#: Cases an operation, over two layers and all that is not of a layer; ``make drill`` takes all and more.
EXAMPLES = int(os.environ.get("TWIN_SCHEMATHESIS_EXAMPLES", "5"))
LAYERS = os.environ.get("TWIN_SCHEMATHESIS_LAYERS", f"({ODD}|pipelines)(/|$)")
#: Of SensorThings, this set and what lies below it; ``make drill`` takes all.
SETS = os.environ.get("TWIN_SCHEMATHESIS_SETS", "Observations")
PATHS = rf"^/(?!collections/|sta/)|^/collections/{LAYERS}|^/sta/v1.1(/{SETS}|/Create|$)"
#: What stands before the stores is the same code: only one gets the deterministic cases of every operation,
#: more than half of all; ``make drill`` gives both all.
PHASES = {"geopackage": "examples,coverage,fuzzing,stateful", "postgis": "examples,fuzzing,stateful"}
ALL = "TWIN_SCHEMATHESIS_EXAMPLES" in os.environ
SECONDS = int(os.environ.get("TWIN_SCHEMATHESIS_SECONDS", "400"))


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("store", ["geopackage", "postgis"])
def test_the_api_does_what_its_document_says(fuzzed, store, tmp_path):
    """Statuses, media types, schemas, refusals of what is wrong, keys, links between operations."""
    server = fuzzed[store].server
    env = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
    }
    command = [
        Path(sys.executable).with_name("st"),
        *("--config-file", HERE / "schemathesis.toml", "--no-color"),
        *("run", f"{server.url}/ogc/api", "--checks", "all", "--warnings", "off"),
        *("--header", f"Authorization: Bearer {server.key}"),
        *("--include-path-regex", PATHS),
        *("--exclude-path", "/stream"),  # it has no end
        *("--phases", PHASES["geopackage" if ALL else store]),
        *("--max-examples", EXAMPLES, "--seed", 20261122, "--no-shrink", "--continue-on-failure"),
        *("--suppress-health-check", "all"),
    ]
    done = subprocess.run(
        [str(word) for word in command],
        cwd=tmp_path,  # it leaves a folder behind
        env=env,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    assert "API Links" in done.stdout, "no operation was linked to another"
