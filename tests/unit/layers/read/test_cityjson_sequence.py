"""Sequences of CityJSON features: the same rows as of the document, line by line."""

from __future__ import annotations

import gzip
import json
import resource
from pathlib import Path
from typing import Any

import pytest
import shapely

from layers import load
from layers.batch import MESH, ROW, WKB
from layers.errors import BadFile
from layers.guard import ReadLimits
from layers.mesh import Mesh
from layers.read.base import ReadOptions, Sink
from layers.read.cityjson.read import is_sequence
from layers.read.cityjson.read import read as read_file
from tests.cityjsons import GOLDEN, features, lines, read, told, written


@pytest.fixture
def golden() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(GOLDEN.read_text("utf-8"))
    return made


def test_a_sequence_has_the_rows_of_the_document(tmp_path: Path, golden: dict[str, Any]) -> None:
    found = features(written(tmp_path / "a.city.jsonl", lines(golden)))
    known = features(GOLDEN)
    assert set(found) == set(known)
    for name, row in known.items():
        other = found[name]
        assert {**other, ROW: 0, MESH: 0, WKB: 0} == {**row, ROW: 0, MESH: 0, WKB: 0}
        assert shapely.equals(*(shapely.normalize(shapely.from_wkb(one[WKB])) for one in (row, other)))
        one, two = (Mesh.from_bytes(each[MESH]) for each in (row, other))
        assert (one.positions[one.triangles] == two.positions[two.triangles]).all()
        assert (one.surfaces == two.surfaces).all()
        assert one.part_table == two.part_table
    assert found["tank-d"][ROW] == 5  # the line


def test_loaded_plain_packed_and_zipped_it_is_the_same(tmp_path: Path, golden: dict[str, Any]) -> None:
    plain = written(tmp_path / "a.city.jsonl", lines(golden))
    packed = tmp_path / "a.city.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        report = load.check(path)
        assert (report.driver, report.kind, report.crs, report.kept) == ("CityJSON", "cim", "EPSG:3879", 4)


def test_a_feature_may_have_a_transform_of_its_own(tmp_path: Path, golden: dict[str, Any]) -> None:
    texts = lines(golden)
    own = texts[1]
    own["transform"] = {"scale": [0.01] * 3, "translate": golden["transform"]["translate"]}
    own["vertices"] = [[value / 10 for value in vertex] for vertex in own["vertices"]]
    found = features(written(tmp_path / "a.city.jsonl", texts))["house-a"]
    assert found["base_m"] == features(GOLDEN)["house-a"]["base_m"]


def test_a_line_that_is_none_costs_itself(tmp_path: Path, golden: dict[str, Any]) -> None:
    file = written(tmp_path / "a.city.jsonl", lines(golden))
    texts = file.read_text("utf-8").splitlines()
    texts[1] = texts[1][:-3]
    texts[2:2] = [
        "",
        '{"type": "Feature"}',
        '{"type": "CityJSONFeature", "CityObjects": {}, "vertices": [[1]]}',
        "[]",
    ]
    file.write_text("\n".join(texts), "utf-8")
    reading = read(file)
    dropped = [(p.rule, p.row) for p in reading.problems if p.action == "quarantined"]
    assert dropped == [
        ("json.syntax", 2),
        ("cityjson.feature", 4),
        ("cityjson.vertices", 5),
        ("cityjson.feature", 6),
    ]
    assert sum(len(table) for table in reading.batches()) == 3


def test_a_first_line_that_is_none_is_named(tmp_path: Path, golden: dict[str, Any]) -> None:
    file = written(tmp_path / "a.city.jsonl", lines(golden)[1:])
    with pytest.raises(BadFile, match=r"cityjson\.sequence: .*first line of type CityJSON"):
        load.check(file)
    texts = written(file, lines(golden)).read_text("utf-8").splitlines()
    file.write_text("\n".join([texts[0].replace("{}", "{", 1), *texts[1:]]), "utf-8")
    with pytest.raises(BadFile, match=r"json\.syntax: line 1, column \d+"):
        load.check(file)


def test_texts_over_several_lines_are_no_sequence(tmp_path: Path, golden: dict[str, Any]) -> None:
    file = tmp_path / "a.json"
    file.write_text("\n".join(json.dumps(each, indent=1) for each in lines(golden)), "utf-8")
    assert not is_sequence(file)
    with pytest.raises(BadFile, match=r"cityjson\.sequence: .*each on one line"):
        load.check(file)


def test_a_check_looks_at_the_first_rows_only(tmp_path: Path, golden: dict[str, Any]) -> None:
    file = written(tmp_path / "a.city.jsonl", lines(golden))
    sink = Sink(tmp_path)
    read_file(file, ReadOptions(str(file), limits=ReadLimits(rows=2)), sink)
    assert sink.meta["features"] == 2
    assert "check.rows" in {p.rule for p in sink.problems}


def test_a_long_sequence_is_not_held_whole(tmp_path: Path, golden: dict[str, Any]) -> None:
    """What a feature has beside its body passes by: 160 MB of lines leave 4 small bodies each eight."""
    first, house, *_ = lines(golden)
    house["padding"] = ["x" * 100] * 40_000
    text = json.dumps(house)
    file = tmp_path / "a.city.jsonl"
    with file.open("w", encoding="utf-8") as out:
        out.write(json.dumps(first) + "\n")
        for number in range(40):
            out.write(text.replace("house-a", f"house-{number}") + "\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(features(file)) == 40
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < file.stat().st_size / 2, told(read(file))
