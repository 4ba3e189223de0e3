"""The commented ``city.yml`` that ``twin init`` writes."""

from __future__ import annotations

import orjson

from layers.errors import BadParameter
from layers.store.database import VARIABLE


def template(title: str, store: str | None = None) -> str:
    """A commented ``city.yml``. Raises BadParameter for a database address that holds a password."""
    return TEMPLATE.format(title=orjson.dumps(title).decode()) + stored(store)


def stored(store: str | None) -> str:
    """The lines of ``city.yml`` that name a database. Raises BadParameter for one with a password."""
    if store is None:
        return ""
    password = _password(store)
    if password and not VARIABLE.fullmatch(password):
        raise BadParameter("--store", "…", "keep the password out of city.yml: user:${VAR}@host")
    return f"\n# Where the features lie.\nstore: {orjson.dumps(store).decode()}\n"


def _password(url: str) -> str | None:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        return str(conninfo_to_dict(url).get("password", ""))
    except ProgrammingError:
        return None  # no address at all: the settings say so


TEMPLATE = """\
# The city. Every key may be left out; an unknown key is an error.
title:
  en: {title}
  zh-CN: {title}

# The public address, once the server stands behind a proxy: links in answers begin with it.
# url: https://map.example.org
# allowed_hosts: [map.example.org]       # further names that this server answers to
# trusted_proxies: [127.0.0.1]           # whose X-Forwarded-* and Forwarded headers are believed

# The city's own grid: every layer is offered in it, too.
# crs: EPSG:4547

time_zone: Asia/Shanghai                 # of times shown, and of times in files that name none
languages: [zh-CN, en]

# The height (m) of the surface that buildings stand on; the page draws the ellipsoid, 0. Or `terrain`: the
# finest layer of terrain; then `undulation` is how far (m) its vertical datum lies above the ellipsoid.
heights:
  ground: 0

# Where the page opens; without it, on all layers.
# view: {{lon: 114.30, lat: 30.59, height: 1500, heading: 0, pitch: -45}}
# surroundings: [114.0, 30.3, 114.6, 30.8]   # zooming out stops here

# credits: [{{text: "© the surveyors", url: "https://example.org"}}]
# map_approval_no: GS(2026)0000              # 审图号, shown on the page

# What the page shows of a layer beyond what its load recorded.
# layers:
#   buildings: {{title: {{en: Buildings, zh-CN: 建筑物}}, visible: true, locking: default}}
#   boundaries: {{tiles: {{maxzoom: 20}}}}      # surveyed to the centimetre: vector tiles down to zoom 20

# Features lie in city.gpkg of this folder, or in a PostgreSQL database with PostGIS.
# store: postgresql://twin:${{TWIN_DB_PASSWORD}}@db.example.org/twin   # ${{…}} comes from the environment
# store:                                    # the same, with all there is to say
#   url: postgresql://twin:${{TWIN_DB_PASSWORD}}@db.example.org/twin
#   read_url: postgresql://twin_reader:${{TWIN_READER_PASSWORD}}@db.example.org/twin
#   schema: city                            # cities share a database by schema
#   readers: 8                              # connections of this server
#   writers: 4
#   read_seconds: 5                         # the longest query
#   write_seconds: 30
# A table of that database as a layer, where it lies: under `layers`, beside title and locking,
#   wells: {{table: gis.wells, kind: feature, fid: gid, geometry: geom, time_field: measured}}
#   deep:  {{table: gis.deep_wells, fid: gid, refresh: 10}}   # a view: read again every 10 s
# limits: {{heavy_queries: 4, wrong_keys: 300}}   # long queries at a time; wrong keys a minute of one address

# Sensors: thresholds, units and titles by theme (files in themes/ of this folder, or built-in names).
themes: [water, gas, air, traffic]
"""
