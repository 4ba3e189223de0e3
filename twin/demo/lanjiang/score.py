"""What reports of loads found of what was planted, and what they found where nothing was."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from layers.model import KEPT_PER_RULE, Report
from twin.demo.lanjiang.subject import Planted

#: Rules by which a file is skipped for its kind or its format alone.
_UNSEEN = {"kind.unknown", "file.type"}


@dataclass(frozen=True, slots=True)
class Score:
    """Of a kind of faults: the rule that is to find it, how many were planted in files that the reports are
    of, and how many of them were found."""

    kind: str
    rule: str
    planted: int
    found: int

    @property
    def recall(self) -> float:
        """The share that was found."""
        return self.found / self.planted


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """A rule that set rows of a layer aside or repaired them where nothing of it was planted."""

    layer: str
    rule: str
    count: int


def score(reports: Iterable[Report], faults: Iterable[Planted]) -> tuple[list[Score], list[FalseAlarm]]:
    """Compare reports with what was planted, as far as it is in files that they are of and that were read.

    A fault is found where the report of its layer has its rule on its row, or on the file as a whole. A
    report names the first rows of a rule (``KEPT_PER_RULE``): beyond these its count decides."""
    said = {report.layer: _Said(report) for report in reports if not _unseen(report)}
    planted: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    rows: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for fault in faults:
        if fault.layer in said:
            key = fault.kind, fault.rule
            planted[key] += 1
            rows[fault.layer, fault.rule].add(fault.row)
            found[key] += said[fault.layer].has(fault.rule, fault.row)
    alarms = (
        FalseAlarm(layer, rule, count)
        for layer, each in sorted(said.items())
        for rule, count in each.beyond({rule: at for (of, rule), at in rows.items() if of == layer})
    )
    scores = [Score(*key, count, found[key]) for key, count in sorted(planted.items())]
    return scores, list(alarms)


def _unseen(report: Report) -> bool:
    """Whether an optional file was skipped before anybody looked into it: a refused one was looked into."""
    return bool(report.skipped) and {problem.rule for problem in report.problems} <= _UNSEEN


class _Said:
    """What a report says, by rule."""

    def __init__(self, report: Report) -> None:
        self.rows: defaultdict[str, set[int]] = defaultdict(set)
        self.lost: Counter[str] = Counter()
        #: What is only noted is no alarm.
        self.alarms = {problem.rule for problem in report.problems if problem.action != "noted"}
        for problem in report.problems:
            self.rows[problem.rule].add(problem.row)
        for name, count in report.counts.items():
            self.lost[name.partition(" ")[2]] += count

    def has(self, rule: str, row: int) -> bool:
        """Whether the rule was found on the row."""
        if rule not in self.rows:
            return False
        return row == 0 or row in self.rows[rule] or self.lost[rule] > KEPT_PER_RULE

    def beyond(self, planted: Mapping[str, set[int]]) -> Iterable[tuple[str, int]]:
        """(rule, rows) that were set aside or repaired and nobody planted."""
        for rule in sorted(self.alarms):
            known = planted.get(rule, set())
            if self.lost[rule] > KEPT_PER_RULE:
                count = max(0, self.lost[rule] - len(known))
            else:
                count = len(self.rows[rule] - known - ({0} if known else set()))
            if count:
                yield rule, count
