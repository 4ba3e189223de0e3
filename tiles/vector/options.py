"""What a city says of the vector tiles of its layers."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from tiles.scheme import MAX_ZOOM


@dataclass(frozen=True, slots=True)
class Options:
    """``maxzoom``: the deepest zoom of its tiles; ``properties``: what its features have, beside what is
    drawn, where some of the layer are merged and they have not all."""

    maxzoom: int = MAX_ZOOM
    properties: tuple[str, ...] = ()


#: Of a layer of which nothing is said.
DEFAULT = Options()


@dataclass(frozen=True, slots=True)
class ByLayer:
    """The options of some layers, by id."""

    said: Mapping[str, Options] = field(default_factory=dict)

    def of(self, layer_id: str) -> Options:
        """Those of one."""
        return self.said.get(layer_id, DEFAULT)

    def maxzoom(self, ids: Iterable[str]) -> int:
        """The deepest zoom of the tiles of some layers together: at it all of them are drawn."""
        return max(self.of(layer_id).maxzoom for layer_id in ids)

    def mark(self, ids: Iterable[str]) -> str:
        """What of an ETag tells in which properties tiles may differ, nothing where none are named."""
        named = [f"{layer_id}:{name}" for layer_id in ids for name in self.of(layer_id).properties]
        return f".p{zlib.crc32(orjson.dumps(named)):08x}" if named else ""
