"""``twin generate lanjiang``: the files of the city, what loads them, and what is true of them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from layers.errors import BadParameter, Exists
from twin.demo.lanjiang import files, names, plan, survey
from twin.demo.lanjiang.frame import GEOGRAPHIC, Frame

#: Superblocks whose tables are kept in one file while the city is made.
_TOGETHER = 4


def generate(
    out: Path, *, size: str = "S", seed: int = 1, frame: Frame | None = None, workers: int | None = None
) -> dict[str, Any]:
    """Write the city to a new folder; what is true of it (``truth.json``).

    The same size, seed and place give the same bytes, by however many processes. Raises Exists (the folder is
    there and not empty), BadParameter (no such size)."""
    if size not in plan.SIZES:
        raise BadParameter("size", size, f"one of {', '.join(plan.SIZES)}")
    if out.exists() and any(out.iterdir()):
        raise Exists(f"{out} is there already, and is not empty")
    frame = frame or Frame()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".making-") as name:
        parts = _parts(Path(name), size, seed, frame, workers or os.cpu_count() or 1)
        truth = _write(out, parts, size, seed, frame)
    (out / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (out / "load.yml").write_text(_manifest(), "utf-8")
    (out / "city.yml").write_text(_city(frame), "utf-8")
    (out / "说明.txt").write_text(f"{names.CITY}：{names.NOTICE}。\n", "utf-8")
    return truth


def _parts(folder: Path, size: str, seed: int, frame: Frame, workers: int) -> list[Path]:
    """Folders with the tables of some superblocks each, in the order of these."""
    cells = list(plan.cells(size))
    groups = [cells[at : at + _TOGETHER] for at in range(0, len(cells), _TOGETHER)]
    work = partial(_made, size=size, seed=seed, frame=frame)
    places = [folder / f"{number:05d}" for number in range(len(groups))]
    with ExitStack() as stack:
        run: Any = map
        if workers > 1 and len(groups) > 1:
            run = stack.enter_context(ProcessPoolExecutor(min(workers, len(groups)))).map
        return list(run(work, places, groups))


def _made(folder: Path, cells: list[tuple[int, int]], size: str, seed: int, frame: Frame) -> Path:
    folder.mkdir()
    found: dict[str, list[pa.Table]] = {}
    for i, j in cells:
        for name, table in survey.tables(seed, i, j, size, frame).items():
            found.setdefault(name, []).append(table)
    for name, tables in found.items():
        whole = pa.concat_tables(tables).combine_chunks()
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
            writer.write_table(whole)
    return folder


def _read(parts: list[Path], table: str) -> Iterator[pa.Table]:
    for part in parts:
        if (part / table).exists():
            with pa.memory_map(str(part / table)) as source:
                yield pa.ipc.open_file(source).read_all()


def _write(out: Path, parts: list[Path], size: str, seed: int, frame: Frame) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    hashes: dict[str, str] = {}
    for delivery in files.DELIVERIES:
        digest = hashlib.sha256()

        def seen(name: str = delivery.table, digest: Any = digest) -> Iterator[pa.Table]:
            for table in _read(parts, name):
                counts[name] += len(table)
                for row in table.to_pylist():
                    digest.update(repr(tuple(row.values())).encode())
                yield table

        files.write(delivery, seen(), out, frame)
        hashes[delivery.table] = digest.hexdigest()
    files.terrain(size, seed, out, frame)
    return {
        "city": names.CITY,
        "notice": names.NOTICE,
        "code": names.CODE,
        "size": size,
        "edition": "clean",
        "seed": seed,
        "at": [frame.lon, frame.lat],
        "crs": f"EPSG:{frame.epsg}",
        "counts": dict(counts),
        "rows_sha256": hashes,
        "faults": [],
    }


def _manifest() -> str:
    lines = [f"# {names.CITY}：{names.NOTICE}", "layers:"]
    terrain = (
        f"  - {{id: terrain, file: {files.TERRAIN}, kind: terrain, title: {{zh-CN: 地形, en: Terrain}}}}"
    )
    lines.append(terrain)
    for one in files.DELIVERIES:
        chinese, english = one.title
        said = f"id: {one.layer}, file: {one.path}, kind: {one.kind}"
        if one.id_field:
            said += f", id_field: {one.id_field}"
        if one.path.endswith(".csv"):
            said += f", crs: EPSG:{GEOGRAPHIC}"
        lines.append(f"  - {{{said}, title: {{zh-CN: {chinese}, en: {english}}}}}")
    return "\n".join(lines) + "\n"


def _city(frame: Frame) -> str:
    shown = {
        "land_cover": True,
        "parcels": False,
        "roads": True,
        "buildings": True,
        "addresses": False,
        "rooms": False,
        "communities": False,
        "unit_grids": False,
        "street_assets": True,
    }
    return "\n".join(
        [
            f"# {names.CITY}: {names.NOTICE}",
            f"title: {{zh-CN: {names.CITY}(虚构), en: Lanjiang (fictional)}}",
            "time_zone: Asia/Shanghai",
            "languages: [zh-CN, en]",
            f"view: {{lon: {frame.lon}, lat: {frame.lat - 0.012}, height: 1500, heading: 0, pitch: -45}}",
            f"credits: [{{text: {names.NOTICE}}}]",
            "layers:",
            *(f"  {layer}: {{visible: {str(seen).lower()}}}" for layer, seen in shown.items()),
            "",
        ]
    )
