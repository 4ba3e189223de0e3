"""Solids of CityGML: whether the faces that one refers to close it (ISO 19107; the codes of val3dity)."""

from __future__ import annotations

from pathlib import Path

import pytest

from layers.rules import ADVICE
from tests import gml
from tests.unit.layers.read.test_citygml import reading, rules


def _members(*left: int, turned: tuple[int, ...] = (), twice: tuple[int, ...] = ()) -> list[str]:
    """What a solid refers to of a themed box: some faces left out, turned round, or named once more."""
    names = [f"#p-{n}" for n in range(6) if n not in left] + [f"#p-{n}" for n in twice]
    back = '<gml:OrientableSurface orientation="-"><gml:baseSurface xlink:href="{}"/></gml:OrientableSurface>'
    return [back.format(name) if int(name[-1]) in turned else name for name in names]


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        (_members(), set()),
        (_members(5), {"solid.open"}),
        (_members(turned=(1,)), {"solid.turned"}),
        (_members(turned=(0, 1, 2, 3, 4, 5)), {"solid.inverted"}),
        (_members(twice=(5,)), {"solid.nonmanifold"}),
        (_members(turned=(1,), twice=(5,)), {"solid.turned", "solid.nonmanifold"}),
        ([], {"solid.empty"}),
    ],
)
def test_solids_that_do_not_close_are_told(tmp_path: Path, members: list[str], wanted: set[str]) -> None:
    """The faces of a solid are those that it refers to; a window that it does not is none of them."""
    themed = gml.themed(gml.corners()).partition("<bldg:lod2Solid>")[0]
    window = gml.polygon([(400_001, 6_700_000, 11), (400_002, 6_700_000, 11), (400_002, 6_700_000, 12)])
    themed += (
        f'<bldg:boundedBy><bldg:WallSurface gml:id="w"><bldg:opening><bldg:Window gml:id="v">'
        f"<bldg:lod3MultiSurface><gml:MultiSurface><gml:surfaceMember>{window}</gml:surfaceMember>"
        "</gml:MultiSurface></bldg:lod3MultiSurface></bldg:Window></bldg:opening></bldg:WallSurface>"
        "</bldg:boundedBy>"
    ).replace("lod3", "lod2")
    text = f"{themed}<bldg:lod2Solid>{gml.solid(members)}</bldg:lod2Solid>"
    found = reading(tmp_path, gml.model(gml.member(gml.building(text))))
    assert {rule for rule in rules(found) if rule.startswith("solid.")} == wanted
    assert rules(found) <= ADVICE.keys()


def test_a_wall_of_two_solids_closes_both(tmp_path: Path) -> None:
    """Two boxes with one wall between them, which the second has turned round."""
    first, second = gml.faces(gml.corners(), "a"), gml.faces(gml.corners((400_010, 6_700_000, 10)), "b")
    wall = (
        '<gml:OrientableSurface orientation="-"><gml:baseSurface xlink:href="#a-2"/></gml:OrientableSurface>'
    )
    second[4] = wall
    members = "".join(f"<gml:solidMember>{gml.solid(each)}</gml:solidMember>" for each in (first, second))
    shape = "<bldg:lod1Solid><gml:CompositeSolid>{}</gml:CompositeSolid></bldg:lod1Solid>"
    text = gml.model(gml.member(gml.building(shape.format(members))))
    assert not {rule for rule in rules(reading(tmp_path, text)) if rule.startswith("solid.")}
    again = "".join(f"<gml:solidMember>{gml.solid(first)}</gml:solidMember>" for _ in range(2))
    again = again.replace('gml:id="a-', 'gml:id="c-', 6)
    text = gml.model(gml.member(gml.building(shape.format(again))))
    assert "solid.overlap" in rules(reading(tmp_path, text))
