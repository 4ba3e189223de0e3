"""The images of all bodies of a source as atlases, each of bodies that are neighbours.

A client that draws a place needs few images then, and each once. Of an image an atlas holds what the bodies
show of it. An image that is repeated over a surface (coordinates beyond 0 to 1) stays one of its own.
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
            if (low < -_ROUNDED).any() or (high > 1 + _ROUNDED).any():
                self._whole[image].append((body, material))
            else:
                shown = _Shown((body, material), image, _rect(low, high, head))
                self._shown.setdefault(body, []).append(shown)
        if body in self._shown:
            self._middles[body] = mesh.positions[:, :2].mean(axis=0)

    def write(self) -> Iterator[Texture]:
        """The textures, each once; which bodies they are of is known then."""
        for image, uses in self._whole.items():
            made = self._alone(image)
            if made is not None:
                yield made
                self._laid |= dict.fromkeys(uses, Laid(made.sha, (1.0, 1.0), (0.0, 0.0)))
        bodies = _neighbours(self._middles)
        for alpha in (False, True):
            shown = [
                one for body in bodies for one in self._shown[body] if self._headers[one.image].alpha == alpha
            ]
            yield from self._atlases(shown)

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
        decoded.thumbnail((SIDE, SIDE))
        return images.encoded(decoded)

    def _atlases(self, shown: Sequence[_Shown]) -> Iterator[Texture]:
        left = list(shown)
        while left:
            window, left = self._window(left)
            pieces = self._pieces(window)
            several = list(dict.fromkeys(pieces.values()))
            sizes = [(w + 2 * EDGE, h + 2 * EDGE) for w, h in (piece.size for piece in several)]
            found = zip(several, packed(sizes, SIDE, SIDE), strict=True)
            places = {piece: place for piece, place in found if place is not None}
            left = [one for one in window if pieces[one.use] not in places] + left
            yield from self._compose(pieces, places)

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

    def _compose(self, pieces: Mapping[Use, _Piece], places: Mapping[_Piece, Place]) -> Iterator[Texture]:
        """One atlas with the pieces at their places; those of images that cannot be decoded are left out."""
        from PIL import Image as canvas

        ends = [(x + piece.size[0], y + piece.size[1]) for piece, (x, y) in places.items()]
        width, height = (max(side) + 2 * EDGE for side in zip(*ends, strict=True))
        by_image: dict[str, list[_Piece]] = defaultdict(list)
        for piece in places:
            by_image[piece.image].append(piece)
        atlas = canvas.new("RGBA" if self._headers[next(iter(by_image))].alpha else "RGB", (width, height))
        drawn: set[_Piece] = set()
        for image, parts in by_image.items():
            try:
                decoded = images.decoded(self._folder / image)
            except BadImage as error:
                self.bad[image] = str(error)
                continue
            for piece in parts:
                _draw(atlas, decoded, piece, places[piece])
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


def _rect(low: NDArray[np.float32], high: NDArray[np.float32], head: Header) -> Rect:
    """The pixels between two coordinates, a pixel around them included, one at least."""
    size = np.array([head.width, head.height])
    first = np.clip(np.floor(low * size) - 1, 0, size - 1).astype(int)
    last = np.clip(np.ceil(high * size) + 1, first + 1, size).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _area(rect: Rect) -> int:
    return (rect[2] - rect[0]) * (rect[3] - rect[1])


def _fitting(rect: Rect) -> tuple[int, int]:
    """Width and height of a part of an image, made smaller where an atlas could not hold it."""
    w, h = rect[2] - rect[0], rect[3] - rect[1]
    shrunk = min(1.0, (SIDE - 2 * EDGE) / max(w, h))
    return max(1, int(w * shrunk)), max(1, int(h * shrunk))


def _draw(atlas: Image, image: Image, piece: _Piece, place: Place) -> None:
    """A piece in its place, with its edge repeated around it."""
    part = image.crop(piece.rect)
    if part.size != piece.size:
        part = part.resize(piece.size)
    pixels = np.pad(np.asarray(part.convert(atlas.mode)), ((EDGE, EDGE), (EDGE, EDGE), (0, 0)), "edge")
    from PIL import Image as canvas

    atlas.paste(canvas.fromarray(pixels), place)


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
