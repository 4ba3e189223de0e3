"""Images on the bodies of a layer, named by what they hold: the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

#: The image formats of glTF 2.0 (3.8.4.1), with the endings of their names.
EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png"}


@dataclass(frozen=True, slots=True)
class Texture:
    """An image as the store keeps it: its name, the type and the bytes of its file."""

    sha: str
    media_type: str
    data: bytes

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Texture:
        """The texture of these bytes."""
        return cls(hashlib.sha256(data).hexdigest(), media_type, data)


def extension(media_type: str) -> str:
    """The ending of a texture's name. Raises KeyError for what no texture is."""
    return EXTENSIONS[media_type]
