"""Materials of glTF 2.0 for the bodies of a node: colours of surfaces, colours and textures of a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Material
from layers.textures import extension
from tiles.mesh.body import Body
from tiles.mesh.skin import NO_MATERIAL

#: A bright, matt, neutral material: the client's style multiplies its colour in.
MATERIAL = {
    "pbrMetallicRoughness": {
        "baseColorFactor": [0.9, 0.9, 0.9, 1.0],
        "metallicFactor": 0.0,
        "roughnessFactor": 1.0,
    }
}
#: Linear colours of the surfaces, by layers.mesh.Surface; the roof warmer than the wall.
SURFACES = np.array(
    [
        [225, 225, 222, 255],
        [168, 164, 158, 255],
        [226, 222, 212, 255],
        [214, 168, 140, 255],
        [226, 222, 212, 255],
        [168, 164, 158, 255],
        [226, 222, 212, 255],
        [150, 178, 198, 255],
        [158, 128, 104, 255],
    ],
    np.uint8,
)
LINEAR, LINEAR_MIPMAP_LINEAR, REPEAT = 9729, 9987, 10497
_OPAQUE = 255


@dataclass(frozen=True, slots=True)
class Image:
    """Where a texture lies, as seen from a node, and whether it has holes (leaves, railings)."""

    uri: str
    holes: bool


def image(sha: str, media_type: str, query: str = "") -> Image:
    """The image of a texture; ``query`` stands behind its address."""
    return Image(f"../../textures/{sha}.{extension(media_type)}{query}", media_type == "image/png")


def linear(color: tuple[int, int, int, int] | None) -> list[float]:
    """A colour of sRGB in linear numbers from 0 to 1, its alpha as it is (IEC 61966-2-1); white for None."""
    if color is None:
        return [1.0] * 4
    rgb = np.array(color[:3]) / 255
    out = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return [*out.round(6).tolist(), round(color[3] / 255, 6)]


@dataclass(slots=True)
class Looks:
    """The materials, textures and images of a document, each once."""

    known: Mapping[str, Image]
    materials: list[dict[str, Any]] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)

    def of(self, material: Material) -> int:
        """The number of one with a colour that is seen through, a texture, or both; of one without either,
        that of what has the colours of its vertices."""
        if material == NO_MATERIAL:
            return self._add(MATERIAL)
        pbr: dict[str, Any] = {
            "baseColorFactor": linear(material.color),
            "metallicFactor": 0.0,
            "roughnessFactor": 1.0,
        }
        made: dict[str, Any] = {"pbrMetallicRoughness": pbr}
        if material.texture is not None:
            one = self.known[material.texture]
            if one not in self.images:
                self.images.append(one)
            pbr["baseColorTexture"] = {"index": self.images.index(one)}
            if one.holes:
                made |= {"alphaMode": "MASK", "doubleSided": True}
        if material.color is not None and material.color[3] < _OPAQUE:
            made["alphaMode"] = "BLEND"
        return self._add(made)

    def document(self) -> dict[str, Any]:
        """What the document says of them; where there are no textures, nothing of these."""
        out: dict[str, Any] = {"materials": self.materials}
        if self.images:
            sampler = {
                "magFilter": LINEAR,
                "minFilter": LINEAR_MIPMAP_LINEAR,
                "wrapS": REPEAT,
                "wrapT": REPEAT,
            }
            out |= {
                "samplers": [sampler],
                "textures": [{"sampler": 0, "source": i} for i in range(len(self.images))],
                "images": [{"uri": one.uri} for one in self.images],
            }
        return out

    def _add(self, made: dict[str, Any]) -> int:
        if made not in self.materials:
            self.materials.append(made)
        return self.materials.index(made)


def pieces(body: Body, known: Mapping[str, Image]) -> Iterator[tuple[Material, Body]]:
    """A body by what its triangles need a material of their own for: a texture that is ``known``, a colour
    that is seen through. All else is one piece, first, and has the colours of its vertices."""
    skin = body.skin
    if skin is None:
        yield NO_MATERIAL, body
        return
    own = [_needed(one, known) for one in skin.material_table]
    kinds = list(dict.fromkeys([NO_MATERIAL, *own]))
    if len(kinds) == 1:
        yield NO_MATERIAL, body
        return
    kind = np.array([kinds.index(one) for one in own])[skin.materials]
    for number, material in enumerate(kinds):
        mine = kind == number
        if mine.any():
            yield material, _cut(body, mine)


def colours(body: Body) -> NDArray[np.uint8]:
    """Linear colours (v, 4) of the vertices of what needs no material of its own: the source's, else those of
    the kinds of surface."""
    out = SURFACES[np.minimum(body.surfaces, len(SURFACES) - 1)]
    if body.skin is None:
        return out
    # MATERIAL darkens what it is multiplied with: bright colours stay at what it leaves
    factors = np.array(MATERIAL["pbrMetallicRoughness"]["baseColorFactor"])
    for index, one in enumerate(body.skin.material_table):
        if one.color is not None:
            mine = body.skin.materials == index
            out[mine] = np.minimum(np.round(np.array(linear(one.color)) / factors * 255), 255)
            out[mine, 3] = _OPAQUE
    return out


def _needed(material: Material, known: Mapping[str, Image]) -> Material:
    texture = material.texture if material.texture in known else None
    if texture is None and (material.color is None or material.color[3] == _OPAQUE):
        return NO_MATERIAL
    return replace(material, texture=texture)


def _cut(body: Body, vertices: NDArray[np.bool_]) -> Body:
    """The triangles of some vertices, which share none with others."""
    assert body.skin is not None
    at = np.cumsum(vertices) - 1
    skin = body.skin
    return Body(
        body.positions[vertices],
        body.normals[vertices],
        at[body.triangles[vertices[body.triangles[:, 0]]]],
        body.rows[vertices],
        body.surfaces[vertices],
        replace(skin, parts=skin.parts[vertices], materials=skin.materials[vertices], uv=skin.uv[vertices]),
    )
