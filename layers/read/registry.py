"""The formats that are read and those that are refused: each says what recognises it.

A module of ``layers.read.formats`` declares a tuple ``FORMATS``. A package outside the project does the
same and names it as an entry point of the group ``onemap_twin.readers``
(https://packaging.python.org/en/latest/specifications/entry-points/). Only the reading processes ask here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points

from layers.errors import BadFile, shown
from layers.read import formats
from layers.read.base import ReadLimits
from layers.read.format import Format, Reader, Refused
from layers.read.sample import ZIP, Sample

GROUP = "onemap_twin.readers"


@cache
def known() -> tuple[Format, ...]:
    """All formats in the order in which they are asked."""
    modules = [
        importlib.import_module(f"{formats.__name__}.{module.name}")
        for module in pkgutil.iter_modules(formats.__path__)
    ]
    every = [each for declared in (*outside(), *(m.FORMATS for m in modules)) for each in declared]
    return tuple(sorted(every, key=_turn))


@cache
def outside() -> tuple[tuple[Format, ...], ...]:
    """What each package outside the project declares."""
    return tuple(point.load() for point in entry_points(group=GROUP))


def _turn(each: Format) -> int:
    if isinstance(each, Refused):
        return 0 if each.first else 2
    return 3 if each.last else 1


def readers() -> Iterator[Reader]:
    """Those that are read."""
    return (each for each in known() if isinstance(each, Reader))


def drivers() -> frozenset[str]:
    """The GDAL drivers that the readers want."""
    return frozenset().union(*(each.drivers for each in readers()))


def choose(sample: Sample, limits: ReadLimits) -> Reader | None:
    """The reader of a file or folder by its content; None for a folder or zip that is but a container.

    Raises BadFile with the rule of the first format that refuses it, and file.disguised or file.type where
    the name has an ending that does not go with the content.
    """
    for each in known():
        if not each.recognise(sample):
            continue
        if isinstance(each, Refused):
            reason = each.reason if isinstance(each.reason, str) else each.reason(sample, limits)
            raise BadFile(each.rule, f"the file is {reason}")
        if each.confirm is None or each.confirm(sample, limits):
            _agrees(sample, each)
            return each
    if sample.inside is None:
        raise BadFile("file.type", "the file is binary and of no type that is read")
    if sample.inside == "zip":
        _agrees(sample, None)
    return None


def _agrees(sample: Sample, recognised: Reader | None) -> None:
    """Refuse a file whose name claims another type than its content shows; ``recognised`` is None for
    a zip."""
    ending = sample.path.suffix.casefold()
    if sample.inside == "folder" and not any(ending in each.endings for each in readers()):
        return  # what a folder is called claims nothing
    if ending in (recognised.endings if recognised else (ZIP,)):
        return
    claimed = " or ".join(dict.fromkeys(each.title for each in readers() if ending in each.endings)) or None
    if ending == ZIP:
        claimed = "zip archive"
    name = shown(sample.path.name)
    if claimed is None:
        endings = " ".join(dict.fromkeys(e for each in readers() for e in each.endings))
        raise BadFile("file.type", f"{name} has none of the endings that are read: {endings} {ZIP}")
    if recognised is None:
        what = "a zip archive"
    else:
        what = "no such file" if recognised.last else f"a {recognised.title}"
    raise BadFile("file.disguised", f"the name {name} says {claimed} but the content is {what}")
