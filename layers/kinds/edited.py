"""What follows from an edit of a feature: how a value is known goes with the value.

A load says of each height, depth and diameter whether it was measured or how it was assumed. An edit is held
to the same: a value that somebody gives is measured, one that nobody gives comes from the kind's chain, and
what came from the chain comes from it anew when the edit changes what it was made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from layers.errors import BadBody
from layers.kinds.base import Columns, Kind, SourceBatch
from layers.model import Problem

MEASURED = "measured"


def settled(
    kind: Kind,
    fields: Collection[str],
    changes: Mapping[str, Any],
    present: Mapping[str, Any] | None,
    shape: Any,
) -> dict[str, Any]:
    """The values that an edit writes, with those that follow from them.

    ``fields`` are the layer's; ``changes`` are the values that the edit names, ``present`` those of the
    feature before it, None for a new one; ``shape`` is its geometry (shapely, lon/lat) or None. What an
    edit says of how a value is known is kept, where it does more than repeat what was true of another
    value. Raises BadBody for a number that no such thing has, which a load would leave out and tell of."""
    out = dict(changes)
    pairs = [
        (source, name) for source, name in kind.provenance.items() if source in fields and name in fields
    ]
    if not pairs:
        return out
    before = present or {}
    row = {**before, **changes}
    moved = {name: value for name, value in changes.items() if value != before.get(name)}
    _check_ranges(kind, moved, shape)
    if present is None:
        # the row as a load of it would be: other fields of the kind are filled, too
        made, paired = _chain(kind, row, shape), {one for pair in pairs for one in pair}
        filled = (name for name in fields if name not in paired and row.get(name) is None)
        out |= {name: made[name] for name in filled if made.get(name) is not None}
        row |= out
    for source, name in pairs:
        if changes.get(name) is not None and name in moved:
            if row.get(source) is None or source not in moved:
                out[source] = MEASURED
        elif row.get(name) is None or (
            present is not None
            and source not in moved
            and moved
            and _was_made(kind, before, source, name, shape)
        ):
            made = _chain(kind, {k: v for k, v in row.items() if k not in (source, name)}, shape)
            out |= {one: made[one] for one in (name, source)}
        row |= out
    return out


def _check_ranges(kind: Kind, values: Mapping[str, Any], shape: Any) -> None:
    wrong = [problem for problem in _batch(kind, values, shape)[1] if problem.rule.endswith(".range")]
    if wrong:
        faults = [(f"/properties/{name}", p.reason) for p in wrong if (name := _field(p, values)) is not None]
        raise BadBody("properties: " + "; ".join(problem.reason for problem in wrong), faults)


def _field(problem: Problem, values: Mapping[str, Any]) -> str | None:
    """The field that a finding is of: the rule ``height.range`` is of ``height_m``."""
    stem = problem.rule.removesuffix(".range")
    return next((name for name in values if name in (stem, f"{stem}_m", f"{stem}_mm")), None)


def _was_made(kind: Kind, row: Mapping[str, Any], source: str, name: str, shape: Any) -> bool:
    """Whether the chain gives what the row has: somebody may have set an assumed value by hand."""
    if row.get(source) == MEASURED:
        return False
    made = _chain(kind, {k: v for k, v in row.items() if k not in (source, name)}, shape)
    return bool(made[source] == row.get(source) and made[name] == row.get(name))


def _chain(kind: Kind, row: Mapping[str, Any], shape: Any) -> dict[str, Any]:
    """What a load makes of the row."""
    return _batch(kind, row, shape)[0]


def _batch(kind: Kind, row: Mapping[str, Any], shape: Any) -> tuple[dict[str, Any], list[Problem]]:
    """What a load makes of the row, and what it says of it."""
    shapes = np.empty(1, dtype=object)
    shapes[0] = shape
    columns: Columns = {name: [value] for name, value in row.items() if value is not None}
    batch = SourceBatch(columns, [1], [None], shapes)
    return {name: values[0] for name, values in kind.normalise(batch).items()}, batch.problems
