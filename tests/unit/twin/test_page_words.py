"""The words of the page: both languages have all of them, and each is used."""

import json
import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "twin" / "web" / "app" / "src"
LANGUAGES = ("en", "zh-CN")


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
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[name])), name


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
