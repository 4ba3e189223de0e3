"""OGC API at ``/ogc``: what is common to all of it, features, and tiles, each a room of its own."""

from __future__ import annotations

from collections.abc import Sequence

from twin.http.ogc import (
    changes,
    common,
    coverages,
    features,
    live,
    map_tilesets,
    maps,
    positions,
    tilesets,
    transactions,
    undo,
    versions,
)
from twin.http.ogc.pages import Pages
from twin.http.ogc.pygeoapi_host import Host
from twin.http.room import Room, Site


def make(site: Site) -> Sequence[Room]:
    """The rooms below /ogc; they share the documents that are kept and their rendering as HTML."""
    pages = Pages(site.city, Host(site.city), site.rooms)
    return (
        common.room(site, pages),
        features.room(site, pages),
        versions.room(site),
        transactions.room(site),
        undo.room(site),
        changes.room(site),
        coverages.room(site, pages),
        maps.room(site),
        positions.room(site),
        tilesets.room(site, pages),
        map_tilesets.room(site, pages),
        live.room(site),
    )
