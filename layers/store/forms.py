"""Layers of other forms than features: coverages, surfaces and scenes.

A store records of them what is true of every form; what is in them lies elsewhere, and is served by whoever
knows the form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

from layers import instants
from layers.errors import BadFile, Exists, NotFound
from layers.model import Asset, ContentLayer
from layers.store import staged
from layers.store.base import FormSpec
from layers.types import Bbox

#: Columns of ``twin_forms``, in both stores.
COLUMNS = "id, form, kind, title, crs, vertical_datum, minx, miny, maxx, maxy, generation, assets"


def check(spec: FormSpec) -> None:
    """Raises BadFile for what cannot be recorded: an id that is none, a layer of features, an asset that lies
    nowhere, or whose time is none."""
    staged.check_id(spec.id)
    if spec.form == "features":
        raise BadFile("store.form", f"{spec.id} has features: they are staged and published")
    for asset in spec.assets:
        if not _lies_somewhere(asset.href):
            raise BadFile(
                "store.asset",
                f"{asset.href!r} is no path below the city folder, absolute path or https address",
            )
        if asset.time is not None and not instants.is_written(asset.time):
            raise BadFile("store.asset", f"{asset.href}: {asset.time!r} is neither a date nor a timestamp")


def _lies_somewhere(href: str) -> bool:
    # GDAL opens /vsi… as whatever it names: an archive, an address, the memory of the process
    if not href or "\\" in href or "\0" in href or href.startswith("/vsi"):
        return False
    if "://" in href:
        address = urlsplit(href)
        return address.scheme == "https" and bool(address.hostname)
    return ".." not in PurePosixPath(href).parts


def values(spec: FormSpec, generation: int) -> tuple[Any, ...]:
    """A record as the values of :data:`COLUMNS`."""
    title = json.dumps(dict(spec.title), ensure_ascii=False)
    box: Sequence[float | None] = spec.extent or (None, None, None, None)
    assets = json.dumps([asdict(asset) for asset in spec.assets], ensure_ascii=False)
    return (spec.id, spec.form, spec.kind, title, spec.crs, spec.vertical_datum, *box, generation, assets)


def layer(row: Sequence[Any], seq: int) -> ContentLayer:
    """The public words of a record, from the values of :data:`COLUMNS`."""
    layer_id, form, kind, title, crs, vertical_datum, *box, generation, assets = row
    return ContentLayer(
        id=layer_id,
        form=form,
        kind=kind,
        title=json.loads(title),
        crs=crs,
        vertical_datum=vertical_datum,
        # a record that is kept as JSON has whole numbers where they are
        extent=None if box[0] is None else cast(Bbox, tuple(map(float, box))),
        generation=generation,
        seq=seq,
        assets=tuple(_asset(asset) for asset in json.loads(assets)),
    )


def _asset(known: dict[str, Any]) -> Asset:
    transform = known.get("transform")
    return Asset(**{**known, "transform": None if transform is None else tuple(transform)})


def in_use(layer_id: str, form: str) -> Exists:
    """The refusal to give one id to layers of two forms."""
    return Exists(f"layer {layer_id} exists already, as one of the form {form}; drop it or take another id")


def no_features(layer_id: str, form: str) -> NotFound:
    """The answer to who asks a layer of another form for features."""
    return NotFound(f"layer {layer_id} is a {form}: it has no features")
