"""Faults of the dirty edition: each has a kind, and the id of the rule by which a check finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin.demo.lanjiang.draws import draws

#: The column that says of which kind a row's fault is, until the row is written.
FAULT = "fault"

type Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a row. ``plant`` gives the rows that take its place, of which the last is wrong,
    or None where it cannot be had of that row; ``share`` of the rows have it."""

    kind: str
    rule: str
    share: float
    plant: Callable[[Row, np.random.Generator], tuple[Row, ...] | None]


def planted(
    rows: Sequence[Row], faults: Sequence[Fault], seed: int, table: str, *place: int
) -> Iterator[Row]:
    """The rows with their faults, each with its kind in ``FAULT`` (None: the row is right). A row has one at
    most, and which one does not depend on what else there is in the city."""
    random = draws(seed, f"faults/{table}", *place)
    chances = random.random(len(rows))
    for row, chance in zip(rows, chances.tolist(), strict=True):
        for fault in faults:
            chance -= fault.share
            if chance < 0:
                break
        else:
            yield {**row, FAULT: None}
            continue
        several = fault.plant(dict(row), random)
        *right, wrong = several or (row,)
        yield from ({**each, FAULT: None} for each in right)
        yield {**wrong, FAULT: fault.kind if several else None}
