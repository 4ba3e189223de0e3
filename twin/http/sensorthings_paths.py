"""The paths of SensorThings in the API document, from the same table that reads and writes entities."""

from __future__ import annotations

from typing import Any

from layers.parameters import AT
from twin.http.context import Context
from twin.http.formats import JSON, MERGE_PATCH
from twin.http.openapi_parts import (
    TEXT,
    answer,
    array_of,
    get,
    object_of,
    ok,
    path_parameter,
    query_parameter,
    reference,
    write,
)
from twin.things.model import OBSERVATIONS, SETS, Entity, Nav
from twin.things.options import DEFAULT_TOP, MAX_TOP, MAX_TOP_OBSERVATIONS

ROOT = "/sta/v1.1"
TAG = "sta"
PLAIN = "text/plain"
_WHOLE = {"type": "integer", "minimum": 0}
_DESCRIPTIONS = {
    "$top": "How many entities at most",
    "$skip": "How many entities to leave out at the start",
    "$count": "Whether to count all that match",
    "$filter": "Only entities for which this expression is true (18-088, clause 9.3.3.5)",
    "$orderby": "The order: properties separated by commas, with asc or desc",
    "$select": "Only these properties, separated by commas",
    "$expand": "Entities to write inside, with options of their own in brackets",
    "$resultFormat": "dataArray: observations as arrays of values (clause 13.1)",
}


def schemas(context: Context) -> dict[str, Any]:
    """A schema for what is sent of each set, and those of answers."""
    link = {"@iot.selfLink": TEXT}
    return {
        "sta.root": object_of({"value": array_of({"type": "object"})}, "value"),
        "sta.entity": object_of(link, ""),
        "sta.set": object_of(
            {"value": array_of({"type": "object"}), "@iot.count": _WHOLE, "@iot.nextLink": TEXT}, "value"
        ),
        "sta.dataArrays": array_of(
            object_of(
                {
                    "Datastream": {"type": "object"},
                    "components": array_of(TEXT),
                    "dataArray": array_of({"type": "array", "items": {}}),
                },
                "Datastream components dataArray",
            )
        ),
        **{f"sta.{entity.single}": _sent(entity) for entity in SETS.values()},
    }


def _sent(entity: Entity) -> dict[str, Any]:
    """An entity as it is sent; what it is linked to may be named or nested, so it is any value."""
    own = [prop for prop in entity.props if not prop.derived]
    properties: dict[str, Any] = {
        prop.name: TEXT if prop.kind in ("text", "time") and prop.required else {} for prop in own
    }
    properties |= {nav.name: {} for nav in entity.navs}
    return object_of(properties, " ".join(prop.name for prop in own if prop.required))


def root(context: Context) -> dict[str, Any]:
    """The service document."""
    summary = context.say("The sets of entities", "实体集")
    forms = query_parameter("f", {"type": "string", "enum": ["json", "html"]}, "The representation")
    return {"get": get("sta.root", TAG, summary, answer(summary, {JSON: "sta.root"}), [forms])}


def arrays(context: Context) -> dict[str, Any]:
    """CreateObservations (clause 13.2)."""
    summary = context.say("Add observations as arrays", "批量写入观测")
    made = ok("The address of each, or what is wrong with it", {JSON: array_of(TEXT)})
    return {"post": write("sta.createObservations", TAG, summary, {"201": made}, {JSON: "sta.dataArrays"})}


#: What ``at`` does to observations.
_UNTIL = (
    "Only what was observed up to this instant (RFC 3339, with a zone), or up to this change of the city "
    "(`@` and its number)"
)


def entities(context: Context) -> dict[str, dict[str, Any]]:
    """Every set, its entities, their properties and what they lead to. A path may go on from there as deep
    as clause 9.2 lets it; that is not written out."""
    paths: dict[str, dict[str, Any]] = {}
    for entity in SETS.values():
        paths |= _of_set(entity)
    return paths


