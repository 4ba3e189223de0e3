"""CQL2 JSON written as CQL2 text, to hold the two readings of one expression against each other."""

from __future__ import annotations

from typing import Any

import orjson
import shapely

_INFIX = {"=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "^", "div"}


def text(node: Any) -> str:
    """An expression of CQL2 JSON as CQL2 text."""
    if isinstance(node, bool):
        return str(node).upper()
    if isinstance(node, str):
        return "'" + node.replace("'", "''") + "'"
    if isinstance(node, int | float):
        return repr(node)
    if isinstance(node, list):
        return f"({', '.join(map(_member, node))})"
    if "property" in node:
        return '"' + node["property"].replace('"', '""') + '"'
    if "date" in node or "timestamp" in node:
        ((name, value),) = node.items()
        return f"{name.upper()}('{value}')"
    if "interval" in node:
        return f"INTERVAL({', '.join(text(n) for n in node['interval'])})"
    if "bbox" in node:
        return f"BBOX({', '.join(repr(n) for n in node['bbox'])})"
    if "type" in node:
        return _wkt(node)
    return _operation(node["op"], node["args"])


def _member(node: Any) -> str:
    """A member of an array: parentheses round it would make it an array of one member."""
    infix = isinstance(node, dict) and node.get("op") in _INFIX
    return text(node)[1:-1] if infix else text(node)


def _wkt(node: Any) -> str:
    shape = shapely.force_2d(shapely.from_geojson(orjson.dumps(node).decode()))
    return str(shapely.to_wkt(shape, rounding_precision=-1))


def _operation(op: str, args: list[Any]) -> str:
    parts = [text(a) for a in args]
    if op in ("and", "or"):
        return "(" + f" {op.upper()} ".join(parts) + ")"
    if op == "not":
        return f"NOT ({parts[0]})"
    if op in _INFIX:
        return f"({parts[0]} {op} {parts[1]})"
    if op == "like":
        return f"{parts[0]} LIKE {parts[1]}"
    if op == "between":
        return f"{parts[0]} BETWEEN {parts[1]} AND {parts[2]}"
    if op == "in":
        return f"{parts[0]} IN {parts[1]}"
    if op == "isNull":
        return f"{parts[0]} IS NULL"
    return f"{op}({', '.join(parts)})"
