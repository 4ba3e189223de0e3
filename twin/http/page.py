"""The page: ``/``, its built files, and ``/config.json``.

Only files found under ``twin/web/static`` at start are served, by exact path: no path from a
request ever reaches the file system.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from layers.errors import NotFound, Unavailable, shown
from layers.parameters import AT
from twin.access.caller import CALLER
from twin.access.rights import ALL
from twin.http import answers, page_config, past, respond
from twin.http.context import Context
from twin.http.formats import JSON
from twin.http.openapi_parts import get, ok
from twin.http.room import Room, Route, Site

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City
    from twin.http.respond import Headers, Receive, Scope, Send

STATIC = Path(__file__).parent.parent / "web" / "static"
TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".glb": b"model/gltf-binary",
    ".html": b"text/html; charset=utf-8",
    ".jpg": b"image/jpeg",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".ktx2": b"image/ktx2",
    ".mjs": b"text/javascript; charset=utf-8",
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
    ".wasm": b"application/wasm",
    ".xml": b"application/xml",
}
#: The page at ``/`` is another thing for a client of the API.
_VARY = answers.VARY
#: The engine decodes in workers and styles through the CSSOM; everything comes from this server.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self' blob:",
        "connect-src 'self' blob:",
        "img-src 'self' data: blob:",
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'self'",
        "frame-ancestors 'self'",
    )
).encode("ascii")
GUARDS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY),
    (b"referrer-policy", b"same-origin"),
)
NOT_BUILT = b"""\
The page of this checkout is not built. In the project folder run

    make env

