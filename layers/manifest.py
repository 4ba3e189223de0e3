"""``load.yml``: many files, each with the layer it becomes, loaded in one go."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from layers.errors import BadFile, shown
from layers.types import LAYER_ID, Titles

_KEYS = frozenset(
    {"id", "file", "kind", "title", "layer", "crs", "encoding", "time_zone", "time_field", "visible"}
)
_TOP = frozenset({"credits", "layers"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a manifest."""

    id: str
    file: Path
    kind: str | None = None
    title: Titles = field(default_factory=dict)
    layer: str | None = None
    crs: str | None = None
    encoding: str | None = None
    time_zone: str | None = None
    time_field: str | None = None
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole of a ``load.yml``."""

    entries: tuple[Entry, ...]
    credits: tuple[Mapping[str, str], ...] = ()


def read(path: Path) -> Manifest:
    """Read a manifest; its files lie in its own folder. Raises BadFile manifest.*, naming the fault."""
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BadFile("manifest.missing", f"{shown(path.name)} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile("manifest.unreadable", f"{shown(path.name)} cannot be read as UTF-8 text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise BadFile("manifest.yaml", f"{shown(path.name)}{line}: not valid YAML") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("layers"), list):
        raise BadFile("manifest.shape", "a manifest is a mapping with a list `layers`")
    _known(raw, _TOP, "the manifest")
    entries = tuple(_entry(path.parent, value, n) for n, value in enumerate(raw["layers"], 1))
    ids = [e.id for e in entries]
    if twice := next((i for i in ids if ids.count(i) > 1), None):
        raise BadFile("manifest.twice", f"layer {twice} is named twice")
    return Manifest(entries, tuple(raw.get("credits") or ()))


def _known(value: Mapping[Any, Any], keys: frozenset[str], where: str) -> None:
    for key in value:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(sorted(keys))}"
            raise BadFile("manifest.key", f"{where}: unknown key `{shown(key)}`; {hint}")


def _entry(folder: Path, value: Any, number: int) -> Entry:
    where = f"layer {number}"
    if not isinstance(value, dict):
        raise BadFile("manifest.shape", f"{where} is not a mapping")
    _known(value, _KEYS, where)
    layer_id, name = value.get("id"), value.get("file")
    if not isinstance(layer_id, str) or not LAYER_ID.match(layer_id):
        raise BadFile("manifest.id", f"{where}: id must match {LAYER_ID.pattern}")
    if not isinstance(name, str) or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise BadFile("manifest.file", f"{where}: file must name a file in the manifest's folder")
    return Entry(**{**value, "file": folder / name})
