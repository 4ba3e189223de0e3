"""Where an image lies that says so itself (GeoTIFF), or by a world file beside it.

Source: OGC 19-008r4 (GeoTIFF 1.1), 7.1 and annex B; world file of ESRI, of which CityGML 2.0, 9.3 takes the
numbers and their order.
"""

from __future__ import annotations

import io
import warnings
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
#: (2, 3): east and north of the middle of a pixel are its product with column, row and 1.
type Placement = NDArray[np.float64]

#: Bytes of a world file at most.
MOST_BYTES = 4096
_NUMBERS = 6
_SCALE, _TIEPOINT, _TRANSFORMATION, _KEYS = 33550, 33922, 34264, 34735
_TAGS = (_SCALE, _TIEPOINT, _TRANSFORMATION, _KEYS)
#: The key that says what a pixel's coordinates are of, and its value for the middle of one.
_RASTER_TYPE, _POINT = 1025, 2


def world_names(path: str) -> list[str]:
    """What a world file beside an image may be called."""
    ending = PurePosixPath(path.replace("\\", "/")).suffix
    stem = path.removesuffix(ending)
    letters = ending[1:]
    short = [f"{letters[0]}{letters[-1]}w", f"{letters}w"] if letters else []
    return [f"{stem}.{each}" for each in (*short, "wld")] + [f"{path}w"]


def of_world_file(text: bytes) -> Placement | None:
    """The six lines of a world file; None where it has not as many, or places nothing."""
    try:
        a, d, b, e, c, f = (float(word.replace(b",", b".")) for word in text.split()[:_NUMBERS])
    except ValueError:
        return None
    return _placement([[a, b, c], [d, e, f]])


def of_tags(data: bytes) -> Placement | None:
    """What the tags of a GeoTIFF say; None without them."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
                tags: Any = image.tag_v2  # type: ignore[attr-defined]
                said = {number: tags.get(number, ()) for number in _TAGS}
        return _of_tags(said)
    except (OSError, TypeError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _of_tags(said: dict[int, Any]) -> Placement | None:
    """Of the tags by number, each a sequence. Raises TypeError, ValueError."""
    made = _matrix(said)
    if made is None:
        return None
    keys = list(said[_KEYS])
    of_points = any(keys[at] == _RASTER_TYPE and keys[at + 3] == _POINT for at in range(4, len(keys) - 3, 4))
    if not of_points:  # the tags place the corners of pixels
        made[:, 2] += made[:, :2].sum(axis=1) / 2
    return _placement(made)


def _matrix(said: dict[int, Any]) -> Floats | None:
    """(2, 3) as the tags have it. Raises TypeError, ValueError."""
    if len(said[_TRANSFORMATION]) == 16:
        return np.array(said[_TRANSFORMATION], np.float64).reshape(4, 4)[:2, [0, 1, 3]]
    if len(said[_SCALE]) < 2 or len(said[_TIEPOINT]) < 6:
        return None
    wide, high = map(float, said[_SCALE][:2])
    column, row, _, east, north = map(float, said[_TIEPOINT][:5])
    return np.array([[wide, 0, east - column * wide], [0, -high, north + row * high]])


def _placement(rows: Any) -> Placement | None:
    made = np.array(rows, np.float64)
    if not np.isfinite(made).all() or not np.linalg.det(made[:, :2]):
        return None
    return made


def to_image(placement: Placement, width: int, height: int) -> Floats:
    """(3, 4): of a position (x, y, z, 1) the texture coordinates as glTF counts them, v from the upper side
    down, and 1."""
    whole = np.vstack([placement, [0, 0, 1]])
    pixels = np.linalg.inv(whole)  # column, row, 1 of east, north, 1
    pixels[:2, 2] += 0.5
    made = np.zeros((3, 4))
    made[:, [0, 1, 3]] = pixels / np.array([[width], [height], [1]])
    return made
