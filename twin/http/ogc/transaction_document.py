"""A transaction document: actions on features, as the store's operations.

Its words are those of the draft OGC API Features Part 11 (OGC 26-018) as ldproxy 4.8 reads them: ``semantic``
and a ``transaction`` of actions on a ``collection``, ``insert`` (``items``), ``replace`` (``feature``),
``update`` (``properties``: ``add``, ``modify``, ``delete``) and ``delete``; a ``filter`` says on which
features. Ours is ``if-match`` beside it. What is wrong with one action is an error in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import orjson

from layers.cql import ast
from layers.cql.parse import parse
from layers.errors import BadBody, BadParameter, NotFound, Stale, TooLarge, TwinError, Unconditional, shown
from layers.model import MOST_OPERATIONS, FeatureLayer, Operation
from layers.types import SOURCE_FIELD
from twin.http import etags
from twin.http.author import MAX_MESSAGE
from twin.http.ogc.edit import checked, to_lonlat

if TYPE_CHECKING:
    from twin.catalogue.view import View

type Action = Literal["insert", "replace", "update", "delete"]
KINDS: Mapping[Action, Literal["create", "replace", "patch", "delete"]] = {
    "insert": "create",
    "replace": "replace",
    "update": "patch",
    "delete": "delete",
}
#: Members of an action beside those that every one may have.
_SELECTING = {"filter", "filter-lang", "filter-crs", "if-match"}
_MEMBERS: Mapping[Action, set[str]] = {
    "insert": {"items"},
    "replace": {"feature", "properties"} | _SELECTING,
    "update": {"properties"} | _SELECTING,
    "delete": _SELECTING,
}
_COMMON = {"id", "title", "description", "action", "collection"}
_DOCUMENT = {"id", "title", "description", "semantic", "transaction"}
_BY_ID = "a transaction names features by id or source_id: id = 5, id IN (5, 6), source_id = 'a'"


@dataclass(frozen=True, slots=True)
class Member:
    """One edit: the ``index`` of its action, the ``item`` of an insert, and what the store is asked."""

    index: int
    item: int | None
    given: Mapping[str, Any]
    operation: Operation | TwinError


@dataclass(frozen=True, slots=True)
class Document:
    """A transaction as it was asked for."""

    atomic: bool
    message: str
    members: list[Member]


def read(document: Any, view: View, content_crs: str | None) -> Document:
    """Raises BadBody (it is no transaction document), TooLarge."""
    if not isinstance(document, dict):
        raise BadBody("a transaction is a JSON object")
    _known(document, _DOCUMENT)
    semantic = document.get("semantic", "atomic")
    if semantic not in ("atomic", "batch"):
        raise BadBody(f"semantic: {shown(semantic)} is neither atomic nor batch")
    actions = document.get("transaction")
    if not isinstance(actions, list):
        raise BadBody("transaction: must be an array of actions")
    _not_too_many(len(actions))
    reader = _Reader(view, content_crs)
    members: list[Member] = []
    for index, action in enumerate(actions):
        members += reader.members(index, action)
        _not_too_many(len(members))
    return Document(semantic == "atomic", _message(document), members)


def _not_too_many(number: int) -> None:
    if number > MOST_OPERATIONS:
        raise TooLarge(f"transaction: at most {MOST_OPERATIONS} features are edited in one")


def _message(document: Mapping[str, Any]) -> str:
    message = document.get("description", document.get("title", ""))
    if not isinstance(message, str) or len(message) > MAX_MESSAGE or "\0" in message:
        raise BadBody(f"description: must be a text of at most {MAX_MESSAGE} characters, none of them NUL")
    return message


def _known(members: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(members) - known)
    if unknown:
        raise BadBody(f"{shown(unknown[0])}: unknown member; known: {', '.join(sorted(known))}")


@dataclass(slots=True)
class _Reader:
    view: View
    content_crs: str | None
    layers: dict[str, FeatureLayer] = field(default_factory=dict)

    def members(self, index: int, action: Any) -> Iterator[Member]:
        """The edits of an action; one with an error where it is none."""
        given = action if isinstance(action, dict) else {}
        try:
            kind, layer = self._head(action)
            if kind == "insert":
                yield from self._inserts(index, given, layer)
            else:
                named = _features(given, layer)
                _not_too_many(len(named))
                edit = self._edit(given, kind, layer, len(named))
                for name, value in named:
                    operation = Operation(
                        kind=KINDS[kind],
                        layer=layer.id,
                        fid=value if name == "id" else None,
                        source_id=None if name == "id" else value,
                        body=edit[0],
                        if_match=edit[1],
                    )
                    yield Member(index, None, given, operation)
        except TooLarge:
            raise
        except TwinError as error:
            yield Member(index, None, given, error)

    def _head(self, action: Any) -> tuple[Action, FeatureLayer]:
        if not isinstance(action, dict):
            raise BadBody("an action is a JSON object")
        kind = next((one for one in _MEMBERS if one == action.get("action")), None)
        if kind is None:
            raise BadBody(f"action: {shown(action.get('action'))} is not one of {', '.join(_MEMBERS)}")
        _known(action, _COMMON | _MEMBERS[kind])
        collection = action.get("collection")
        if not isinstance(collection, str):
            raise BadBody("collection: must be the id of a collection")
        if collection not in self.layers:
            self.layers[collection] = self.view.feature_layer(collection)
        return kind, self.layers[collection]

    def _inserts(self, index: int, action: Mapping[str, Any], layer: FeatureLayer) -> Iterator[Member]:
        items = action.get("items")
        if not isinstance(items, list) or not items:
            raise BadBody("items: must be an array of features")
        _not_too_many(len(items))
        for number, item in enumerate(items):
            operation: Operation | TwinError
            try:
                body = to_lonlat(checked(item, None, whole=True), layer, self.content_crs)
                operation = Operation(kind="create", layer=layer.id, body=body)
            except TwinError as error:
                operation = error
            yield Member(index, number, action, operation)

    def _edit(
        self, action: Mapping[str, Any], kind: Action, layer: FeatureLayer, number: int
    ) -> tuple[dict[str, Any], int | None]:
        """The body of an edit and the revision that it is of."""
        if kind == "replace" and number > 1:
            raise BadBody("filter: one feature is replaced by one")
        if_match = action.get("if-match")
        if if_match is not None and number > 1:
            raise BadBody("if-match: is of one feature, and the filter names several")
        revision = self._revision(if_match, layer)
        if kind == "delete":
            return {}, revision
        if kind == "update":
            body = _patch(action.get("properties"), layer)
        else:
            inner = action.get("properties")
            body = checked(
                action.get("feature", inner.get("feature") if isinstance(inner, dict) else None),
                None,
                whole=True,
            )
        return to_lonlat(body, layer, self.content_crs), revision

    def _revision(self, if_match: Any, layer: FeatureLayer) -> int | None:
        """Raises BadParameter, Stale, and Unconditional where the layer's locking is strict."""
        if if_match is not None and (isinstance(if_match, bool) or not isinstance(if_match, str | int)):
            raise BadBody("if-match: must be the ETag of the feature")
        revisions = etags.revisions(None if if_match is None else str(if_match), self.view.epoch)
        if revisions is None:
            if self.view.published(layer.id).strict:
                raise Unconditional(
                    f"layer {layer.id} is changed only with if-match: the ETag of the feature"
                )
            return None
        if len(revisions) > 1:
            raise BadParameter("if-match", if_match, "one ETag")
        if not revisions:
            raise Stale("if-match: names no state of the feature that this server knows; read it again")
        return next(iter(revisions))


