"""Where a whole of several city objects meets the ground."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ground:
    """The height of the lowest point of a whole, and the longitude and latitude of what lies lowest."""

    height: float
    foot: tuple[float, float] | None
