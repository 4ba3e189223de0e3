"""What follows from an edit: how a value is known goes with the value."""

from __future__ import annotations

from typing import Any

import pytest

from layers import kinds
from layers.errors import BadBody
from layers.kinds import edited

HOUSE = {
    "height_m": 9.6,
    "height_source": "default",
    "min_height_m": 0.0,
    "levels": None,
    "name": "a",
    "use": None,
}
STOREYS = HOUSE | {"height_m": 9.6, "height_source": "levels", "levels": 3.0}
SURVEYED = HOUSE | {"height_m": 12.5, "height_source": "measured", "levels": 3.0}
PIPE = {
    "medium": "water",
    "diameter_mm": 200.0,
    "diameter_source": "default",
    "depth_m": 1.8,
    "depth_source": "default",
    "name": None,
}


def edit(kind: str, present: dict[str, Any] | None, **given: Any) -> dict[str, Any]:
    fields = [field.name for field in kinds.get(kind).fields]
    return edited.settled(kinds.get(kind), fields, given, present, None)


@pytest.mark.parametrize(
    ("present", "given", "wanted"),
    [
        # a value that somebody gives is measured, whatever the old one was
        (HOUSE, {"height_m": 21.0}, {"height_m": 21.0, "height_source": "measured"}),
        (STOREYS, {"height_m": 21.0}, {"height_m": 21.0, "height_source": "measured"}),
        (SURVEYED, {"height_m": 21.0}, {"height_m": 21.0, "height_source": "measured"}),
        # a whole feature that is sent back repeats what was true of the old value
        (HOUSE, HOUSE | {"height_m": 21.0}, HOUSE | {"height_m": 21.0, "height_source": "measured"}),
        (
            HOUSE,
            HOUSE | {"height_m": 21.0, "height_source": None},
            HOUSE | {"height_m": 21.0, "height_source": "measured"},
        ),
        (HOUSE, HOUSE, HOUSE),
        # what an edit says of it itself is kept
        (HOUSE, {"height_m": 16.0, "height_source": "levels"}, {"height_m": 16.0, "height_source": "levels"}),
        (HOUSE, {"height_source": "measured"}, {"height_source": "measured"}),
        # what nobody gives comes from the chain
        (SURVEYED, {"height_m": None}, {"height_m": 9.6, "height_source": "levels"}),
        (
            HOUSE | {"height_source": "measured"},
            {"height_m": None},
            {"height_m": 9.6, "height_source": "default"},
        ),
        (SURVEYED, SURVEYED | {"height_m": None}, SURVEYED | {"height_m": 9.6, "height_source": "levels"}),
        # and anew when what it was made of changes
        (STOREYS, {"levels": 5.0}, {"levels": 5.0, "height_m": 16.0, "height_source": "levels"}),
        (HOUSE, {"levels": 5.0}, {"levels": 5.0, "height_m": 16.0, "height_source": "levels"}),
        (HOUSE, {"use": "garage"}, {"use": "garage", "height_m": 3.2, "height_source": "default"}),
        (STOREYS, {"levels": None}, {"levels": None, "height_m": 9.6, "height_source": "default"}),
        (SURVEYED, {"levels": 5.0}, {"levels": 5.0}),
        (HOUSE, {"name": "b"}, {"name": "b", "height_m": 9.6, "height_source": "default"}),
        # an assumed value that somebody set by hand is nobody's to reckon anew
        (HOUSE | {"height_m": 30.0}, {"levels": 5.0}, {"levels": 5.0}),
        ({}, {}, {"height_m": 9.6, "height_source": "default"}),
    ],
)
def test_a_building(present: dict[str, Any], given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert edit("building", present, **given) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"height_m": 9.6, "height_source": "default", "min_height_m": 0.0}),
        ({"levels": 4}, {"levels": 4, "height_m": 12.8, "height_source": "levels", "min_height_m": 0.0}),
        ({"height_m": 7.0}, {"height_m": 7.0, "height_source": "measured", "min_height_m": 0.0}),
        (
            {"height_m": 7.0, "height_source": "default"},
            {"height_m": 7.0, "height_source": "default", "min_height_m": 0.0},
        ),
        ({"height_source": "measured"}, {"height_m": 9.6, "height_source": "default", "min_height_m": 0.0}),
        ({"use": "shed"}, {"use": "shed", "height_m": 3.2, "height_source": "default", "min_height_m": 0.0}),
    ],
)
def test_a_new_building_says_how_its_height_is_known(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert edit("building", None, **given) == wanted


def test_a_pipe() -> None:
    assert edit("pipeline", PIPE, diameter_mm=315.0) == {
        "diameter_mm": 315.0,
        "diameter_source": "measured",
    } | {name: PIPE[name] for name in ("depth_m", "depth_source")}
    both = edit("pipeline", PIPE, medium="drainage")
    assert both == {
        "medium": "drainage",
        "diameter_mm": 400.0,
        "diameter_source": "default",
        "depth_m": 2.5,
        "depth_source": "default",
    }
    new = edit("pipeline", None, medium="gas", depth_m=0.9)
    assert (new["depth_source"], new["diameter_mm"], new["diameter_source"]) == ("measured", 150.0, "default")


def test_a_layer_without_such_fields_is_left_alone() -> None:
    assert edited.settled(kinds.get("building"), ["name"], {"name": "x"}, None, None) == {"name": "x"}
    assert edit("address", None, street="x") == {"street": "x"}


@pytest.mark.parametrize("present", [None, HOUSE])
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"height_m": 5000.0}, "height 5000.0 is outside 0.1 to 1000"),
        ({"height_m": 0.0}, "height 0.0 is outside"),
        ({"height_m": 1e300}, "height 1e\\+300 is outside"),
        ({"levels": 4000.0}, "levels 4000.0 is outside"),
        ({"min_height_m": -600.0}, "min_height -600.0 is outside"),
    ],
)
def test_a_number_that_no_building_has_is_refused(
    present: dict[str, Any] | None, given: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadBody, match=why):
        edit("building", present, **given)


def test_what_was_out_of_range_before_hinders_no_other_edit() -> None:
    edit("building", HOUSE | {"height_m": 5000.0}, name="b")
    with pytest.raises(BadBody, match="diameter"):
        edit("pipeline", PIPE, diameter_mm=1e6)
