"""What each kind of layer means: one module a kind, which reads its table in ``config/kinds``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module

from layers import shipped
from layers.errors import BadParameter, Exists
from layers.kinds.base import FORMS, Body, Columns, Kind, Model, Prism, SourceBatch, Tube

__all__ = [
    "FORMS",
    "KINDS",
    "Body",
    "Columns",
    "Kind",
    "Model",
    "Prism",
    "SourceBatch",
    "Tube",
    "get",
    "guess",
    "known",
    "long_names",
    "may_relate",
    "parts_of",
    "register",
    "signature_columns",
]


#: Bytes of a column's name in dBASE.
_DBF_NAME = 10


class _Kinds(Mapping[str, Kind]):
    """Kinds by id: one for each table, imported when it is asked for, and those that were registered."""

    def __init__(self) -> None:
        self._ids = {file.stem for file in shipped.folder("kinds").glob("*.yml")}
        self._kinds: dict[str, Kind] = {}

    def __getitem__(self, kind_id: str) -> Kind:
        kind = self._kinds.get(kind_id)
        if kind is None:
            if kind_id not in self._ids:
                raise KeyError(kind_id)
            kind = self._kinds[kind_id] = import_module(f"{__name__}.{kind_id}").KIND
        return kind

    def __contains__(self, kind_id: object) -> bool:
        return kind_id in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._ids))

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, kind: Kind) -> None:
        if kind.id in self._ids:
            raise Exists(f"there is a kind {kind.id} already")
        self._kinds[kind.id] = kind
        self._ids.add(kind.id)


_ALL = _Kinds()
KINDS: Mapping[str, Kind] = _ALL


def register(kind: Kind) -> None:
    """Add a kind that does not come with the project. Raises Exists."""
    _ALL.add(kind)


def known(kind_id: str) -> Kind:
    """The kind of that id, ``feature`` where there is none: a store may hold a kind of another edition."""
    return KINDS.get(kind_id) or KINDS["feature"]


def parts_of(kind_id: str) -> frozenset[str]:
    """The kinds whose features may be parts of features of this kind."""
    return frozenset(kind.id for kind in KINDS.values() if kind.part_of == kind_id)


def may_relate(kind_id: str) -> bool:
    """Whether features of this kind may have parts or be parts."""
    return known(kind_id).part_of is not None or bool(parts_of(kind_id))


def get(kind_id: str) -> Kind:
    """The kind of that id. Raises BadParameter naming the kinds there are."""
    if kind_id not in KINDS:
        raise BadParameter("kind", kind_id, f"one of {', '.join(KINDS)}")
    return KINDS[kind_id]


def long_names() -> dict[str, str]:
    """What a file of names of ten bytes makes of the longer names of fields → those, where it is one only."""
    longer: dict[str, set[str]] = {}
    for name in {field.name for kind in KINDS.values() for field in kind.fields}:
        if len(name.encode()) > _DBF_NAME:
            longer.setdefault(name.encode()[:_DBF_NAME].decode("utf-8", "ignore"), set()).add(name)
    return {short: next(iter(names)) for short, names in longer.items() if len(names) == 1}


def signature_columns() -> tuple[str, ...]:
    """The columns whose value, not only their being there, tells a kind."""
    marks = (mark for kind in KINDS.values() for mark in kind.signature if "=" in mark)
    return tuple(dict.fromkeys(mark.partition("=")[0] for mark in marks))


def guess(filled: Mapping[str, float], families: Iterable[str], values: Mapping[str, str]) -> Kind:
    """The kind whose signature a source bears, else ``feature``.

    ``filled`` maps column → share of rows filled; a signature counts from one half.
    ``values`` maps column → its most common value (for signatures such as ``man_made=pipeline``).
    """
    shape = set(families)
    share = {name.casefold(): part for name, part in filled.items()}
    for kind in sorted(KINDS.values(), key=lambda kind: kind.rank):
        if kind.geometry and not shape <= kind.geometry:
            continue
        for mark in kind.signature:
            column, _, value = mark.partition("=")
            if share.get(column.casefold(), 0) >= 0.5 and (not value or values.get(column) == value):
                return kind
    return KINDS["feature"]