def _of_set(entity: Entity) -> dict[str, dict[str, Any]]:
    here, one = f"{ROOT}/{entity.set}", f"{ROOT}/{entity.set}({{id}})"
    name, key = entity.set, [_key()]
    parameters = [
        path_parameter("property", TEXT | {"enum": [prop.name for prop in entity.props]}, "Its name")
    ]
    value = get(f"sta.{name}.value", TAG, "The bare value", ok("The value", {PLAIN: TEXT}), [])
    prop = get(
        f"sta.{name}.property", TAG, "One property", ok("The property", {JSON: {"type": "object"}}), []
    )
    for operation in (value, prop):
        operation["responses"]["204"] = {"description": "It has no value"}
    return {
        here: {"get": _read_set(name, entity), "post": _create(name, entity)},
        f"{here}/$ref": {"get": _read_set(f"{name}.refs", entity, "$expand")},
        one: {"parameters": key, "get": _read_one(name, entity), **_change(name, entity)},
        f"{one}/$ref": {"parameters": key, "get": _read_one(f"{name}.ref", entity)},
        f"{one}/{{property}}": {"parameters": key + parameters, "get": prop},
        f"{one}/{{property}}/$value": {"parameters": key + parameters, "get": value},
        **{f"{one}/{nav.name}": {"parameters": key, **_of_nav(entity, nav)} for nav in entity.navs},
    }


def _of_nav(entity: Entity, nav: Nav) -> dict[str, Any]:
    target, name = SETS[nav.target], f"{entity.set}.{nav.name}"
    if nav.many:
        return {"get": _read_set(name, target), "post": _create(name, target)}
    return {"get": _read_one(name, target), **_change(name, target)}


def _read_set(name: str, entity: Entity, without: str = "") -> dict[str, Any]:
    observations = entity is OBSERVATIONS
    names = [one for one in _DESCRIPTIONS if one != without and (one != "$resultFormat" or observations)]
    most = MAX_TOP_OBSERVATIONS if observations else MAX_TOP
    schemas_: dict[str, dict[str, Any]] = {
        "$top": _WHOLE | {"default": DEFAULT_TOP, "description": f"More than {most} counts as {most}"},
        "$skip": _WHOLE,
        "$count": {"type": "boolean"},
        "$resultFormat": TEXT | {"enum": ["dataArray"]},
    }
    return get(
        f"sta.{name}.list",
        TAG,
        f"{entity.set}",
        ok(f"{entity.set}", {JSON: "sta.set"}),
        [
            *(query_parameter(one, schemas_.get(one, TEXT), _DESCRIPTIONS[one]) for one in names),
            *([query_parameter(AT.name, dict(AT.schema), _UNTIL)] if observations else ()),
        ],
    )


def _read_one(name: str, entity: Entity) -> dict[str, Any]:
    shaped = [query_parameter(one, TEXT, _DESCRIPTIONS[one]) for one in ("$select", "$expand")]
    return get(f"sta.{name}.get", TAG, entity.single, ok(entity.single, {JSON: "sta.entity"}), shaped)


def _create(name: str, entity: Entity) -> dict[str, Any]:
    where = {"Location": {"description": "The new entity", "schema": TEXT}}
    made = ok(f"The {entity.single}", {JSON: "sta.entity"}) | {"headers": where}
    body = {JSON: reference(f"sta.{entity.single}")}
    return write(f"sta.{name}.create", TAG, f"Add to {entity.set}", {"201": made}, body)


def _change(name: str, entity: Entity) -> dict[str, Any]:
    if entity is OBSERVATIONS:
        return {}
    done = ok(f"The {entity.single}", {JSON: "sta.entity"})
    some = {"type": "object", "minProperties": 1}
    body = {JSON: some, MERGE_PATCH: some}
    return {"patch": write(f"sta.{name}.change", TAG, f"Change a {entity.single}", {"200": done}, body)}


def _key() -> dict[str, Any]:
    return path_parameter("id", {"type": "integer", "minimum": 1, "maximum": 10**15}, "Its id")
