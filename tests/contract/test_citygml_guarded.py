"""CityGML through the guarded child: archives, and what is made to harm."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from layers import guard, load
from layers.batch import SOURCE_ID
from layers.errors import BadFile
from layers.source import Declared
from tests import gml

CODED = '<bldg:usage codeSpace="../../codelists/usage.xml">422</bldg:usage>'
TOWN = gml.model(gml.member(gml.building(CODED + gml.box())))
#: A billion of laughs, and a file of the machine.
LAUGHS = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 10))
DOCTYPES = {
    "laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>',
    "outside": '<!DOCTYPE x [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>',
    "address": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
}


def test_code_lists_are_found_in_an_archive(tmp_path: Path) -> None:
    file = tmp_path / "ward.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("udx/bldg/a.gml", TOWN)
        out.writestr("codelists/usage.xml", gml.CODE_LIST)
    with guard.read(file) as reading:
        (row,) = (row for table in reading.batches() for row in table.to_pylist())
    assert (row["usage"], row["usage_code"]) == ("School", "422")


def test_a_model_in_gzip_is_a_model(tmp_path: Path) -> None:
    file = tmp_path / "a.gml.gz"
    file.write_bytes(gzip.compress(TOWN.encode()))
    report = load.check(file, layer_id="town")
    assert (report.driver, report.kept, report.crs) == ("CityGML", 1, "EPSG:3067")


@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
@pytest.mark.parametrize("comment", ["", f"<!--{'x' * 9000}-->"], ids=["early", "late"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_no_doctype_is_ever_read(tmp_path: Path, doctype: str, comment: str, packed: bool) -> None:
    inside = "<gml:name>&l9;</gml:name>" + gml.box()
    head, _, rest = gml.model(gml.member(gml.building(inside))).partition("?>")
    text = f"{head}?>{comment}{doctype}{rest}".encode()
    file = tmp_path / ("a.gml.gz" if packed else "a.gml")
    file.write_bytes(gzip.compress(text) if packed else text)
    with pytest.raises(BadFile) as refused, guard.read(file):
        pass
    assert refused.value.rule == "xml.doctype"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_model_that_breaks_off_is_refused(tmp_path: Path, share: float) -> None:
    file = tmp_path / "a.gml"
    text = gml.model("".join(gml.member(gml.building(gml.box(), f"b{k}")) for k in range(300)))
    file.write_text(text[: int(len(text) * share)], "utf-8")
    with pytest.raises(BadFile) as refused, guard.read(file):
        pass
    assert refused.value.rule == "xml.syntax"


def test_members_without_geometry_are_counted_and_none_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.gml"
    file.write_text(gml.model("".join(gml.member(gml.building("", f"b{k}")) for k in range(20_000))), "utf-8")
    with pytest.raises(BadFile) as refused:
        load.check(file, layer_id="town")
    assert refused.value.rule == "file.nothing_kept"
    assert "none of the 20000 rows" in refused.value.reason
    assert "geometry.missing" in refused.value.reason


def test_a_system_of_the_file_s_own_can_be_declared(tmp_path: Path) -> None:
    file = tmp_path / "a.gml"
    file.write_text(gml.model(gml.member(gml.building(gml.box())), srs="#own"), "utf-8")
    with pytest.raises(BadFile) as refused:
        load.check(file, layer_id="town")
    assert refused.value.rule == "crs.local"
    report = load.check(file, Declared(crs="EPSG:3067"), layer_id="town")
    assert (report.crs, report.kept) == ("EPSG:3067", 1)


def test_a_loop_of_references_ends(tmp_path: Path) -> None:
    """Each names the next, over all members, and the last the first."""
    shapes = (
        f'<gml:CompositeSurface gml:id="c{k}"><gml:surfaceMember xlink:href="#c{(k + 1) % 500}"/>'
        "</gml:CompositeSurface>"
        for k in range(500)
    )
    members = (
        gml.member(gml.building(f"<bldg:lod2MultiSurface>{shape}</bldg:lod2MultiSurface>", f"b{k}"))
        for k, shape in enumerate(shapes)
    )
    file = tmp_path / "a.gml"
    file.write_text(gml.model("".join(members) + gml.member(gml.building(gml.box(), "whole"))), "utf-8")
    with guard.read(file) as reading:
        kept = [row[SOURCE_ID] for table in reading.batches() for row in table.to_pylist()]
        rules = {problem.rule for problem in reading.problems}
    assert kept == ["whole"]
    assert rules & {"xlink.cycle", "xlink.missing"}
