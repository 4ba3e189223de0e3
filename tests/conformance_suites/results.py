"""What a suite found: TestNG's results file, judged by the list of known faults and the baseline.

The format is that of TestNG's XMLReporter: the counts are attributes of the root; a ``test-method`` has a
status, and ``is-config="true"`` where it only prepares others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

#: TestNG's words for a test left out because an earlier one failed: not the same as "not applicable".
CASCADE = "not successfully finished"


@dataclass(frozen=True, slots=True)
class Fault:
    """A method that failed: class and method name, the first line of its message, config or test."""

    test_class: str
    method: str
    message: str
    config: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counts of one run, its failures (config methods too), and how many skips are cascades."""

    total: int
    passed: int
    failed: int
    skipped: int
    cascades: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Allowed:
    """A failure that is known not to be ours: class, method, start of its message, and the reason."""

    suite: str
    test_class: str
    method: str
    message: str
    reason: str

    def covers(self, suite: str, fault: Fault) -> bool:
        """Whether this entry is about that failure of that suite."""
        return (
            suite == self.suite
            and fault.test_class == self.test_class
            and fault.method == self.method
            and fault.message.startswith(self.message)
        )


def read(path: Path) -> Outcome:
    """A ``testng-results.xml``. Raises ValueError for a file that is not one."""
    try:
        root = ElementTree.parse(path).getroot()
        counts = {name: int(root.attrib[name]) for name in ("total", "passed", "failed", "skipped")}
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ValueError(f"{path.name} is not a results file of TestNG: {error}") from error
    faults, cascades = [], 0
    for one in root.iter("class"):
        for method in one.iter("test-method"):
            message = _message(method)
            if method.get("status") == "FAIL":
                config = method.get("is-config") == "true"
                faults.append(Fault(one.get("name", ""), method.get("name", ""), message, config))
            elif method.get("status") == "SKIP" and CASCADE in message:
                cascades += 1
    return Outcome(**counts, cascades=cascades, faults=tuple(faults))


def _message(method: ElementTree.Element) -> str:
    return " ".join((method.findtext("exception/message") or "").split())


def troubles(
    suite: str, outcome: Outcome, allowed: Sequence[Allowed], baseline: Mapping[str, Any] | None
) -> list[str]:
    """Why this run is not good enough, a line each; none when it is.

    Without a baseline it must have passed something, failed nothing, and left nothing out after a failure.
    """
    found = []
    for fault in outcome.faults:
        if not any(entry.covers(suite, fault) for entry in allowed):
            what = "could not prepare" if fault.config else "failed"
            found.append(f"{fault.test_class}.{fault.method} {what}: {fault.message[:300]}")
    named = sum(not fault.config for fault in outcome.faults)
    if named != outcome.failed:
        found.append(f"{outcome.failed} failed by the counts, but {named} failures are in the file")
    if baseline is not None:
        if outcome.passed < baseline["passed"]:
            found.append(f"{outcome.passed} passed; the baseline is {baseline['passed']}")
        return found
    # with nothing to compare with, a run that hardly began must not look like a good one
    if outcome.failed:
        found.append(f"{outcome.failed} failed, and no baseline is recorded")
    if not outcome.passed:
        found.append("nothing passed, and no baseline is recorded")
    if outcome.cascades:
        found.append(f"{outcome.cascades} skipped because another test failed, and no baseline is recorded")
    return found


def unused(suite: str, outcome: Outcome, allowed: Sequence[Allowed]) -> list[str]:
    """Entries of the list for this suite that no failure needs any more."""
    mine = [entry for entry in allowed if entry.suite == suite]
    return [
        f"{entry.test_class}.{entry.method} is allowed to fail and does not"
        for entry in mine
        if not any(entry.covers(suite, fault) for fault in outcome.faults)
    ]


def load_allowed(path: Path) -> list[Allowed]:
    """The list of known faults. Raises ValueError: an entry without a reason, or with other keys."""
    entries = json.loads(path.read_text("utf-8"))
    try:
        found = [Allowed(**entry) for entry in entries]
    except TypeError as error:
        raise ValueError(f"{path.name}: {error}") from error
    for entry in found:
        if not entry.reason.strip() or not entry.message:
            raise ValueError(f"{path.name}: {entry.method} needs the start of its message and a reason")
    return found
