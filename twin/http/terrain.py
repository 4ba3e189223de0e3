"""Terrain of a surface: ``/terrain/{id}/layer.json`` and quantized meshes for globes, ``/terrain/{id}.json``
and terrain-RGB for maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from layers.errors import NotFound
from tiles.made import Tile
from tiles.terrain.scheme import DEEPEST
from tiles.terrain.service import TerrainTiles
from twin.access.caller import CALLER
from twin.http import answers, respond
from twin.http.context import Context, Link, link
from twin.http.openapi_parts import BINARY, get, ok, path_parameter, tile_place
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Room, Route, Site
from twin.http.tiles import JSON, PARAMETERS, attribution, deliver, tiles_of, version_parameter, whole

if TYPE_CHECKING:
    from layers.model import Layer
    from twin.city import City

MESH = "application/vnd.quantized-mesh"
PNG = "image/png"
PLACE = "/terrain/{layer}/{z}/{x}/{y}"


def make(site: Site) -> Sequence[Room]:
    """The routes of terrain."""
    city = site.city

    async def layer_json(scope: Scope, receive: Receive, send: Send, layer: str) -> None:
        respond.query_map(scope, PARAMETERS)
        terrain = await _terrain(city, scope)
        made = await city.aside(terrain.layer_json, layer, attribution(city.settings.credits))
        await deliver(scope, send, made, JSON)

    async def tilejson(scope: Scope, receive: Receive, send: Send, layer: str) -> None:
        respond.query_map(scope, PARAMETERS)
        terrain = await _terrain(city, scope)
        notice = attribution(city.settings.credits)
        made = await city.aside(terrain.tilejson, layer, respond.base_url(city, scope), notice)
        await deliver(scope, send, made, JSON)

    async def mesh(scope: Scope, receive: Receive, send: Send, layer: str, z: str, x: str, y: str) -> None:
        await _tile(city, scope, send, "mesh", (layer, z, x, y))

    async def picture(scope: Scope, receive: Receive, send: Send, layer: str, z: str, x: str, y: str) -> None:
        await _tile(city, scope, send, "rgb", (layer, z, x, y))

    routes = (
        Route("/terrain/{layer}/layer.json", {"GET": layer_json}, _describe_layer),
        Route("/terrain/{layer}.json", {"GET": tilejson}, _describe_tilejson),
        Route(f"{PLACE}.terrain", {"GET": mesh}, _describe_mesh),
        Route(f"{PLACE}.png", {"GET": picture}, _describe_picture),
    )
    return (Room("terrain", ("Terrain", "地形"), routes, collection=_links),)


async def _terrain(city: City, scope: Scope) -> TerrainTiles:
    """The terrain of what the caller sees, with the newest changes taken in."""
    tiles = await tiles_of(city, scope)
    if not (city.catalogue.of(scope[CALLER]).local and tiles.freshness.current()):
        await city.aside(tiles.freshness.update)
    if tiles.terrain is None:
        raise NotFound("this city has no terrain")
    return tiles.terrain


async def _tile(city: City, scope: Scope, send: Send, form: str, at: tuple[str, str, str, str]) -> None:
    respond.query_map(scope, PARAMETERS)
    layer, place = at[0], (whole(at[1]), whole(at[2]), whole(at[3]))
    terrain = await _terrain(city, scope)
    etag = terrain.etag(layer)
    if await answers.fresh(scope, send, etag):
        return
    made = terrain.held(layer, form, place, etag)
    if made is None:
        make_: Callable[..., Tile] = terrain.mesh if form == "mesh" else terrain.picture
        made = await city.aside(make_, layer, *place)
    await deliver(scope, send, made, MESH if form == "mesh" else PNG)


def _links(context: Context, layer: Layer) -> list[Link]:
    if layer.form != "surface":
        return []
    here, say = f"{context.root}/terrain/{layer.id}", context.say
    return [
        link(
            "terrain", f"{here}/layer.json", JSON, say("Terrain as quantized mesh", "地形（quantized-mesh）")
        ),
        link("tilejson", f"{here}.json", JSON, say("Terrain-RGB, TileJSON", "地形（Terrain-RGB，TileJSON）")),
        link(
            "xyz",
            f"{here}/{{z}}/{{x}}/{{y}}.png",
            PNG,
            say("Terrain-RGB, z/x/y", "地形（z/x/y）"),
            templated=True,
        ),
    ]


def _layer(context: Context) -> dict[str, Any]:
    known = [layer.id for layer in context.view.layers() if layer.form == "surface"]
    return path_parameter("layer", {"type": "string", **({"enum": known} if known else {})}, "A surface's id")


def _describe_layer(context: Context) -> dict[str, Any]:
    summary = context.say("Where the tiles of a terrain are", "地形瓦片的范围")
    parameters = [_layer(context), version_parameter()]
    return {"get": get("terrain.layer", "terrain", summary, ok(summary, {JSON: "document"}), parameters)}


def _describe_tilejson(context: Context) -> dict[str, Any]:
    summary = context.say("TileJSON 3.0 of the terrain-RGB tiles", "Terrain-RGB 瓦片的 TileJSON 3.0")
    parameters = [_layer(context), version_parameter()]
    return {"get": get("terrain.tilejson", "terrain", summary, ok(summary, {JSON: "document"}), parameters)}


def _describe_mesh(context: Context) -> dict[str, Any]:
    summary = context.say(
        "A tile of terrain as quantized mesh 1.0, rows from the south",
        "一个地形瓦片（quantized-mesh 1.0，行号自南起）",
    )
    parameters = [_layer(context), *tile_place(DEEPEST[1] + 1, from_south=True), version_parameter()]
    return {"get": get("terrain.mesh", "terrain", summary, ok(summary, {MESH: BINARY}), parameters)}


def _describe_picture(context: Context) -> dict[str, Any]:
    summary = context.say("A tile of heights as terrain-RGB", "一个高程瓦片（Terrain-RGB）")
    parameters = [_layer(context), *tile_place(DEEPEST[1]), version_parameter()]
    return {"get": get("terrain.picture", "terrain", summary, ok(summary, {PNG: BINARY}), parameters)}
