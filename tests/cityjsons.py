"""CityJSON for tests: the two houses that were drawn by hand, changed or as a sequence, and their rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import trimesh

from layers.batch import MESH, SOURCE_ID
from layers.guard import Reading
from layers.mesh import Mesh
from layers.read.base import ReadOptions, Sink
from layers.read.cityjson.read import read as read_file
from layers.source import Declared

GOLDEN = Path(__file__).parent / "golden/two_houses.city.json"

type City = dict[str, Any]


def read(path: Path, layer: str | None = None) -> Reading:
    """The reader alone, in this process: a child a case would be slow."""
    folder = Path(mkdtemp())
    sink = Sink(folder)
    read_file(path, ReadOptions(str(path), Declared(layer=layer)), sink)
    sink.finish()
    return Reading(folder, sink.meta, sink.problems)


def features(path: Path, layer: str | None = None) -> dict[str, dict[str, Any]]:
    """Rows by the id of their object."""
    return {row[SOURCE_ID]: row for table in read(path, layer).batches() for row in table.to_pylist()}


def told(reading: Reading) -> dict[str, list[str | None]]:
    """The objects that each rule was told of."""
    out: dict[str, list[str | None]] = {}
    for problem in reading.problems:
        out.setdefault(problem.rule, []).append(problem.source_id)
    return out


def solid(row: dict[str, Any]) -> trimesh.Trimesh:
    """The body of a row near the origin."""
    body = Mesh.from_bytes(row[MESH])
    return trimesh.Trimesh(body.positions - body.positions.mean(axis=0), body.triangles, process=True)


def changed(tmp_path: Path, change: Callable[[City], Any]) -> Path:
    """The golden file, changed."""
    city = json.loads(GOLDEN.read_text("utf-8"))
    change(city)
    file = tmp_path / "a.city.json"
    file.write_text(json.dumps(city), "utf-8")
    return file


def lines(city: City) -> list[City]:
    """A document as a sequence: its first line, then each object that has no parent with its children."""
    first = {**city, "CityObjects": {}, "vertices": []}
    return [first, *(_line(city, name) for name, one in city["CityObjects"].items() if "parents" not in one)]


def _line(city: City, name: str) -> City:
    names = [name, *city["CityObjects"][name].get("children", ())]
    objects = json.loads(json.dumps({each: city["CityObjects"][each] for each in names}))
    numbers: dict[int, int] = {}

    def renumbered(boundaries: Any) -> Any:
        if isinstance(boundaries, list):
            return [renumbered(each) for each in boundaries]
        return numbers.setdefault(boundaries, len(numbers))

    for one in objects.values():
        for geometry in one.get("geometry", ()):
            geometry["boundaries"] = renumbered(geometry["boundaries"])
    vertices = [city["vertices"][number] for number in numbers]
    return {"type": "CityJSONFeature", "id": name, "CityObjects": objects, "vertices": vertices}


def written(path: Path, texts: list[City]) -> Path:
    """A sequence as a file."""
    path.write_text("".join(json.dumps(each) + "\n" for each in texts), "utf-8")
    return path
