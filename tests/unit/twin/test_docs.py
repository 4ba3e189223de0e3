"""The reference is complete: every verb, option, setting and address stands in it."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from layers import kinds, manifest
from layers.read import anchor
from layers.source import NOTHING
from tests.support import ROOT, setting_paths
from twin import settings
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


FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.S | re.M)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def mentioned() -> list[str]:
    """The commands that stand within sentences and tables; those in blocks are run by tests/e2e."""
    texts = [FENCED.sub("", page.read_text("utf-8")) for page in PAGES]
    return sorted({found for text in texts for found in re.findall(r"`twin ([a-z][^`]*)`", text)})


@pytest.mark.parametrize("line", mentioned())
def test_every_mentioned_command_is_one(line: str):
    words = line.split()
    command = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
    assert command.params, f"twin {line}: no such verb"
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options | {"--help"}


def examples(language: str) -> list[object]:
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, (found, block) in enumerate(FENCED.findall(page.read_text("utf-8")))
        if found == language
    ]


@pytest.mark.parametrize("block", examples("yaml"))
def test_every_example_of_a_file_can_be_read(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in re.findall(r"\$\{(\w+)\}", block):
        monkeypatch.setenv(name, "secret")
    if block.startswith("# load.yml"):
        (tmp_path / "load.yml").write_text(block, "utf-8")
        assert manifest.read(tmp_path / "load.yml").layers
    elif block.startswith("# NAME.anchor.yml"):
        (tmp_path / "NAME.anchor.yml").write_text(block, "utf-8")
        assert anchor.of(tmp_path / "NAME.glb", NOTHING) is not None
    else:
        store = "store: postgresql://host/db\n" if "table:" in block else ""
        (tmp_path / "city.yml").write_text(store + block, "utf-8")
        assert settings.load(tmp_path)


@pytest.mark.parametrize("path", setting_paths())
def test_every_setting_is_documented(path: str):
    table = REFERENCE[REFERENCE.index("## city.yml") : REFERENCE.index("An unknown key")]
    of_section = "".join(line for line in table.splitlines() if line.startswith(f"| `{path.split('.')[0]}"))
    assert re.search(rf"[`.]{path.split('.')[-1]}\b", of_section)


def test_every_kind_is_documented():
    text = (ROOT / "docs" / "loading.md").read_text("utf-8")
    table = text[text.index("## Kinds") :].partition("\n## ")[0]
    first = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    for kind in kinds.KINDS.values():
        assert re.search(rf"\b{kind.id}\b", first), kind.id
        for field in kind.provenance:
            assert f"`{field}`" in table, field


def test_make_verbs_are_documented():
    text = (ROOT / "Makefile").read_text()
    verbs = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert verbs
    told = (ROOT / "docs" / "developing.md").read_text("utf-8")
    for verb in set(verbs[1].split()) - {"help", "clean"}:
        assert f"`make {verb}`" in told, verb


def test_every_file_that_developers_are_sent_to_is_there():
    text = (ROOT / "docs" / "developing.md").read_text("utf-8")
    named = re.findall(r"`((?:config|docs|layers|tests|tiles|twin)/[^` ]*)`", text)
    assert len(named) > 30
    for name in named:
        several = [
            name.replace(part, one) for part in re.findall(r"{.*?}", name) for one in part[1:-1].split(",")
        ]
        for one in several or [name]:
            assert any(ROOT.glob(re.sub(r"ID|NAME", "*", one.rstrip("/")))), one


def test_links_between_the_pages_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} → {target}"
