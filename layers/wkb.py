"""Geometries out of bytes that any program may have stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


def shapes(wkb: Sequence[bytes | None], on_invalid: Literal["ignore", "fix"] = "ignore") -> NDArray[Any]:
    """WKB or EWKB as an object array of shapely geometries; None for null and for what cannot be read:
    damaged bytes, and the curves and surfaces that shapely has no types for.

    ``fix`` closes open rings instead of giving them up."""
    import shapely

    try:
        return np.asarray(shapely.from_wkb(list(wkb), on_invalid=on_invalid), dtype=object)
    except NotImplementedError:
        # what shapely raises for a curve; it ends the call for the others, too
        found = np.empty(len(wkb), object)
        found[:] = [shape(one, on_invalid) for one in wkb]
        return found


def shape(wkb: bytes | None, on_invalid: Literal["ignore", "fix"] = "ignore") -> Any:
    """As :func:`shapes`, for one; NotImplementedError is what shapely raises for a curve."""
    import shapely

    try:
        return shapely.from_wkb(wkb, on_invalid=on_invalid)
    except NotImplementedError:
        return None
