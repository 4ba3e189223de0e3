"""Materials and textures of a CityJSON document (section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Material
from layers.read.pictures import Images
from layers.read.texture.wrapping import WRAP, Wrapping, wrapping

type Floats = NDArray[np.float64]


class Appearance:
    """What surfaces of one document may look like. What does not fit its form is left out."""

    def __init__(self, document: Mapping[str, Any], images: Images) -> None:
        said = document.get("appearance")
        self.images = images
        self._said: Mapping[str, Any] = said if isinstance(said, dict) else {}
        self._materials: dict[int, Material | None] = {}
        self._textures: dict[int, Material | None] = {}
        self.uv = self._coordinates()

    def _coordinates(self) -> Floats:
        """``vertices-texture`` (n, 2) as glTF counts them: v goes down from the image's upper side."""
        try:
            made = np.array(self._said.get("vertices-texture", []), np.float64).reshape(-1, 2)
        except (TypeError, ValueError):
            return np.empty((0, 2))
        return np.column_stack([made[:, 0], 1 - made[:, 1]])

    def material(self, index: Any) -> Material | None:
        """The colour of a material; None where it says none."""
        if type(index) is not int:
            return None
        if index not in self._materials:
            self._materials[index] = _colour(_item(self._said.get("materials"), index))
        return self._materials[index]

    def texture(self, index: Any) -> Material | None:
        """An image; None where it cannot be had."""
        if type(index) is not int:
            return None
        if index not in self._textures:
            said = _item(self._said.get("textures"), index)
            path = said.get("image") if isinstance(said, dict) else None
            name = self.images.name(path, _wrap(said)) if isinstance(path, str) and path else None
            self._textures[index] = None if name is None else Material(None, name)
        return self._textures[index]

    def __bool__(self) -> bool:
        return bool(self._said)


def _item(values: Any, index: int) -> Any:
    return values[index] if isinstance(values, list) and 0 <= index < len(values) else None


def _wrap(said: Mapping[str, Any]) -> Wrapping:
    """What lies beyond the edges of a texture."""
    border = said.get("borderColor")
    try:
        return wrapping(str(said.get("wrapMode", "")), border if isinstance(border, list) else ())
    except (TypeError, ValueError):
        return WRAP


def _colour(said: Any) -> Material | None:
    """diffuseColor (three numbers of 0 to 1) and transparency as a colour."""
    if not isinstance(said, dict):
        return None
    try:
        red, green, blue = (_byte(part) for part in said["diffuseColor"])
        clear = said.get("transparency")
        alpha = 255 if clear is None else 255 - _byte(clear)
    except (KeyError, TypeError, ValueError):
        return None
    return Material((red, green, blue, alpha))


def _byte(part: Any) -> int:
    if isinstance(part, bool) or not isinstance(part, int | float):
        raise TypeError("no number")
    return round(min(max(float(part), 0.0), 1.0) * 255)
