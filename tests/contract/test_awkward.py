"""Awkward files as people have them: a check says what a load says, every row is kept or set aside, and every
column is a field or told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from layers import load
from layers.errors import BadFile
from layers.model import Report
from layers.source import NOTHING, Declared
from layers.store import geopackage
from layers.store.base import Store


@dataclass(frozen=True)
class Case:
    """A file, how many rows are kept, the rules that set the others aside, columns; or why it is refused."""

    name: str
    content: str | bytes
    kept: int = 0
    aside: tuple[str, ...] = ()
    columns: tuple[str, ...] = ("n",)
    refused: str = ""
    declared: Declared = NOTHING


def feature(properties: Any, geometry: Any = None, **members: Any) -> dict[str, Any]:
    place = geometry or {"type": "Point", "coordinates": [25, 60]}
    return {"type": "Feature", "properties": properties, "geometry": place, **members}


def collection(*features: dict[str, Any], **members: Any) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features, **members}, ensure_ascii=False)


def geometry(kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates}


ODD_NAMES = (
    "",
    "a\nb",
    "a b",
    'q"uote',
    "__wkb",
    "é",
    "e\u0301",
    "😀",
    "fid",
    "FID",
    "geom",
    "rowid",
    "limit",
)
TABLE = "lon,lat,n\n25,60,a\n"
CASES = (
    Case("thousands.csv", 'lon,lat,n\n25,60,"1,234,567"\n25.1,60,"2,345"\n', 2),
    Case("decimal-comma.csv", 'lon;lat;n\n"25,5";"60,25";a\n25,6;60,5;b\n', 2),
    Case("mixed-ends.csv", "lon,lat,n\r\n25,60,a\n25.1,60,b\r25.2,60,c\r\n", 3),
    Case("header-only.csv", "lon,lat,n\n", refused="file.no_features"),
    Case("blank.csv", "\n \n\n", refused="file.no_features"),
    Case("empty.csv", "", refused="file.empty"),
    Case("twins.csv", "lon,lat,n,n,N,\n25,60,a,b,c,d\n", 1, columns=("n", "N")),
    Case("two-marks.csv", b"\xef\xbb\xbf\xef\xbb\xbf" + TABLE.encode(), 1),
    Case("name-of-lines.csv", 'lon,lat,"two\nlines"\n25,60,a\n', 1, columns=("two\nlines",)),
    Case("codes.csv", 'lon,lat,n,m\n25,60,001,1E5\n25.1,60,="002",+358 40\n', 2, columns=("n", "m")),
    Case("infinite.csv", "lon,lat,n\n25,60,inf\n25.2,inf,3\n25.3,1e400,3\n", 1, ("geometry.unreadable",) * 2),
    Case("open-quote.csv", 'lon,lat,n\n25,60,"abc\n25.1,60,d\n', 2),
    Case("utf16.csv", "lon,lat,n\n25,60,中\n".encode("utf-16-be"), 1),
    Case("two-encodings.csv", "lon,lat,n\n25,60,第一\n25,61,第二\n".encode() + "25,62,中\n".encode("gbk"), 3),
    Case(
        "reserved.csv",
        "lon,lat,geometry,fid,source_id,geom,rowid,other\n25,60,round,1,s,g,r,o\n25,61,square,2,t,g,r,o\n",
        2,
        columns=("geometry", "fid", "source_id", "geom", "rowid", "other"),
    ),
    Case(
        "shapes.csv",
        'wkt,n\nPOINT (25 60),1\n"CIRCULARSTRING (25 60, 26 60, 25 61)",2\nPOINT EMPTY,3\n',
        1,
        ("geometry.nan", "geometry.unreadable"),
        declared=Declared(crs="EPSG:4326"),
    ),
    Case("odd-names.geojson", collection(feature(dict.fromkeys(ODD_NAMES, 1))), 1, columns=ODD_NAMES),
    Case("null.geojson", collection({**feature({}), "properties": None}, feature({"n": 1})), 2),
    Case(
        "types.geojson", collection(*(feature({"n": v}) for v in (1, "x", [1], {"a": 1}, None, 1.5, True))), 7
    ),
    Case("trailing-comma.geojson", collection(feature({"n": 1}))[:-2] + ",]}", 1),
    Case(
        "shapes.geojson",
        collection(
            feature({"n": 1}),
            feature({"n": 2}, geometry("Point", [])),
            feature({"n": 3}, geometry("Point", ["25", "60"])),
            feature({"n": 4}, geometry("point", [25, 60])),
            feature({"n": 5}, geometry("LineString", [[25, 60], [25, 60]])),
            feature({"n": 6}, geometry("Point", [200, 95])),
        ),
        1,
        (
            *("geometry.degenerate", "geometry.nan", "geometry.range"),
            *("geometry.unreadable", "geometry.unreadable"),
        ),
    ),
    Case(
        "members.geojson",
        collection(feature({"n": 1}, foo="bar", bbox=[1, 2, 3, 4])),
        1,
        columns=("n", "foo"),
    ),
    Case("array.json", json.dumps([feature({"n": 1}), geometry("Point", [25, 60])]), 2),
    Case("none.geojson", collection(), refused="file.no_features"),
    Case("no-crs.geojson", collection(feature({"n": 1}), crs=None), refused="crs.missing"),
    Case("new\nline.geojson", collection(feature({"n": 1})), 1),
    Case("esri.json", '{"features": [{"attributes": {"a": 1}}]}', refused="json.not_geojson"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = geopackage.open(tmp_path_factory.mktemp("awkward") / "city.gpkg")
    yield opened
    opened.close()


def findings(report: Report) -> list[tuple[str, int]]:
    return [(problem.rule, problem.row) for problem in report.problems]


def told(report: Report) -> set[str]:
    """The columns that notes name: as another name, or left out."""
    lists = (p.reason.partition(": ")[2].split(", ") for p in report.problems if p.rule.startswith("column."))
    return {re.split(r" is | \(", each)[0] for names in lists for each in names}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_and_columns_are_kept_or_told(case: Case, store: Store, tmp_path: Path) -> None:
    file = tmp_path / case.name
    file.write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())
    layer = f"l{CASES.index(case)}"
    if case.refused:
        for refused in (
            lambda: load.check(file, case.declared),
            lambda: load.run(store, file, case.declared, layer_id=layer),
        ):
            with pytest.raises(BadFile) as caught:
                refused()
            assert caught.value.rule == case.refused
        return
    checked = load.check(file, case.declared)
    report = load.run(store, file, case.declared, layer_id=layer)
    assert findings(checked) == findings(report)
    assert (report.kept, report.read) == (case.kept, case.kept + len(case.aside))
    assert tuple(sorted(p.rule for p in report.problems if p.action == "quarantined")) == case.aside
    fields = {field.name for field in store.feature_layer(layer).fields}
    assert [name for name in case.columns if name not in fields | told(report)] == []
