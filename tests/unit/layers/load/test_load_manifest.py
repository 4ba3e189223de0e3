"""Files of a manifest side by side: what is left is what loads one by one leave."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from layers import load_manifest
from layers.errors import BadFile, BadParameter
from layers.store import geopackage
from layers.store.base import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = geopackage.open(tmp_path / "city.gpkg")
    yield opened
    opened.close()


def written(folder: Path, **files: int | str) -> Path:
    """A manifest of files of so many points, or of that text; an id is a file's name."""
    for name, what in files.items():
        text = what if isinstance(what, str) else points(what)
        (folder / f"{name}.geojson").write_text(text, "utf-8")
    layers = [{"id": name, "file": f"{name}.geojson", "kind": "feature"} for name in files]
    manifest = folder / "load.yml"
    manifest.write_text(json.dumps({"layers": layers}), "utf-8")
    return manifest


def points(count: int) -> str:
    features = [
        {
            "type": "Feature",
            "properties": {"n": i},
            "geometry": {"type": "Point", "coordinates": [24.9 + i / 1e5, 60.1]},
        }
        for i in range(count)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_the_next_file_is_read_while_one_is_taken_in_and_published_behind_it(
    store: Store, tmp_path: Path
) -> None:
    manifest = written(tmp_path, first=30, second=3)
    staged = threading.Event()

    def told(what: str, _done: int, count: int) -> None:
        if what == "stage" and count == 3:
            staged.set()
        if what == "stage" and count == 30:
            assert staged.wait(60), "the second waits until the first is done"

    reports = load_manifest.run(store, manifest, progress=told, workers=2)
    assert [(r.layer, r.kept) for r in reports] == [("first", 30), ("second", 3)]
    first, second = store.layer("first"), store.layer("second")
    assert first.seq < second.seq
    assert first.title != second.title  # what the first is called is known when the second is named


@pytest.mark.parametrize("workers", [1, 3])
def test_a_refused_file_leaves_what_is_before_it(store: Store, tmp_path: Path, workers: int) -> None:
    manifest = written(tmp_path, first=2000, refused="{", last=2)
    with pytest.raises(BadFile):
        load_manifest.run(store, manifest, workers=workers)
    assert [layer.id for layer in store.layers()] == ["first"]
    assert not list(tmp_path.rglob("*.stage"))


def test_the_first_that_is_refused_is_told(store: Store, tmp_path: Path) -> None:
    # the second is known to be bad long before the first is
    manifest = written(tmp_path, slow=points(3000).replace("Point", "Pint"), quick="{")
    with pytest.raises(BadFile) as of_two:
        load_manifest.run(store, manifest, workers=2)
    with pytest.raises(BadFile) as of_one:
        load_manifest.run(store, manifest, workers=1)
    assert of_two.value.reason == of_one.value.reason
    assert not store.layers()


def test_an_interruption_ends_all_of_them(store: Store, tmp_path: Path) -> None:
    manifest = written(tmp_path, first=300, second=300, third=300)

    def told(_what: str, _done: int, _count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_manifest.run(store, manifest, progress=told, workers=2)
    assert not store.layers()
    assert not [one for one in threading.enumerate() if one.name.startswith("load-")]


def test_what_nothing_here_takes_is_skipped_where_it_is_optional(store: Store, tmp_path: Path) -> None:
    written(tmp_path, first=300, other=3, last=2)
    (tmp_path / "drawing.bin").write_bytes(bytes(range(256)) * 20)
    entries = [
        {"id": "first", "file": "first.geojson", "kind": "feature"},
        {"id": "moods", "file": "other.geojson", "kind": "mood", "optional": True},
        {"id": "drawing", "file": "drawing.bin", "kind": "feature", "optional": True},
        {"id": "last", "file": "last.geojson", "kind": "feature", "optional": True},
    ]
    (tmp_path / "load.yml").write_text(json.dumps({"layers": entries}), "utf-8")
    reports = load_manifest.run(store, tmp_path / "load.yml", workers=2)
    assert [(one.layer, one.kept, one.skipped) for one in reports] == [
        ("first", 300, ""),
        ("moods", 0, "there is no kind mood of layers here"),
        ("drawing", 0, "the file is binary and of no type that is read"),
        ("last", 2, ""),
    ]
    assert [one.problems[0].rule for one in reports[1:3]] == ["kind.unknown", "file.type"]
    assert [layer.id for layer in store.layers()] == ["first", "last"]
    for entry in entries:
        entry.pop("optional", None)
    (tmp_path / "load.yml").write_text(json.dumps({"layers": entries}), "utf-8")
    with pytest.raises((BadFile, BadParameter)):
        load_manifest.run(store, tmp_path / "load.yml", mode="replace")
