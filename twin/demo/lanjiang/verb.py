"""``twin generate`` and ``twin score``, as they are typed and as they tell what they found."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from layers.errors import BadParameter, NotFound, shown
from layers.model import Report
from twin.demo.lanjiang import generate as generator
from twin.demo.lanjiang import names
from twin.demo.lanjiang import score as scores
from twin.demo.lanjiang.frame import Frame
from twin.demo.lanjiang.subject import Planted

#: Columns of a table that no terminal shows.
WIDTH = 120


def generate(city: str, out: Path, size: str, edition: str, seed: int, at: str) -> None:
    """Write the files and print what they hold. Raises NotFound, BadParameter, Exists."""
    if city != "lanjiang":
        raise NotFound(f"no city {shown(city)} can be generated; lanjiang can")
    truth = generator.generate(out, size=size.upper(), edition=edition, seed=seed, frame=_frame(at))
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


class _Truth(BaseModel):
    """What of ``truth.json`` is asked here."""

    faults: list[Planted]


def score(reports: Path, truth: Path, *, as_json: bool) -> None:
    """Print what the reports of loads found of what was planted. Raises NotFound, BadParameter."""
    found, alarms = scores.score(_read(reports, list[Report]), _read(truth, _Truth).faults)
    if as_json:
        faults = [asdict(one) | {"recall": one.recall} for one in found]
        said = {"faults": faults, "false_alarms": [asdict(one) for one in alarms]}
        print(json.dumps(said, ensure_ascii=False, indent=2))
        return
    table = Table("fault", "rule", "planted", "found", "recall")
    for one in found:
        table.add_row(one.kind, one.rule, str(one.planted), str(one.found), f"{one.recall:.0%}")
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    for alarm in alarms:
        print(f"false alarm: {alarm.rule} on {alarm.count} of {alarm.layer}")
    print(f"{sum(one.count for one in alarms)} false alarms")


def _read[T](file: Path, what: type[T]) -> T:
    try:
        read: T = TypeAdapter(what).validate_json(file.read_bytes())
    except OSError as error:
        raise NotFound(f"{shown(str(file))} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadParameter("file", str(file), f"a report or truth.json ({where}: {first['msg']})") from None
    return read
