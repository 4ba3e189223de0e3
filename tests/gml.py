"""CityGML by hand: models of a few boxes, in either version."""

from __future__ import annotations

from collections.abc import Sequence

NAMESPACES = {
    "2.0": 'xmlns="http://www.opengis.net/citygml/2.0" xmlns:gml="http://www.opengis.net/gml"'
    ' xmlns:bldg="http://www.opengis.net/citygml/building/2.0" xmlns:gen="http://www.opengis.net/citygml/generics/2.0"'
    ' xmlns:veg="http://www.opengis.net/citygml/vegetation/2.0" xmlns:tran="http://www.opengis.net/citygml/transportation/2.0"'
    ' xmlns:uro="https://www.geospatial.jp/iur/uro/3.1" xmlns:xAL="urn:oasis:names:tc:ciq:xsdschema:xAL:2.0"',
    "3.0": 'xmlns="http://www.opengis.net/citygml/3.0" xmlns:gml="http://www.opengis.net/gml/3.2"'
    ' xmlns:bldg="http://www.opengis.net/citygml/building/3.0" xmlns:con="http://www.opengis.net/citygml/construction/3.0"'
    ' xmlns:gen="http://www.opengis.net/citygml/generics/3.0"',
}
#: The sides of a box by its corners, counted around the bottom and then the top, seen from outside.
SIDES = {
    "GroundSurface": [(0, 3, 2, 1)],
    "WallSurface": [(0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)],
    "RoofSurface": [(4, 5, 6, 7)],
}
#: A code list with one code.
CODE_LIST = """<gml:Dictionary xmlns:gml="http://www.opengis.net/gml" gml:id="l"><gml:name>usage</gml:name>
<gml:dictionaryEntry><gml:Definition gml:id="l1"><gml:description>School</gml:description>
<gml:name>422</gml:name></gml:Definition></gml:dictionaryEntry></gml:Dictionary>"""


def model(members: str, *, version: str = "2.0", srs: str = "EPSG:3067", more: str = "") -> str:
    """A model with its members."""
    srs_name = f' srsName="{srs}"' if srs else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><CityModel {NAMESPACES[version]}'
        f' xmlns:xlink="http://www.w3.org/1999/xlink">{more}'
        f'<gml:boundedBy><gml:Envelope{srs_name} srsDimension="3">'
        f"<gml:lowerCorner>0 0 0</gml:lowerCorner></gml:Envelope></gml:boundedBy>{members}</CityModel>"
    )


def member(body: str) -> str:
    """An object as a member."""
    return f"<cityObjectMember>{body}</cityObjectMember>"


def building(inside: str, id_: str = "b1", kind: str = "Building") -> str:
    """A building of bldg."""
    return f'<bldg:{kind} gml:id="{id_}">{inside}</bldg:{kind}>'


def corners(
    at: tuple[float, float, float] = (400_000, 6_700_000, 10), size: tuple[float, float, float] = (10, 6, 5)
) -> list[tuple[float, float, float]]:
    """The corners of a box."""
    (x, y, z), (a, b, c) = at, size
    return [(x + i, y + j, z + k) for k in (0, c) for i, j in ((0, 0), (a, 0), (a, b), (0, b))]


def ring(positions: Sequence[Sequence[float]]) -> str:
    """A closed ring."""
    text = " ".join(repr(float(v)) for p in (*positions, positions[0]) for v in p)
    return f"<gml:LinearRing><gml:posList>{text}</gml:posList></gml:LinearRing>"


def polygon(
    positions: Sequence[Sequence[float]], id_: str = "", holes: Sequence[Sequence[Sequence[float]]] = ()
) -> str:
    """A polygon, with an id."""
    name = f' gml:id="{id_}"' if id_ else ""
    inner = "".join(f"<gml:interior>{ring(hole)}</gml:interior>" for hole in holes)
    return f"<gml:Polygon{name}><gml:exterior>{ring(positions)}</gml:exterior>{inner}</gml:Polygon>"


def faces(box: Sequence[Sequence[float]], id_: str = "") -> list[str]:
    """The six faces of a box, each a polygon; with ids ``ID-0`` to ``ID-5``."""
    sides = [side for each in SIDES.values() for side in each]
    return [polygon([box[k] for k in s], f"{id_}-{n}" if id_ else "") for n, s in enumerate(sides)]


def solid(members: Sequence[str]) -> str:
    """A solid of surface members, each a polygon or the ``#id`` of one."""
    text = "".join(
        f'<gml:surfaceMember xlink:href="{m}"/>'
        if m.startswith("#")
        else f"<gml:surfaceMember>{m}</gml:surfaceMember>"
        for m in members
    )
    shell = f"<gml:CompositeSurface>{text}</gml:CompositeSurface>"
    return f"<gml:Solid><gml:exterior>{shell}</gml:exterior></gml:Solid>"


def box(
    at: tuple[float, float, float] = (400_000, 6_700_000, 10), *, lod: int = 1, prefix: str = "bldg:"
) -> str:
    """A property with a solid box of 10 × 6 × 5 m."""
    return f"<{prefix}lod{lod}Solid>{solid(faces(corners(at)))}</{prefix}lod{lod}Solid>"


def themed(where: Sequence[Sequence[float]], *, version: str = "2.0", lod: int = 2, id_: str = "p") -> str:
    """A box of thematic surfaces with ids, and the solid that refers to their polygons."""
    out, number = "", 0
    for name, sides in SIDES.items():
        polygons = ""
        for side in sides:
            text = polygon([where[k] for k in side], f"{id_}-{number}")
            polygons += f"<gml:surfaceMember>{text}</gml:surfaceMember>"
            number += 1
        surface = f"<gml:MultiSurface>{polygons}</gml:MultiSurface>"
        holder, space = ("bldg:boundedBy", "bldg:") if version == "2.0" else ("boundary", "con:")
        lod_space = "bldg:" if version == "2.0" else ""
        shape = f"<{lod_space}lod{lod}MultiSurface>{surface}</{lod_space}lod{lod}MultiSurface>"
        out += f'<{holder}><{space}{name} gml:id="{id_}-{name}">{shape}</{space}{name}></{holder}>'
    lod_space = "bldg:" if version == "2.0" else ""
    refers = solid([f"#{id_}-{n}" for n in range(number)])
    return f"{out}<{lod_space}lod{lod}Solid>{refers}</{lod_space}lod{lod}Solid>"
