"""The coordinate reference systems that an API offers, and what pyproj knows of them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pyproj

from tests.conformance.outside import CRS84, CRS84H, Api, Json


def offered(api: Api, collection: Json) -> list[str]:
    """The CRSs of a collection; ``#/crs`` stands for the list of the whole API."""
    found: list[str] = []
    for one in collection["crs"]:
        found += api.listing["crs"] if one == "#/crs" else [one]
    return found


def known(uri: str) -> pyproj.CRS | None:
    """The CRS as pyproj knows it, in the axis order of its authority; None for what it does not know."""
    if uri in (CRS84, CRS84H):
        return pyproj.CRS("OGC:CRS84")
    *_, authority, _version, code = urlsplit(uri).path.split("/")
    try:
        return pyproj.CRS.from_authority(authority, code)
    except pyproj.exceptions.CRSError:
        return None
