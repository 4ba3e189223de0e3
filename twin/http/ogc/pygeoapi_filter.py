"""A filter as pygeoapi reads it (nodes of pygeofilter) as CQL2 JSON, which our own parser checks.

Only for pygeoapi's own path: our requests are parsed by ``layers.cql``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from pygeofilter import ast, values  # type: ignore[import-untyped]

from layers.errors import BadParameter, shown

_SPATIAL = {
    ast.GeometryIntersects: "s_intersects",
    ast.GeometryDisjoint: "s_disjoint",
    ast.GeometryContains: "s_contains",
    ast.GeometryWithin: "s_within",
    ast.GeometryTouches: "s_touches",
    ast.GeometryCrosses: "s_crosses",
    ast.GeometryOverlaps: "s_overlaps",
    ast.GeometryEquals: "s_equals",
}
#: What pygeofilter makes of CQL2's CASEI.
_FUNCTIONS = {"lower": "casei"}


def as_cql2(node: Any) -> Any:
    """The tree as CQL2 JSON (OGC 21-065r2, clause 8). Raises BadParameter for what it has no word for."""
    match node:
        case ast.Not():
            return _op("not", *node.get_sub_nodes())
        case ast.And() | ast.Or():
            return _op(node.op.value.lower(), node.lhs, node.rhs)
        case ast.Comparison() | ast.Arithmetic():
            return _op(node.op.value, node.lhs, node.rhs)
        case ast.Between():
            return _unless(node, _op("between", node.lhs, node.low, node.high))
        case ast.Like():
            return _unless(node, _op("like", node.lhs, node.pattern))
        case ast.In():
            listed = [as_cql2(one) for one in node.sub_nodes]
            return _unless(node, {"op": "in", "args": [as_cql2(node.lhs), listed]})
        case ast.IsNull():
            return _unless(node, _op("isNull", node.lhs))
        case ast.SpatialComparisonPredicate():
            return _op(_SPATIAL[type(node)], node.lhs, node.rhs)
        case ast.Function(name="bbox"):
            return {"bbox": [as_cql2(one) for one in node.arguments]}
        case ast.Function():
            return _op(_FUNCTIONS.get(node.name, node.name), *node.arguments)
    return _scalar(node)


def _scalar(node: Any) -> Any:
    match node:
        case ast.Attribute():
            return {"property": node.name}
        case values.Geometry():
            return {name: node.geometry[name] for name in ("type", "coordinates") if name in node.geometry}
        case datetime():
            return {"timestamp": node.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        case date():
            return {"date": node.isoformat()}
        case bool() | int() | float() | str():
            return node
    raise BadParameter("filter", shown(node), "pygeoapi's reading of it is not supported")


def _op(name: str, *nodes: Any) -> dict[str, Any]:
    return {"op": name, "args": [as_cql2(one) for one in nodes]}


def _unless(node: Any, condition: dict[str, Any]) -> dict[str, Any]:
    return {"op": "not", "args": [condition]} if node.not_ else condition
