"""``twin generate``, as it is typed and as it tells what it made."""

from __future__ import annotations

from pathlib import Path

from layers.errors import BadParameter, NotFound, shown
from twin.demo.lanjiang import generate as generator
from twin.demo.lanjiang import names
from twin.demo.lanjiang.frame import Frame


def generate(city: str, out: Path, size: str, seed: int, at: str) -> None:
    """Write the files and print what they hold. Raises NotFound, BadParameter, Exists."""
    if city != "lanjiang":
        raise NotFound(f"no city {shown(city)} can be generated; lanjiang can")
    truth = generator.generate(out, size=size.upper(), seed=seed, frame=_frame(at))
    counts = ", ".join(f"{count:,} {name}" for name, count in truth["counts"].items())
    print(f"{names.CITY} ({names.NOTICE}), {truth['size']}: {counts}")
    print(f"Load it: twin load --manifest {out / 'load.yml'} --city CITY")


def _frame(at: str) -> Frame:
    if not at:
        return Frame()
    try:
        lon, lat = (float(part) for part in at.split(","))
    except ValueError:
        raise BadParameter("at", at, "longitude and latitude with a comma between them") from None
    return Frame(lon, lat)
