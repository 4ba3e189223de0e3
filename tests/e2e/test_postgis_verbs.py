"""The command line over a database: the same verbs, the same words."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import httpx
import pytest

from tests import launcher
from tests.postgres import Cluster
from tests.support import HELSINKI, twin


def test_init_load_layers_append_and_replace(postgres: Cluster, tmp_path: Path):
    city = str(tmp_path / "city")
    told = twin("init", city, "--title", "Wuhan", "--store", postgres.database())
    assert "twk_" in told.stdout
    file = str(HELSINKI / "street_assets.geojson")
    load = ("load", file, "--as", "assets", "--kind", "component", "--city", city)
    report = json.loads(twin(*load, "--json").stdout)[0]
    assert (report["generation"], report["created"]) == (1, report["kept"])
    refused = twin(*load, check=False)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    again = json.loads(twin(*load, "--replace", "--json").stdout)[0]
    assert (again["created"], again["updated"], again["deleted"]) == (0, 0, 0)
    assert again["unchanged"] == report["created"]
    added = json.loads(twin(*load, "--append", "--json").stdout)[0]
    assert added["unchanged"] == report["created"]
    (layer,) = json.loads(twin("layers", "--city", city, "--json").stdout)
    assert (layer["id"], layer["count"]) == ("assets", report["created"])
    assert not (tmp_path / "city" / "city.gpkg").exists()
    assert json.loads(twin("layers", "--report", "assets", "--city", city, "--json").stdout) == [added]
    twin("drop", "assets", "--yes", "--city", city)
    assert json.loads(twin("layers", "--city", city, "--json").stdout) == []


def test_cities_share_a_database_by_schema(postgres: Cluster, tmp_path: Path):
    url = postgres.database()
    for name in ("north", "south"):
        city = tmp_path / name
        city.mkdir()
        (city / "city.yml").write_text(f"store: {{url: '{url}', schema: {name}}}\n", "utf-8")
        file = str(HELSINKI / "street_assets.geojson")
        twin("load", file, "--as", f"of_{name}", "--kind", "component", "--city", str(city))
    for name in ("north", "south"):
        found = json.loads(twin("layers", "--city", str(tmp_path / name), "--json").stdout)
        assert [layer["id"] for layer in found] == [f"of_{name}"]


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ("postgresql://nobody:hunter2@127.0.0.1:1/none", "does not answer"),
        ("postgresql://twin:hunter2@127.0.0.1:{port}/nosuch", "database"),
        ("postgresql://twin:${TWIN_NO_SUCH_VARIABLE}@127.0.0.1/x", "TWIN_NO_SUCH_VARIABLE is not set"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_in_one_line(
    postgres: Cluster, tmp_path: Path, store: str, told: str
):
    (tmp_path / "city.yml").write_text(f"store: {store.replace('{port}', str(postgres.port))}\n", "utf-8")
    done = twin("layers", "--city", str(tmp_path), check=False)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr + done.stdout
    # keys need no database
    assert twin("key", "add", "duty", "--city", str(tmp_path)).stdout.startswith("twk_")


def test_the_demo_in_a_database(postgres: Cluster, tmp_path: Path):
    folder, store = str(tmp_path / "demo"), postgres.database()
    for start in ("first", "second"):
        options = ["--port", "0", "--dir", folder, "--no-simulator", "--store", store]
        process = launcher.start(["demo", *options])
        try:
            lines = iter(process.stdout)
            said = []
            for line in lines:
                said.append(line)
                if "/#key=" in line:
                    break
            url = said[-1].split()[-1].split("/#key=")[0]
            assert httpx.get(url + "/ogc/collections/buildings/items").json()["numberMatched"] == 446
            assert any("buildings.geojson" in line for line in said) == (start == "first")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
    other = twin("demo", "--port", "0", "--dir", folder, "--store", postgres.database(), check=False)
    assert other.returncode == 1
    assert "another --dir" in other.stderr
