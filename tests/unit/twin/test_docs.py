"""The reference is complete: every verb, option, setting and address stands in it."""

import re

import pytest
from typer.main import get_command

from tests.support import ROOT, setting_paths
from twin.app import ROOMS
from twin.cli import app

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


@pytest.mark.parametrize("path", setting_paths())
def test_every_setting_is_documented(path: str):
    table = REFERENCE[REFERENCE.index("## city.yml") : REFERENCE.index("An unknown key")]
    of_section = "".join(line for line in table.splitlines() if line.startswith(f"| `{path.split('.')[0]}"))
    assert re.search(rf"[`.]{path.split('.')[-1]}\b", of_section)


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
