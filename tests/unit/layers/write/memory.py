"""Writes generated features in one format, then more; prints by how many MB its peak of memory grew.

Run: python memory.py FORMAT COUNT FOLDER."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely

from layers.model import FeatureLayer, Rows
from layers.types import Field
from layers.write import FORMATS, stream, write

FIELDS = (
    *(Field(f"text_{i}", "string", {"en": "Text"}) for i in range(6)),
    *(Field(f"number_{i}", "number") for i in range(3)),
    *(Field(f"whole_{i}", "integer") for i in range(2)),
    Field("seen", "datetime"),
)
LAYER = FeatureLayer(
    id="many",
    kind="building",
    title={"en": "Many"},
    fields=FIELDS,
    geometry_type="Polygon",
    extent=None,
    crs="EPSG:4326",
    count=0,
    generation=1,
    seq=1,
)


def batches(total: int, size: int = 5000) -> Iterator[Rows]:
    """Squares with about 300 bytes of properties each."""
    for first in range(0, total, size):
        n = np.arange(first, min(first + size, total))
        west, south = 25 + n % 1000 * 1e-3, 60 + n // 1000 * 1e-3
        shapes = shapely.box(west, south, west + 1e-3, south + 1e-3)
        values: dict[str, list[object]] = {
            f"text_{i}": [f"建筑 {j} {i}" * 3 if (i + j) % 3 else None for j in n.tolist()] for i in range(6)
        }
        values |= {f"number_{i}": (n * 1.5 + i).tolist() for i in range(3)}
        values |= {f"whole_{i}": n.tolist() for i in range(2)}
        values["seen"] = ["2024-02-29T01:02:03.004Z"] * len(n)
        yield Rows(n + 1, shapely.to_wkb(shapes, flavor="iso").tolist(), values)


def peak() -> float:
    """The most memory this process ever had, in MB."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def make(name: str, total: int, folder: Path) -> None:
    """One file; pieces of a stream are dropped, as a server does that has sent them."""
    form = FORMATS[name]
    if form.streamed:
        for _ in stream(name, LAYER, batches(total)):
            pass
        return
    path = folder / f"many.{form.extension}"
    path.unlink(missing_ok=True)
    write(name, LAYER, batches(total), path)


def main() -> None:
    """A smaller file first: what libraries and buffers take in any case is not counted."""
    name, total, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    make(name, total * 3 // 5, folder)
    before = peak()
    make(name, total, folder)
    print(peak() - before)


if __name__ == "__main__":
    main()
