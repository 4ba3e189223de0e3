"""How the page draws a kind by default: the section ``style`` of its table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Self

from pydantic import Field, model_validator

from layers.kinds.codes import Both, CodeList, Color
from layers.strict import Strict


class ColorRule(Strict):
    """One colour, or one by the value of a property: without ``values`` those of the property's codes."""

    property: str | None = None
    values: dict[str, Color] = Field(default_factory=dict)
    default: Color


class LegendLine(Strict):
    """One line of the legend; ``assumed`` marks what no source says."""

    title: Both
    color: Color
    value: str | None = None
    assumed: bool = False


class AssumedWhere(Strict):
    """Features whose property has one of these values are drawn as assumed."""

    property: str
    values: tuple[str, ...]


class RankRule(Strict):
    """Which features matter more: by a property whose ``values`` are listed from the highest rank down, those
    of one rank together, or by the ``least`` number of each rank. What has none of them is below all."""

    property: str
    values: tuple[tuple[str, ...], ...] = ()
    least: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.values) == bool(self.least):
            raise ValueError("either values or least")
        if any(after >= before for before, after in pairwise(self.least)):
            raise ValueError("least has to descend: the first rank is the highest")
        known = [value for some in self.values for value in some]
        if len(set(known)) < len(known):
            raise ValueError("a value has one rank")
        return self


class Style(Strict):
    """How the page draws a kind by default; ``width`` and ``size`` in pixels, ``widths`` by the value that
    tells the colour; areas as the lines around them where they are ``bounds``. Of the fields of ``label`` the
    first filled one is written on the map, from ``label_from`` to ``label_within`` metres away, of each rank
    half as far as of the one above it; only in the view from above where ``label_flat``."""

    color: ColorRule
    legend: tuple[LegendLine, ...] = ()
    width: int | float | None = None
    size: int | float | None = None
    assumed: AssumedWhere | None = None
    rank: RankRule | None = None
    bounds: bool = False
    widths: dict[str, float] = Field(default_factory=dict)
    label: tuple[str, ...] = ()
    label_from: int = Field(default=0, ge=0)
    label_within: int = Field(default=700, gt=0)
    label_flat: bool = False

    def document(self, codes: CodeList | None) -> Mapping[str, Any]:
        """As ``/config.json`` gives it; ``codes`` are those of the property that tells the colour."""
        listed = codes.codes if codes and not self.color.values else {}
        lines: list[dict[str, Any]] = [
            {"title": entry.title, "color": entry.color, "value": code}
            for code, entry in listed.items()
            if entry.color
        ]
        colors = self.color.values or {line["value"]: line["color"] for line in lines}
        sizes = {key: size for key in ("width", "size") if (size := getattr(self, key)) is not None}
        return {
            "color": {"property": self.color.property, "values": colors, "default": self.color.default},
            "legend": [*lines, *(line.model_dump(exclude_defaults=True) for line in self.legend)],
            "assumed": self.assumed.model_dump() if self.assumed else None,
            "rank": self.rank.model_dump(mode="json") if self.rank else None,
            "bounds": self.bounds,
            "widths": self.widths,
            "label": list(self.label),
            "labelFrom": self.label_from,
            "labelWithin": self.label_within,
            "labelFlat": self.label_flat,
            **sizes,
        }
