"""``twin generate lanjiang``: the files of the city, what loads them, and what is true of them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from layers.errors import BadParameter, Exists
from twin.demo.lanjiang import files, names, plan
from twin.demo.lanjiang.frame import Frame
from twin.demo.lanjiang.known import Known
from twin.demo.lanjiang.subject import City, Entry, Planted
from twin.demo.lanjiang.subjects import SUBJECTS

#: Superblocks whose tables are kept in one file while the city is made.
_TOGETHER = 4
#: The middle of the smallest size (m): what the page looks at when it opens.
MIDDLE = (350.0, -80.0)
EDITIONS = ("clean", "dirty")

type Cell = tuple[int, int]


def generate(
    out: Path,
    *,
    size: str = "S",
    edition: str = "clean",
    seed: int = 1,
    frame: Frame | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Write the city to a new folder; what is true of it (``truth.json``).

    The same size, edition, seed and place give the same bytes, by however many processes. Raises Exists (the
    folder is there and not empty), BadParameter (no such size or edition)."""
    if size not in plan.SIZES:
        raise BadParameter("size", size, f"one of {', '.join(plan.SIZES)}")
    if edition not in EDITIONS:
        raise BadParameter("edition", edition, f"one of {', '.join(EDITIONS)}")
    if out.exists() and any(out.iterdir()):
        raise Exists(f"{out} is there already, and is not empty")
    frame = frame or Frame()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".making-") as name:
        work = partial(_made, size=size, seed=seed, frame=frame, edition=edition)
        parts = _parts(Path(name), list(plan.cells(size)), work, workers or os.cpu_count() or 1)
        city = City(size, seed, frame, out, partial(_read, parts), edition)
        truth, entries = _written(city)
    (out / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (out / "load.yml").write_text(_manifest(entries), "utf-8")
    (out / "city.yml").write_text(_settings(frame, entries), "utf-8")
    (out / "说明.txt").write_text(f"{names.CITY}：{names.NOTICE}。\n", "utf-8")
    return truth


def _parts(folder: Path, cells: list[Cell], work: Callable[..., Path], workers: int) -> list[Path]:
    """Folders with the tables of some superblocks each, in the order of these."""
    groups = [cells[at : at + _TOGETHER] for at in range(0, len(cells), _TOGETHER)]
    places = [folder / f"{number:05d}" for number in range(len(groups))]
    with ExitStack() as stack:
        run: Any = map
        if workers > 1 and len(groups) > 1:
            run = stack.enter_context(ProcessPoolExecutor(min(workers, len(groups)))).map
        return list(run(work, places, groups))


def _made(folder: Path, cells: list[Cell], size: str, seed: int, frame: Frame, edition: str) -> Path:
    folder.mkdir()
    found: dict[str, list[pa.Table]] = {}
    for i, j in cells:
        known = Known(seed, i, j, size)
        for name, table in tables(known, frame, edition).items():
            found.setdefault(name, []).append(table)
    for name, several in found.items():
        whole = pa.concat_tables(several).combine_chunks()
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
            writer.write_table(whole)
    return folder


def tables(known: Known, frame: Frame, edition: str = "clean") -> dict[str, pa.Table]:
    """The tables of a superblock, by name; one without rows is left out."""
    deliveries = (each for subject in SUBJECTS for each in subject.deliveries)
    made = {each.table: each.made(known, frame, edition) for each in deliveries}
    return {name: table for name, table in made.items() if table is not None}


def _read(parts: list[Path], table: str) -> Iterator[pa.Table]:
    for part in parts:
        if (part / table).exists():
            with pa.memory_map(str(part / table)) as source:
                yield pa.ipc.open_file(source).read_all()


def _written(city: City) -> tuple[dict[str, Any], list[Entry]]:
    """Write what each subject delivers; what is true of the city, and the lines of its manifest."""
    counts: dict[str, int] = {}
    hashes: dict[str, str] = {}
    wrong: list[Planted] = []
    further: dict[str, Any] = {}
    entries: list[Entry] = []
    for subject in SUBJECTS:
        for delivery in subject.deliveries:
            rows = files.written(delivery, city.tables(delivery.table), city.out, city.frame)
            counts[delivery.table], hashes[delivery.table] = rows.count, rows.digest.hexdigest()
            wrong += rows.faults
        if subject.whole is not None:
            made = subject.whole(city)
            entries += made.entries
            counts |= made.counts
            hashes |= made.hashes
            wrong += made.faults
            if made.truth:
                further[subject.name] = made.truth
        entries += subject.deliveries
    truth = {
        "city": names.CITY,
        "notice": names.NOTICE,
        "code": names.CODE,
        "size": city.size,
        "edition": city.edition,
        "seed": city.seed,
        "at": [city.frame.lon, city.frame.lat],
        "crs": f"EPSG:{city.frame.epsg}",
        "counts": counts,
        "rows_sha256": hashes,
        "faults": [asdict(each) for each in wrong],
    }
    return truth | further, entries


def _manifest(entries: list[Entry]) -> str:
    lines = [f"# {names.CITY}：{names.NOTICE}", "layers:"]
    for one in entries:
        said = {"id": one.layer, "file": one.path, "kind": one.kind, **one.declared}
        if one.optional:
            said["optional"] = "true"
        chinese, english = one.title
        words = ", ".join(f"{name}: {value}" for name, value in said.items())
        lines.append(f"  - {{{words}, title: {{zh-CN: {chinese}, en: {english}}}}}")
    return "\n".join(lines) + "\n"


def _settings(frame: Frame, entries: list[Entry]) -> str:
    seen = [one for one in entries if not one.optional]
    lon, lat = frame.lonlat(np.array([MIDDLE]))[0]
    return "\n".join(
        [
            f"# {names.CITY}: {names.NOTICE}",
            f"title: {{zh-CN: {names.CITY}(虚构), en: Lanjiang (fictional)}}",
            "time_zone: Asia/Shanghai",
            "languages: [zh-CN, en]",
            f"view: {{lon: {lon:.4f}, lat: {lat:.4f}, height: 1500, heading: 0, pitch: -45}}",
            f"credits: [{{text: {names.NOTICE}}}]",
            "themes: [water, flood, gas, air, facilities]",
            "layers:",
            *(f"  {one.layer}: {{visible: {str(one.visible).lower()}}}" for one in seen),
            "",
        ]
    )
