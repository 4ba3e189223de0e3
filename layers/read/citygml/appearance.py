"""Textures and colours of surfaces, which a model has apart from its objects.

Of several themes the first is taken, of both sides the front. Texture coordinates are those of the file, or
follow from positions: by a matrix (TexCoordGen), or by where an image lies (GeoreferencedTexture).
Source: CityGML 2.0, 9 (appearance); 3.0, 7.4.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from layers.errors import shown
from layers.mesh import Material
from layers.read.base import Sink
from layers.read.citygml.names import local
from layers.read.citygml.stream import Members, envelope, mentions
from layers.read.pictures import Images
from layers.read.texture import georeference, images
from layers.read.texture.wrapping import WRAP, Wrapping, wrapping

type Element = etree._Element
type Floats = NDArray[np.float64]

_PLAIN = Material()
#: Around an image that lies on the ground nothing is repeated, unless it says so.
_GROUND = Wrapping("clamp")
_MATRIX, _ORIENTATION, _POINT = (3, 4), 4, 2


@dataclass(frozen=True, slots=True)
class _Look:
    """An image by its path with what lies around it, or a colour.

    ``project`` (3, 4) makes texture coordinates s, t (up) and their divisor of positions in the order of the
    file; ``ground``: they follow from where the image lies, by its middle of the first pixel and a matrix
    (2, 3) where those are in the model, in the order of the file, too, else from what lies beside it."""

    image: str = ""
    color: tuple[int, int, int, int] | None = None
    wrap: Wrapping = WRAP
    project: Floats | None = None
    ground: bool = False
    placement: Floats | None = None
    own_first: bool = False


class Appearance:
    """How the surfaces of a file look: by the gml:id of a surface (``of``) the number of its look, and by
    that of a ring the text of its texture coordinates (``rings``)."""

    def __init__(self, path: Path, sink: Sink) -> None:
        self._images = Images(path.parent, sink)
        self._sink = sink
        self._looks = [_Look()]
        self._made: dict[int, Material] = {0: _PLAIN}
        self._theme: str | None = None
        self._left: Counter[str] = Counter()
        #: Of looks whose coordinates follow from positions: what makes them, and whether positions are x
        #: first there whatever the file has.
        self._projects: dict[int, tuple[Floats, bool]] = {}
        self._srs = ""
        self.of: dict[str, int] = {}
        self.rings: dict[str, str] = {}
        if mentions(path, "Appearance"):
            members = Members(path)
            for member in members:
                if not self._srs and members.root is not None:
                    box = envelope(members.root)
                    self._srs = "" if box is None else box.get("srsName", "").strip()
                for each in member.element.iter("{*}Appearance"):
                    self._take(each)

    def _take(self, appearance: Element) -> None:
        theme = _text(appearance, "theme")
        if self._theme is None:
            self._theme = theme
        if theme != self._theme:
            self._images.themes[theme] += 1
            return
        for holder in appearance:
            for data in holder if local(holder) in ("surfaceDataMember", "surfaceData") else ():
                if _text(data, "isFront") in ("false", "0"):
                    continue
                match local(data):
                    case "ParameterizedTexture":
                        self._textured(data)
                    case "GeoreferencedTexture":
                        self._grounded(data)
                    case "X3DMaterial":
                        self._coloured(data)
                    case name:
                        self._left[name] += 1

    def _textured(self, data: Element) -> None:
        number = len(self._looks)
        look = _Look(_text(data, "imageURI"), wrap=_wrap(data, WRAP))
        self._looks.append(look)
        for target in data.iter("{*}target"):
            name = (target.get("uri") or target.text or "").strip().removeprefix("#")
            holder = target if len(target) else target.getparent()
            coordinates = holder.find(".//{*}TexCoordList")
            if coordinates is None:
                self._generated(name, look, holder.find(".//{*}worldToTexture"))
                continue
            self.of[name] = number
            texts = coordinates.findall("{*}textureCoordinates")
            named = [each.text or "" for each in coordinates.findall("{*}ring")]  # 3.0
            for text, ring in zip(texts, named or [each.get("ring") or "" for each in texts], strict=False):
                self.rings[ring.strip().removeprefix("#")] = text.text or ""

    def _generated(self, name: str, look: _Look, world: Element | None) -> None:
        """A target whose coordinates a matrix makes of positions."""
        matrix = None if world is None else _numbers(world.text, _MATRIX[0] * _MATRIX[1])
        if world is None or matrix is None or not self._is_own(world):
            self._left["TexCoordGen"] += 1
            return
        self.of[name] = len(self._looks)
        self._looks.append(replace(look, project=matrix.reshape(_MATRIX)))

    def _grounded(self, data: Element) -> None:
        """An image that lies on the ground, seen from above."""
        point, orientation = data.find("{*}referencePoint//{*}pos"), _text(data, "orientation")
        placement = None
        if point is not None:
            at, numbers = _numbers(point.text, _POINT), _numbers(orientation or "1 0 0 1", _ORIENTATION)
            matrix = np.zeros((2, 2)) if numbers is None else numbers.reshape(2, 2)
            if at is None or not np.linalg.det(matrix) or not self._is_own(point):
                self._left["GeoreferencedTexture"] += 1
                return
            placement = np.column_stack([matrix, at])
        own_first = _text(data, "preferWorldFile") in ("false", "0")
        image, wrap = _text(data, "imageURI"), _wrap(data, _GROUND)
        self._looks.append(_Look(image, None, wrap, None, True, placement, own_first))
        for target in data.iter("{*}target"):
            self.of[(target.text or "").strip().removeprefix("#")] = len(self._looks) - 1

    def _is_own(self, element: Element) -> bool:
        """Whether numbers count as those of the model do, as far as the element or its point says."""
        parent = element.getparent()
        said = element.get("srsName") or (parent.get("srsName") if parent is not None else None)
        return not said or not self._srs or said.strip() == self._srs

    def _coloured(self, data: Element) -> None:
        try:
            diffuse = [float(word) for word in (_text(data, "diffuseColor") or "0.8 0.8 0.8").split()]
            opaque = 1 - float(_text(data, "transparency") or 0)
            r, g, b, a = (round(255 * min(max(one, 0.0), 1.0)) for one in (*diffuse, opaque))
        except ValueError:
            self._left["X3DMaterial"] += 1
            return
        self._looks.append(_Look(color=(r, g, b, a)))
        for target in data.iter("{*}target"):
            self.of.setdefault((target.text or "").strip().removeprefix("#"), len(self._looks) - 1)

    def material(self, number: int) -> Material:
        """A look as a material; its image is taken when the first surface shows it."""
        made = self._made.get(number)
        if made is None:
            look = self._looks[number]
            wanted = look.image and self._lies(number, look)
            made = Material(look.color, self._images.name(look.image, look.wrap) if wanted else None)
            self._made[number] = made
        return made

    def _lies(self, number: int, look: _Look) -> bool:
        """Whether it is known where the image of a look lies; if not, it is noted."""
        if look.project is not None:
            down = look.project.copy()
            down[1] = down[2] - down[1]
            self._projects[number] = down, False
        if not look.ground or (data := self._images.data(look.image)) is None:
            return True
        own = look.placement
        if own is None:
            own = self._images.placement(look.image, data, own_first=look.own_first)
        if own is None:
            reason = "nothing says where the image lies; surfaces with it have no texture"
            self._sink.note("texture.unplaced", f"{shown(look.image)}: {reason}")
            return False
        try:
            head = images.header(data)
        except images.BadImage:
            return True  # it is told when the image is taken
        project = georeference.to_image(own, head.width, head.height)
        self._projects[number] = project, look.placement is None
        return True

    def projects(self, number: int) -> bool:
        """Whether the texture coordinates of a look follow from positions."""
        self.material(number)
        return number in self._projects

    def projected(self, number: int, positions: Floats, north_first: NDArray[np.bool_]) -> Floats:
        """Texture coordinates (n, 2) of positions (n, 3), x first, of a look that has them so.
        ``north_first`` are those that the file has the other way round."""
        project, x_first = self._projects[number]
        at = np.column_stack([positions, np.ones(len(positions))])
        if not x_first:
            at[north_first] = at[north_first][:, [1, 0, 2, 3]]
        s, t, q = project @ at.T
        with np.errstate(divide="ignore", invalid="ignore"):
            made = np.column_stack([s / q, t / q])
        made[~np.isfinite(made).all(axis=1)] = np.nan
        return made

    def tell(self) -> None:
        """Note what was left out."""
        self._images.tell()
        if self._left:
            names = ", ".join(f"{shown(name)} ({count})" for name, count in sorted(self._left.items()))
            self._sink.note("texture.left", f"appearances that are not drawn are left out: {names}")


def _text(element: Element, name: str) -> str:
    """The text of a child."""
    return (element.findtext(f"{{*}}{name}") or "").strip()


def _numbers(text: str | None, count: int) -> Floats | None:
    """So many finite numbers of a text; None of others."""
    try:
        made = np.array([float(word) for word in (text or "").split()])
    except ValueError:
        return None
    return made[:count] if len(made) >= count and np.isfinite(made).all() else None


def _wrap(data: Element, otherwise: Wrapping) -> Wrapping:
    """What lies beyond the edges of a texture's image."""
    try:
        border = [float(word) for word in _text(data, "borderColor").split()]
    except ValueError:
        border = []
    return wrapping(_text(data, "wrapMode"), border, otherwise=otherwise)
