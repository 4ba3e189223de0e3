"""The images of all bodies of a source as atlases, each of bodies that are neighbours.

A client that draws a place needs few images then, and each once. Of an image an atlas holds what the bodies
show of it. An image that is repeated over a surface (coordinates beyond 0 to 1) stays one of its own, one
that is mirrored as four; what else lies around an image is drawn into the atlas with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layers.mesh import Material, Mesh
from layers.read.texture import images
from layers.read.texture.images import BadImage, Header
from layers.read.texture.shelves import Place, packed
from layers.read.texture.wrapping import REPEATED, beyond
from layers.textures import Texture

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pixels of the side of an atlas, and of an image of its own, at most.
SIDE = 2048
#: Pixels around each image that repeat its edge: what a far view takes together is then of it alone.
EDGE = 2
#: Part of an atlas that is sought to be filled: shelves leave gaps.
_FULL = 0.85
#: How far beyond 0 to 1 a coordinate may lie by rounding.
_ROUNDED = 1e-3
_LEVELS = 16
#: How far beyond 0 to 1 a coordinate may lie where the image is not repeated: each makes the image coarser.
_FARTHEST = 64.0

#: Columns and rows of an image: left, upper, right, lower.
type Rect = tuple[int, int, int, int]
#: A body and one of its materials.
type Use = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Laid:
    """Where a material's image is: its texture, and factor and summand that turn u and v into those of it."""

    texture: str
    factor: tuple[float, float]
    summand: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What one material of a body shows of an image."""

    use: Use
    image: str
    rect: Rect
    #: Whether pixels of it may be seen through.
    alpha: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of an image in an atlas: its place and size there."""

    image: str
    rect: Rect
    size: tuple[int, int]


