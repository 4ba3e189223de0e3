"""Model versions: what a layer is to become, checked in beside it and looked at before it is made current.

A version is a layer of its own, ``LAYER__NUMBER`` (:func:`layers.types.version_of`), which nobody edits and
of which nothing else takes notice: it is no part of buildings, of a search, of a dossier. They are made and
used by :mod:`layers.models.check_in`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from layers.errors import NotFound, shown
from layers.model import FeatureLayer
from layers.types import version_of


class Versioned(Protocol):
    """What is asked for versions: a store, or a view of it."""

    def feature_layers(self) -> list[FeatureLayer]: ...

    def report(self, layer_id: str) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a layer: the ``layer`` that keeps it, its number and its name."""

    layer: FeatureLayer
    of: str
    number: int
    name: str


def versions(store: Versioned, layer_id: str) -> list[ModelVersion]:
    """Those of a layer, by number."""
    found = []
    for layer in store.feature_layers():
        of = version_of(layer.id)
        if of is not None and of[0] == layer_id:
            name = (store.report(layer.id) or {}).get("version") or str(of[1])
            found.append(ModelVersion(layer, layer_id, of[1], name))
    return sorted(found, key=lambda one: one.number)


def find(store: Versioned, layer_id: str, name: str) -> ModelVersion:
    """A version by its name. Raises NotFound naming those that there are."""
    known = versions(store, layer_id)
    for one in known:
        if one.name == name:
            return one
    there = ", ".join(shown(one.name) for one in known) or "none"
    raise NotFound(f"layer {layer_id} has no model version {shown(name)}; there are: {there}")


def current(store: Versioned, layer_id: str) -> str:
    """The name of the version that was made current last; empty where a plain load came after it."""
    return str((store.report(layer_id) or {}).get("version") or "")
