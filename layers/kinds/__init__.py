"""What each kind of layer means. ``KINDS`` is the registry, one small module a kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from layers.errors import BadParameter
from layers.kinds import address, boundary, building, cim, component, feature, pipeline, road
from layers.kinds.base import Batch, Body, Columns, Kind

__all__ = ["KINDS", "Batch", "Body", "Columns", "Kind", "get", "guess"]

KINDS: Mapping[str, Kind] = {
    module.KIND.id: module.KIND
    for module in (building, cim, pipeline, address, component, road, boundary, feature)
}

#: Order in which signatures are asked: the more particular kind first.
_ASKED = ("cim", "pipeline", "component", "road", "building", "address", "boundary")


def get(kind_id: str) -> Kind:
    """The kind of that id. Raises BadParameter naming the kinds there are."""
    if kind_id not in KINDS:
        raise BadParameter("kind", kind_id, f"one of {', '.join(KINDS)}")
    return KINDS[kind_id]


def guess(filled: Mapping[str, float], families: Iterable[str], values: Mapping[str, str]) -> Kind:
    """The kind whose signature a source bears, else ``feature``.

    ``filled`` maps column → share of rows filled; a signature counts from one half.
    ``values`` maps column → its most common value (for signatures such as ``man_made=pipeline``).
    """
    shape = set(families)
    share = {name.casefold(): part for name, part in filled.items()}
    for kind_id in _ASKED:
        kind = KINDS[kind_id]
        if kind.geometry and not shape <= kind.geometry:
            continue
        for mark in kind.signature:
            column, _, value = mark.partition("=")
            if share.get(column.casefold(), 0) >= 0.5 and (not value or values.get(column) == value):
                return kind
    return KINDS["feature"]
