"""Registered scenes: tilesets that somebody else made, below ``/3dtiles/{id}/sets/{n}/``, and what is cut out
of them, ``/3dtiles/{id}/areas.json``."""

from __future__ import annotations

import gzip
import mimetypes
import posixpath
import zlib
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layers.errors import BadConfig, BadFile, BadParameter, NotFound, Unavailable, shown
from layers.model import ContentLayer, Layer
from layers.parameters import AT
from layers.query import Query
from layers.raster.files import at_time, digest, file_key, located
from layers.read.tileset.files import GZIP, MOST_BYTES, allowed, document
from layers.types import CRS84
from tiles.scene import registered
from tiles.scene.cut import Cuts
from tiles.scene.registered import Move, Set
from twin.access.caller import CALLER
from twin.http import answers, respond
from twin.http.formats import GEOJSON, JSON
from twin.http.respond import Headers, Receive, Scope, Send
from twin.settings import SceneSettings

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City

#: What a client may ask for with any of these: it means nothing, and is another address.
_KNOWN = ("v",)
_TYPES = {
    ".json": JSON,
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".ktx2": "image/ktx2",
    ".webp": "image/webp",
}


def is_scene(layer: Layer) -> bool:
    """Whether a layer is of registered 3D content."""
    return layer.form == "scene" and isinstance(layer, ContentLayer) and bool(layer.assets)


