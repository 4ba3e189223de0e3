"""IfcLocalPlacement as matrices, however long the chain of them is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]


def matrix(placement: Any) -> Floats:
    """The matrix (4, 4) of a placement in the model, in its own length unit; NaN where its axes are none."""
    from ifcopenshell.util.placement import get_axis2placement

    out = np.eye(4)
    with np.errstate(invalid="ignore"):
        while placement is not None:
            relative = getattr(placement, "RelativePlacement", None)
            if relative is not None:
                out = np.asarray(get_axis2placement(relative), float) @ out
            placement = getattr(placement, "PlacementRelTo", None)
    return out


def fault(placement: Any, known: dict[int, str | None]) -> str | None:
    """Why ifcopenshell cannot use a placement, None where it can; ``known`` keeps what was found.

    At such a one its iterator ends, and what comes after it would have no body."""
    chain = []
    found: str | None = None
    while placement is not None:
        if placement.id() in known:
            found = known[placement.id()]
            break
        chain.append(placement)
        placement = getattr(placement, "PlacementRelTo", None)
    for each in reversed(chain):
        found = known[each.id()] = found or _fault(each)
    return found


def _fault(placement: Any) -> str | None:
    from ifcopenshell.util.placement import get_axis2placement

    if placement.is_a("IfcGridPlacement"):
        return f"its place is told by a grid (#{placement.id()}), which ifcopenshell does not read"
    if placement.RelativePlacement is None:
        return f"its placement #{placement.id()} is empty"
    with np.errstate(invalid="ignore"):
        matrix = np.asarray(get_axis2placement(placement.RelativePlacement), float)
    return None if np.isfinite(matrix).all() else f"the axes of its placement #{placement.id()} are no axes"
