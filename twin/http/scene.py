"""3D Tiles 1.1: ``/3dtiles/{id}/tileset.json``, ``/3dtiles/{id}/{z}/{x}/{y}.glb``, and the images on the
bodies of these, ``/3dtiles/{id}/textures/{sha}.jpg`` (or ``.png``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import orjson

from layers import kinds
from layers.errors import BadParameter, NotFound, shown
from layers.model import has_features
from layers.textures import EXTENSIONS, extension
from tiles.cache import Cache
from tiles.made import Form, Tile, document
from tiles.scene.implicit import Implicit, implicit, place
from tiles.scene.tree import FAR_ZOOM, SPLIT
from tiles.scheme import MAX_ZOOM
from tiles.service import Bounds, Tiles
from twin.access.rights import EVERYBODY
from twin.hits import Named, state
from twin.http import answers, past, respond
from twin.http.context import Context, Link, link
from twin.http.formats import GEOJSON
from twin.http.learning import heard
from twin.http.openapi_parts import BINARY, get, ok, path_parameter, query_parameter, tile_place
from twin.http.registered import Registered, is_scene
from twin.http.respond import Receive, Scope, Send
from twin.http.room import Paths, Room, Route, Site
from twin.http.tiles import JSON, OF_FEATURES, deliver, tiles_of, version, version_parameter, whole

if TYPE_CHECKING:
    from layers.model import Layer
    from twin.city import City

GLB = "model/gltf-binary"
BOUNDS: tuple[Bounds, ...] = get_args(Bounds.__value__)
INSTANCING = ("none", "gpu")
COMPRESSION = ("none", "meshopt")
#: Parameters of the tilesets and nodes of features.
_PARAMETERS = OF_FEATURES | {"bounds", "instancing", "compression"}
#: Features that the list of a block's members names.
MOST_MEMBERS = 10_000
#: As 3D GeoVolumes servers name a tileset; clients choose the link by it.
TILESET = "application/json+3dtiles"
SUBTREE = "application/octet-stream"
#: Bytes of implicit views that are kept.
_IMPLICIT_BYTES = 32 << 20
_IMPLICIT = "/3dtiles/{layer}/implicit/"
_FILES = "/3dtiles/{layer}/sets/{number}"
REL = "http://www.opengis.net/def/rel/ogc/0.0/tileset-3dtiles"


def make(site: Site) -> Sequence[Room]:
    """The routes of the 3D tiles."""
    scene = _Scene(site.city)
    images = (
        Route(
            f"/3dtiles/{{layer}}/textures/{{sha}}.{ending}",
            {"GET": partial(scene.texture, media_type)},
            partial(_describe_texture, media_type),
            past="fresh",
        )
        for media_type, ending in EXTENSIONS.items()
    )
    routes = (
        Route("/3dtiles/{layer}/tileset.json", {"GET": scene.tileset}, _describe_tileset, past="fresh"),
        Route("/3dtiles/{layer}/{z}/{x}/{y}.glb", {"GET": scene.node}, _describe_node, past="fresh"),
        Route(
            "/3dtiles/{layer}/blocks/{z}/{x}/{y}.glb", {"GET": scene.blocks}, _describe_blocks, past="fresh"
        ),
        Route(
            "/3dtiles/{layer}/members/{z}/{x}/{y}.json",
            {"GET": scene.members},
            _describe_members,
            past="fresh",
        ),
        *images,
        *_implicit_routes(scene),
        Route(_FILES + "/{path...}", {"GET": scene.registered.file}, describe_all=_describe_files),
        Route("/3dtiles/{layer}/areas.json", {"GET": scene.registered.areas}, _describe_areas),
    )
    return (
        Room(
            "3dtiles",
            ("3D Tiles 1.1", "三维瓦片（3D Tiles 1.1）"),
            routes,
            _landing_links,
            collection=_collection_links,
        ),
    )


#: The ETag of a file, the same where it is known without a look at features, the file in memory, and made.
type _Made = tuple[
    Callable[..., str], Callable[..., str | None] | None, Callable[..., Tile | None], Callable[..., Tile]
]
type _Maker = Callable[[Tiles], _Made]


def _bodies_of(tiles: Tiles) -> _Made:
    return tiles.glb_etag, tiles.glb_etag_known, tiles.glb_held, tiles.glb


def _blocks_of(tiles: Tiles) -> _Made:
    return tiles.far.etag, None, tiles.far.held, tiles.far.tile


def _implicit_routes(scene: _Scene) -> Iterable[Route]:
    """The same tree as implicit tiling, and its contents at the places that its templates name."""
    yield Route(_IMPLICIT + "tileset.json", {"GET": scene.implicit}, _describe_implicit, past="fresh")
    for path, answer, describe in (
        ("{set}/{level}/{x}/{y}.subtree", scene.subtree, _describe_subtree),
        ("{level}/{x}/{y}.glb", partial(scene.placed, _bodies_of), _describe_placed),
        ("blocks/{level}/{x}/{y}.glb", partial(scene.placed, _blocks_of), _describe_placed_blocks),
    ):
        yield Route(_IMPLICIT + "{rz}/{rx}/{ry}/" + path, {"GET": answer}, describe, past="fresh")
    for media_type, ending in EXTENSIONS.items():
        yield Route(
            f"{_IMPLICIT}{{rz}}/{{rx}}/{{ry}}/textures/{{sha}}.{ending}",
            {"GET": partial(scene.placed_texture, media_type)},
            partial(_describe_placed_texture, media_type),
            past="fresh",
        )


class _Scene:
    """What the routes answer."""

    def __init__(self, city: City) -> None:
        self._city = city
        self.registered = Registered(city)
        self._implicit: Cache[Implicit] = Cache(_IMPLICIT_BYTES)

    async def tileset(self, scope: Scope, receive: Receive, send: Send, layer: str) -> None:
        if (record := await self.registered.find(scope, layer)) is not None:
            await self.registered.tileset(scope, send, record)
            return
        bounds, _ = _wanted(scope)
        tiles = await tiles_of(self._city, scope)
        await deliver(scope, send, await self._city.aside(tiles.tileset, layer, bounds), JSON)

    async def implicit(self, scope: Scope, receive: Receive, send: Send, layer: str) -> None:
        _wanted(scope)
        tiles = await tiles_of(self._city, scope)
        made = await self._city.aside(self._implicit_of, tiles, layer)
        await deliver(scope, send, document(made.document, tiles.freshness.epoch), JSON)

    async def subtree(self, scope: Scope, receive: Receive, send: Send, layer: str, *at: str) -> None:
        _wanted(scope)
        tiles = await tiles_of(self._city, scope)
        made = await self._city.aside(self._implicit_of, tiles, layer)
        found = made.subtrees.get("/".join(at) + ".subtree")
        if found is None:
            raise NotFound(f"layer {shown(layer)!r} has no such subtree")
        await deliver(scope, send, document(found, tiles.freshness.epoch), SUBTREE)

    def _implicit_of(self, tiles: Tiles, layer: str) -> Implicit:
        explicit = tiles.tileset(layer)
        return self._implicit.make((layer, explicit.etag), lambda: implicit(orjson.loads(explicit.plain())))

    async def placed(
        self, of: _Maker, scope: Scope, receive: Receive, send: Send, layer: str, *at: str
    ) -> None:
        """What lies at a place of an implicit quadtree."""
        rz, rx, ry, level, x, y = map(whole, at)
        if rz + level > MAX_ZOOM:
            raise NotFound(f"layer {shown(layer)!r} has no such level")
        await self._made(scope, send, of, layer, *map(str, place((rz, rx, ry), level, x, y)))

    async def placed_texture(
        self, media_type: str, scope: Scope, receive: Receive, send: Send, layer: str, *at: str
    ) -> None:
        await self.texture(media_type, scope, receive, send, layer, at[-1])

    async def node(
        self, scope: Scope, receive: Receive, send: Send, layer: str, z: str, x: str, y: str
    ) -> None:
        await self._made(scope, send, _bodies_of, layer, z, x, y)

    async def blocks(
        self, scope: Scope, receive: Receive, send: Send, layer: str, z: str, x: str, y: str
    ) -> None:
        await self._made(scope, send, _blocks_of, layer, z, x, y)

    async def _made(self, scope: Scope, send: Send, of: _Maker, layer: str, z: str, x: str, y: str) -> None:
        """A file that a maker of a view has or makes."""
        _, form = _wanted(scope)
        at = layer, whole(z), whole(x), whole(y), form
        view = past.view(self._city, scope)
        tiles = view.tiles
        if tiles is None:
            tiles = await self._city.aside(view.make_tiles)
        tell, known, held, make_ = of(tiles)
        before, ground = state(tiles), tiles.ground_key
        etag = await version(self._city, view.present.local, tiles, tell, *at, known=known)
        if view.present.local:
            here = partial(held, *at[:4], etag)
            send = heard(self._city, scope, send, Named(tiles, before, etag, here, ground))
        if await answers.fresh(scope, send, etag):
            return
        made = held(*at[:4], etag)
        if made is None:
            made = await self._city.aside(make_, *at)
        await deliver(scope, send, made, GLB)

    async def members(
        self, scope: Scope, receive: Receive, send: Send, layer: str, z: str, x: str, y: str
    ) -> None:
        given = respond.query_map(scope, _PARAMETERS | {"above"})
        tiles = await tiles_of(self._city, scope)
        above = given.get("above")
        if above not in (None, "0", "1"):
            raise BadParameter("above", above, "0 or 1")
        at = layer, whole(z), whole(x), whole(y), None if above is None else above == "1"
        found = await self._city.aside(tiles.far.members, *at)
        items = f"{respond.base_url(self._city, scope)}/ogc/collections/{layer}/items"
        # CQL2 knows cells, but not what stands out of one
        all_of = (
            f"{items}?filter=middle_in_tile({z},{x},{y})&filter-lang=cql2-text{tiles.query.replace('?', '&')}"
        )
        first = list(zip(found.fids.tolist(), found.heights.tolist(), strict=True))[:MOST_MEMBERS]
        listed = {
            "layer": layer,
            "numberMatched": len(found.fids),
            "numberReturned": len(first),
            "height": found.height,
            "links": [{"rel": "items", "href": all_of, "type": GEOJSON}] if found.alone else [],
            "features": [
                {
                    "id": fid,
                    "height": height,
                    "links": [{"rel": "item", "href": f"{items}/{fid}{tiles.query}", "type": GEOJSON}],
                }
                for fid, height in first
            ],
        }
        await deliver(scope, send, document(orjson.dumps(listed), tiles.freshness.epoch), JSON)

    async def texture(
        self, media_type: str, scope: Scope, receive: Receive, send: Send, layer: str, sha: str
    ) -> None:
        _wanted(scope)
        found = await self._city.read(past.view(self._city, scope).texture, layer, sha)
        if found.media_type != media_type:
            raise NotFound(f"layer {shown(layer)} has no such texture of the type {media_type}")
        etag = f'"{found.sha}"'
        # its name is what it holds, so it is never another one; who may see it can be
        shared = self._city.catalogue.rights is EVERYBODY
        if await answers.fresh(scope, send, etag, keep=answers.forever(shared=shared)):
            return
        headers = [
            (b"content-type", media_type.encode()),
            (b"etag", etag.encode()),
            answers.forever(shared=shared),
            answers.VARY_CODING,
            *([] if shared else [past.WHO]),
        ]
        await answers.exactly(scope, send, found.data, headers)


def _collection_links(context: Context, layer: Layer) -> list[Link]:
    if not (is_scene(layer) or (has_features(layer) and kinds.known(layer.kind).body is not None)):
        return []
    href = f"{context.root}/3dtiles/{layer.id}/tileset.json"
    links = [link(REL, href, TILESET, context.say("3D Tiles", "三维瓦片"))]
    if not is_scene(layer):
        said = context.say("3D Tiles, implicit tiling", "三维瓦片（隐式切片）")
        links.append(
            link("alternate", f"{context.root}/3dtiles/{layer.id}/implicit/tileset.json", TILESET, said)
        )
    return links


def _wanted(scope: Scope) -> tuple[Bounds, Form]:
    """How the boxes of a tileset are to be, and the bodies of its nodes. Clients hand its parameters on to
    the nodes, where those of boxes say nothing. Raises BadParameter."""
    if not scope["query_string"]:
        return BOUNDS[0], "none"
    given = respond.query_map(scope, _PARAMETERS)
    at_places = _one_of(given, "instancing", INSTANCING) == "gpu"
    packed = _one_of(given, "compression", COMPRESSION) == "meshopt"
    form: Form = "both" if at_places and packed else "gpu" if at_places else "meshopt" if packed else "none"
    return _one_of(given, "bounds", BOUNDS), form


def _one_of[T: str](given: Mapping[str, str], name: str, known: Sequence[T]) -> T:
    """The value of a parameter, the first one where it is not given. Raises BadParameter."""
    wanted = given.get(name, known[0])
    for one in known:
        if one == wanted:
            return one
    raise BadParameter(name, wanted, "one of " + ", ".join(known))


def _forms() -> list[dict[str, Any]]:
    bounds = (
        "How the boxes of the tree are: as its content is, or with room above and below, and cells that are"
        " empty, for a page that exchanges single nodes of the tree that it holds"
    )
    instancing = (
        "Whether bodies that are the same but for their place (doors, furniture, trees) are held once for a"
        " client that draws them there: EXT_mesh_gpu_instancing and EXT_instance_features, which CesiumJS and"
        " three.js read. Clients hand it on to the nodes"
    )
    compression = (
        "Whether the vertices of extruded bodies and tubes are in few bytes: EXT_meshopt_compression and"
        " KHR_mesh_quantization, which CesiumJS and three.js read. Clients hand it on to the nodes"
    )
    return [
        query_parameter(name, {"type": "string", "enum": list(known), "default": known[0]}, description)
        for name, known, description in (
            ("bounds", BOUNDS, bounds),
            ("instancing", INSTANCING, instancing),
            ("compression", COMPRESSION, compression),
        )
    ]


def _landing_links(context: Context) -> list[Link]:
    """Of every layer that has bodies: a map of the city in 3D is made of these."""
    return [
        one | {"type": JSON, "title": f"{one['title']}: {context.title(layer)}"}
        for layer in context.view.layers()
        for one in _collection_links(context, layer)
    ]


def _layer(context: Context) -> dict[str, Any]:
    layers = context.view.layers()
    return _named([layer.id for layer in layers if _collection_links(context, layer)])


def _bodies(context: Context) -> dict[str, Any]:
    """Of those layers whose tiles are made of features."""
    layers = context.view.feature_layers()
    return _named([layer.id for layer in layers if kinds.known(layer.kind).body is not None])


def _scenes(context: Context) -> dict[str, Any]:
    return _named([layer.id for layer in context.view.layers() if is_scene(layer)])


def _named(known: list[str]) -> dict[str, Any]:
    return path_parameter("layer", {"type": "string", **({"enum": known} if known else {})}, "A layer's id")


def _describe_tileset(context: Context) -> dict[str, Any]:
    summary = context.say("The tileset of a layer", "图层的瓦片集")
    parameters = [_layer(context), *_forms(), version_parameter()]
    return {"get": get("3dtiles.tileset", "3dtiles", summary, ok(summary, {JSON: "document"}), parameters)}


def _describe_implicit(context: Context) -> dict[str, Any]:
    summary = context.say("The tileset of a layer as implicit tiling", "图层的隐式切片瓦片集")
    parameters = [_bodies(context), *_forms(), version_parameter()]
    return {"get": get("3dtiles.implicit", "3dtiles", summary, ok(summary, {JSON: "document"}), parameters)}


def _describe_subtree(context: Context) -> dict[str, Any]:
    summary = context.say("Which tiles a quadtree has", "四叉树中有哪些瓦片")
    number = path_parameter("set", {"type": "integer", "minimum": 0}, "Which of the trees of a root")
    return _described(context, "subtree", summary, SUBTREE, [number, *_in_quadtree()])


def _describe_placed(context: Context) -> dict[str, Any]:
    summary = context.say("The bodies of one tile of a quadtree", "四叉树一个瓦片的实体")
    return _described(context, "implicit.node", summary, GLB, _in_quadtree())


def _describe_placed_blocks(context: Context) -> dict[str, Any]:
    summary = context.say("The blocks of one tile of a quadtree", "四叉树一个瓦片的体块")
    return _described(context, "implicit.blocks", summary, GLB, _in_quadtree())


def _describe_placed_texture(media_type: str, context: Context) -> dict[str, Any]:
    summary = context.say("An image on the bodies of a layer", "图层实体的纹理图像")
    name = path_parameter("sha", {"type": "string", "pattern": "^[0-9a-f]{64}$"}, "The SHA-256 of the image")
    return _described(context, f"implicit.texture.{extension(media_type)}", summary, media_type, [name])


def _described(
    context: Context, name: str, summary: str, media: str, more: list[dict[str, Any]]
) -> dict[str, Any]:
    """What is below the root of a quadtree."""
    whole_ = {"type": "integer", "minimum": 0}
    root = [
        path_parameter(key, whole_, f"{said} of the root of a quadtree, as the document names it")
        for key, said in (("rz", "Zoom"), ("rx", "Column"), ("ry", "Row"))
    ]
    parameters = [_bodies(context), *root, *more, *_forms(), version_parameter()]
    return {"get": get(f"3dtiles.{name}", "3dtiles", summary, ok(summary, {media: BINARY}), parameters)}


def _in_quadtree() -> list[dict[str, Any]]:
    known = (("level", "Levels below the root"), ("x", "Column, from the west"), ("y", "Row, from the south"))
    return [path_parameter(key, {"type": "integer", "minimum": 0}, said) for key, said in known]


def _describe_node(context: Context) -> dict[str, Any]:
    summary = context.say("The bodies of one tile as binary glTF 2.0", "一个瓦片的实体（glTF 2.0）")
    parameters = [_bodies(context), *tile_place(MAX_ZOOM), *_forms(), version_parameter()]
    operation = get("3dtiles.node", "3dtiles", summary, ok(summary, {GLB: BINARY}), parameters)
    return {"get": operation}


def _describe_blocks(context: Context) -> dict[str, Any]:
    summary = context.say("Blocks that stand for the bodies of a tile far away", "代表远处瓦片实体的体块")
    parameters = [_bodies(context), *tile_place(FAR_ZOOM), *_forms(), version_parameter()]
    operation = get("3dtiles.blocks", "3dtiles", summary, ok(summary, {GLB: BINARY}), parameters)
    return {"get": operation}


def _describe_members(context: Context) -> dict[str, Any]:
    summary = context.say("The features for which the blocks of a cell stand", "单元体块所代表的要素")
    said = "Of what stands above the others by itself (1), or of the others (0), as a block names it"
    above = query_parameter("above", {"type": "integer", "enum": [0, 1]}, said)
    parameters = [_bodies(context), *tile_place(FAR_ZOOM + SPLIT), above, *_forms(), version_parameter()]
    operation = get("3dtiles.members", "3dtiles", summary, ok(summary, {JSON: "document"}), parameters)
    return {"get": operation}


def _describe_texture(media_type: str, context: Context) -> dict[str, Any]:
    summary = context.say("An image on the bodies of a layer", "图层实体的纹理图像")
    name = path_parameter(
        "sha", {"type": "string", "pattern": "^[0-9a-f]{64}$"}, "The SHA-256 of the image, as nodes name it"
    )
    parameters = [_bodies(context), name, *_forms(), version_parameter()]
    ending = extension(media_type)
    return {
        "get": get(
            f"3dtiles.texture.{ending}", "3dtiles", summary, ok(summary, {media_type: BINARY}), parameters
        )
    }


def _describe_files(context: Context) -> Paths:
    summary = context.say("A file of a registered tileset", "已登记三维瓦片集的一个文件")
    number = path_parameter("number", {"type": "integer", "minimum": 0}, "Which of the layer's tilesets")
    path = path_parameter("path", {"type": "string"}, "As the documents of the tileset name it")
    parameters = [_scenes(context), number, path, version_parameter()]
    content = ok(summary, {"application/octet-stream": BINARY, JSON: "document", GLB: BINARY})
    operation = get("3dtiles.file", "3dtiles", summary, content, parameters)
    return {_FILES + "/{path}": {"get": operation}}


def _describe_areas(context: Context) -> dict[str, Any]:
    summary = context.say("What is cut out of a registered tileset", "从已登记三维瓦片集中裁去的范围")
    parameters = [_scenes(context), version_parameter()]
    return {"get": get("3dtiles.areas", "3dtiles", summary, ok(summary, {GEOJSON: "document"}), parameters)}
