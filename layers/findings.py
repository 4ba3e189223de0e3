"""What a load finds, rule by rule: counted, told with some examples, named as the source's own program names
its rows."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from layers import wkb
from layers.batch import FID, ROW, WKB, properties
from layers.formula import guarded
from layers.model import KEPT_PER_RULE, Problem, Report

#: Rows that were set aside whose number is kept, to be given back.
MOST_ASIDE = 200_000
#: What the file of them has before the columns of the source.
ASIDE = ("row", "rule", "reason")


@dataclass(frozen=True, slots=True)
class RowNaming:
    """How the program that shows a source calls its rows: a word, and the number of the first."""

    word: str = "row"
    first: int = 1

    def of(self, row: int, fid: str | None = None) -> str:
        """The name of a row by its number from 1, or by its fid where the file has such."""
        return f"FID {fid}" if fid is not None else f"{self.word} {row - 1 + self.first}"


@dataclass(slots=True)
class Findings:
    """Problems of a load, capped a rule so that a report stays readable."""

    kept: list[Problem] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Row → rule and reason of what is set aside.
    aside: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, problem: Problem) -> None:
        """Count a problem and keep it while its rule is below the cap."""
        self.counts[problem.rule, problem.action] += 1
        if self.counts[problem.rule, problem.action] <= KEPT_PER_RULE:
            self.kept.append(problem)
        if problem.action == "quarantined" and problem.row and len(self.aside) < MOST_ASIDE:
            self.aside.setdefault(problem.row, (problem.rule, problem.reason))

    def more(self, counts: Iterable[tuple[str, str, int]]) -> None:
        """Count what a reader found, of which only the first problems of each rule were added."""
        for rule, action, count in counts:
            self.counts[rule, action] += max(count - KEPT_PER_RULE, 0)

    def into(self, report: Report, named: RowNaming, batches: Iterable[pa.Table]) -> None:
        """Put the problems in a report, with a line for each rule that went beyond the cap. ``batches`` are
        the source's, of which fids name the rows where there are such."""
        fids = _fids({p.row for p in self.kept if p.row}, batches)
        for problem in self.kept:
            name = named.of(problem.row, fids.get(problem.row)) if problem.row else ""
            report.add(replace(problem, at=name))
        for (rule, action), count in self.counts.items():
            report.counts[f"{action} {rule}"] = count
            if count > KEPT_PER_RULE:
                more = f"and {count - KEPT_PER_RULE} more rows of this rule"
                report.add(Problem(rule, 0, more, action))  # type: ignore[arg-type]

    def give_back(
        self,
        path: Path,
        named: RowNaming,
        batches: Iterable[pa.Table],
        lost: Iterable[tuple[int, str, str, Mapping[str, Any]]],
    ) -> bool:
        """Write the rows that were set aside as a table (CSV in UTF-8): how each is called, the rule, why,
        its columns and its geometry. ``lost``: rows that the reader dropped, their rule, the reason, and what
        they hold. Whether there were any. Raises OSError."""
        rows, columns = _rows_of(self.aside, batches)
        for number, rule, reason, held in lost:
            self.aside.setdefault(number, (rule, reason))
            rows[number] = dict(held)
            columns |= dict.fromkeys(held)
        if not self.aside:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8-sig", errors="replace", newline="") as file:
            out = csv.writer(file)
            out.writerow([*ASIDE, *map(_cell, columns), "wkt"])
            for row, (rule, reason) in sorted(self.aside.items()):
                values = rows.get(row, {})
                cells = [_cell(values.get(name)) for name in columns]
                out.writerow([named.of(row, values.get(FID)), rule, reason, *cells, values.get(WKB, "")])
        return True


def _fids(rows: set[int], batches: Iterable[pa.Table]) -> dict[int, str]:
    """The fids of some rows."""
    out: dict[int, str] = {}
    for table in batches if rows else ():
        if FID not in table.column_names:
            continue
        numbers = table[ROW].to_numpy()
        chosen = np.flatnonzero(np.isin(numbers, list(rows)))
        for at, fid in zip(chosen.tolist(), table[FID].take(pa.array(chosen)).to_pylist(), strict=True):
            if fid is not None:
                out[int(numbers[at])] = fid
    return out


def _rows_of(
    aside: Mapping[int, Any], batches: Iterable[pa.Table]
) -> tuple[dict[int, dict[str, Any]], dict[str, None]]:
    """The values of some rows, and the names of all columns. A geometry is WKT, or hexadecimal digits where
    it cannot be read."""
    rows = np.fromiter(aside, np.int64)
    by_number: dict[int, dict[str, Any]] = {}
    columns: dict[str, None] = {}
    for table in batches:
        columns |= dict.fromkeys(properties(table.column_names))
        for values in table.filter(pa.array(np.isin(table[ROW].to_numpy(), rows))).to_pylist():
            values[WKB] = _wkt(values.get(WKB))
            by_number[values[ROW]] = values
    return by_number, columns


def _wkt(blob: bytes | None) -> str:
    shape = wkb.shape(blob)
    return (
        "" if blob is None else blob.hex() if shape is None else shapely.to_wkt(shape, rounding_precision=-1)
    )


def _cell(value: Any) -> str:
    # the members of a list are JSON
    text = "" if value is None else f"[{','.join(value)}]" if isinstance(value, list) else str(value)
    return guarded(text)
