"""A layer as the store and ``city.yml`` say it together, merged once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from layers import kinds
from layers.model import Layer, has_features
from tiles.vector.options import DEFAULT, Options
from twin.settings import CitySettings

#: Why a model version is not edited.
_WAITS = "it is a model version of layer {}: correct the model, and check it in anew"


@dataclass(frozen=True, slots=True)
class PublishedLayer[L: Layer]:
    """``layer`` is the store's, with the titles of ``city.yml`` over those of its load, language by
    language, and narrowed to what the caller sees. ``strict``: changed only with If-Match. ``visible``: shown
    when the page opens, which model versions are not unless ``city.yml`` says so. ``style``: that of the kind
    with the city's over it. ``rank``: the place in ``city.yml``; the layers that it does not name
    follow. ``tiles``: what the city says of its vector tiles."""

    layer: L
    strict: bool
    visible: bool
    style: Mapping[str, Any]
    rank: int
    tiles: Options = DEFAULT

    @property
    def order(self) -> tuple[int, str]:
        """As the city lists its layers, the others after them by id."""
        return self.rank, self.layer.id


def published[L: Layer](layer: L, settings: CitySettings) -> PublishedLayer[L]:
    """What a city publishes as a layer."""
    kind = kinds.known(layer.kind)
    of = layer.version_of
    if of is not None and has_features(layer):
        layer = cast("L", replace(layer, edits=(), fixed_because=_WAITS.format(of)))
    own = settings.layers.get(layer.id)
    if own is None:
        return PublishedLayer(layer, False, of is None, kind.style, len(settings.layers))
    if own.title:
        layer = replace(layer, title={**layer.title, **own.title})
    return PublishedLayer(
        layer,
        own.locking == "strict",
        own.visible,
        {**kind.style, **(own.style or {})},
        list(settings.layers).index(layer.id),
        own.tiles.options,
    )