class Atlases:
    """Made of bodies one by one (:meth:`show`), then written (:meth:`write`), then asked (:meth:`skinned`).

    ``headers`` are those of the images by name, which lie in ``folder``."""

    def __init__(self, folder: Path, headers: Mapping[str, Header]) -> None:
        self._folder, self._headers = folder, headers
        self._shown: dict[int, list[_Shown]] = {}
        self._whole: dict[str, list[Use]] = defaultdict(list)
        self._middles: dict[int, NDArray[np.float64]] = {}
        self._laid: dict[Use, Laid] = {}
        #: Images that could not be decoded, with the reason.
        self.bad: dict[str, str] = {}

    def show(self, body: int, mesh: Mesh) -> None:
        """Take in a body by its number."""
        for material, image, low, high in _looks(mesh):
            head = self._headers.get(image)
            if head is None:
                continue
            outside = bool((low < -_ROUNDED).any() or (high > 1 + _ROUNDED).any())
            if outside and head.wrap.mode in REPEATED:
                self._whole[image].append((body, material))
            elif outside and max(-float(low.min()), float(high.max())) > _FARTHEST:
                self.bad[image] = f"coordinates of it lie more than {_FARTHEST:g} images beyond its edges"
            else:
                rect = _rect(low, high, head, outside=outside)
                alpha = head.alpha or (outside and head.wrap.clear)
                self._shown.setdefault(body, []).append(_Shown((body, material), image, rect, alpha))
        if body in self._shown:
            self._middles[body] = mesh.positions[:, :2].mean(axis=0)

    def write(self) -> Iterator[Texture]:
        """The textures, each once; which bodies they are of is known then."""
        for image, uses in self._whole.items():
            made = self._alone(image)
            if made is not None:
                yield made
                factor = 0.5 if self._headers[image].wrap.mode == "mirror" else 1.0
                self._laid |= dict.fromkeys(uses, Laid(made.sha, (factor, factor), (0.0, 0.0)))
        bodies = _neighbours(self._middles)
        for alpha in (False, True):
            shown = [one for body in bodies for one in self._shown[body] if one.alpha == alpha]
            yield from self._atlases(shown, "RGBA" if alpha else "RGB")

    def skinned(self, body: int, mesh: Mesh) -> Mesh:
        """The body with its materials and coordinates of the textures that were written; a material without
        one keeps its colour. Arrays that say nothing more are left out."""
        if mesh.materials is None or not mesh.textures():
            return mesh
        table: dict[Material, int] = {}
        number = np.zeros(len(mesh.material_table), np.uint16)
        uv = np.zeros((len(mesh.triangles), 3, 2), np.float32) if mesh.uv is None else mesh.uv.copy()
        for index, material in enumerate(mesh.material_table):
            laid = self._laid.get((body, index)) if material.texture else None
            if material.texture:
                mine = mesh.materials == index
                uv[mine] = 0 if laid is None else uv[mine] * laid.factor + laid.summand
            made = replace(material, texture=None if laid is None else laid.texture)
            number[index] = table.setdefault(made, len(table))
        textured = any(one.texture for one in table)
        return replace(
            mesh,
            materials=number[mesh.materials],
            material_table=tuple(table),
            uv=uv if textured else None,
        )

    def _alone(self, image: str) -> Texture | None:
        try:
            decoded = images.decoded(self._folder / image)
        except BadImage as error:
            self.bad[image] = str(error)
            return None
        mirrored = self._headers[image].wrap.mode == "mirror"
        side = SIDE // 2 if mirrored else SIDE
        decoded.thumbnail((side, side))
        return images.encoded(_mirrored(decoded) if mirrored else decoded)

    def _atlases(self, shown: Sequence[_Shown], mode: str) -> Iterator[Texture]:
        left = list(shown)
        while left:
            window, left = self._window(left)
            pieces = self._pieces(window)
            several = list(dict.fromkeys(pieces.values()))
            sizes = [(w + 2 * EDGE, h + 2 * EDGE) for w, h in (piece.size for piece in several)]
            found = zip(several, packed(sizes, SIDE, SIDE), strict=True)
            places = {piece: place for piece, place in found if place is not None}
            left = [one for one in window if pieces[one.use] not in places] + left
            yield from self._compose(pieces, places, mode)

    def _window(self, left: list[_Shown]) -> tuple[list[_Shown], list[_Shown]]:
        """The first of what is left that fill an atlas, one at least."""
        area, known = 0, set()
        for number, one in enumerate(left):
            key = one.image, one.rect
            if key not in known:
                known.add(key)
                w, h = _fitting(one.rect)
                area += (w + 2 * EDGE) * (h + 2 * EDGE)
            if area > _FULL * SIDE * SIDE and number:
                return left[:number], left[number:]
        return left, []

    def _pieces(self, window: Sequence[_Shown]) -> dict[Use, _Piece]:
        """What each use needs in an atlas. Where the parts of an image are more than all of it, all."""
        of: dict[str, dict[Rect, None]] = defaultdict(dict)
        for one in window:
            of[one.image][one.rect] = None
        whole: dict[str, Rect] = {}
        for image, rects in of.items():
            around = np.array(list(rects))
            box = (*around[:, :2].min(axis=0).tolist(), *around[:, 2:].max(axis=0).tolist())
            if len(rects) > 1 and sum(map(_area, rects)) >= _area(box):
                whole[image] = box
        return {
            one.use: _Piece(one.image, rect, _fitting(rect))
            for one in window
            for rect in [whole.get(one.image, one.rect)]
        }

    def _compose(
        self, pieces: Mapping[Use, _Piece], places: Mapping[_Piece, Place], mode: str
    ) -> Iterator[Texture]:
        """One atlas with the pieces at their places; those of images that cannot be decoded are left out."""
        from PIL import Image as canvas

        ends = [(x + piece.size[0], y + piece.size[1]) for piece, (x, y) in places.items()]
        width, height = (max(side) + 2 * EDGE for side in zip(*ends, strict=True))
        by_image: dict[str, list[_Piece]] = defaultdict(list)
        for piece in places:
            by_image[piece.image].append(piece)
        atlas = canvas.new(mode, (width, height))
        drawn: set[_Piece] = set()
        for image, parts in by_image.items():
            try:
                decoded = images.decoded(self._folder / image)
            except BadImage as error:
                self.bad[image] = str(error)
                continue
            for piece in parts:
                _draw(atlas, decoded, piece, places[piece], self._headers[image])
            drawn.update(parts)
        if not drawn:
            return
        made = images.encoded(atlas)
        yield made
        for use, piece in pieces.items():
            if piece in drawn:
                head = self._headers[piece.image]
                self._laid[use] = _laid(made.sha, piece, places[piece], head, (width, height))


