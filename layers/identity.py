"""Which column tells the rows of a source apart: proven on the rows, never assumed from a name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from layers.batch import FID, ROW, SOURCE_ID, WKB, properties, source_array
from layers.errors import BadParameter, shown
from layers.kinds import vector
from layers.model import Problem
from layers.seen import Seen

#: What a declaration says for: rows have no source id.
NONE = "none"
#: What a store calls the source id; a file that it wrote has it beside its own number, the fid.
OURS = "source_id"
#: What a file of a store has first: the store's number of the feature. Elsewhere it is data.
_NUMBER = "fid"
#: Columns that may identify a row, best first; compared without regard to case.
_NAMES = (
    *("gml_id", "gml:id", "标准编码", "标识码", "bsm", "uuid", "guid", "globalid", "global_id"),
    *("@id", "osm_id", "id", "objectid", "objectid_1", "oid", "fid", "ogc_fid"),
)
_TITLES = {SOURCE_ID: "the feature's own id", FID: "the file's own number of the row"}

type Batches = Callable[[], Iterator[pa.Table]]


@dataclass(frozen=True, slots=True)
class Identity:
    """``column`` of the batches holds the source ids, none where it is None. ``declared`` is the word of
    whoever said so, and then a row that repeats one is set aside; else none does. ``ours`` are columns of a
    file that a store wrote, which are no properties; ``rejected`` says why columns that are called like an id
    are none."""

    column: str | None
    declared: str = ""
    ours: frozenset[str] = frozenset()
    rejected: tuple[str, ...] = ()
    #: What the identity of the layer was before, where it is another.
    before: str = ""

    @property
    def title(self) -> str:
        """What a report calls it."""
        if self.column is None:
            return NONE
        return _TITLES.get(self.column, self.column)

    def of(self, table: pa.Table) -> list[str | None]:
        """The source id of every row of a batch."""
        return [None] * len(table) if self.column is None else _texts(table, self.column)

    def problems(self) -> list[Problem]:
        """What is to be said of the choice: nothing where the source says its ids itself."""
        out = []
        if fid := next((name for name in self.ours if name.casefold() != OURS), None):
            reason = f"a store wrote the file; {fid} is its number of a feature there, and is left out"
            out.append(Problem("column.own", 0, reason, "noted"))
        plain = bool(self.declared) or self.column in (None, SOURCE_ID) or self.column in self.ours
        if self.rejected or not plain:
            chosen = "rows have no source id" if self.column is None else f"the source id is {self.title}"
            reason = "; ".join((chosen, *self.rejected))
            out.append(Problem("id.chosen", 0, reason, "noted"))
        if self.before:
            reason = f"the layer's source ids were {self.before}, those of the file are {self.title}"
            out.append(Problem("id.differs", 0, reason, "noted"))
        return out


def choose(batches: Batches, names: Iterable[str], wanted: str | None = None) -> Identity:
    """The identity of a source's rows. ``names`` are the columns of its batches.

    ``wanted`` is a column, or ``none``. Else the first that is filled in every row and different in each:
    a column ``source_id`` (it alone may have blanks: a store's features need none), the id that the format
    gives a feature, columns of known names, and the file's own number of a row. Rows without a geometry,
    which no layer takes, prove nothing. Raises BadParameter for a wanted column that is not there."""
    columns = list(names)
    data = properties(columns)
    if wanted is not None and wanted.casefold() == NONE and NONE not in data:
        return Identity(None, declared=wanted)
    if wanted is not None:
        column = _named(wanted, columns)
        if column == SOURCE_ID and FID in columns and _fault(batches, SOURCE_ID) == _BLANK:
            column = FID  # ids that merely count the features
        return Identity(column, declared=wanted)
    rejected: list[str] = []
    ours: frozenset[str] = frozenset()
    if own := next((name for name in data if name.casefold() == OURS), None):
        fault = _fault(batches, own, blanks=True)
        if fault is None or fault == _BLANK:
            ours = frozenset({own, *(name for name in data[:1] if name.casefold() == _NUMBER)})
        if fault is None:
            return Identity(own, ours=ours)
        rejected += [fault] if fault != _BLANK else []
    for column in _candidates(columns, data):
        if column in ours or (ours and (column == FID or column.casefold() == _NUMBER)):
            continue  # the number is that of the store which wrote the file
        fault = _fault(batches, column)
        if fault is None:
            return Identity(column, ours=ours, rejected=tuple(rejected))
        rejected += [fault] if fault != _BLANK else []
    return Identity(None, ours=ours, rejected=tuple(rejected))


def again(batches: Batches, names: Iterable[str], wanted: str | None, declared: str, before: str) -> Identity:
    """The identity of rows for a layer that has one: ``before`` as a report tells it, which ``declared`` says
    if it was declared. As :func:`choose`, but what was declared then stays so, and what was proven comes
    first; where it cannot be so, ``before`` of the result tells it. Raises BadParameter."""
    columns = list(names)
    result = choose(batches, columns, wanted)
    if any(name.casefold() == _NUMBER for name in result.ours):
        return result  # a download, with the ids of the layer itself
    if wanted is None and declared:
        with contextlib.suppress(BadParameter):
            result = choose(batches, columns, declared)
    if result.title.casefold() == before.casefold() or not before:
        return result
    if wanted is None and not declared:
        known = {title: column for column, title in _TITLES.items()}
        column = known.get(before, before)
        if column in columns and _fault(batches, column) is None:
            return replace(result, column=column, rejected=())
    return replace(result, before=before)


def is_of_store(names: Iterable[str]) -> bool:
    """Whether the columns are those of a file that a store wrote, whole or in part: it has the store's number
    first, or a source id."""
    folded = [name.casefold() for name in properties(names)]
    return folded[:1] == [_NUMBER] or OURS in folded


def _named(wanted: str, columns: list[str]) -> str:
    data = properties(columns)
    alike = [name for name in data if name.casefold() == wanted.casefold()]
    if wanted in data:
        return wanted
    if len(alike) == 1:
        return alike[0]
    if not alike and wanted.casefold() in ("id", "fid"):  # what formats call that of a feature
        return FID if FID in columns and wanted.casefold() == "fid" else SOURCE_ID
    raise BadParameter(
        "id_field", wanted, f"a column of the file, or {NONE}: {', '.join(map(shown, data[:20]))}"
    )


def _candidates(columns: list[str], data: list[str]) -> list[str]:
    """Columns that may identify a row, best first."""
    known = [name for word in _NAMES for name in data if name.casefold() == word]
    return [SOURCE_ID, *known, *((FID,) if FID in columns else ())]


#: Said of a column that has no value at all.
_BLANK = "blank"


def _fault(batches: Batches, column: str, *, blanks: bool = False) -> str | None:
    """Why a column does not identify the rows; None if it does."""
    if _is_plain(batches, column, blanks=blanks):
        return None
    seen: dict[str, int] = {}
    empty = 0
    title = _TITLES.get(column, shown(column))
    for table in batches():
        placed = pc.is_valid(table[WKB]).to_pylist()
        rows = table[ROW].to_pylist()
        for row, value, counts in zip(rows, _texts(table, column), placed, strict=True):
            if not counts:
                continue
            if value is None:
                empty = empty or row
            elif value in seen:
                return f"{title} is {shown(value)} in rows {seen[value]} and {row}"
            else:
                seen[value] = row
            if empty and seen and not blanks:
                return f"{title} is empty in row {empty}"
    return None if seen else _BLANK


def _is_plain(batches: Batches, column: str, *, blanks: bool) -> bool:
    """Whether every row has a value of its own, or none where there may be ``blanks``: told by eight bytes a
    row. Not, where two may be alike: then each is looked at."""
    seen, filled = Seen(), 0
    for table in batches():
        values = _texts(table, column)
        if table[WKB].null_count:
            values = [
                v for v, counts in zip(values, pc.is_valid(table[WKB]).to_pylist(), strict=True) if counts
            ]
        count = len(values) - values.count(None)
        filled += count
        if (count < len(values) and not blanks) or len(seen.add(values)):
            return False
    return filled > 0


def _texts(table: pa.Table, column: str) -> list[str | None]:
    """A column as source ids. Where a ``source_id`` says nothing the feature's own id does; an OSM id is
    unique with its type only, which is put before it."""
    if column not in table.column_names:
        return [None] * len(table)
    if column in (SOURCE_ID, FID):
        return list(table[column].to_pylist())
    values: list[str | None] = vector.texts(source_array(table[column])).to_pylist()
    if column.casefold() == OURS:
        return [value or own for value, own in zip(values, table[SOURCE_ID].to_pylist(), strict=True)]
    if column.casefold() == "osm_id" and "osm_type" in table.column_names:
        kinds = table["osm_type"].to_pylist()
        return [
            f"{kind}/{value}" if kind and value else value for kind, value in zip(kinds, values, strict=True)
        ]
    return values
