"""The generated city goes the road of any other: ``twin generate``, ``twin load --manifest``: it is there."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import init, twin

#: What loads say of a clean city: how texts and places were found out, nothing else.
SAID = {"encoding.sniffed", "geometry.columns", "id.chosen"}


def test_all_of_it_is_loaded_and_nothing_is_found_wrong(tmp_path: Path) -> None:
    told = twin("generate", "lanjiang", "--out", str(tmp_path / "files"), "--size", "s").stdout
    assert "虚构演示数据" in told
    truth = json.loads((tmp_path / "files/truth.json").read_text("utf-8"))
    city = init(tmp_path / "city")
    (city / "city.yml").write_text((tmp_path / "files/city.yml").read_text("utf-8"), "utf-8")
    manifest = str(tmp_path / "files/load.yml")
    loaded = json.loads(twin("load", "--manifest", manifest, "--city", str(city), "--json").stdout)
    terrain, *rows = loaded
    assert terrain["vertical_datum"] == "Yellow Sea 1985 height"
    counts = {one["layer"]: (one["read"], one["kept"], one["repaired"], one["quarantined"]) for one in rows}
    named = {
        "covers": "land_cover",
        "plates": "addresses",
        "units": "unit_grids",
        "components": "street_assets",
    }
    assert counts == {named.get(n, n): (count, count, 0, 0) for n, count in truth["counts"].items()}
    assert {problem["rule"] for one in loaded for problem in one["problems"]} <= SAID
    assert {one["crs"] for one in rows} == {"EPSG:4547", "EPSG:4490"}
    refused = twin("generate", "lanjiang", "--out", str(tmp_path / "files"), check=False)
    assert refused.returncode != 0
    assert "not empty" in refused.stderr
    for wrong in (("--size", "XL"), ("--at", "10,10"), ("--at", "here")):
        refused = twin("generate", "lanjiang", "--out", str(tmp_path / "other"), *wrong, check=False)
        assert refused.returncode != 0
        assert "Traceback" not in refused.stderr
    assert twin("generate", "atlantis", "--out", str(tmp_path / "other"), check=False).returncode != 0
    assert not (tmp_path / "other").exists()
