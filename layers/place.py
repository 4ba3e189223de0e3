"""The CRS of a source: its recorded name and the way from its coordinates to longitude/latitude."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from layers.errors import BadFile

type Place = Callable[[NDArray[np.float64]], NDArray[np.float64]]

#: Confidence (of 100) at which a WKT without a code is taken for a registered CRS.
_CONFIDENCE = 70
#: Metres by which zones of a grid lie apart where x begins with the number of its zone.
_ZONE = 1e6
#: A base that is called by the prefix of all names of one authority: PROJ compares with each of them, which
#: takes 8 s of CPU and finds what a base without a name finds.
_PREFIX_ONLY = re.compile(r'(\b(?:BASEGEOGCRS|BASEGEODCRS|GEOGCS)\s*\[\s*")GCS(?=")', re.IGNORECASE)


def source(code: str) -> tuple[str, Place | None, str | None]:
    """(recorded CRS, transform or None, name of the vertical datum or None) of a declared or found CRS.

    ``code`` is ``EPSG:n``, a CRS URI, or WKT as a file carries it. A compound CRS is split: its
    heights stay in their datum. A definition of one's own that has no code, as a city's grid on its own
    meridian, is recorded as WKT 2. Raises BadFile crs.unknown, crs.kind, crs.inaccurate.
    """
    if code.upper() in ("EPSG:4326", "OGC:CRS84", "CRS84"):
        return code.upper(), None, None
    from layers import crs

    label = _label(code) or crs.definition(code).to_wkt()
    if not crs.transformers(label):
        return label, None, crs.vertical_datum(code)
    return label, _place(label), crs.vertical_datum(code)


def crs_name(label: str) -> str:
    """What people call a recorded CRS: its code, or the name in its definition."""
    return (label.split('"', 2)[1] or "a system without a name") if '"' in label else label


def undefined(code: str) -> str | None:
    """The name of a CRS that does not say where on earth it lies: a plane of its own, or one that a program
    wrote for want of another. None for any that does, or that is not known."""
    import pyproj
    from pyproj.exceptions import CRSError

    try:
        crs = pyproj.CRS.from_user_input(code)
    except CRSError:
        return None
    vague = crs.name.casefold().startswith(("undefined", "unknown"))
    return crs.name if vague or crs.type_name == "Engineering CRS" else None


def x_is_north(coordinates: NDArray[np.float64], label: str) -> bool:
    """Whether coordinates (n, 2) lie in the area of a CRS only if the first counts to the north, as an x does
    in Chinese surveys."""
    return not _lies_in(coordinates, label) and _lies_in(coordinates[:, ::-1], label)


def exchanged(place: Place) -> Place:
    """The transform of coordinates of which the first counts to the north."""
    return lambda coords: place(coords[:, [1, 0, *range(2, coords.shape[1])]])


def _lies_in(coordinates: NDArray[np.float64], label: str) -> bool:
    from layers import crs

    try:
        return bool(np.isfinite(crs.to_lonlat(coordinates, label)).any())
    except BadFile:
        return False


def _advice(coordinates: NDArray[np.float64], label: str) -> str:
    """What explains that coordinates do not lie in the area of a projected CRS."""
    from layers import crs

    if crs.is_geographic(label):
        return "declare the right one with --crs"
    middle = np.nanmedian(coordinates[:, :2], axis=0, keepdims=True)
    if (np.abs(middle) <= 180).all():
        return "the numbers look like degrees: declare for example --crs EPSG:4490"
    if _lies_in(middle[:, ::-1], label):
        return "it lies there with x and y exchanged: exchange them in the source"
    zone = int(middle[0, 0] // _ZONE)
    if zone and _lies_in(middle - np.array([zone * _ZONE, 0]), label):
        return f"x begins with {zone}, the number of a zone: declare with --crs the CRS whose x has it"
    for zone in range(1, 61):
        if _lies_in(middle + np.array([zone * _ZONE, 0]), label):
            return f"x does not begin with {zone}, the number of the zone: declare with --crs the CRS of such"
    return "declare the right one with --crs"


def _place(label: str) -> Place:
    """The transform; once some rows were placed, rows outside the CRS's area become infinite, not fatal."""
    from layers import crs

    placed = False

    def place(coords: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal placed
        try:
            out = crs.to_lonlat(coords, label)
        except BadFile as error:
            if not placed:
                raise BadFile(error.rule, f"{error.reason}; {_advice(coords, label)}") from error
            return np.full_like(coords, np.inf)
        placed = placed or len(coords) > 0
        return out

    return place


def _label(code: str) -> str | None:
    """``EPSG:n`` of the horizontal part, or None."""
    from layers import crs

    asked = _PREFIX_ONLY.sub(r"\1unknown", code)
    authority = crs.definition(asked).to_authority(min_confidence=_CONFIDENCE)
    return f"{authority[0]}:{authority[1]}" if authority is not None else None
