"""The words of the page: both languages have all of them, and each is used."""

import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest

import twin
from layers import errors, kinds
from twin.incidents import workflow

SOURCES = Path(__file__).parents[3] / "twin" / "web" / "app" / "src"
LANGUAGES = ("en", "zh-CN")


PLURAL = re.compile(r"\{(\w+), plural, (?:\w+ \{[^{}]*\} ?)+\}")


def _places(text: str) -> set[str]:
    """What a word has values put in for; the number that a plural is chosen by is put in beside it."""
    return set(re.findall(r"\{\w+\}", PLURAL.sub("", text)))


def _words(language: str) -> dict[str, str]:
    pairs = json.loads(
        (SOURCES / "i18n" / f"{language}.json").read_text("utf-8"), object_pairs_hook=lambda pairs: pairs
    )
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a word twice in {language}"
    return dict(pairs)


def _code() -> str:
    return "\n".join(file.read_text("utf-8") for file in SOURCES.rglob("*.ts"))


def test_both_languages_have_the_same_words():
    assert set(_words("en")) == set(_words("zh-CN"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_says_something_and_keeps_its_places(language):
    english = _words("en")
    for name, text in _words(language).items():
        assert text or name == "chart.ready", name
        assert _places(text) == _places(english[name]), name


def test_every_word_that_the_code_names_is_there():
    words = set(_words("en"))
    named = set(re.findall(r"\bt\(\s*'([^']+)'", _code()))
    assert named
    assert named <= words


def test_no_word_is_left_over():
    code = _code()
    composed = re.findall(r"`([a-z]+\.)\$\{", code)
    for word in _words("en"):
        assert f"'{word}'" in code or any(word.startswith(stem) for stem in composed), word


def test_words_that_the_project_does_not_use_are_absent():
    text = json.dumps(_words("zh-CN"), ensure_ascii=False)
    for wrong in ("告警", "事故", "警报", "图层树"):
        assert wrong not in text


def _codes() -> set[str]:
    """Every code an error answer can carry: those of the error classes, and those that are sent by hand."""
    for module in pkgutil.walk_packages(twin.__path__, "twin."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    classes = [errors.TwinError]
    for cls in classes:
        classes += cls.__subclasses__()
    codes = {cls.code for cls in classes if cls.__module__.partition(".")[0] in ("layers", "tiles", "twin")}
    for file in Path(twin.__file__).parent.rglob("*.py"):
        text = file.read_text("utf-8")
        codes |= set(re.findall(r"(?:errors\.body|_refuse)\(\d+, \"(\w+)\"", text))
    return codes


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_that_the_server_can_send_has_its_wording(language):
    codes = _codes()
    assert {"InvalidBody", "MethodNotAllowed", "HeadTooLarge", "RequestTimeout", "ServerError"} <= codes
    words = _words(language)
    assert {code for code in codes if f"error.{code}" not in words} == set()
    worded = {name.removeprefix("error.") for name in words if name.startswith("error.")}
    assert worded - codes == {"Network"}


def test_every_state_and_move_of_a_case_has_its_wording():
    city = workflow.load()
    rows = [*city.states.values(), *city.actions.values()]
    for row in rows:
        assert set(row.title) >= set(LANGUAGES), row


def test_legend_and_card_have_one_word_for_one_provenance():
    """What the legend marks as assumed is exactly what the card calls so."""
    words = _words("en")
    marked = 0
    for kind in kinds.KINDS.values():
        style = kind.style
        if not (assumed := style.get("assumed")):
            continue
        marked += 1
        assert {words[f"source.{value}"] for value in assumed["values"]} == {"assumed"}, kind.id
        told = [entry for entry in style["legend"] if entry.get("assumed")]
        assert told, kind.id
        for entry in told:
            assert {entry.get("value", "default")} <= set(assumed["values"]), kind.id
            assert "assumed" in entry["title"]["en"], kind.id
            assert "推定" in entry["title"]["zh-CN"], kind.id
    assert marked >= 3
