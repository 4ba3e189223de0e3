"""The profiles of raster layers, known for as long as their files stay as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from layers.errors import Unavailable
from layers.model import Asset, ContentLayer
from layers.raster.files import FileStates, OpenFiles, located, version
from layers.raster.profile import BandValues, RasterProfile, profile
from layers.types import Bbox

#: Files of a layer that tell what its values are like.
ASKED = 16


class RasterProfiles:
    """What the raster layers of a city are. Safe to use from several threads."""

    def __init__(self, folder: Path, files: OpenFiles) -> None:
        """``folder`` is the city's."""
        self._folder, self.files, self.states = folder, files, FileStates(folder)
        self._known: dict[str, tuple[str, RasterProfile]] = {}

    def paths(self, assets: Sequence[Asset]) -> tuple[Path, ...]:
        """Where assets lie. Raises Unavailable."""
        return tuple(located(self._folder, asset) for asset in assets)

    def of(self, layer: ContentLayer) -> RasterProfile:
        """What a layer's files have in common: bands and colours of the first, the values of the first
        :data:`ASKED`. Raises Unavailable."""
        paths = self.paths(layer.assets)
        state = f"{layer.generation}.{version(paths)}"
        known = self._known.get(layer.id)
        if known is None or known[0] != state:
            if not paths:
                raise Unavailable(f"layer {layer.id} has no file")
            profiles = []
            for path in paths[:ASKED]:
                with self.files.lend(path) as dataset:
                    profiles.append(profile(dataset))
            known = self._known[layer.id] = state, _joined(profiles)
        return known[1]


def _joined(profiles: Sequence[RasterProfile]) -> RasterProfile:
    """The profile of rasters of one layer: that of the first, with the values of all and where all lie."""
    first = profiles[0]
    bands = [
        _band(band, [other.bands[at] for other in profiles if len(other.bands) > at])
        for at, band in enumerate(first.bands)
    ]
    bounds = first.bounds
    for other in profiles[1:]:
        bounds = _around(bounds, other.bounds)
    zoom, cell = max(one.zoom for one in profiles), min(one.cell for one in profiles)
    return replace(first, bands=tuple(bands), bounds=bounds, zoom=zoom, cell=cell)


def _band(band: BandValues, all_: Sequence[BandValues]) -> BandValues:
    with_values = [one for one in all_ if not math.isnan(one.low)]
    if len(with_values) < 2:
        return with_values[0] if with_values else band
    return replace(
        band,
        least=min(one.least for one in with_values),
        most=max(one.most for one in with_values),
        low=min(one.low for one in with_values),
        high=max(one.high for one in with_values),
    )


def _around(one: Bbox, other: Bbox) -> Bbox:
    """The box around two; of which one crosses the antimeridian, the whole way round."""
    south, north = min(one[1], other[1]), max(one[3], other[3])
    if one[0] <= one[2] and other[0] <= other[2]:
        return min(one[0], other[0]), south, max(one[2], other[2]), north
    if one[0] > one[2] and other[0] > other[2]:
        return min(one[0], other[0]), south, max(one[2], other[2]), north
    return -180.0, south, 180.0, north
