"""The built-in query functions of ``$filter`` and ``$orderby`` on values, as SQL (OGC 18-088 table 24).

Those of geometries are in :mod:`twin.things.spatial`. Times are milliseconds of UTC, dates their text
(``2026-11-22``), times of day milliseconds. What has no value for an argument has none here: NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_DAY = 86_400_000
#: Beyond, every number of 64 bits is whole.
_WHOLE = 2**52


@dataclass(frozen=True, slots=True)
class Function:
    """Argument types, result type, SQL. An argument that is named twice is bound twice."""

    takes: tuple[str, ...]
    gives: str
    sql: str


def _modulo(value: str, by: int) -> str:
    """What is left of a division downwards, also before 1970."""
    return f"((({value}) % {by} + {by}) % {by})"


def _part(form: str) -> Function:
    # SQLite divides whole numbers towards zero
    seconds = f"({{0}} - {_modulo('{0}', 1000)}) / 1000"
    return Function(("time",), "num", f"CAST(strftime('{form}', {seconds}, 'unixepoch') AS INTEGER)")


def _edge(at: datetime) -> Function:
    since = at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return Function((), "time", str(since // timedelta(milliseconds=1)))


def _whole(down: str, up: str) -> str:
    """A number rounded by what is compared with its whole part."""
    whole = "CAST({0} AS INTEGER)"
    return (
        f"(CASE WHEN abs({{0}}) >= {_WHOLE} THEN {{0}}"
        f" ELSE {whole} - ({{0}} < {whole}) * {down} + ({{0}} > {whole}) * {up} END)"
    )


#: By name: each with the numbers of arguments that it takes.
FUNCTIONS: dict[str, tuple[Function, ...]] = {
    "substringof": (Function(("str", "str"), "bool", "(instr({1}, {0}) > 0)"),),
    "contains": (Function(("str", "str"), "bool", "(instr({0}, {1}) > 0)"),),
    "startswith": (Function(("str", "str"), "bool", "(substr({0}, 1, length({1})) = {1})"),),
    "endswith": (Function(("str", "str"), "bool", "({1} = '' OR substr({0}, -length({1})) = {1})"),),
    "length": (Function(("str",), "num", "length({0})"),),
    "indexof": (Function(("str", "str"), "num", "(instr({0}, {1}) - 1)"),),
    # the first character has the number 0
    "substring": (
        Function(("str", "num"), "str", "substr({0}, max(CAST({1} AS INTEGER), 0) + 1)"),
        Function(
            ("str", "num", "num"),
            "str",
            "substr({0}, max(CAST({1} AS INTEGER), 0) + 1, max(CAST({2} AS INTEGER), 0))",
        ),
    ),
    "tolower": (Function(("str",), "str", "lower({0})"),),
    "toupper": (Function(("str",), "str", "upper({0})"),),
    "trim": (Function(("str",), "str", "trim({0})"),),
    "concat": (Function(("str", "str"), "str", "({0} || {1})"),),
    "year": (_part("%Y"),),
    "month": (_part("%m"),),
    "day": (_part("%d"),),
    "hour": (_part("%H"),),
    "minute": (_part("%M"),),
    "second": (_part("%S"),),
    "fractionalseconds": (Function(("time",), "num", f"({_modulo('{0}', 1000)} / 1000.0)"),),
    "date": (Function(("time",), "date", f"date(({{0}} - {_modulo('{0}', 1000)}) / 1000, 'unixepoch')"),),
    "time": (Function(("time",), "clock", _modulo("{0}", _DAY)),),
    # a time is kept and answered in UTC, whatever it was written in
    "totaloffsetminutes": (Function(("time",), "num", "(CASE WHEN {0} IS NOT NULL THEN 0 END)"),),
    "mindatetime": (_edge(datetime.min),),
    "maxdatetime": (_edge(datetime.max),),
    # halves away from zero
    "round": (
        Function(("num",), "num", f"(CASE WHEN abs({{0}}) >= {_WHOLE} THEN {{0}} ELSE round({{0}}) END)"),
    ),
    "floor": (Function(("num",), "num", _whole("1", "0")),),
    "ceiling": (Function(("num",), "num", _whole("0", "1")),),
}