class Registered:
    """What the routes answer of registered scenes."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._cuts = Cuts(city.folder)

    async def find(self, scope: Scope, layer_id: str) -> ContentLayer | None:
        """The layer of an id, if it is of registered content. Raises NotFound."""
        view = self._city.catalogue.of(scope[CALLER])
        layer = await self._city.read(view.layer, layer_id)
        return layer if isinstance(layer, ContentLayer) and is_scene(layer) else None

    async def tileset(self, scope: Scope, send: Send, layer: ContentLayer) -> None:
        """The document around all sets of a layer. Raises BadParameter, Unavailable."""
        _ask(scope, {*_KNOWN, "bounds"})
        body = await self._city.aside(self._document, layer)
        await answers.give_document(scope, send, body, JSON, "en")

    def _document(self, layer: ContentLayer) -> bytes:
        folder = self._city.folder
        sets = []
        for number, asset in enumerate(layer.assets):
            if asset not in at_time(layer):
                continue
            path = located(folder, asset)
            transform = None if asset.transform is None else _matrix(asset.transform)
            state = digest([file_key(path)])
            uri = f"sets/{number}/{path.name}?v={state}"
            sets.append(Set(_json(layer, path), uri, transform))
        notice = self._city.settings.attribution
        return registered.outer(sets, self._settings(layer).move, _middle(layer), notice)

    def _settings(self, layer: Layer) -> SceneSettings:
        own = self._city.settings.layers.get(layer.id)
        return own.scene if own is not None else SceneSettings()

    async def file(
        self, scope: Scope, receive: Receive, send: Send, layer_id: str, n: str, path: str
    ) -> None:
        """A file of a set. Raises NotFound, Unavailable, BadParameter."""
        _ask(scope, _KNOWN)
        layer = await self.find(scope, layer_id)
        number = int(n) if n.isascii() and n.isdigit() and len(n) < 6 else -1
        if layer is None or not 0 <= number < len(layer.assets):
            raise NotFound(f"layer {shown(layer_id)} has no tileset {shown(n)}")
        root = located(self._city.folder, layer.assets[number])
        file = await self._city.read(_inside, root, path)
        move = self._settings(layer).move
        key = await self._city.read(file_key, file)
        mark = digest([key, *map(str, move)])
        etag = f'"{self._city.catalogue.of(scope[CALLER]).epoch}-{mark}"'
        if await answers.fresh(scope, send, etag):
            return
        body = await self._city.aside(_read, layer, file)
        media = _TYPES.get(file.suffix.casefold()) or mimetypes.guess_type(file.name)[0]
        headers: Headers = [(b"content-type", (media or "application/octet-stream").encode())]
        if media == JSON:
            body = await self._city.aside(_shifted, body, move, _middle(layer))
        if body.startswith(GZIP):
            await answers.give_packed(scope, send, body, partial(_plain, body), etag, headers)
            return
        headers += [(b"etag", etag.encode()), answers.VARY_CODING]
        if media is not None and media.startswith("image/"):
            await answers.exactly(scope, send, body, [*headers, answers.FRESH])
        else:
            await answers.give(scope, send, [body], headers)

    async def areas(self, scope: Scope, receive: Receive, send: Send, layer_id: str) -> None:
        """What is cut out of a layer and what alone is kept. Raises NotFound, Unavailable."""
        _ask(scope, _KNOWN)
        layer = await self.find(scope, layer_id)
        if layer is None:
            raise NotFound(f"layer {shown(layer_id)} is no registered scene")
        view = self._city.catalogue.of(scope[CALLER])
        body = await self._city.aside(self._cut, view, layer)
        await answers.give_document(scope, send, body, GEOJSON, "en")

    def _cut(self, view: View, layer: ContentLayer) -> bytes:
        said = self._settings(layer)
        other = None
        if said.replaced_by is not None:
            try:
                other = view.feature_layer(said.replaced_by)
            except NotFound:
                other = None  # not seen by this caller, or not loaded yet
        replaced = None
        if other is not None:
            query = Query(bbox=layer.extent, properties=(), limit=None, crs=CRS84)
            replaced = partial(view.scan, other.id, query)
        state = layer.id, view.key, layer.generation, other and (other.generation, other.seq)
        try:
            return self._cuts.document(state, said.cut, said.keep, replaced)
        except BadConfig as error:
            raise Unavailable(f"layers.{layer.id}.scene: {error}") from error


def _ask(scope: Scope, known: Collection[str]) -> None:
    """Raises BadParameter: scenes are files, of which there are those of now alone."""
    texts = respond.query_map(scope, {*known, AT.name})
    if AT.name in texts:
        raise BadParameter(AT.name, texts[AT.name], "a registered scene is kept as it is now, not as it was")


def _matrix(transform: tuple[float, ...]) -> Any:
    import numpy as np

    return np.array(transform).reshape(4, 4).T


def _middle(layer: Layer) -> tuple[float, float]:
    west, south, east, north = layer.extent or (0.0, 0.0, 0.0, 0.0)
    return (west + (east + 360 if east < west else east)) / 2, (south + north) / 2


def _json(layer: Layer, path: Path) -> dict[str, Any]:
    try:
        found = document(path, MOST_BYTES)
        found["root"]["boundingVolume"], found["asset"]["version"]
    except OSError as error:
        raise Unavailable(f"layer {layer.id}: its tileset cannot be read: {error.strerror}") from error
    except (BadFile, KeyError, TypeError) as error:
        raise Unavailable(f"layer {layer.id}: its tileset is damaged; load it again") from error
    return found


def _inside(root: Path, path: str) -> Path:
    """A file of the set whose root document is ``root``. Raises NotFound."""
    clean = posixpath.normpath(path)
    parts = clean.split("/")
    bad = "\\" in path or "\0" in path or any(part.startswith(".") for part in parts) or clean.startswith("/")
    if not bad and allowed(clean):
        file = root.parent / clean
        if file.is_file() and file.resolve().is_relative_to(root.parent.resolve()):
            return file
    raise NotFound(f"the tileset has no file {shown(path)}")


def _shifted(body: bytes, move: Move, middle: tuple[float, float]) -> bytes:
    """A document of a set that is moved. Raises Unavailable."""
    if not any(move):
        return body
    try:
        return registered.shifted(_plain(body), move, middle)
    except ValueError as error:
        raise Unavailable("a document of the tileset is damaged; load it again") from error


def _plain(body: bytes) -> bytes:
    """A file as it is, unpacked where it is in gzip. Raises Unavailable."""
    try:
        return gzip.decompress(body) if body.startswith(GZIP) else body
    except (OSError, EOFError, zlib.error) as error:
        raise Unavailable("a file of the tileset is damaged; load it again") from error


def _read(layer: Layer, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unavailable(f"layer {layer.id}: its tileset cannot be read: {error.strerror}") from error
