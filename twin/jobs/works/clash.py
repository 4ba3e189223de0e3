"""The clashes of a model version with what is there, see :mod:`twin.clashes`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import msgspec

from twin.jobs.work import Work, WorkContext


class Input(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The layer, the name of its version, the layers that this is held against (None: all with bodies), the
    metres that bodies may be in one another, and how far they have to be from pipes."""

    layer: str
    version: str
    beside: list[str] | None = None
    tolerance_m: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.01
    clearance_m: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0


def run(given: Input, context: WorkContext) -> dict[str, object]:
    """Raises NotFound, BadParameter."""
    from twin import clashes

    asked = clashes.Question(beside=given.beside, tolerance=given.tolerance_m, clearance=given.clearance_m)
    return asdict(clashes.look(context.view, given.layer, given.version, asked, context.progress))


WORK = Work("clash", {"en": "Clashes of a model version", "zh-CN": "模型版本碰撞检查"}, Input, run)
