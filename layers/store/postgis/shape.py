"""Geometry columns of other programs hold more than the API can say: what clients see of them."""

from __future__ import annotations


def plain(geom: str, srid: int) -> str:
    """SQL of a geometry of any type as one that GeoJSON has: lines for arcs, polygons for surfaces, no M;
    null where it is empty, or lies in another CRS, where it would be taken for a guess."""
    measured = f"WHEN 1 THEN ST_Force2D({geom}) WHEN 3 THEN ST_Force3DZ({geom})"
    flat = f"CASE ST_Zmflag({geom}) {measured} ELSE {geom} END"
    polygons = "(SELECT ST_Collect(ST_MakePolygon(ST_ExteriorRing(d.geom))) FROM ST_Dump(f.g) d)"
    surface = "GeometryType(f.g) IN ('TIN', 'TRIANGLE', 'POLYHEDRALSURFACE')"
    lined = f"(SELECT ST_CurveToLine({flat}) AS g OFFSET 0) f"
    whole = f"(SELECT CASE WHEN {surface} THEN {polygons} ELSE f.g END FROM {lined})"
    return f"(CASE WHEN ST_SRID({geom}) = {srid} AND NOT ST_IsEmpty({geom}) THEN {whole} END)"


_FIRST, _LAST = 1, 6  # type numbers of PostGIS from Point to MultiPolygon


def is_untyped(typmod: str) -> bool:
    """Whether a geometry column (its type modifier: postgis/gserialized_typmod.c) takes any CRS, measures,
    or types that GeoJSON does not have."""
    mod = int(typmod) if typmod.lstrip("-").isdigit() else -1
    kind, srid = (mod & 0xFC) >> 2, (mod & 0x0FFFFF00) >> 8
    return mod < 0 or bool(mod & 1) or not srid or not _FIRST <= kind <= _LAST


def null_geometry_sql(geom: str, postgis: str = "") -> str:
    """SQL of whether a feature has no place: the condition of the index of those.

    Written so that the planner takes it for rare, and cannot look for it in the spatial index, all of which
    it would read."""
    return f"(CASE WHEN {geom} IS NULL OR {postgis}st_isempty({geom}) THEN 1 END) = 1"