def _features(action: Mapping[str, Any], layer: FeatureLayer) -> list[tuple[str, Any]]:
    """The features that a filter names: ("id", fid) or ("source_id", text). Raises BadBody, NotFound."""
    given = action.get("filter")
    if given is None:
        raise BadBody(f"filter: is missing; {_BY_ID}")
    if not isinstance(given, str | dict):
        raise BadBody("filter: must be CQL2 as a text or as an object")
    lang = action.get("filter-lang", "cql2-text" if isinstance(given, str) else "cql2-json")
    try:
        predicate = parse(given if isinstance(given, str) else orjson.dumps(given).decode(), lang, layer)
    except TypeError as error:  # orjson's, of what nests too deep to be written
        raise BadBody("filter: nests too deep") from error
    if isinstance(predicate, ast.Compare) and predicate.op == "=":
        sides = [predicate.left, predicate.right]
        refs = [one for one in sides if isinstance(one, ast.PropertyRef)]
        values = [one for one in sides if isinstance(one, ast.Value)]
    elif isinstance(predicate, ast.In) and isinstance(predicate.value, ast.PropertyRef):
        refs, values = [predicate.value], [one for one in predicate.items if isinstance(one, ast.Value)]
        if len(values) < len(predicate.items):
            raise BadBody(f"filter: {_BY_ID}")
    else:
        raise BadBody(f"filter: {_BY_ID}")
    if len(refs) != 1 or not values:
        raise BadBody(f"filter: {_BY_ID}")
    return [_named(refs[0], one.value, layer) for one in values]


def _named(ref: ast.PropertyRef, value: Any, layer: FeatureLayer) -> tuple[str, Any]:
    if ref.field is ast.FID:
        if not isinstance(value, int):
            raise NotFound(f"layer {layer.id} has no feature {shown(value)}")
        return "id", value
    if ref.field.name == SOURCE_FIELD.name:
        return "source_id", str(value)
    raise BadBody(f"filter: {_BY_ID}")


def _patch(given: Any, layer: FeatureLayer) -> dict[str, Any]:
    """The merge patch that an update means. Raises BadBody."""
    if not isinstance(given, dict):
        raise BadBody("properties: must be an object of add, modify and delete")
    _known(given, {"add", "modify", "delete"})
    pairs: list[tuple[Any, Any]] = []
    for word in ("add", "modify", "delete"):
        entries = given.get(word, [])
        if not isinstance(entries, list):
            raise BadBody(f"properties: {word}: must be an array")
        for entry in entries:
            if word == "delete":
                pairs.append((entry, None))
            elif not isinstance(entry, dict) or not {"name"} <= set(entry) <= {"name", "value"}:
                raise BadBody(f"properties: {word}: must have objects of name and value")
            else:
                pairs.append((entry["name"], entry.get("value")))
    if not pairs:
        raise BadBody("properties: names nothing to add, modify or delete")
    values: dict[str, Any] = {}
    for name, value in pairs:
        if not isinstance(name, str) or name in values:
            raise BadBody(f"properties: {shown(name)}: must be the name of a property, given once")
        values[name] = value
    if "geometry" in values and layer.field("geometry") is None:
        geometry = values.pop("geometry")
        return {"geometry": geometry} | ({"properties": values} if values else {})
    return {"properties": values}
