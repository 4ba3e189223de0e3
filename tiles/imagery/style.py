"""How a raster is drawn: what is asked for, what the city says, and what fits the data otherwise."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from layers.errors import BadParameter
from layers.raster.profile import RasterProfile

#: The colour map of heights, and of anything else.
OF_HEIGHTS, OTHERWISE = "terrain", "gray"
_BANDS = "one band, or three for red, green and blue, by number or name"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a request, or the city, wants a raster drawn; None for what is left open."""

    colormap: str | None = None
    range: tuple[float, float] | None = None
    bands: tuple[str, ...] | None = None
    hillshade: bool | None = None


@dataclass(frozen=True, slots=True)
class Style:
    """How a raster is drawn, nothing left open.

    ``bands`` are one or three by number; ``ranges`` what the darkest and the brightest colour stand for, one
    a band, empty where values are colours; ``colormap`` of one band, empty for the file's own colours and for
    light and shade alone."""

    bands: tuple[int, ...]
    ranges: tuple[tuple[float, float], ...] = ()
    colormap: str = ""
    hillshade: bool = False


@cache
def colormaps() -> tuple[str, ...]:
    """The names of rio-tiler's colour maps, which is not imported for it."""
    spec = importlib.util.find_spec("rio_tiler")
    folders = spec.submodule_search_locations if spec is not None else None
    return tuple(
        sorted(file.stem for folder in folders or () for file in Path(folder, "cmap_data").glob("*.npy"))
    )


def read_colormap(text: str) -> str:
    """A name of a colour map. Raises ValueError."""
    if text not in colormaps():
        raise ValueError(f"a colour map of rio-tiler, as {', '.join((OTHERWISE, OF_HEIGHTS, 'viridis'))}")
    return text


def read_range(text: str) -> tuple[float, float]:
    """``low,high``. Raises ValueError."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise ValueError("two numbers, low,high") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError("two numbers, the lower one first")
    return low, high


def read_bands(text: str) -> tuple[str, ...]:
    """``3`` or ``4,3,2``. Raises ValueError."""
    bands = tuple(part.strip() for part in text.split(","))
    if len(bands) not in (1, 3) or not all(bands):
        raise ValueError(_BANDS)
    return bands


def read_flag(text: str) -> bool:
    """``true`` or ``false``. Raises ValueError."""
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def of_city(style: Mapping[str, Any]) -> Wanted:
    """What ``layers.ID.style`` of city.yml says of drawing; its members are checked where it is read."""
    limits, bands = style.get("range"), style.get("bands")
    return Wanted(
        style.get("colormap"),
        (float(limits[0]), float(limits[1])) if limits else None,
        tuple(map(str, bands)) if bands else None,
        style.get("hillshade"),
    )


def resolve(profile: RasterProfile, heights: bool, city: Wanted, asked: Wanted) -> Style:
    """The style of a raster; ``heights``: its values are those of the ground.

    What is asked for wins over what the city says, and that over what fits the data: the file's own colours
    where it has them, else its first band in a colour map, from :data:`~layers.raster.profile.SHARES` of its
    values. Heights are shaded where nobody says otherwise, and a shade without a colour map is light and
    shade alone: no colours of heights are true of every ground. Raises BadParameter."""
    if asked.bands is not None and asked.bands != city.bands:
        city = Wanted(None, None, None, city.hillshade)  # of other bands the city says nothing
    bands = _bands(profile, asked.bands or city.bands)
    limits = asked.range or city.range
    shade = next((one for one in (asked.hillshade, city.hillshade) if one is not None), heights)
    if len(bands) == 3:
        if asked.colormap is not None:
            raise BadParameter(
                "colormap", asked.colormap, "of one band; three are drawn as red, green and blue"
            )
        if asked.hillshade:
            raise BadParameter("hillshade", "true", "of one band, with heights")
        return Style(bands, _ranges(profile, bands, limits))
    colormap = asked.colormap or city.colormap
    if shade:
        return Style(bands, _ranges(profile, bands, limits) if colormap else (), colormap or "", True)
    if profile.palette is not None and colormap is None and limits is None and bands == (1,):
        return Style(bands)
    own = OF_HEIGHTS if heights else OTHERWISE
    return Style(bands, _ranges(profile, bands, limits) or _spread(profile, bands), colormap or own)


def _bands(profile: RasterProfile, names: tuple[str, ...] | None) -> tuple[int, ...]:
    if names is None:
        return profile.colors or (profile.bands[0].band.index,)
    if len(names) not in (1, 3):
        raise BadParameter("bands", ",".join(names), _BANDS)
    numbers: list[int] = []
    for name in names:
        named = profile.named(name)
        if named is None:
            there = ", ".join(str(one.band.index) for one in profile.bands[:20])
            raise BadParameter("bands", name, f"there is no such band; there are {there}")
        numbers.append(named.band.index)
    return tuple(numbers)


def _ranges(
    profile: RasterProfile, bands: tuple[int, ...], limits: tuple[float, float] | None
) -> tuple[tuple[float, float], ...]:
    if limits is not None:
        return (limits,) * len(bands)
    if len(bands) == 3 and all(profile.numbered(index).band.dtype == "uint8" for index in bands):
        return ()
    return _spread(profile, bands)


def _spread(profile: RasterProfile, bands: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
    held = [profile.numbered(index) for index in bands]
    return tuple(_apart(one.low, one.high) for one in held)


def _apart(low: float, high: float) -> tuple[float, float]:
    if not low < high:  # one value everywhere, or none
        low = low if math.isfinite(low) else 0.0
        high = low + 1.0
    return low, high
