"""A CityJSON document: what is checked of it, and what its features share.

Source: CityJSON specification 2.0.1, sections 2 to 5; 1.1.3 and 1.0.3 for what was otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import BadFile, shown

type Floats = NDArray[np.float64]

VERSIONS = ("1.0", "1.1", "2.0")
_VERSION = re.compile(r"(\d+\.\d+)(\.\d+)*")
#: Members of the outermost object that the specification knows (section 2.1).
_MEMBERS = frozenset(
    {
        *("type", "version", "transform", "CityObjects", "vertices", "metadata", "extensions"),
        *("appearance", "geometry-templates", "id"),
    }
)


@dataclass(frozen=True, slots=True)
class Transform:
    """What turns the integers of ``vertices`` into coordinates (section 4)."""

    scale: Floats
    move: Floats


@dataclass(frozen=True, slots=True)
class Shared:
    """What a document says for all of its city objects: transform (None: vertices are coordinates, as 1.0 may
    have them), CRS, templates with their vertices (n, 3), which are not scaled, and members of extensions."""

    version: str
    transform: Transform | None
    crs: str | None
    templates: list[Any]
    template_vertices: Floats
    extra: Mapping[str, Any]


def shared(city: Any) -> Shared:
    """Of the outermost object of a file, or of the first line of a sequence.

    Raises BadFile cityjson.shape, cityjson.version, cityjson.vertices."""
    if not isinstance(city, dict) or city.get("type") != "CityJSON":
        raise BadFile("cityjson.shape", "the file is not a CityJSON object")
    written = str(city.get("version"))
    match = _VERSION.fullmatch(written)
    version = match[1] if match else ""
    if version not in VERSIONS:
        reason = f"CityJSON {shown(written)} is not read; convert it to {VERSIONS[-1]} (cjio: upgrade)"
        raise BadFile("cityjson.version", reason)
    if not isinstance(city.get("CityObjects"), dict) or not isinstance(city.get("vertices"), list):
        raise BadFile("cityjson.shape", "the members CityObjects and vertices must be there")
    transform = transform_of(city)
    if transform is None and version != "1.0":
        reason = f"CityJSON {version} has a transform, and this file has none: its vertices cannot be placed"
        raise BadFile("cityjson.vertices", reason)
    templates, vertices = _templates(city)
    extra = {str(name): value for name, value in city.items() if name not in _MEMBERS}
    return Shared(version, transform, _reference(city), templates, vertices, extra)


def transform_of(city: Mapping[str, Any]) -> Transform | None:
    """The transform of an object, None without one. Raises BadFile cityjson.vertices."""
    if "transform" not in city:
        return None
    try:
        return Transform(*(_triples([city["transform"][name]])[0] for name in ("scale", "translate")))
    except (KeyError, TypeError, ValueError) as error:
        reason = "the transform has no scale and translate of three numbers each"
        raise BadFile("cityjson.vertices", reason) from error


def coordinates(vertices: Any, transform: Transform | None) -> Floats:
    """Coordinates (n, 3) of the member ``vertices``. Raises BadFile cityjson.vertices."""
    try:
        raw = _triples(vertices)
    except (TypeError, ValueError) as error:
        reason = "vertices are missing or are not triples of numbers"
        raise BadFile("cityjson.vertices", reason) from error
    return raw if transform is None else np.asarray(raw * transform.scale + transform.move)


def _triples(values: Any) -> Floats:
    """(n, 3) of a list of lists. Raises TypeError, ValueError."""
    if not isinstance(values, list):
        raise TypeError("no list")
    if not values:
        return np.empty((0, 3))
    made = np.array(values)
    if made.ndim != 2 or made.shape[1] != 3 or made.dtype.kind not in "iuf":
        raise ValueError("no triples of numbers")
    return made.astype(np.float64)


def _reference(city: Mapping[str, Any]) -> str | None:
    metadata = city.get("metadata")
    reference = metadata.get("referenceSystem") if isinstance(metadata, dict) else None
    if isinstance(reference, int):
        return f"EPSG:{reference}"
    return reference if isinstance(reference, str) else None


def _templates(city: Mapping[str, Any]) -> tuple[list[Any], Floats]:
    """The templates of a file and their vertices. Raises BadFile."""
    templates = city.get("geometry-templates")
    if not isinstance(templates, dict) or not isinstance(templates.get("templates"), list):
        return [], np.empty((0, 3))
    try:
        return templates["templates"], _triples(templates.get("vertices-templates"))
    except (TypeError, ValueError) as error:
        reason = "vertices-templates is missing or holds what is no triple of numbers"
        raise BadFile("cityjson.vertices", reason) from error
