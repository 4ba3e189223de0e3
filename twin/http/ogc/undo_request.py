"""What ``POST /ogc/undo`` is asked for: one of four things to take back, and how."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layers.errors import BadBody, BadParameter, shown
from layers.parameters import AT
from layers.types import LAYER_ID, Bbox
from layers.undo import UndoPlan
from twin.http.author import MAX_MESSAGE

if TYPE_CHECKING:
    from layers.model import Moment
    from twin.catalogue.view import View

#: Layers that are named, and characters of a person's name.
MOST_LAYERS, LONGEST_NAME = 200, 200
_MOMENT = "an instant with its zone (RFC 3339), or `@` and a number of the change log"
_WHOLE: Mapping[str, Any] = {"type": "integer", "format": "int64", "minimum": 0}
_TEXT: Mapping[str, Any] = {"type": "string"}
#: Schemas of the members.
MEMBERS: Mapping[str, Mapping[str, Any]] = {
    "set": {**_WHOLE, "minimum": 1, "description": "Take back this change set"},
    "layer": {**_TEXT, "description": "With `feature` and `to`: make it what it was then"},
    "feature": {**_WHOLE, "minimum": -(2**63), "description": "The feature's id; it may be gone by now"},
    "actor": {**_TEXT, "description": "Take back what this person did, `from`, `to`, in `bbox`"},
    "from": {**_TEXT, "description": f"After this moment: {_MOMENT}"},
    "to": {**_TEXT, "description": f"Up to this moment, now without it: {_MOMENT}"},
    "bbox": {
        "type": "array",
        "items": {"type": "number"},
        "minItems": 4,
        "maxItems": 4,
        "description": "west, south, east, north; without `actor`: what anybody did there",
    },
    "layers": {
        "type": "array",
        "items": _TEXT,
        "minItems": 1,
        "maxItems": MOST_LAYERS,
        "description": "Of an area: only these layers",
    },
    "message": {**_TEXT, "maxLength": MAX_MESSAGE, "description": "Why: the message of the change set"},
    "leaveOutConflicts": {
        "type": "boolean",
        "default": False,
        "description": "Leave what somebody else has changed since as it is",
    },
    "dryRun": {"type": "boolean", "default": False, "description": "Only show what would change"},
    "seq": {
        **_WHOLE,
        "description": "The `seq` of the plan that was shown: refused where what it names changed since",
    },
}
_HOW = {"message", "leaveOutConflicts", "dryRun", "seq"}
#: What tells each form, the members that it must have, and those that it may have.
_FORMS: tuple[tuple[str, set[str], set[str]], ...] = (
    ("set", {"set"}, set()),
    ("feature", {"layer", "feature", "to"}, set()),
    ("actor", {"actor", "from"}, {"to", "bbox"}),
    ("bbox", {"bbox", "from"}, {"to", "layers"}),
)
_ONE = "set; layer, feature and to; actor and from; or bbox and from"


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was read: ``plan`` makes its plan of a view."""

    plan: Callable[[View], UndoPlan]
    message: str | None
    leave_out_conflicts: bool
    dry_run: bool
    seq: int | None


def read(document: Any) -> Request:
    """Raises BadBody naming the member and what it may be."""
    if not isinstance(document, dict):
        raise BadBody("an undo is a JSON object")
    unknown = sorted(set(document) - set(MEMBERS))
    if unknown:
        raise BadBody(f"{shown(unknown[0])}: unknown member; known: {', '.join(sorted(MEMBERS))}")
    given = _Given(document)
    message = given.text("message", MAX_MESSAGE) if "message" in document else None
    seq = given.whole("seq") if "seq" in document else None
    return Request(
        plan=_what(given, seq),
        message=message,
        leave_out_conflicts=given.truth("leaveOutConflicts"),
        dry_run=given.truth("dryRun"),
        seq=seq,
    )


