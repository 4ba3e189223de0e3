"""Images as files have them, one at a time: what is taken, what is refused, and why."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from layers.read.texture.wrapping import WRAP, Wrapping
from layers.textures import Texture

if TYPE_CHECKING:
    from PIL.Image import Image

#: What is decoded; whatever the name of a file says, its bytes tell which it is.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
#: Bytes and pixels of an image at most.
MOST_BYTES = 64 << 20
MOST_PIXELS = 100_000_000
#: Alpha from which a pixel counts as whole.
_WHOLE = 250
_QUALITY = 85


class BadImage(ValueError):
    """Why an image is not taken, in words of a report."""


@dataclass(frozen=True, slots=True)
class Header:
    """Width and height in pixels, whether pixels may be seen through, and what lies around them."""

    width: int
    height: int
    alpha: bool
    wrap: Wrapping = WRAP


def name(data: bytes, wrap: Wrapping = WRAP) -> str:
    """What an image of a source is called until it lies in an atlas; with another ``wrap`` it is another."""
    return hashlib.sha256(data if wrap == WRAP else data + repr(wrap).encode()).hexdigest()


def header(data: bytes, wrap: Wrapping = WRAP) -> Header:
    """What an image says of itself; no pixel is decoded. Raises BadImage."""
    if len(data) > MOST_BYTES:
        raise BadImage(f"the image has {len(data)} bytes, the limit is {MOST_BYTES}")
    with _opened(data) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise BadImage(f"the image has {width} by {height} pixels, the limit is {MOST_PIXELS} in all")
        if not width or not height:
            raise BadImage("the image has no pixel")
        return Header(width, height, _has_alpha(image), wrap)


def decoded(path: Path) -> Image:
    """An image of a file in RGB, or RGBA where pixels may be seen through. Raises BadImage."""
    data = path.read_bytes()
    with _opened(data) as image:
        try:
            if image.mode.startswith("I"):  # 16 bits a pixel
                from PIL import Image as images

                grey = (np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8)
                return images.fromarray(grey).convert("RGB")
            return image.convert("RGBA" if _has_alpha(image) else "RGB")
        except (OSError, ValueError, SyntaxError, MemoryError) as error:
            raise BadImage(f"the image is damaged: {error}") from error


def encoded(image: Image) -> Texture:
    """An image as JPEG, or as PNG where any pixel is seen through."""
    out = io.BytesIO()
    if image.mode == "RGBA" and np.asarray(image)[:, :, 3].min() < _WHOLE:
        image.save(out, "PNG", compress_level=6)
        return Texture.of(out.getvalue(), "image/png")
    image.convert("RGB").save(out, "JPEG", quality=_QUALITY)
    return Texture.of(out.getvalue(), "image/jpeg")


def _has_alpha(image: Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def _opened(data: bytes) -> Image:
    """Raises BadImage for what none of the formats is."""
    from PIL import Image as images

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own, lower limit: ours is asked for
            return images.open(io.BytesIO(data), formats=FORMATS)
    except images.DecompressionBombError as error:
        raise BadImage(f"the image has more pixels than the limit, {MOST_PIXELS}") from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = f"it is no image that can be read ({', '.join(FORMATS)})"
        raise BadImage(reason) from error
