"""The reference is complete: every verb, option, setting and address stands in it."""

import re

import pytest
from typer.main import get_command

from layers import strict
from tests.support import ROOT
from twin.app import ROOMS
from twin.cli import app
from twin.settings import CitySettings

REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


def verbs() -> list[str]:
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [f"{name} {sub}" for sub in inner] if inner else [name]
    return found


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_is_documented(verb: str):
    first, _, second = verb.partition(" ")
    assert re.search(rf"`twin {first}\b", REFERENCE)
    assert second in REFERENCE


def keys(path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every setting; ``ID`` stands for any layer, 0 for any member of a list."""
    found = []
    for key in strict.keys(CitySettings, path):
        here = (*path, key)
        found += [here, *keys(here), *keys((*here, "ID")), *keys((*here, 0))]
    return found


@pytest.mark.parametrize("path", keys(), ids=lambda path: ".".join(map(str, path)))
def test_every_setting_is_documented(path: tuple[str | int, ...]):
    table = REFERENCE[REFERENCE.index("## city.yml") : REFERENCE.index("An unknown key")]
    of_section = "".join(line for line in table.splitlines() if line.startswith(f"| `{path[0]}"))
    assert re.search(rf"[`.]{path[-1]}\b", of_section)


@pytest.mark.parametrize("room", ROOMS)
def test_every_address_is_in_the_readme(room: str):
    assert f"`/{room}" in README


def test_make_verbs_are_documented():
    text = (ROOT / "Makefile").read_text()
    verbs = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert verbs
    told = (ROOT / "docs" / "developing.md").read_text("utf-8")
    for verb in set(verbs[1].split()) - {"help", "clean"}:
        assert f"`make {verb}`" in told, verb


def test_links_between_the_pages_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} → {target}"