def _what(given: _Given, seq: int | None) -> Callable[[View], UndoPlan]:
    names = set(given.document) - _HOW
    form = next((one for one in _FORMS if one[0] in names), None)
    if form is None:
        raise BadBody(f"what to take back is missing: {_ONE}")
    kind, needed, more = form
    if lacking := sorted(needed - names):
        raise BadBody(f"{lacking[0]}: is needed beside {kind}")
    if other := sorted(names - needed - more):
        raise BadBody(f"{other[0]}: is not given beside {kind}; one of these is: {_ONE}")
    if kind == "set":
        number = given.whole("set")
        return lambda view: view.undo_of_set(number)
    if kind == "feature":
        layer, fid, to = given.layer("layer"), given.whole("feature", negative=True), given.moment("to")
        return lambda view: view.undo_of_feature(layer, fid, _which(view, "to", to).seq)
    bbox, first = given.box() if "bbox" in names else None, given.moment("from")
    last = given.moment("to") if "to" in names else None
    if kind == "actor":
        actor = given.text("actor", LONGEST_NAME)
        if not actor:
            raise BadBody("actor: is empty; it is the name of a key or of a role")
        return lambda view: view.undo_of_actor(actor, *_between(view, first, last, seq), bbox)
    layers = given.layers() if "layers" in names else None
    assert bbox is not None
    return lambda view: view.undo_of_area(bbox, *_between(view, first, last, seq), layers)


def _between(view: View, first: str, last: str | None, seq: int | None) -> tuple[int, int]:
    """The two moments; the later is that of the plan that was shown, or now, where none is named."""
    after = _which(view, "from", first).seq
    until = view.seq() if last is None else _which(view, "to", last).seq
    if last is None and seq is not None:
        until = min(until, seq)
    if after > until:
        raise BadParameter("from", first, "is not after `to`")
    return after, until


def _which(view: View, name: str, text: str) -> Moment:
    try:
        return view.which(text)
    except BadParameter as error:
        raise BadParameter(name, text, error.allowed) from error


@dataclass(frozen=True, slots=True)
class _Given:
    document: Mapping[str, Any]

    def text(self, name: str, longest: int) -> str:
        value = self.document[name]
        if not isinstance(value, str) or len(value) > longest or "\0" in value:
            raise BadBody(f"{name}: must be a text of at most {longest} characters, none of them NUL")
        return value

    def truth(self, name: str) -> bool:
        value = self.document.get(name, False)
        if not isinstance(value, bool):
            raise BadBody(f"{name}: {shown(value)}: must be true or false")
        return value

    def whole(self, name: str, *, negative: bool = False) -> int:
        value = self.document[name]
        least = -(2**63) if negative else 0
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**63 - 1:
            raise BadBody(f"{name}: {shown(value)}: must be a whole number")
        return value

    def moment(self, name: str) -> str:
        value = self.document[name]
        if not isinstance(value, str):
            raise BadBody(f"{name}: {shown(value)}: must be {_MOMENT}")
        try:
            text: str = AT.parse(value)
        except (ValueError, BadParameter) as error:
            raise BadParameter(name, value, str(error)) from error
        return text

    def layer(self, name: str) -> str:
        return _layer(name, self.document[name])

    def layers(self) -> list[str]:
        value = self.document["layers"]
        if not isinstance(value, list) or not 0 < len(value) <= MOST_LAYERS:
            raise BadBody(f"layers: must be an array of 1 to {MOST_LAYERS} ids")
        return [_layer(f"layers[{index}]", one) for index, one in enumerate(value)]

    def box(self) -> Bbox:
        value = self.document["bbox"]
        numbers = value if isinstance(value, list) else []
        if len(numbers) != 4 or not all(_is_number(one) for one in numbers):
            raise BadBody("bbox: must be [west, south, east, north], four finite numbers")
        box: Bbox = (numbers[0], numbers[1], numbers[2], numbers[3])
        if box[1] > box[3]:
            raise BadBody("bbox: the south is not above the north")
        return box


def _layer(name: str, value: Any) -> str:
    if not isinstance(value, str) or not LAYER_ID.fullmatch(value):
        raise BadBody(f"{name}: {shown(value)}: must be the id of a layer")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
