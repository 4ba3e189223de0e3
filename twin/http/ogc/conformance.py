"""The conformance classes this server meets, and nothing else.

Schemas are declared by the names of the approved standard (OGC 23-058r2: Features Part 5 is Common
Part 3), and once more by the one older name that QGIS looks for before it reads a schema. Features
Part 4 is not approved yet; its names are those of its public draft (OGC 20-002r1), which servers and
clients use. Absent on purpose: optimistic locking by time stamps (a second is too coarse for it),
GML, the classes of profiles for references, code lists and value domains, and JSON-FG in Web APIs
(downloads, which have a GeoJSON form too, take no profile).
"""

from __future__ import annotations

_SPEC = "http://www.opengis.net/spec"
_BY_STANDARD = {
    "ogcapi-common-1/1.0": "core landing-page json html oas30",
    "ogcapi-common-2/1.0": "collections",
    "ogcapi-common-3/1.0": (
        "schemas advanced-property-roles returnables-and-receivables queryables sortables profile-parameter"
    ),
    "ogcapi-features-1/1.0": "core oas30 html geojson",
    "ogcapi-features-2/1.0": "crs",
    "ogcapi-features-3/1.0": "queryables queryables-query-parameters filter features-filter",
    "ogcapi-features-4/1.0": "create-replace-delete update optimistic-locking-etags features",
    "ogcapi-features-5/1.0": "schemas",
    "cql2/1.0": (
        "cql2-text cql2-json basic-cql2 advanced-comparison-operators case-insensitive-comparison "
        "accent-insensitive-comparison basic-spatial-functions basic-spatial-functions-plus "
        "spatial-functions temporal-functions array-functions property-property functions arithmetic"
    ),
    "json-fg-1/1.0": "core types-schemas profiles",
    "ogcapi-tiles-1/1.0": "core tileset tilesets-list geodata-tilesets mvt oas30",
    "tms/2.0": "tilematrixset json-tilematrixset",
}

CLASSES: tuple[str, ...] = tuple(
    f"{_SPEC}/{standard}/conf/{name}" for standard, names in _BY_STANDARD.items() for name in names.split()
)
