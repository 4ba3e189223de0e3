"""Theme files: what each observed property is called, its unit, period and thresholds.

A city names its themes in ``city.yml``; ``themes/NAME.yml`` in the city folder wins over the
built-in file of that name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from layers.errors import BadInput
from twin.live.rules import Level, Rule, Side, Threshold

BUILT_IN = Path(__file__).parent.parent / "config" / "themes"
NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")


class BadTheme(BadInput):
    """A theme file cannot be used; the message names the key and the nearest known one."""

    code = "InvalidTheme"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Unit(_Strict):
    """A unit as SensorThings 1.1 writes it (Table 8): name, symbol, UCUM definition."""

    name: str
    symbol: str
    definition: str


class ThresholdRow(_Strict):
    """One raise/clear pair of a theme file."""

    level: Level
    side: Side = "above"
    raise_at: float = Field(alias="raise")
    clear: float

    @model_validator(mode="after")
    def _pair(self) -> ThresholdRow:
        self.threshold()
        return self

    def threshold(self) -> Threshold:
        """As the rule takes it. Raises ValueError when the pair is the wrong way round."""
        return Threshold(self.level, self.side, self.raise_at, self.clear)


class Property(_Strict):
    """One observed property: titles per language, unit, nominal period (s), thresholds."""

    title: dict[str, str]
    definition: str
    unit: Unit
    period: float = Field(default=300, gt=0)
    thresholds: tuple[ThresholdRow, ...] = ()

    def rule(self) -> Rule:
        """The rule of a datastream that has no thresholds of its own."""
        return Rule(tuple(row.threshold() for row in self.thresholds), self.period)


class Theme(_Strict):
    """The whole of a theme file."""

    title: dict[str, str]
    properties: dict[str, Property]


_MODELS: tuple[type[BaseModel], ...] = (Theme, Property, Unit, ThresholdRow)


class Themes:
    """The themes of a city, by observed property."""

    def __init__(self, themes: Mapping[str, Theme]) -> None:
        self.themes = dict(themes)
        self.properties = {name: p for theme in themes.values() for name, p in theme.properties.items()}
        self._definitions = {p.definition: name for name, p in self.properties.items()}

    def property_of(self, name: str, definition: str) -> str:
        """The theme's key of an ObservedProperty: by name, else by definition, else its own name."""
        return name if name in self.properties else self._definitions.get(definition, name)

    def rule(self, key: str) -> Rule:
        """The rule of an observed property; without a theme nothing is raised and nothing is stale."""
        found = self.properties.get(key)
        return found.rule() if found else Rule()

    def public(self) -> dict[str, object]:
        """Per observed property what the page draws: title, unit, period, thresholds."""
        return {
            name: {
                "title": prop.title,
                "unit": prop.unit.symbol,
                "period": prop.period,
                "theme": theme_id,
                "thresholds": [row.threshold().public() for row in prop.thresholds],
            }
            for theme_id, theme in self.themes.items()
            for name, prop in theme.properties.items()
        }


def load(folder: Path, names: Iterable[str]) -> Themes:
    """The named themes of a city folder. Raises BadTheme."""
    found: dict[str, Theme] = {}
    for name in names:
        found[name] = _read(folder, name)
    owner: dict[str, str] = {}
    for name, theme in found.items():
        for key in theme.properties:
            if owner.setdefault(key, name) != name:
                raise BadTheme(f"theme {name}: property {key} is in theme {owner[key]} already")
    return Themes(found)


def _read(folder: Path, name: str) -> Theme:
    if not NAME.match(name):
        raise BadTheme(f"theme {name!r}: a name of lower-case letters, digits and _")
    for file in (folder / "themes" / f"{name}.yml", BUILT_IN / f"{name}.yml"):
        if file.is_file():
            return parse(file.read_text("utf-8"), name)
    known = sorted({f.stem for place in (folder / "themes", BUILT_IN) for f in place.glob("*.yml")})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise BadTheme(f"theme {name} is not there: {hint}")


def parse(text: str, name: str) -> Theme:
    """A theme from YAML text. Raises BadTheme naming the place and the nearest key."""
    try:
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadTheme(f"theme {name}{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise BadTheme(f"theme {name}: not YAML text") from error
    try:
        return Theme.model_validate(value)
    except ValidationError as error:
        raise BadTheme("\n".join(f"theme {name}: {_fault(fault)}" for fault in error.errors())) from error


def _fault(fault: Any) -> str:
    place = ".".join(map(str, fault["loc"])) or "the file"
    if fault["type"] != "extra_forbidden":
        return f"{place}: {fault['msg']}"
    known = sorted({f.alias or n for model in _MODELS for n, f in model.model_fields.items()})
    near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.5)
    return f"{place}: unknown key" + (f", did you mean `{near[0]}`?" if near else "")
