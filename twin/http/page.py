"""The page: ``/``, its built files, and ``/config.json``.

Only files found under ``twin/web/static`` at start are served, by exact path: no path from a
request ever reaches the file system.
"""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from isal import igzip

from layers.errors import NotFound, Unavailable, shown
from twin.access.caller import CALLER
from twin.access.rights import ALL
from twin.http import page_config, respond
from twin.http.errors import WrongMethod

if TYPE_CHECKING:
    from twin.catalogue.view import View
    from twin.city import City
    from twin.http.respond import ASGIApp, Headers, Receive, Scope, Send

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
FOREVER = b"public, max-age=31536000, immutable"
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
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)
NOT_BUILT = b"""\
The page of this checkout is not built. In the project folder run

    make env

and reload. The interfaces answer meanwhile: /ogc, /tiles, /3dtiles, /sta/v1.1, /incidents.
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """One built file and, where it is worth it, its gzip sibling."""

    path: Path
    media: bytes
    packed: Path | None


def assets(static: Path) -> dict[str, Asset]:
    """URL path → file. Symbolic links are not followed."""
    found: dict[str, Asset] = {}
    for path in static.rglob("*"):
        if path.suffix == ".gz" or path.is_symlink() or not path.is_file():
            continue
        packed = path.with_name(path.name + ".gz")
        found["/" + path.relative_to(static).as_posix()] = Asset(
            path, TYPES.get(path.suffix, b"application/octet-stream"), packed if packed.is_file() else None
        )
    return found


def make(city: City, static: Path = STATIC) -> ASGIApp:
    """The ASGI callable for every path that belongs to no other room."""
    return Page(city, static)


class Page:
    """Serves the built page of a city."""

    def __init__(self, city: City, static: Path) -> None:
        self._city = city
        self._static = static
        self._assets: dict[str, Asset] = {}
        self._built = 0
        self._config_bodies: dict[str, bytes] = {}
        if not city.catalogue.whole.local:
            # a database may be lost before anybody asks
            with contextlib.suppress(Unavailable):
                self._config_bodies[ALL] = orjson.dumps(page_config.document(city, city.catalogue.whole))
        self._look()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Raises NotFound, WrongMethod, BadParameter."""
        if scope["method"] not in ("GET", "HEAD"):
            raise WrongMethod(scope["method"], "GET, HEAD")
        path = scope["path"]
        if path == "/":
            await self._landing(scope, send)
        elif path == "/config.json":
            await self._config(scope, send)
        else:
            await self._asset(scope, send, path)

    def _look(self) -> None:
        """Find the files again when the page was built since: a server need not be restarted for it."""
        try:
            built = (self._static / "index.html").stat().st_mtime_ns
        except FileNotFoundError:
            return
        if built != self._built:
            self._assets = assets(self._static)
            self._built = built

    async def _landing(self, scope: Scope, send: Send) -> None:
        if wants_json(scope):
            location = f"{respond.base_url(self._city, scope)}/ogc"
            await respond.send(send, 303, b"", [(b"location", location.encode("latin-1")), *respond.CORS])
            return
        self._look()
        if "/index.html" not in self._assets:
            await _send(scope, send, NOT_BUILT, [(b"content-type", b"text/plain; charset=utf-8")], status=503)
            return
        await self._asset(scope, send, "/index.html")

    async def _config(self, scope: Scope, send: Send) -> None:
        respond.query_map(scope, ())
        body = await self._document(self._city.catalogue.of(scope[CALLER]))
        etag = f'"{zlib.crc32(body):08x}"'
        headers: Headers = [(b"cache-control", b"no-cache"), *respond.CORS]
        if respond.etag_matches(respond.header(scope, b"if-none-match"), etag):
            await respond.not_modified(send, etag, headers)
            return
        headers += [(b"content-type", b"application/json"), (b"vary", b"accept-encoding")]
        headers.append((b"etag", etag.encode("ascii")))
        if respond.accepts_gzip(scope):
            body = igzip.compress(body, 1)
            headers.append((b"content-encoding", b"gzip"))
        await _send(scope, send, body, headers)

    async def _document(self, view: View) -> bytes:
        """``/config.json``; while the store cannot be read, as it was last: sensors and incidents do not
        need the store, so the page must open without it."""
        try:
            document = await self._city.aside(page_config.document, self._city, view)
        except Unavailable:
            if view.rights not in self._config_bodies:
                raise
        else:
            self._config_bodies[view.rights] = orjson.dumps(document)
        return self._config_bodies[view.rights]

    async def _asset(self, scope: Scope, send: Send, path: str) -> None:
        asset = self._assets.get(path)
        if asset is None:
            raise NotFound(f"there is nothing at {shown(path)}")
        packed = asset.packed if respond.accepts_gzip(scope) else None
        try:
            body = await self._city.run((packed or asset.path).read_bytes)
        except FileNotFoundError as error:
            raise NotFound("the page was rebuilt: reload it") from error
        headers: Headers = [(b"content-type", asset.media), (b"x-content-type-options", b"nosniff")]
        if asset.packed:
            headers.append((b"vary", b"accept-encoding"))
        if packed:
            headers.append((b"content-encoding", b"gzip"))
        if not path.startswith("/assets/"):
            await self._revalidated(scope, send, body, headers)
            return
        await _send(scope, send, body, [*headers, (b"cache-control", FOREVER)])

    async def _revalidated(self, scope: Scope, send: Send, body: bytes, headers: Headers) -> None:
        """A file whose name stays when its content changes: the browser asks each time."""
        etag = f'"{zlib.crc32(body):08x}"'
        kept = [(b"cache-control", b"no-cache"), (b"vary", b"accept, accept-encoding"), *GUARDS]
        if respond.etag_matches(respond.header(scope, b"if-none-match"), etag):
            await respond.not_modified(send, etag, kept)
            return
        own = [pair for pair in headers if pair[0] not in (b"vary", b"x-content-type-options")]
        await _send(scope, send, body, [*own, *kept, (b"etag", etag.encode("ascii"))])


async def _send(scope: Scope, send: Send, body: bytes, headers: Headers, status: int = 200) -> None:
    """The answer; HEAD gets its headers alone."""
    start = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def wants_json(scope: Scope) -> bool:
    """``f=json``, or an Accept header that names JSON and not HTML (OGC clients open the root)."""
    f = dict(respond.query_pairs(scope)).get("f")
    if f is not None:
        return f in ("json", "application/json")
    accept = (respond.header(scope, b"accept") or "").lower()
    return "json" in accept and "text/html" not in accept
