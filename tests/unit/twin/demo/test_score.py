"""What is found of what was planted: by row, of a file as a whole, by count beyond what a report names."""

from __future__ import annotations

import pytest

from layers.model import KEPT_PER_RULE, Problem, Report
from twin.demo.lanjiang.score import FalseAlarm, Score, score
from twin.demo.lanjiang.subject import Planted


def report(layer: str, *found: tuple[str, int], action: str = "quarantined", **counts: int) -> Report:
    made = Report(layer, "building", "file")
    for rule, row in found:
        made.add(Problem(rule, row, "", action))  # type: ignore[arg-type]
    made.counts |= {f"{action} {rule.replace('_', '.')}": count for rule, count in counts.items()}
    return made


def planted(layer: str, rule: str, *rows: int) -> list[Planted]:
    return [Planted(f"kind of {rule}", rule, "file", layer, row) for row in rows]


def test_a_fault_is_found_on_its_row_alone() -> None:
    said = report("houses", ("id.duplicate", 3), ("id.duplicate", 9))
    scores, alarms = score([said], planted("houses", "id.duplicate", 3, 5))
    assert scores == [Score("kind of id.duplicate", "id.duplicate", 2, 1)]
    assert scores[0].recall == 0.5
    assert alarms == [FalseAlarm("houses", "id.duplicate", 1)]


def test_of_a_file_as_a_whole_it_is_enough_that_the_rule_is_said() -> None:
    faults = planted("a", "crs.missing", 0) + planted("b", "crs.missing", 0)
    scores, alarms = score([report("a", ("crs.missing", 0)), report("b")], faults)
    assert scores == [Score("kind of crs.missing", "crs.missing", 2, 1)]
    assert alarms == []


def test_what_is_noted_is_no_alarm_and_layers_that_were_not_loaded_do_not_count() -> None:
    said = report("a", ("encoding.sniffed", 0), ("address.empty", 4), action="noted")
    scores, alarms = score([said], planted("a", "address.empty", 4) + planted("b", "id.duplicate", 1))
    assert scores == [Score("kind of address.empty", "address.empty", 1, 1)]
    assert alarms == []
    skipped = Report("b", "case", "file", skipped="there is no kind case")
    skipped.add(Problem("kind.unknown", 0, "", "quarantined"))
    assert score([skipped], planted("b", "id.duplicate", 1)) == ([], [])
    refused = Report("b", "feature", "file", skipped="there is no .prj")
    refused.add(Problem("crs.missing", 0, "", "quarantined"))
    assert score([refused], planted("b", "crs.missing", 0))[0][0].found == 1


@pytest.mark.parametrize(("count", "beyond"), [(150, 0), (170, 20)])
def test_beyond_the_rows_that_a_report_names_its_count_decides(count: int, beyond: int) -> None:
    named = [("id.duplicate", row) for row in range(1, KEPT_PER_RULE + 1)]
    said = report("a", *named, ("id.duplicate", 0), id_duplicate=count)
    scores, alarms = score([said], planted("a", "id.duplicate", *range(1, 151)))
    assert (scores[0].planted, scores[0].found) == (150, 150)
    assert sum(alarm.count for alarm in alarms) == beyond
