"""What a page shows, as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests import imagery
from tests.browser.conftest import Tab


def pixels(tab: Tab, x: float, y: float, width: float, height: float) -> NDArray[np.uint8]:
    """A part of the picture, in CSS pixels: (rows, columns, 3)."""
    clip: Any = {"x": x, "y": y, "width": width, "height": height}
    png = tab.page.screenshot(clip=clip, animations="disabled")
    return np.moveaxis(imagery.pixels(png)[:3], 0, -1)


def colour(tab: Tab, x: float, y: float) -> list[int]:
    """The mean colour of 2 × 2 pixels around a place in the picture."""
    return [round(one) for one in pixels(tab, x - 1, y - 1, 2, 2).reshape(-1, 3).mean(axis=0)]


def luminance(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """WCAG 2.2, relative luminance; the last axis holds red, green, blue."""
    part = rgb / 255.0
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """WCAG 2.2, contrast ratio of two colours."""
    low, high = sorted((float(luminance(one)), float(luminance(other))))
    return (high + 0.05) / (low + 0.05)
