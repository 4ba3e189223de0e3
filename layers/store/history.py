"""How long a store keeps what its rows were before they changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Days that old rows are kept where nothing else is said.
DAYS = 90.0


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that old rows are kept: of the city, and of layers by id. None: for ever; 0: none are written."""

    days: float | None = DAYS
    layers: Mapping[str, float | None] = field(default_factory=dict)

    def of(self, layer: str) -> float | None:
        """The days of a layer."""
        return self.layers.get(layer, self.days)

    def text(self) -> str:
        """As JSON, as a store keeps it."""
        return json.dumps({"days": self.days, "layers": dict(self.layers)}, sort_keys=True)

    @classmethod
    def parsed(cls, text: str | None) -> Retention:
        """The inverse of :meth:`text`; the default of None."""
        return cls() if text is None else cls(**json.loads(text))