and reload. The interfaces answer meanwhile: /ogc, /tiles, /3dtiles, /sta/v1.1, /incidents.
"""


@dataclass(frozen=True, slots=True)
class PageFile:
    """One built file and, where it is worth it, its gzip sibling."""

    path: Path
    media: bytes
    packed: Path | None


def assets(static: Path) -> dict[str, PageFile]:
    """URL path → file. Symbolic links are not followed."""
    by_path: dict[str, PageFile] = {}
    for path in static.rglob("*"):
        if path.suffix == ".gz" or path.is_symlink() or not path.is_file():
            continue
        packed = path.with_name(path.name + ".gz")
        by_path["/" + path.relative_to(static).as_posix()] = PageFile(
            path, TYPES.get(path.suffix, b"application/octet-stream"), packed if packed.is_file() else None
        )
    return by_path


def make(site: Site) -> Sequence[Room]:
    """The page, its files and its document: every path that belongs to no other room."""
    page = MapPage(site.city, STATIC)
    routes = (
        Route("/", {"GET": page.landing}),
        Route("/config.json", {"GET": page.config}, _describe),
        Route("/models.json", {"GET": page.models}, _describe_models, past="fresh"),
        Route("/{file...}", {"GET": page.file}, allow=page.allowed),
    )
    return (Room("page", ("The page", "页面"), routes),)


def _describe(context: Context) -> dict[str, Any]:
    summary = context.say("What the page must know of the city", "页面所需的城市信息")
    return {"get": get("page.config", "page", summary, ok(summary, {JSON: "document"}), [])}


def _describe_models(context: Context) -> dict[str, Any]:
    summary = context.say("The storeys and categories of building models", "建筑模型的楼层与构件类别")
    return {"get": get("page.models", "page", summary, ok(summary, {JSON: "document"}), [])}


class MapPage:
    """Serves the built page of a city."""

    def __init__(self, city: City, static: Path) -> None:
        self._city = city
        self._static = static
        self._assets: dict[str, PageFile] = {}
        self._built = 0
        self._config_bodies: dict[str, bytes] = {}
        if not city.catalogue.whole.local:
            # a database may be lost before anybody asks
            with contextlib.suppress(Unavailable):
                self._config_bodies[ALL] = orjson.dumps(page_config.document(city, city.catalogue.whole))
        self._look()

    def _look(self) -> None:
        """Find the files again when the page was built since: a server need not be restarted for it."""
        try:
            built = (self._static / "index.html").stat().st_mtime_ns
        except FileNotFoundError:
            return
        if built != self._built:
            self._assets = assets(self._static)
            self._built = built

    async def landing(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page, or for a client of the API its landing page."""
        if wants_json(scope):
            location = f"{respond.base_url(self._city, scope)}/ogc"
            await answers.send(send, 303, b"", [(b"location", location.encode("latin-1")), _VARY])
            return
        self._look()
        if "/index.html" not in self._assets:
            text = (b"content-type", b"text/plain; charset=utf-8")
            await answers.give(scope, send, (NOT_BUILT,), [text, _VARY], 503)
            return
        await self._asset(scope, send, "/index.html")

    async def config(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``/config.json``."""
        respond.query_map(scope, ())
        await self._give(scope, send, await self._document(self._city.catalogue.of(scope[CALLER])))

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``/models.json``, also of a moment."""
        view = past.view(self._city, scope)
        respond.query_map(scope, () if view.moment is None else (AT.name,))
        await self._give(scope, send, orjson.dumps(await self._city.aside(page_config.models, view)))

    async def _give(self, scope: Scope, send: Send, body: bytes) -> None:
        etag = f'"{zlib.crc32(body):08x}"'
        if not await answers.fresh(scope, send, etag):
            headers = [answers.JSON, answers.VARY_CODING, (b"etag", etag.encode("ascii"))]
            await answers.give(scope, send, (body,), headers)

    async def file(self, scope: Scope, receive: Receive, send: Send, file: str) -> None:
        """A built file. Raises NotFound."""
        await self._asset(scope, send, f"/{file}")

    async def allowed(self, scope: Scope, file: str) -> Collection[str]:
        """What may be done with a built file. Raises NotFound."""
        if f"/{file}" not in self._assets:
            raise _nothing_at(scope["path"])
        return ("GET",)

    async def _document(self, view: View) -> bytes:
        """``/config.json``; while the store cannot be read, as it was last, or without a layer: sensors and
        incidents do not need the store, so the page must open without it."""
        try:
            document = await self._city.aside(page_config.document, self._city, view)
        except Unavailable as error:
            if view.rights not in self._config_bodies:
                return orjson.dumps(page_config.without_features(self._city, str(error)))
        else:
            self._config_bodies[view.rights] = orjson.dumps(document)
        return self._config_bodies[view.rights]

    async def _asset(self, scope: Scope, send: Send, path: str) -> None:
        asset = self._assets.get(path)
        if asset is None:
            raise _nothing_at(scope["path"])
        packed = asset.packed if respond.accepts_gzip(scope) else None
        try:
            body = await self._city.run((packed or asset.path).read_bytes)
        except FileNotFoundError as error:
            raise NotFound("the page was rebuilt: reload it") from error
        headers: Headers = [(b"content-type", asset.media)]
        if packed:
            headers.append((b"content-encoding", b"gzip"))
        if path.startswith("/assets/"):
            headers += [answers.forever(shared=True), *([answers.VARY_CODING] if asset.packed else [])]
        else:
            # a file whose name stays when its content changes: the browser asks each time
            etag = f'"{zlib.crc32(body):08x}"'
            if await answers.fresh(scope, send, etag, _VARY):
                return
            headers += [answers.FRESH, _VARY, *GUARDS, (b"etag", etag.encode("ascii"))]
        await answers.exactly(scope, send, body, headers)


def _nothing_at(path: str) -> NotFound:
    return NotFound(f"there is nothing at {shown(path)}")


def wants_json(scope: Scope) -> bool:
    """``f=json``, or an Accept header that names JSON and not HTML (OGC clients open the root)."""
    f = dict(respond.query_pairs(scope)).get("f")
    if f is not None:
        return f in ("json", "application/json")
    accept = (respond.header(scope, b"accept") or "").lower()
    return "json" in accept and "text/html" not in accept
