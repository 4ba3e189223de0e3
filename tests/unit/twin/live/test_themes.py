"""Theme files: the built-in ones hold, a mistake is named."""

import pytest

from layers import strict
from layers.errors import BadConfig
from twin.live import themes

GOOD = """
title: {en: Noise}
properties:
  noise:
    title: {en: Noise}
    definition: "urn:x:noise"
    unit: {name: decibel, symbol: dB, definition: "ucum:dB"}
    thresholds: [{level: red, raise: 80, clear: 75}]
"""


def test_the_built_in_themes_load_and_have_both_languages(tmp_path):
    found = themes.load(tmp_path, ["water", "flood", "gas", "air", "traffic", "facilities"])
    assert {"water_level", "water_pressure", "gas_lel", "pm2_5", "traffic_speed"} <= set(found.properties)
    for prop in found.properties.values():
        assert set(prop.title) == {"en", "zh-CN"}
    public = found.public()
    assert public["gas_lel"]["unit"] == "%LEL"
    assert {"level", "side", "raise", "clear"} == set(public["gas_lel"]["thresholds"][0])


def test_a_theme_of_the_city_folder_wins(tmp_path):
    (tmp_path / "themes").mkdir()
    (tmp_path / "themes" / "air.yml").write_text(GOOD)
    assert list(themes.load(tmp_path, ["air"]).properties) == ["noise"]


def test_a_property_is_found_by_name_or_definition(tmp_path):
    (tmp_path / "themes").mkdir()
    (tmp_path / "themes" / "din.yml").write_text(GOOD)
    found = themes.load(tmp_path, ["din"])
    assert found.property_of("noise", "other") == "noise"
    assert found.property_of("Lärm", "urn:x:noise") == "noise"
    assert found.property_of("heat", "urn:x:heat") == "heat"
    assert found.rule("heat").thresholds == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("thresholds", "tresholds"), "did you mean `thresholds`"),
        (GOOD.replace("clear: 75", "claer: 75"), "clear"),
        (
            GOOD.replace("clear: 75", "clear: 85"),
            r"line 8: properties\.noise.*: clear must not",
        ),
        (GOOD.replace("level: red", "level: purple"), "properties.noise.thresholds.0.level"),
        (GOOD.replace("raise: 80", "raise: .nan"), "finite"),
        ("title: [", "line"),
        ("[1]", "line 1: the file: expected keys"),
    ],
)
def test_a_mistake_is_named(text, words):
    with pytest.raises(BadConfig, match=words):
        strict.parse(text, themes.Theme, "din.yml")


def test_an_unknown_theme_names_the_nearest(tmp_path):
    with pytest.raises(BadConfig, match="did you mean `water`"):
        themes.load(tmp_path, ["watre"])
    with pytest.raises(BadConfig, match="a name of"):
        themes.load(tmp_path, ["../water"])


def test_one_property_in_two_themes_is_refused(tmp_path):
    (tmp_path / "themes").mkdir()
    for name in ("one", "two"):
        (tmp_path / "themes" / f"{name}.yml").write_text(GOOD)
    with pytest.raises(BadConfig, match="noise is in theme one"):
        themes.load(tmp_path, ["one", "two"])
