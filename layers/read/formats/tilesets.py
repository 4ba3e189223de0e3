"""3D Tiles 1.0 and 1.1 that somebody else made (OGC 18-053r2, 22-025r4): photo meshes, models and point
clouds."""

from __future__ import annotations

from pathlib import Path

from layers.read.base import ReadOptions, Sink
from layers.read.format import Format, Reader
from layers.read.sample import Sample

_NAME = "tileset.json"


def _recognise(sample: Sample) -> bool:
    if sample.inside == "folder":
        return _NAME in sample.names
    text = sample.text
    if not text.startswith(b"{") or sample.ending != ".json":
        return False
    return b'"geometricError"' in text or b'"boundingVolume"' in text


def _read(path: Path, options: ReadOptions, sink: Sink) -> None:
    from layers.read.tileset.read import read

    read(path, options, sink)


FORMATS: tuple[Format, ...] = (
    Reader(
        name="3dtiles",
        titles={"en": "3D Tiles", "zh-CN": "三维瓦片（3D Tiles）"},
        endings=(".json",),
        recognise=_recognise,
        read=_read,
        anchored=True,
    ),
)
