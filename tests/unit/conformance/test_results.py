"""Reading TestNG's results, and the judgement over them. No suite runs here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance_suites import results
from tests.conformance_suites.__main__ import ALLOWED, BASELINE, main
from tests.conformance_suites.results import Allowed, Outcome
from tests.conformance_suites.suites import SUITES, properties

FILE = """<?xml version="1.0" encoding="UTF-8"?>
<testng-results ignored="0" total="4" passed="2" failed="1" skipped="1">
  <suite name="s"><groups><group name="g"><method name="a" class="C"/></group></groups>
    <test name="t"><class name="org.example.First">
      <test-method is-config="true" name="prepare" status="FAIL">
        <exception class="E"><message><![CDATA[not
          today]]></message></exception>
      </test-method>
      <test-method name="one" status="PASS"/><test-method name="two" status="PASS"/>
      <test-method name="three" status="FAIL">
        <exception class="E"><message><![CDATA[expected [200] but found [204]]]></message></exception>
      </test-method>
      <test-method name="four" status="SKIP">
        <exception class="E"><message>four depends on not successfully finished methods</message></exception>
      </test-method>
    </class></test>
  </suite>
</testng-results>
"""


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    path = tmp_path / "testng-results.xml"
    path.write_text(FILE, "utf-8")
    return results.read(path)


def test_counts_and_faults_are_read(outcome: Outcome) -> None:
    assert (outcome.total, outcome.passed, outcome.failed, outcome.skipped) == (4, 2, 1, 1)
    assert outcome.cascades == 1
    assert [(f.method, f.config, f.message) for f in outcome.faults] == [
        ("prepare", True, "not today"),
        ("three", False, "expected [200] but found [204]"),
    ]


@pytest.mark.parametrize(
    "text", ["", "<html/>", "<testng-results total='x' passed='1' failed='0' skipped='0'/>"]
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "testng-results.xml"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"testng-results\.xml"):
        results.read(path)


def allow(method: str, message: str = "expected", **others: str) -> Allowed:
    return Allowed(
        **{"suite": "s", "test_class": "org.example.First", **others},
        method=method,
        message=message,
        reason="r",
    )


def test_a_failure_is_trouble_and_so_is_a_config_method_that_failed(outcome: Outcome) -> None:
    found = results.troubles("s", outcome, [], {"passed": 2})
    assert found == [
        "org.example.First.prepare could not prepare: not today",
        "org.example.First.three failed: expected [200] but found [204]",
    ]


def test_an_allowed_failure_is_none(outcome: Outcome) -> None:
    assert results.troubles("s", outcome, [allow("prepare", "not"), allow("three")], {"passed": 2}) == []


@pytest.mark.parametrize(
    "other",
    [
        allow("three", "found"),
        allow("three", suite="t"),
        allow("three", test_class="org.example.Second"),
        allow("two"),
    ],
)
def test_an_entry_covers_its_own_failure_only(outcome: Outcome, other: Allowed) -> None:
    assert len(results.troubles("s", outcome, [allow("prepare", "not"), other], {"passed": 2})) == 1
    assert len(results.unused("s", outcome, [other])) == (other.suite == "s")


def test_fewer_passed_than_the_baseline_is_trouble(outcome: Outcome) -> None:
    known = [allow("prepare", "not"), allow("three")]
    assert results.troubles("s", outcome, known, {"passed": 3}) == ["2 passed; the baseline is 3"]
    assert results.troubles("s", outcome, known, {"passed": 1}) == []


def test_a_failure_that_is_counted_but_not_listed_is_trouble(outcome: Outcome) -> None:
    known = [allow("prepare", "not"), allow("three")]
    hidden = replace(outcome, failed=2)
    assert results.troubles("s", hidden, known, {"passed": 2}) == [
        "2 failed by the counts, but 1 failures are in the file"
    ]


def clean(outcome: Outcome) -> Outcome:
    return replace(outcome, total=3, failed=0, cascades=0, faults=())


def test_without_a_baseline_a_clean_run_is_good(outcome: Outcome) -> None:
    assert outcome.skipped
    assert results.troubles("s", clean(outcome), [], None) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"passed": 0}, "nothing passed, and no baseline is recorded"),
        ({"cascades": 1}, "1 skipped because another test failed, and no baseline is recorded"),
    ],
)
def test_without_a_baseline_nothing_may_be_missing(
    outcome: Outcome, change: dict[str, int], told: str
) -> None:
    assert results.troubles("s", replace(clean(outcome), **change), [], None) == [told]


def test_without_a_baseline_an_allowed_failure_is_trouble_too(outcome: Outcome) -> None:
    known = [allow("prepare", "not"), allow("three")]
    alone = replace(outcome, cascades=0)
    assert results.troubles("s", alone, known, None) == ["1 failed, and no baseline is recorded"]


def test_the_shipped_lists_are_about_our_suites() -> None:
    names = {suite.name for suite in SUITES}
    assert {entry.suite for entry in results.load_allowed(ALLOWED)} <= names
    assert BASELINE.exists()


def test_an_entry_without_a_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "allowed.json"
    path.write_text('[{"suite":"s","test_class":"c","method":"m","message":"x","reason":" "}]', "utf-8")
    with pytest.raises(ValueError, match="reason"):
        results.load_allowed(path)


def test_arguments_have_no_doctype_and_are_escaped() -> None:
    text = properties({"iut": "http://h/?a=1&b=<2>"})
    assert "DOCTYPE" not in text
    assert '<entry key="iut">http://h/?a=1&amp;b=&lt;2&gt;</entry>' in text


def test_the_newest_jar_is_taken(tmp_path: Path) -> None:
    suite = next(s for s in SUITES if s.name == "sta10")
    assert suite.found(tmp_path) is None
    for name in ("ets-sta10-1.4-aio.jar", "ets-sta10-1.5-aio.jar", "ets-sta10-1.5.jar", "other-aio.jar"):
        (tmp_path / name).touch()
    found = suite.found(tmp_path)
    assert found is not None
    assert found.name == "ets-sta10-1.5-aio.jar"


def test_a_folder_without_a_jar_is_said_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    told = capsys.readouterr().out
    assert "NO SUITE RAN" in told or "no java" in told
    if "no java" not in told:
        assert told.count("ABSENT, NOT RUN") == len(SUITES)
