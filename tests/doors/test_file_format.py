"""The door "file format": one module outside the project, and a file of it is loaded through the guard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from layers import load
from layers.errors import BadFile
from layers.query import Query
from layers.source import Declared
from layers.store.open import open_store
from tests.doors.readers import installed

#: All that a new format is: in the project a module of layers/read/formats, else one with an entry point.
MODULE = """
import pyarrow as pa, shapely
from layers.batch import ROW, SOURCE_ID, WKB
from layers.errors import BadFile
from layers.read.format import Reader, Refused

def read(path, options, sink):
    lines = [line.split() for line in path.read_text("utf-8").splitlines()[1:]]
    if any(len(line) != 3 for line in lines):
        raise BadFile("xyn.line", "a line has not three words")
    sink.meta.update(driver="XYN", encoding="utf-8", crs="EPSG:4326", kind="address", features=len(lines))
    places = shapely.to_wkb(shapely.points([(float(x), float(y)) for x, y, _ in lines]))
    sink.batch(pa.table({ROW: range(1, len(lines) + 1), WKB: pa.array(list(places), pa.binary()),
                         SOURCE_ID: pa.nulls(len(lines), pa.string()), "number": [n for *_, n in lines]}))

FORMATS = (
    Reader("xyn", {"en": "Numbered points"}, (".xyn",), lambda sample: sample.head.startswith(b"XYN2"), read),
    Reader("xyd", {"en": "Folder of them"}, (".xyd",), lambda sample: "all.xyn" in sample.names,
           lambda path, options, sink: read(path / "all.xyn", options, sink)),
    Refused(lambda sample: sample.head.startswith(b"XYN1"), "file.type", "XYN 1, which is no more read"),
)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package."""
    with (
        pytest.MonkeyPatch.context() as patch,
        installed(tmp_path_factory.mktemp("xyn"), patch, "xyn", MODULE),
    ):
        yield


@pytest.mark.usefixtures("plugin")
def test_a_file_of_a_new_format_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "doors.xyn"
    file.write_text("XYN2\n24.9 60.2 7a\n24.8 60.1 9\n")
    store = open_store(tmp_path, None)
    try:
        report = load.run(store, file, layer_id="doors")
        assert (report.driver, report.kind, report.kept) == ("XYN", "address", 2)
        assert b'"7a"' in store.items("doors", Query(limit=10)).features
    finally:
        store.close()
    (tmp_path / "folder").mkdir()
    file.rename(tmp_path / "folder/doors.xyn")
    assert load.check(tmp_path / "folder", Declared(layer="doors")).kept == 2


@pytest.mark.usefixtures("plugin")
def test_a_format_may_be_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "town/doors.xyd"
    folder.mkdir(parents=True)
    (folder / "all.xyn").write_text("XYN2\n24.9 60.2 7a\n")
    (folder / "more.csv").write_text("lon,lat\n1,2\n")
    assert load.check(folder).driver == "XYN"
    assert load.check(tmp_path / "town").driver == "XYN"


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("a.xyn", "XYN2\n1 2\n", "xyn.line"),
        ("a.xyn", "XYN1\n", "file.type"),
        ("a.csv", "XYN2\n1 2 3\n", "file.disguised"),
        ("a.xyn", "lon,lat\n1,2\n", "file.disguised"),
    ],
)
@pytest.mark.usefixtures("plugin")
def test_what_it_refuses_is_refused(tmp_path: Path, name: str, text: str, rule: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadFile) as caught:
        load.check(tmp_path / name)
    assert caught.value.rule == rule


def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("lon,lat\n1,2\n")
    with (
        installed(tmp_path, monkeypatch, "xyn", "import no_such_package\n"),
        pytest.raises(BadFile, match=r"reader\.died: .*No module named 'no_such_package'"),
    ):
        load.check(tmp_path / "a.csv")
