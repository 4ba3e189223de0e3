"""Conformance classes as URIs.

Each room declares those that it meets, and nothing else. Schemas are declared by the names of the approved
standard (OGC 23-058r2: Features Part 5 is Common Part 3), and once more by the one older name that QGIS
looks for before it reads a schema. Features Part 4 is not approved yet; its names are those of its public
draft (OGC 20-002r1), which servers and clients use. Absent on purpose: optimistic locking by time stamps
(a second is too coarse for it), GML, the classes of profiles for references, code lists and value domains,
and JSON-FG in Web APIs (downloads, which have a GeoJSON form too, take no profile).
"""

from __future__ import annotations

from collections.abc import Mapping

_SPEC = "http://www.opengis.net/spec"


def classes(by_standard: Mapping[str, str]) -> tuple[str, ...]:
    """The URIs of classes: standard → their names, separated by spaces."""
    return tuple(
        f"{_SPEC}/{standard}/conf/{name}" for standard, names in by_standard.items() for name in names.split()
    )
