"""Model versions: what a layer is to become, checked in beside it and looked at before it is made current.

A version is a layer of its own, with a record of what it is of (:attr:`layers.model.Layer.model_version`).
Nobody edits it, and nothing else takes notice of it: it is no part of buildings, of a search, of a dossier.
They are made and used by :mod:`layers.models.check_in`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from layers.errors import NotFound, shown
from layers.model import FeatureLayer


class Versioned(Protocol):
    """What is asked for versions: a store, or a view of it."""

    @property
    def epoch(self) -> str: ...

    def feature_layer(self, layer_id: str) -> FeatureLayer: ...

    def feature_layers(self) -> list[FeatureLayer]: ...


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
        mark = layer.model_version
        if mark is not None and mark.of == layer_id:
            found.append(ModelVersion(layer, layer_id, mark.number, mark.name))
    return sorted(found, key=lambda one: one.number)


def find(store: Versioned, layer_id: str, name: str) -> ModelVersion:
    """A version by its name. Raises NotFound naming those that there are."""
    known = versions(store, layer_id)
    for one in known:
        if one.name == name:
            return one
    there = ", ".join(shown(one.name) for one in known) or "none"
    raise NotFound(f"layer {layer_id} has no model version {shown(name)}; there are: {there}")


def current(layer: FeatureLayer) -> str:
    """The name of the version that a layer was made last; empty where it was loaded since, or that was taken
    back. Edits since are not seen in it."""
    mark = layer.model_version
    return mark.name if mark is not None and not mark.of else ""


def state(store: Versioned, layer_id: str) -> str:
    """What is there of a layer and its versions, as a text that is another one after any change of them.

    Raises NotFound."""
    layers = [store.feature_layer(layer_id), *(one.layer for one in versions(store, layer_id))]
    told = repr([(store.epoch, layer.id, layer.seq, layer.generation) for layer in layers])
    return hashlib.blake2b(told.encode(), digest_size=12).hexdigest()
