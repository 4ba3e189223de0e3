"""Text → measure, the height chain, pipes, addresses, components and guessing a kind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import shapely

from layers import kinds
from layers.errors import BadParameter
from layers.kinds import SourceBatch
from layers.kinds.address import compose
from layers.kinds.base import blank, metres, number, storeys, text
from layers.kinds.pipeline import diameter


def batch(**columns: list[Any]) -> SourceBatch:
    named = {name.replace("__", ":"): values for name, values in columns.items()}
    n = len(next(iter(named.values())))
    shapes = np.array([shapely.box(i, 0, i + 1, 1) for i in range(n)], dtype=object)
    return SourceBatch(named, list(range(1, n + 1)), [f"id/{i}" for i in range(n)], shapes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12 m", 12.0),
        ("12.13 m", 12.13),
        ("12,5", 12.5),
        ("1,234.5", 1234.5),
        (18, 18.0),
        ("10'", 3.048),
        ("50 cm", 0.5),
        ("9 furlongs", None),
        ("block", None),
        (math.nan, None),
        (math.inf, None),
        ("nan", None),
        ("1e999", None),
        (True, None),
        ("", None),
    ],
)
def test_metres(value: Any, expected: float | None) -> None:
    assert metres(value) == (pytest.approx(expected) if expected is not None else None)


@pytest.mark.parametrize(
    ("value", "expected"), [("3;4", 4.0), ("6.5", 6.5), (7, 7.0), ("3;x", None), ("x", None), (None, None)]
)
def test_storeys(value: Any, expected: float | None) -> None:
    assert storeys(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("300", 300.0),
        ('4"', 101.6),
        ("DN300", 300.0),
        ("0.3 m", 300.0),
        ("300 mm", 300.0),
        (150, 150.0),
        ("400x300", 2 * math.sqrt(400 * 300 / math.pi)),
        ("400*300", 2 * math.sqrt(400 * 300 / math.pi)),
    ],
)
def test_diameter(value: Any, expected: float) -> None:
    read = diameter(value)
    assert read is not None
    assert read[0] == pytest.approx(expected)


def test_diameter_that_is_none() -> None:
    assert diameter("'block'") is None
    assert diameter("wide") is None


def test_blank_and_text() -> None:
    assert all(blank(v) for v in (None, "", "  ", "nan", "NULL", math.nan))
    assert not blank(0)
    assert not blank(False)
    assert text(12.0) == "12"
    assert text(" a ") == "a"
    assert number("5 m") == (5.0, "m")


def test_height_chain_names_its_link() -> None:
    out = kinds.get("building").normalise(
        batch(
            height=["12.13 m", None, None, "block", "5000"],
            building__levels=[None, "3;4", None, None, "2"],
            building=["yes", "yes", "yes", "garage", "yes"],
        )
    )
    assert out["height_m"] == [12.13, 12.8, 9.6, 3.2, 6.4]
    assert out["height_source"] == ["measured", "levels", "default", "default", "levels"]
    assert out["use"] == [None, None, None, "garage", None]


def test_height_problems_are_told() -> None:
    rows = batch(height=["block", "5000", "3"], min_height=[None, None, "10"])
    kinds.get("building").normalise(rows)
    assert [(p.rule, p.row, p.action) for p in rows.problems] == [
        ("height.unreadable", 1, "noted"),
        ("height.range", 2, "noted"),
        ("height.below_min", 3, "noted"),
    ]


def test_a_body_is_never_upside_down() -> None:
    rows = batch(
        height=[None, None, "5", None],
        building__levels=["2", None, None, "1"],
        building__min_level=["5", None, None, "1"],
        min_height=[None, "20", "9", None],
    )
    out = kinds.get("cim").normalise(rows)
    assert out["height_m"] == [22.4, 23.2, 5.0, 6.4]
    assert out["min_height_m"] == [16.0, 20.0, 0.0, 3.2]
    assert all(low < high for low, high in zip(out["min_height_m"], out["height_m"], strict=True))


def test_a_height_that_was_assumed_before_stays_assumed() -> None:
    out = kinds.get("building").normalise(batch(height_m=[9.6, 12.0], height_source=["default", "levels"]))
    assert out["height_source"] == ["default", "levels"]


def test_pipes() -> None:
    rows = batch(
        type=["water", None, "heat", "lava"],
        substance=["gas", "gas", None, None],
        diameter=["300", '4"', "'block'", None],
    )
    out = kinds.get("pipeline").normalise(rows)
    assert out["medium"] == ["water", "gas", "heat", "other"]
    assert out["diameter_mm"] == [300.0, 101.6, 250, 150]
    assert out["diameter_source"] == ["measured", "measured", "default", "default"]
    assert out["depth_source"] == ["default"] * 4
    assert {(p.rule, p.row) for p in rows.problems} == {
        ("medium.unknown", 4),
        ("diameter.converted", 2),
        ("diameter.unreadable", 3),
    }


def test_chinese_pipe_columns_give_the_depth_of_the_axis() -> None:
    rows = batch(管线类别=["给水", "污水", "DL"], 管径=["DN400", 600, None], 埋深=[1.0, 3.0, None])
    out = kinds.get("pipeline").normalise(rows)
    assert out["medium"] == ["water", "drainage", "power"]
    assert out["depth_m"] == [1.2, 2.7, 0.8]
    assert out["depth_source"] == ["measured", "measured", "default"]


def test_covers_of_both_ends_give_a_pipe_that_falls_between_them() -> None:
    rows = batch(
        管线类别=["给水", "污水", "给水", "给水", "给水"],
        管径=[400, 600, 400, 400, 400],
        起点埋深=[1.0, 3.0, 1.0, None, 1.0],
        终点埋深=[1.6, 2.0, None, None, 1e6],
        埋深=[9.0, None, 2.0, 1.0, None],
    )
    out = kinds.get("pipeline").normalise(rows)
    # of the axis in the middle: half a diameter below the top of a pressure pipe, above the invert of a drain
    assert out["depth_m"] == [1.5, 2.2, 1.7, 1.2, 1.8]
    assert out["depth_change_m"] == [0.6, -1.0, None, None, None]
    assert out["depth_source"] == ["measured"] * 4 + ["default"]
    # a download that is loaded again is the same
    again = kinds.get("pipeline").normalise(batch(**out))
    assert (again["depth_m"], again["depth_change_m"]) == (out["depth_m"], out["depth_change_m"])


def test_addresses_in_both_orders() -> None:
    assert compose("Annankatu", "20", "B", "00100", "Helsinki") == "Annankatu 20 B, 00100 Helsinki"
    assert compose("珞喻路", "1037号", None, None, "武汉市") == "武汉市珞喻路1037号"
    assert compose(None, None, None, "00100", "Helsinki") is None
    rows = batch(门牌号=["8号", None], 街路巷=["中山路", None])
    out = kinds.get("address").normalise(rows)
    assert out["full_address"] == ["中山路8号", None]
    assert [p.rule for p in rows.problems] == ["address.empty"]


def test_components_by_tag_and_by_word() -> None:
    out = kinds.get("component").normalise(
        batch(
            highway=["street_lamp", "traffic_signals", None, None, None],
            emergency=[None, None, "fire_hydrant", None, None],
            部件名称=[None, None, None, "井盖", None],
        )
    )
    assert out["class"] == ["lamp", "traffic_signal", "hydrant", "manhole", "other"]


def test_guessing_a_kind() -> None:
    assert kinds.guess({"building": 1.0}, {"polygon"}, {}).id == "building"
    assert kinds.guess({"building:part": 1.0, "building": 1.0}, {"polygon"}, {}).id == "cim"
    assert kinds.guess({"man_made": 1.0}, {"line"}, {"man_made": "pipeline"}).id == "pipeline"
    assert kinds.guess({"highway": 1.0}, {"line"}, {}).id == "road"
    assert kinds.guess({"building": 1.0}, {"point"}, {}).id == "feature"
    assert kinds.guess({"building": 0.1}, {"polygon"}, {}).id == "feature"


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(BadParameter, match=r"kind=castle: one of address, boundary"):
        kinds.get("castle")


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda k: k.id)
def test_every_kind_is_whole(kind: kinds.Kind) -> None:
    assert {"zh-CN", "en"} <= set(kind.title)
    assert {"zh-CN", "en"} <= set(kind.group)
    assert {"color", "legend", "assumed"} <= set(kind.style)
    names = {f.name for f in kind.fields}
    assert set(kind.key) <= names
    flags = {*kind.provenance, *kind.searched, *(name for fields in kind.label for name in fields)}
    if isinstance(kind.body, kinds.Prism):
        flags |= {kind.body.low, kind.body.high}
    if isinstance(kind.body, kinds.Tube):
        flags |= {kind.body.depth, kind.body.diameter, kind.body.change} - {""}
    assert flags | ({kind.parent} - {None}) <= names
    assert kind.part_of is None or kind.part_of in kinds.KINDS
    assert kind.style["color"]["property"] in names | {None}
    assert kind.style["assumed"] is None or kind.style["assumed"]["property"] in names
    for entry in kind.style["legend"]:
        assert {"zh-CN", "en"} <= set(entry["title"])
    out = kind.normalise(batch(unrelated=[None, 1]))
    assert set(out) == names
    assert all(len(column) == 2 for column in out.values())


@pytest.mark.parametrize("kind", ["cim", "building"])
def test_a_model_says_its_level_and_its_class_in_any_words(kind: str) -> None:
    """As codes, numbers or Chinese names; what is none of them stays unknown, and nothing is assumed."""
    levels = ["CIM4", 5, "6级", "标准模型", "LOD2", None]
    rows = batch(**{"CIM分级": levels, "数据大类": ["CIM成果", "规划管控数据", "x", None, None, None]})
    out = kinds.get(kind).normalise(rows)
    assert out["cim_level"] == ["CIM4", "CIM5", "CIM6", "CIM3", None, None]
    assert out["cim_class"] == ["cim", "planning", None, None, None, None]
