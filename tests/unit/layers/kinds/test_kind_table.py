"""The tables of kinds: whole, found by themselves, and refused with line and nearest name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from layers import kinds, shipped
from layers.errors import BadConfig, Exists
from layers.kinds import kind_table
from layers.kinds.codes import CodeList

TREE = """
title: {zh-CN: 树木, en: Trees}
group: survey
fields:
  species:
    title: {zh-CN: 树种, en: Species}
    codes: species
    aliases: [species, 树种]
    tags: {natural=tree: other}
style:
  color: {property: species, default: "#2e7d32"}
label: [[species]]
searched: [species]
"""
SPECIES = """
codes:
  oak: {title: {zh-CN: 栎树, en: Oak}, color: "#33691e", words: [quercus]}
  other: {title: {zh-CN: 其他, en: Other}, color: "#2e7d32"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("kinds", "codes"):
        (tmp_path / name).mkdir()
    (tmp_path / "codes" / "species.yml").write_text(SPECIES)
    return tmp_path


def read(folder: Path, text: str) -> kind_table.KindTable:
    file = folder / "kinds" / "tree.yml"
    file.write_text(text)
    kind_table.read.cache_clear()
    return kind_table.read(file)


def test_every_table_has_its_module_and_every_list_is_used() -> None:
    modules = {
        file.stem for file in Path(kinds.__file__).parent.glob("*.py") if "KIND = " in file.read_text()
    }
    tables = {file.stem for file in shipped.folder("kinds").glob("*.yml")}
    assert modules == tables == set(kinds.KINDS)
    texts = [file.read_text("utf-8") for file in shipped.folder("kinds").rglob("*.yml")]
    texts += [file.read_text("utf-8") for file in Path(kinds.__file__).parent.glob("*.py")]
    for file in shipped.folder("codes").glob("*.yml"):
        named = f"codes: {file.stem}", f'named("{file.stem}")'
        assert any(words in text for text in texts for words in named), file.stem


def test_a_value_means_a_code_by_id_title_or_word_in_any_case(folder: Path) -> None:
    trees = read(folder, TREE)
    for value in ("oak", "OAK", "Quercus", "栎树", " oak "):
        assert trees.code("species", value) == "oak"
    assert trees.code("species", "elm") is trees.code("species", None) is None


def test_a_style_takes_colours_and_legend_from_the_codes(folder: Path) -> None:
    style = read(folder, TREE).kind("tree", lambda batch: {}).style
    assert style["color"]["values"] == {"oak": "#33691e", "other": "#2e7d32"}
    assert style["legend"][0] == {"title": {"zh-CN": "栎树", "en": "Oak"}, "color": "#33691e", "value": "oak"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("group: survey", "grup: survey", r"line 3: grup: unknown key, did you mean `group`\?"),
        ("group: survey", "group: trees", r"line 3: group: there is no group trees; known: base, cim"),
        ("codes: species", "codes: specie", r"line 7: fields\.species\.codes: .* did you mean `species`\?"),
        ("natural=tree: other", "natural=tree: elm", r"line 9: fields\.species\.tags\.natural=tree: elm is"),
        ("property: species", "property: spec", r"line 11: style\.color\.property: .* mean `species`\?"),
        ("searched: [species]", "searched: [x]", r"line 13: searched\.0: .* no field x; known: species"),
        ('"#2e7d32"', "green", r"line 11: style\.color\.default: "),
        ("en: Trees", "de: Bäume", r"line 2: title: a title in zh-CN and one in en"),
        (
            "label: [[",
            "  rank: {property: spec, least: [2, 1]}\nlabel: [[",
            r"line 12: style\.rank\.property: .* mean `species`\?",
        ),
        (
            "label: [[",
            "  rank: {property: species, least: [1, 2]}\nlabel: [[",
            r"line 12: style\.rank: .*descend: the first rank is the highest",
        ),
        (
            "label: [[",
            "  rank: {property: species, values: [[oak], [other, oak]]}\nlabel: [[",
            r"line 12: style\.rank: .*a value has one rank",
        ),
        (
            "label: [[",
            "  rank: {property: species}\nlabel: [[",
            r"line 12: style\.rank: .*either values or least",
        ),
        (
            "style:",
            "assumed: {height_m: {by: species, values: {oak: 20}}}\nstyle:",
            r"line 10: assumed\.height_m: nothing is assumed for other",
        ),
    ],
)
def test_a_mistake_in_a_kind_is_named(folder: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(BadConfig, match=rf"kinds/tree\.yml {words}"):
        read(folder, TREE.replace(old, new))


def test_a_word_of_two_codes_is_refused() -> None:
    from layers import strict

    with pytest.raises(BadConfig, match=r"line 4: codes\.other: the word oak means oak already"):
        strict.parse(SPECIES.replace("en: Other}", "en: Oak}"), CodeList, "codes/species.yml")


def test_a_kind_is_registered_once() -> None:
    with pytest.raises(Exists, match="kind road already"):
        kinds.register(kinds.get("road"))


def test_the_reader_s_process_reads_no_tables() -> None:
    """It starts for each file, and needs only what stands in ``layers.kinds.base``."""
    unwanted = "{'pydantic', 'layers.kinds.kind_table'}"
    code = f"import sys, layers.read.__main__; print({unwanted} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
