"""3D Tiles 1.1: ``/3dtiles/{id}/tileset.json`` and ``/3dtiles/{id}/{z}/{x}/{y}.glb``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layers.errors import NotFound, shown
from twin.access.caller import CALLER
from twin.http.respond import ASGIApp, Receive, Scope, Send
from twin.http.tiles import JSON, deliver, fresh, preflight, version, whole

if TYPE_CHECKING:
    from twin.city import City

GLB = b"model/gltf-binary"


def make(city: City) -> ASGIApp:
    """The routes of the 3D tiles."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if await preflight(scope, send):
            return
        parts = scope["path"].split("/")
        if len(parts) == 4 and parts[3] == "tileset.json":
            view = city.catalogue.of(scope[CALLER])
            tiles = view.tiles
            if tiles is None:
                tiles = await city.aside(view.make_tiles)
            await deliver(scope, send, await city.aside(tiles.tileset, parts[2]), JSON)
            return
        if len(parts) == 6 and parts[5].endswith(".glb"):
            await _node(city, scope, send, parts[2], whole(parts[3]), whole(parts[4]), whole(parts[5][:-4]))
            return
        raise NotFound(f"no such 3D tile resource: {shown(scope['path'])}")

    return app


async def _node(city: City, scope: Scope, send: Send, layer: str, z: int, x: int, y: int) -> None:
    view = city.catalogue.of(scope[CALLER])
    tiles = view.tiles
    if tiles is None:
        tiles = await city.aside(view.make_tiles)
    etag = await version(city, view.local, tiles, tiles.glb_etag, layer, z, x, y, known=tiles.glb_etag_known)
    if await fresh(scope, send, etag):
        return
    made = tiles.glb_held(layer, z, x, y, etag)
    if made is None:
        made = await city.aside(tiles.glb, layer, z, x, y)
    await deliver(scope, send, made, GLB)
