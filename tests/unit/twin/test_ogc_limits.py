"""The limits in the reference are those of the code."""

import re

import pytest

from layers import parameters
from layers.cql import limits
from layers.store import feature
from layers.store.counting import FEW
from layers.store.database import Database
from layers.store.geopackage import snapshot
from tests.support import ROOT
from twin import city, transport
from twin.http import respond
from twin.http.ogc import cost, download, edit
from twin.jobs.works import download as work
from twin.settings import parse

REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
TABLE = dict(
    re.findall(r"^\| (.+?) \| (.+?) \|$", REFERENCE.partition("## Limits")[2].partition("\n## ")[0], re.M)
)


def told(row):
    """The numbers of a row; thousands are apart."""
    (limit,) = [value for name, value in TABLE.items() if name.startswith(row)]
    return [int(one.replace(" ", "")) for one in re.findall(r"\d+(?: \d{3})*", limit)]


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        ("`limit`", [parameters.MAX_LIMIT, parameters.MAX_LIMIT, parameters.DEFAULT_LIMIT]),
        ("`offset`", [parameters.MAX_OFFSET]),
        ("head of a request", [transport.MAX_HEAD, int(transport.HEAD_SECONDS)]),
        ("query string", [respond.MAX_QUERY, respond.MAX_FIELDS]),
        ("`filter`", [limits.MAX_BYTES, limits.MAX_DEPTH]),
        ("`sortby`", [parameters.MAX_SORT]),
        ("`q`", [parameters.MAX_WORDS, parameters.MAX_WORD]),
        ("body of a write", [edit.MAX_BODY, feature.MAX_VERTICES, int(respond.BODY_SECONDS)]),
        ("`numberMatched`", [FEW]),
        ("time for one query", [int(snapshot.READ_SECONDS)]),
        ("queries at a time", [parse("").limits.heavy_queries, int(city.PLACE_SECONDS)]),
        (
            "downloads at a time",
            [
                work.PLACES,
                int(download.PLACE_SECONDS),
                work.MOST_FEATURES,
                work.MOST_BYTES >> 30,
                int(download.MOST_SECONDS),
            ],
        ),
    ],
)
def test_each_limit_is_the_documented_one(row, numbers):
    assert told(row) == numbers


def test_both_stores_have_one_time_limit():
    assert Database("postgresql://x").read_seconds == snapshot.READ_SECONDS


def test_the_page_that_waits_for_nobody_is_the_documented_one():
    (name,) = [name for name in TABLE if name.startswith("queries at a time")]
    assert f"{cost.INLINE:,}".replace(",", " ") in name
    assert f"{cost.QUICK:,}".replace(",", " ") in name
