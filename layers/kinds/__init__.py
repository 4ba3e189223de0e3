"""What each kind of layer means. ``KINDS`` is the registry, one small module a kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from layers.errors import BadParameter
from layers.kinds import address, boundary, building, cim, component, feature, pipeline, road
from layers.kinds.base import Batch, Body, Columns, Kind, Prism, Tube

__all__ = [
    "KINDS",
    "SIGNATURE_COLUMNS",
    "Batch",
    "Body",
    "Columns",
    "Kind",
    "Prism",
    "Tube",
    "get",
    "guess",
    "known",
    "of_format",
]

KINDS: Mapping[str, Kind] = {
    module.KIND.id: module.KIND
    for module in (building, cim, pipeline, address, component, road, boundary, feature)
}

#: Order in which signatures are asked: the more particular kind first.
_ASKED = ("cim", "pipeline", "component", "road", "building", "address", "boundary")

#: The columns whose value, not only their being there, tells a kind.
SIGNATURE_COLUMNS = tuple(
    dict.fromkeys(mark.partition("=")[0] for kind in KINDS.values() for mark in kind.signature if "=" in mark)
)


def known(kind_id: str) -> Kind:
    """The kind of that id, ``feature`` where there is none: a store may hold a kind of another edition."""
    return KINDS.get(kind_id, KINDS["feature"])


def of_format(driver: str) -> Kind | None:
    """The kind of all files of a reader's driver, if it has one."""
    return next((kind for kind in KINDS.values() if driver in kind.formats), None)


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
