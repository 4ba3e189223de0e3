"""Coordinates of a table: which columns hold them, by their names, and how people write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from layers.errors import BadFile, shown
from layers.kinds.base import blank, number


class _Pair(NamedTuple):
    """Names of two columns, that of the east or longitude first, and what the names say."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    #: They say longitude and latitude.
    geographic: bool = False
    #: They say which of the two counts to the east.
    directed: bool = True


_PAIRS = (
    _Pair(("lon", "lng", "long", "longitude", "经度"), ("lat", "latitude", "纬度"), geographic=True),
    _Pair(
        ("easting", "east", "东坐标", "横坐标", "横坐标y", "东坐标y"),
        ("northing", "north", "北坐标", "纵坐标", "纵坐标x", "北坐标x"),
    ),
    _Pair(
        ("x", "x坐标", "坐标x", "xcoord", "coordx", "pointx"),
        ("y", "y坐标", "坐标y", "ycoord", "coordy", "pointy"),
        directed=False,
    ),
    _Pair(("e",), ("n",)),
)
_WKT = ("wkt", "geometry", "geom", "the_geom", "wkt_geom")
#: What a name may have beside the word: a unit or the like in brackets, blanks and underscores.
_ASIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|[\s_]+")
#: A coordinate whose commas can but group its digits by thousands.
_GROUPED = re.compile(r"\s*[+-]?\d{1,3}(,\d{3})+(,\d{3}|\.\d+)\s*")
#: Degrees, minutes and seconds with their signs: ° ′ ″ as any keyboard has them, or 度 分 秒.
_SEXAGESIMAL = re.compile(
    r"(?P<sign>[+-]?)(?P<before>[NSEW东西南北])?[经纬]?"
    r"(?P<degrees>\d{1,3}(\.\d+)?)(?P<mark>[°º˚度])?"
    r"((?P<minutes>\d{1,2}(\.\d+)?)['′’‘`´分])?"
    r"((?P<seconds>\d{1,2}(\.\d+)?)(\"|″|”|“|''|′′|’’|秒))?"
    r"(?P<after>[NSEW])?",
    re.IGNORECASE,
)
_EAST, _NORTH = "EW东西", "NS北南"


class CoordinateColumns(NamedTuple):
    """Indices of the two columns of coordinates, of that of WKT, or of both: WKT may say more."""

    pair: tuple[int, int] | None
    wkt: int | None
    #: Whether the names of the pair say longitude and latitude.
    geographic: bool = False
    #: Whether they say which is which: an x counts to the east on maps and to the north in Chinese surveys.
    directed: bool = True
    #: Whether commas in numbers group their digits.
    grouped: bool = False

    @property
    def columns(self) -> set[int]:
        """All of them: they are no properties."""
        return {*(self.pair or ()), *(() if self.wkt is None else (self.wkt,))}


def columns_of(header: Sequence[str]) -> CoordinateColumns | None:
    """The columns of coordinates by their names, as they are or without a unit in brackets; None where there
    are none."""
    lower = [name.casefold() for name in header]
    wkt = next((lower.index(n) for n in _WKT if n in lower), None)
    for names in (lower, [_bare(name) for name in header]):
        for pair in _PAIRS:
            x = next((names.index(n) for n in pair.first if n in names), None)
            y = next((names.index(n) for n in pair.second if n in names), None)
            if x is not None and y is not None:
                return CoordinateColumns((x, y), wkt, pair.geographic, pair.directed)
    return None if wkt is None else CoordinateColumns(None, wkt)


def _bare(name: str) -> str:
    return _ASIDE.sub("", unicodedata.normalize("NFKC", name).casefold())


def is_grouped(cell: str) -> bool:
    """Whether the commas of a coordinate can but group its digits by thousands."""
    return _GROUPED.fullmatch(cell) is not None


def position(cells: tuple[str, str], *, grouped: bool) -> tuple[float, float]:
    """East and north as numbers. Raises BadFile, of the row alone: geometry.missing, geometry.unreadable."""
    read: list[float] = []
    for cell, letters in zip(cells, (_EAST, _NORTH), strict=True):
        plain = number(cell.replace(",", "") if grouped else cell)
        value = _degrees(cell, letters) if plain is None or plain[1] else plain[0]
        if value is None:
            if any(map(blank, cells)):
                raise BadFile("geometry.missing", "the row has no coordinates")
            what = f"{shown(cells[0])}, {shown(cells[1])} are not coordinates"
            raise BadFile("geometry.unreadable", f"{what}; such are 114.305 and 114°18′18″")
        read.append(value)
    return read[0], read[1]


def _degrees(text: str, letters: str) -> float | None:
    """Degrees that signs or a letter of the side show to be such; None for what is none of that axis."""
    compact = re.sub(r"\s+", "", text).replace("\u2212", "-")
    match = _SEXAGESIMAL.fullmatch(compact)
    if match is None:
        return None
    side = (match["before"] or match["after"] or "").upper()
    if (match["before"] and match["after"]) or not (side or match["mark"]) or side not in letters:
        return None
    if match["minutes"] and (not match["mark"] or "." in match["degrees"]):
        return None
    if match["seconds"] and (not match["minutes"] or "." in match["minutes"]):
        return None
    minutes, seconds = float(match["minutes"] or 0), float(match["seconds"] or 0)
    if minutes >= 60 or seconds >= 60:
        return None
    value = float(match["degrees"]) + minutes / 60 + seconds / 3600
    negative = (match["sign"] == "-") != (side in ("W", "S", "西", "南") if side else False)
    return -value if negative else value