def _looks(mesh: Mesh) -> Iterator[tuple[int, str, NDArray[np.float32], NDArray[np.float32]]]:
    """Material, image, lowest and highest coordinates of what a body shows of it."""
    if mesh.materials is None or mesh.uv is None:
        return
    for index, material in enumerate(mesh.material_table):
        if material.texture is None:
            continue
        corners = mesh.uv[mesh.materials == index].reshape(-1, 2)
        if len(corners) and np.isfinite(corners).all():
            yield index, material.texture, corners.min(axis=0), corners.max(axis=0)


def _rect(low: NDArray[np.float32], high: NDArray[np.float32], head: Header, *, outside: bool) -> Rect:
    """The pixels between two coordinates, a pixel around them included, one at least; those of the image
    alone, or what lies ``outside``, too."""
    size = np.array([head.width, head.height])
    first, last = np.floor(low * size) - 1, np.ceil(high * size) + 1
    if not outside:
        first = np.clip(first, 0, size - 1)
        last = np.clip(last, first + 1, size)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _area(rect: Rect) -> int:
    return (rect[2] - rect[0]) * (rect[3] - rect[1])


def _fitting(rect: Rect) -> tuple[int, int]:
    """Width and height of a part of an image, made smaller where an atlas could not hold it."""
    w, h = rect[2] - rect[0], rect[3] - rect[1]
    shrunk = min(1.0, (SIDE - 2 * EDGE) / max(w, h))
    return max(1, int(w * shrunk)), max(1, int(h * shrunk))


def _mirrored(image: Image) -> Image:
    """The image with its mirrored ones right of it, below it and beside: repeated it is mirrored for ever."""
    from PIL import Image as canvas

    pixels = np.asarray(image)
    wide = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    return canvas.fromarray(np.concatenate([wide, wide[::-1]]))


def _draw(atlas: Image, image: Image, piece: _Piece, place: Place, head: Header) -> None:
    """A piece in its place, with its edge repeated around it."""
    from PIL import Image as canvas

    left, upper, right, lower = piece.rect
    if left < 0 or upper < 0 or right > head.width or lower > head.height:
        scale = piece.size[0] / (right - left), piece.size[1] / (lower - upper)
        if min(scale) < 1:
            image = image.resize(
                (max(1, round(head.width * scale[0])), max(1, round(head.height * scale[1])))
            )
        first = round(left * scale[0]), round(upper * scale[1])
        pixels = beyond(np.asarray(image.convert(atlas.mode)), first, piece.size, head.wrap)
    else:
        part = image.crop(piece.rect)
        if part.size != piece.size:
            part = part.resize(piece.size)
        pixels = np.asarray(part.convert(atlas.mode))
    around = np.pad(pixels, ((EDGE, EDGE), (EDGE, EDGE), (0, 0)), "edge")
    atlas.paste(canvas.fromarray(around), place)


def _laid(texture: str, piece: _Piece, place: Place, head: Header, atlas: tuple[int, int]) -> Laid:
    factor, summand = [], []
    for axis, full in enumerate((head.width, head.height)):
        scale = piece.size[axis] / (piece.rect[axis + 2] - piece.rect[axis])
        factor.append(full * scale / atlas[axis])
        summand.append((place[axis] + EDGE - piece.rect[axis] * scale) / atlas[axis])
    return Laid(texture, (factor[0], factor[1]), (summand[0], summand[1]))


def _neighbours(middles: Mapping[int, NDArray[np.float64]]) -> list[int]:
    """Bodies in the order of a curve that keeps neighbours together (Morton), by number where equal."""
    if not middles:
        return []
    bodies = np.array(list(middles))
    points = np.array([middles[body] for body in bodies.tolist()])
    points = np.where(np.isfinite(points), points, 0)
    low, high = points.min(axis=0), points.max(axis=0)
    span = max(float((high - low).max()), 1e-12)
    cells = ((points - low) / span * (2**_LEVELS - 1)).astype(np.int64)
    key = np.zeros(len(bodies), np.int64)
    for bit in range(_LEVELS):
        key |= ((cells[:, 0] >> bit) & 1) << (2 * bit) | ((cells[:, 1] >> bit) & 1) << (2 * bit + 1)
    return bodies[np.lexsort((bodies, key))].tolist()  # type: ignore[no-any-return]
