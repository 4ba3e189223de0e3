"""Textures and colours of surfaces, which a model has apart from its objects.

Source: CityGML 2.0, 9 (appearance); 3.0, 7.4. Of several themes the first is taken, of both sides the front.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from layers.errors import shown
from layers.mesh import Material
from layers.read.base import Sink
from layers.read.citygml.names import local
from layers.read.citygml.stream import Members, mentions
from layers.read.pictures import Images

type Element = etree._Element

_PLAIN = Material()


@dataclass(frozen=True, slots=True)
class _Look:
    """An image by its path, or a colour."""

    image: str = ""
    color: tuple[int, int, int, int] | None = None


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
        self.of: dict[str, int] = {}
        self.rings: dict[str, str] = {}
        if mentions(path, "Appearance"):
            for member in Members(path):
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
                    case "X3DMaterial":
                        self._coloured(data)
                    case name:
                        self._left[name] += 1

    def _textured(self, data: Element) -> None:
        number = len(self._looks)
        self._looks.append(_Look(_text(data, "imageURI")))
        for target in data.iter("{*}target"):
            name = target.get("uri") or target.text or ""
            coordinates = (target if len(target) else target.getparent()).find(".//{*}TexCoordList")
            if coordinates is None:
                self._left["TexCoordGen"] += 1
                continue
            self.of[name.strip().removeprefix("#")] = number
            texts = coordinates.findall("{*}textureCoordinates")
            named = [each.text or "" for each in coordinates.findall("{*}ring")]  # 3.0
            for text, ring in zip(texts, named or [each.get("ring") or "" for each in texts], strict=False):
                self.rings[ring.strip().removeprefix("#")] = text.text or ""

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
            made = Material(look.color, self._images.name(look.image) if look.image else None)
            self._made[number] = made
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
