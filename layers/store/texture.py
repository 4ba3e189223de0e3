"""What both stores say of a texture that they do not have."""

from __future__ import annotations

from layers.errors import NotFound, shown
from layers.textures import Texture


def known(found: Texture | None, layer_id: str, sha: str) -> Texture:
    """A texture that was found. Raises NotFound."""
    if found is None:
        raise NotFound(f"layer {layer_id} has no texture {shown(sha)}")
    return found
