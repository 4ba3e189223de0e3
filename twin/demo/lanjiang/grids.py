"""Communities and unit grids (单元网格): every place of a superblock lies in one of each.

A unit grid has 15 digits: the division's six, three of the subdistrict, three of the community, three of its
own from west to east and from north to south (GB/T 30428.1, not verified).
"""

from __future__ import annotations

from collections.abc import Iterator

from twin.demo.lanjiang import names, quads
from twin.demo.lanjiang.plan import Layout, Superblock
from twin.demo.lanjiang.quads import Quad

#: Parts of a superblock without streets, each way.
_PARTS = 3


def units(of: Superblock, laid: Layout) -> Iterator[tuple[str, Quad]]:
    """(code, outline) of the unit grids of a superblock: its blocks, to the middles of their streets."""
    outlines = [block.quad for block in laid.blocks] or [
        quads.part(of.quad, i / _PARTS, j / _PARTS, (i + 1) / _PARTS, (j + 1) / _PARTS)
        for j in range(_PARTS)
        for i in range(_PARTS)
    ]
    code, _ = names.community(of.i, of.j)
    ordered = sorted(outlines, key=lambda quad: (-round(quads.middle(quad)[1] / 60), quads.middle(quad)[0]))
    for number, quad in enumerate(ordered, 1):
        yield f"{code}{number:03d}", quad
