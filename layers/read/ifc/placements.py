"""IfcLocalPlacement as matrices, however long the chain of them is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]


def matrix(placement: Any) -> Floats:
    """The matrix (4, 4) of a placement in the model, in its own length unit."""
    from ifcopenshell.util.placement import get_axis2placement

    out = np.eye(4)
    while placement is not None:
        relative = getattr(placement, "RelativePlacement", None)
        if relative is not None:
            out = np.asarray(get_axis2placement(relative), float) @ out
        placement = getattr(placement, "PlacementRelTo", None)
    return out
