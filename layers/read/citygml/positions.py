"""Lists of coordinates as arrays, and the order in which they count."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layers import crs
from layers.errors import BadFile

type Floats = NDArray[np.float64]

#: Names of the surveying authorities of Germany for CRSs (AdV, GeoInfoDok), x (east) first.
_ADV = {
    **{f"DE_DHDN_3GK{zone}": 31464 + zone for zone in range(2, 6)},
    **{f"ETRS89_UTM{zone}": 25800 + zone for zone in (31, 32, 33)},
    "ETRS89_Lat-Lon": 4258,
}
_ADV_HEIGHTS = {
    "DE_DHHN12_NOH": 7699,
    "DE_DHHN92_NH": 5783,
    "DE_DHHN2016_NH": 7837,
    "DE_DHHN85_NOH": 5784,
    "DE_SNN76_NOH": 5785,
}
_ADV_URN = re.compile(r"urn:adv:crs:([\w-]+)(?:\*([\w-]+))?", re.IGNORECASE)
_OGC_URN = re.compile(r"urn:(?:x-)?ogc:def:crs,", re.IGNORECASE)
_SRS_XML = re.compile(r"https?://www\.opengis\.net/gml/srs/epsg\.xml#(\d{4,6})")


@dataclass(frozen=True, slots=True)
class Reference:
    """A CRS as a file names it: as the project reads it, and whether north (or latitude) counts first."""

    text: str
    crs: str
    north_first: bool
    #: Whether the name says the order; else it follows from where the positions lie.
    directed: bool


def reference(text: str) -> Reference:
    """What a srsName says. URIs and URNs keep the order of the authority's definition (OGC 09-048r5), short
    names and AdV's have x (east) first. One that is not known stays as it is."""
    text = text.strip()
    if (adv := _ADV_URN.fullmatch(text)) is not None and adv[1] in _ADV:
        heights = f"+{_ADV_HEIGHTS[adv[2]]}" if adv[2] in _ADV_HEIGHTS else ""
        return Reference(text, f"EPSG:{_ADV[adv[1]]}{heights}", False, False)
    if (old := _SRS_XML.fullmatch(text)) is not None:
        return Reference(text, f"EPSG:{old[1]}", False, False)
    name = text
    if _OGC_URN.match(text):  # urn:ogc:def:crs,crs:EPSG::28992,crs:EPSG::5709
        codes = re.findall(r"crs:EPSG:[0-9.]*:(\d{4,6})", text)
        name = f"EPSG:{'+'.join(codes)}"
    elif text[:5].casefold() == "epsg:":
        name = text.upper()
    north_first, directed = False, text.casefold().startswith(("urn:", "http"))
    if directed:
        with suppress(BadFile):
            north_first = crs.swaps(name)
    return Reference(text, name, north_first, directed)


def numbers(texts: Sequence[str]) -> tuple[Floats, NDArray[np.int64]]:
    """The numbers of some texts one after the other, and how many each has. What is no number ends in NaN.

    All are parsed together; a NaN between two marks where one ends."""
    if not texts:
        return np.empty(0), np.empty(0, np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy's, of a text that ends early
        try:
            values = np.fromstring(" nan ".join(texts) + " nan", sep=" ")
        except ValueError:
            values = np.empty(0)
    ends = np.flatnonzero(np.isnan(values))
    if len(ends) == len(texts) and ends[-1] == len(values) - 1:
        counts = ends.copy()
        counts[1:] -= ends[:-1] + 1
        kept = np.ones(len(values), bool)
        kept[ends] = False
        return values[kept], counts
    each = [_parsed(text) for text in texts]
    return np.concatenate(each), np.array([len(one) for one in each], np.int64)


def _parsed(text: str) -> Floats:
    out = []
    for word in text.split():
        try:
            out.append(float(word) if word.isascii() and "_" not in word else np.nan)
        except ValueError:
            out.append(np.nan)
    return np.array(out, np.float64)
