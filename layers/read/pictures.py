"""Images that the textures of a model name, beside it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from layers.errors import shown
from layers.read import beside
from layers.read.base import Sink
from layers.read.texture import georeference
from layers.read.texture.images import MOST_BYTES
from layers.read.texture.wrapping import WRAP, Wrapping

#: Themes that a reason lists.
_TOLD = 5


@dataclass(slots=True)
class Images:
    """The images that textures name, each read once; ``themes`` are those that were not taken."""

    folder: Path
    sink: Sink
    #: The encoding that is declared of the file's texts.
    encoding: str | None = None
    themes: Counter[str] = field(default_factory=Counter)
    _known: dict[tuple[str, Wrapping], str | None] = field(default_factory=dict)
    _missing: set[str] = field(default_factory=set)

    def name(self, path: str, wrap: Wrapping = WRAP) -> str | None:
        """What a material calls an image, None for one that cannot be had, which is noted."""
        if (path, wrap) not in self._known:
            data = self.data(path)
            self._known[path, wrap] = None if data is None else self.sink.texture(data, path, wrap=wrap)
        return self._known[path, wrap]

    def data(self, path: str) -> bytes | None:
        """The bytes of an image, None for one that cannot be had, which is noted."""
        if path in self._missing:
            return None
        try:
            return beside.find(self.folder, path, MOST_BYTES).read_bytes()
        except (beside.NotBeside, OSError) as error:
            why = error if isinstance(error, beside.NotBeside) else error.strerror
            self.sink.note("texture.missing", f"{shown(path)}: {why}; surfaces with it have no texture")
            self._missing.add(path)
            return None

    def placement(self, path: str, data: bytes, *, own_first: bool) -> georeference.Placement | None:
        """Where an image lies by a world file beside it, or (``own_first``: rather) by its own tags."""
        if own_first and (placement := georeference.of_tags(data)) is not None:
            return placement
        found = self._world(path)
        return georeference.of_tags(data) if found is None else found

    def _world(self, path: str) -> georeference.Placement | None:
        for name in georeference.world_names(path):
            with suppress(beside.NotBeside, OSError):
                text = beside.find(self.folder, name, georeference.MOST_BYTES).read_bytes()
                if (placement := georeference.of_world_file(text)) is not None:
                    return placement
        return None

    def tell(self) -> None:
        """Note the themes of appearance that were not taken."""
        if self.themes:
            names = ", ".join(f"{shown(name)} ({count})" for name, count in self.themes.most_common(_TOLD))
            reason = "surfaces look as their first theme says; others are left out (bodies)"
            self.sink.note("appearance.theme", f"{reason}: {names}")
