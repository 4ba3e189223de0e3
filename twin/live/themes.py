"""Theme files: what each observed property is called, its unit, period and thresholds.

A city names its themes in ``city.yml``; ``themes/NAME.yml`` in the city folder wins over the
built-in file of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field, model_validator

from layers import shipped, strict
from layers.errors import BadConfig
from layers.strict import Strict
from twin.live.rules import Level, Rule, Side, Threshold

NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")


class Unit(Strict):
    """A unit as SensorThings 1.1 writes it (Table 8): name, symbol, UCUM definition."""

    name: str
    symbol: str
    definition: str


class ThresholdRow(Strict):
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


class ObservedProperty(Strict):
    """One observed property: titles per language, unit, nominal period (s), thresholds."""

    title: dict[str, str]
    definition: str
    unit: Unit
    period: float = Field(default=300, gt=0)
    thresholds: tuple[ThresholdRow, ...] = ()

    def rule(self) -> Rule:
        """The rule of a datastream that has no thresholds of its own."""
        return Rule(tuple(row.threshold() for row in self.thresholds), self.period)


class Theme(Strict):
    """The whole of a theme file."""

    title: dict[str, str]
    properties: dict[str, ObservedProperty]


class Themes:
    """The themes of a city, by observed property."""

    def __init__(self, themes: Mapping[str, Theme]) -> None:
        self.themes = dict(themes)
        self.properties = {name: p for theme in themes.values() for name, p in theme.properties.items()}
        self._definitions = {p.definition: name for name, p in self.properties.items()}
        self._rules = {name: observed.rule() for name, observed in self.properties.items()}

    def property_of(self, name: str, definition: str) -> str:
        """The theme's key of an ObservedProperty: by name, else by definition, else its own name."""
        return name if name in self.properties else self._definitions.get(definition, name)

    def rule(self, key: str) -> Rule:
        """The rule of an observed property; without a theme nothing is raised and nothing is stale."""
        return self._rules.get(key) or Rule()

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
    """The named themes of a city folder. Raises BadConfig."""
    themes = {name: _read(folder, name) for name in names}
    owner: dict[str, str] = {}
    for name, theme in themes.items():
        for key in theme.properties:
            if owner.setdefault(key, name) != name:
                raise BadConfig(f"theme {name}: property {key} is in theme {owner[key]} already")
    return Themes(themes)


def _read(folder: Path, name: str) -> Theme:
    if not NAME.match(name):
        raise BadConfig(f"theme {name!r}: a name of lower-case letters, digits and _")
    places = folder / "themes", shipped.folder("themes")
    for place in places:
        if (file := place / f"{name}.yml").is_file():
            return strict.read(file, Theme, f"themes/{name}.yml")
    known = {file.stem for place in places for file in place.glob("*.yml")}
    raise BadConfig(f"theme {name} is not there{strict.hint(name, known)}")
