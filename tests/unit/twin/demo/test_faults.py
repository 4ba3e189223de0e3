"""The dirty edition of 岚江: what is wrong stands in its truth, row by row, and nothing else is changed."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyogrio
import pytest
import shapely

from layers.errors import BadParameter
from twin.demo.lanjiang import generate, names
from twin.demo.lanjiang.faults import deliveries
from twin.demo.lanjiang.faults.addresses import FAULTS as ADDRESSES
from twin.demo.lanjiang.faults.buildings import FAULTS as BUILDINGS
from twin.demo.lanjiang.frame import Frame
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.planting import FAULT

CELL = (0, -1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lanjiang") / "dirty"
    generate.generate(out, size="S", edition="dirty", workers=1)
    return out


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((folder / "truth.json").read_text("utf-8"))
    return known


def at(truth: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [fault for fault in truth["faults"] if fault["kind"] == kind]


def test_each_kind_is_planted_in_a_small_share_of_the_rows(truth: dict[str, Any]) -> None:
    counts = Counter(fault["kind"] for fault in truth["faults"])
    assert {fault.kind for fault in (*ADDRESSES, *BUILDINGS)} <= set(counts)
    assert truth["edition"] == "dirty"
    for layer, table in (("buildings", "buildings"), ("addresses", "plates")):
        wrong = sum(fault["layer"] == layer for fault in truth["faults"])
        assert 0.005 <= wrong / truth["counts"][table] <= 0.03


def test_the_truth_names_the_row_of_each_fault(folder: Path, truth: dict[str, Any]) -> None:
    with (folder / "公安局/门牌地址.csv").open(encoding="gb18030") as file:
        plates = list(csv.DictReader(file))
    for fault in truth["faults"]:
        if fault["layer"] == "addresses":
            assert plates[fault["row"] - 1]["地址编码"] == fault["id"]
    for fault in at(truth, "address.no_street"):
        assert plates[fault["row"] - 1]["标准地址"] == ""
    for fault in at(truth, "address.full_width"):
        assert any("０" <= letter <= "９" for letter in plates[fault["row"] - 1]["标准地址"])
    for fault in at(truth, "address.twice"):
        before, again = plates[fault["row"] - 2], plates[fault["row"] - 1]
        assert before["标准地址"] == again["标准地址"]
        assert before["地址编码"] != again["地址编码"]
    _, _, shapes, columns = pyogrio.raw.read(folder / "住房和城乡建设局/建筑物.gpkg", columns=["建筑编号"])
    houses = shapely.from_wkb(shapes)
    for fault in truth["faults"]:
        if fault["layer"] == "buildings":
            assert columns[0][fault["row"] - 1] == fault["id"]
    bows = {fault["row"] - 1 for fault in at(truth, "building.bow_tie")}
    assert {row for row, valid in enumerate(shapely.is_valid(houses)) if not valid} == bows
    for fault in at(truth, "building.overlap"):
        assert shapely.area(shapely.intersection(*houses[[fault["row"] - 2, fault["row"] - 1]])) > 20


def test_what_is_not_wrong_is_as_in_the_clean_edition_and_sizes_agree() -> None:
    clean, dirty, larger = (
        generate.tables(Known(1, *CELL, size), Frame(), edition)
        for size, edition in (("S", "clean"), ("S", "dirty"), ("M", "dirty"))
    )
    for name, table in dirty.items():
        assert table.equals(larger[name])
        if FAULT not in table.column_names:
            assert table.equals(clean[name])
            continue
        right = {tuple(row.values()) for row in clean[name].to_pylist()}
        rows = table.to_pylist()
        assert all(tuple(v for k, v in row.items() if k != FAULT) in right for row in rows if not row[FAULT])
        assert any(row[FAULT] for row in rows)


def test_names_of_roads_have_former_ones() -> None:
    former = [names.former(names.main_road(level, line, 0)) for level in (True, False) for line in range(20)]
    assert len(set(former)) > 35
    assert names.former("清河路") == names.former("清河路") != "清河路"


def test_files_are_resubmitted_wrongly_each_in_its_way(folder: Path) -> None:
    there = folder / deliveries.FOLDER
    assert not (there / "建筑物_无坐标系.prj").exists()
    assert not (there / "建筑物_名称截断.cpg").exists()
    bounds = {
        file.stem.partition("_")[2]: pyogrio.read_bounds(file)[1].mean(axis=1) for file in there.glob("*.shp")
    }
    x, y = bounds["无坐标系"][:2]
    assert bounds["坐标颠倒"][0] == pytest.approx(y)
    assert bounds["带号"][0] == pytest.approx(x + 38e6)
    assert bounds["邻带坐标"][0] == pytest.approx(x - 245_000, abs=5_000)
    assert bounds["独立中央子午线"][0] == pytest.approx(50_000, abs=3_000)
    names_ = pyogrio.raw.read(there / "建筑物_名称截断.shp", columns=["名称"], encoding="GBK")[3][0]
    right = pyogrio.raw.read(there / "建筑物_带号.shp", columns=["名称"])[3][0]
    assert [len(name or "") for name in names_] != [len(name or "") for name in right]


def test_the_secret_is_nowhere_else(folder: Path) -> None:
    secret = (folder / deliveries.SECRET).read_text("utf-8")
    figures = ["27182.8182", "31415.9265", "14142.1356", "26457.5131"]
    assert all(figure in secret for figure in figures)
    for file in folder.rglob("*"):
        if file.is_file() and file != folder / deliveries.SECRET:
            data = file.read_bytes()
            assert not any(figure.encode() in data for figure in figures)


def test_there_is_no_other_edition(tmp_path: Path) -> None:
    with pytest.raises(BadParameter):
        generate.generate(tmp_path / "a", edition="filthy")
    assert not (tmp_path / "a").exists()
