"""Images that the textures of a model name, beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from layers.errors import shown
from layers.read import beside
from layers.read.base import Sink
from layers.read.texture.images import MOST_BYTES

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
    _known: dict[str, str | None] = field(default_factory=dict)

    def name(self, path: str) -> str | None:
        """What a material calls an image, None for one that cannot be had, which is noted."""
        if path not in self._known:
            self._known[path] = self._read(path)
        return self._known[path]

    def _read(self, path: str) -> str | None:
        try:
            data = beside.find(self.folder, path, MOST_BYTES).read_bytes()
        except (beside.NotBeside, OSError) as error:
            why = error if isinstance(error, beside.NotBeside) else error.strerror
            self.sink.note("texture.missing", f"{shown(path)}: {why}; surfaces with it have no texture")
            return None
        return self.sink.texture(data, path)

    def tell(self) -> None:
        """Note the themes of appearance that were not taken."""
        if self.themes:
            names = ", ".join(f"{shown(name)} ({count})" for name, count in self.themes.most_common(_TOLD))
            reason = "surfaces look as their first theme says; others are left out (bodies)"
            self.sink.note("appearance.theme", f"{reason}: {names}")
