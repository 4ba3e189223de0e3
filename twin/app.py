"""Wiring: the only place that knows every room of the server."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

from layers.errors import BadParameter, Busy, NotAllowed, ReadOnly, TwinError, Unavailable
from layers.model import is_raster
from layers.raster.files import OpenFiles
from layers.store.base import Store
from layers.store.lost import unavailable
from layers.store.open import open_store
from twin import part_status, settings
from twin.access.caller import CALLER, NAMES, Caller, Callers
from twin.access.keys import Keys
from twin.access.rights import ALL, EVERYBODY, Rights
from twin.access.sessions import Sessions
from twin.audit import wiring as auditing
from twin.audit.requests import Requests
from twin.city import City
from twin.columns import Preparing
from twin.hits import Hits
from twin.http import answers, errors, forwarded, respond
from twin.http import past as past_
from twin.http.respond import Headers, Message, Receive, Scope, Send
from twin.http.room import Make, Routes, Site
from twin.live.refresh import Watcher
from twin.overload import Load

log = logging.getLogger("twin")

#: The rooms, as modules with ``make(site) -> Sequence[Room]``.
ROOMS = (
    "twin.http.ogc",
    "twin.http.related",
    "twin.http.model_versions",
    "twin.http.tiles",
    "twin.http.imagery",
    "twin.http.scene",
    "twin.http.terrain",
    "twin.http.stac",
    "twin.http.sensorthings",
    "twin.http.incidents",
    "twin.http.stream",
    "twin.http.feed",
    "twin.http.asyncapi",
    "twin.http.search",
    "twin.http.session",
    "twin.http.jobs",
    "twin.http.health",
    "twin.http.page",
)
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
READS = frozenset({"GET", "HEAD"})
#: In the place of ``no-cache`` where an answer is not everybody's.
_PRIVATE = [(b"cache-control", b"private, no-cache"), (b"vary", b"Authorization, X-Api-Key, Cookie")]
#: Between two attempts to reach a database at start.
RETRY_SECONDS = 0.5
#: Headers that say who is asked and who asks: most requests have but a Host that was found right before.
_TELLING = NAMES | {b"host"}
#: Host headers found right before, so that the check of a repeated one is a look-up.
KNOWN_HOSTS = 100


def open_city(folder: Path, patience: float = 0.0, rights: Rights = EVERYBODY) -> City:
    """Open a city folder; a read-only one serves reading. Raises NotFound, BadConfig, Unavailable.

    A database that does not answer yet is waited for, ``patience`` seconds at most. ``rights`` are the rules
    of what each caller sees."""
    from twin.catalogue import Catalogue
    from twin.incidents import Incidents
    from twin.jobs import Jobs
    from twin.live import Live
    from twin.live.bus import Bus
    from twin.live.feed import Feed
    from twin.webhooks import Webhooks

    conf = settings.load(folder)
    store = _store(folder, conf, patience)
    bus, keys, sessions = Bus(), Keys(folder), Sessions(folder)
    live, files, feed = Live(folder, conf, bus), OpenFiles(), Feed()
    catalogue = Catalogue(store, conf, rights, folder, files)
    callers = Callers(keys, sessions, rights, conf.limits.wrong_keys)
    return City(
        folder=folder,
        settings=conf,
        store=store,
        catalogue=catalogue,
        live=live,
        incidents=Incidents(live.ingest, live.file, bus, ZoneInfo(conf.time_zone)),
        bus=bus,
        feed=feed,
        keys=keys,
        sessions=sessions,
        callers=callers,
        jobs=Jobs(folder, rights),
        audit=auditing.of_server(folder, conf, store),
        webhooks=Webhooks(conf.webhooks, folder, store, feed, catalogue, callers),
        rasters=files,
    )


def _store(folder: Path, conf: settings.CitySettings, patience: float) -> Store:
    database = conf.database()
    end = time.monotonic() + patience
    reported = False
    while True:
        try:
            return open_store(folder, database, crs_also=(conf.crs,), history=conf.retention())
        except Unavailable as error:
            if database is None and not isinstance(error, ReadOnly | Busy):
                # sensors and incidents are none of its data: they are served
                log.error("%s; restart the server then", error)
                return unavailable(str(error))
            if database is None or isinstance(error, ReadOnly) or time.monotonic() > end:
                raise
            if not reported:
                log.warning("waiting up to %.0f s for the database: %s", patience, error)
            reported = True
            time.sleep(RETRY_SECONDS)


def makers() -> list[Make]:
    """What makes the rooms of ``ROOMS``; each is imported here."""
    return [importlib.import_module(module).make for module in ROOMS]


def build(city: City, rooms: Iterable[Make] | None = None) -> Front:
    """The ASGI application of an open city, of all rooms or of those given."""
    site = Site(city)
    for make in makers() if rooms is None else rooms:
        site.rooms.extend(make(site))
    return Front(site)


class Front:
    """Checks who is asked and who asks, finds the route of the request, answers what is raised."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._city = site.city
        self._find = Routes(site.rooms).find
        self._hosts = site.city.hosts
        self._known: set[tuple[bytes, bytes]] = set()
        self._watcher = Watcher(site.city)
        self._preparing = Preparing(site.city)
        self._load = site.city.load
        self._callers = site.city.callers
        self._told = Requests(site.city.audit)

    @property
    def load(self) -> Load:
        """What waits in this server."""
        return self._load

    @property
    def hits(self) -> Hits:
        """What need not be asked here again."""
        return self._city.hits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        self._load.begin()
        try:
            telling = [pair for pair in scope["headers"] if pair[0] in _TELLING]
            if len(telling) == 1 and telling[0] in self._known:
                caller = self._callers.anonymous
            else:
                self._check_host(scope)
                caller = self._callers.of(scope)
            scope[CALLER], scope[answers.BESIDE] = caller, self._city.run
            writes = scope["method"] not in SAFE
            if writes:
                self._check_origin(scope, caller)
            elif caller.problem is not None and self._told.on:
                self._told.unknown_key(caller, respond.client(self._city, scope), scope)
            if caller.rights != ALL:
                send = _private(send)
            target, values = self._find(scope["path"])
            handler = target.handlers.get(scope["method"])
            if handler is None:
                await target.other(scope, send, values)
            else:
                past = target.route.past
                if past is not None and _may_name(scope["query_string"]) and scope["method"] in READS:
                    send = await past_.enter(self._city, scope, send, past)
                if writes and self._told.on and target.route.told(scope["path"]):
                    send = self._told.done(send, respond.client(self._city, scope), scope)
                await handler(scope, receive, send, *values)
        except TwinError as error:
            answer = errors.problem(error)
            if scope["method"] not in SAFE and self._told.on:
                self._told.refused(respond.client(self._city, scope), scope, answer[0], error.code)
            self._load.refused[answer[0]] += 1
            await _answer(send, answer)
        except asyncio.CancelledError:
            if not self._city.bus.closed.is_set():
                raise
            # the server stops and has waited for as long as it says
            await _answer(send, errors.problem(Unavailable("the server is stopping; try again soon")))
        except Exception:
            log.exception("unexpected error on %s %s", scope["method"], scope["path"])
            if scope["method"] not in SAFE and self._told.on:
                self._told.refused(respond.client(self._city, scope), scope, 500, "ServerError")
            body = errors.body(500, "ServerError", "an unexpected error; the server's log has it")
            await _answer(send, (500, [(b"content-type", b"application/problem+json")], body))

    def _check_host(self, scope: Scope) -> None:
        """DNS rebinding makes a foreign page same-origin with a loopback server: the Host tells."""
        sent = [pair for pair in scope["headers"] if pair[0] == b"host"]
        if len(sent) > 1:
            hosts = ", ".join(value.decode("latin-1") for _, value in sent)
            raise BadParameter("Host", hosts, "given more than once (RFC 9112, section 3.2)")
        if not sent:
            if scope["http_version"] == "1.1":
                raise BadParameter("Host", "", "a request of HTTP/1.1 names its host (RFC 9112, section 3.2)")
            return
        if sent[0] in self._known:
            return
        if forwarded.host_name(sent[0][1].decode("latin-1")) in self._hosts:
            if len(self._known) < KNOWN_HOSTS:
                self._known.add(sent[0])
            return
        if scope["path"].startswith("/health/"):
            return
        raise NotAllowed("this server does not answer to that Host; add it to allowed_hosts in city.yml")

    def _check_origin(self, scope: Scope, caller: Caller) -> None:
        """A write that a browser sends is taken from our own page alone: scheme, host and port count.

        Programs send no Origin; a browser that sends the cookie of a session does, or says in
        Sec-Fetch-Site where the request comes from (Fetch Metadata, section 2.3)."""
        origin = respond.header(scope, b"origin")
        if origin is None:
            if caller.by_cookie and respond.header(scope, b"sec-fetch-site") != "same-origin":
                raise NotAllowed("a session writes from its own page only: the request has no Origin")
        elif respond.given_origin(scope) not in respond.own_origins(self._city, scope):
            raise NotAllowed(
                "writes are taken from this server's own pages only, and that Origin is another; behind a"
                " proxy, set `url` or `trusted_proxies` in city.yml"
            )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        city = self._city
        await receive()
        city.bus.bind(asyncio.get_running_loop())
        city.live.start()
        city.audit.start()
        await city.jobs.recover()
        watching = asyncio.gather(
            self._watcher.run(),
            part_status.watch(city),
            _warm(city),
            city.webhooks.run(),
            self._preparing.run(),
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await city.run(city.webhooks.stop)
        await city.jobs.stop()
        await city.run(city.live.stop)
        await city.run(city.audit.stop)
        self._watcher.close()
        self._preparing.close()
        city.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _warm(city: City) -> None:
    """Get ready to draw, where the city has rasters: GDAL takes a second to be there."""
    with contextlib.suppress(TwinError):
        layers = await city.aside(city.catalogue.whole.layers)
        if rasters := [layer for layer in layers if is_raster(layer)]:
            await city.aside(city.imagery.warm, rasters)


def _may_name(query: bytes) -> bool:
    """Whether a query string may have ``at``: under that name, or written with escapes."""
    return b"at=" in query or b"%" in query


def _private(send: Send) -> Send:
    """The answers to one who does not see all are kept by no cache that others share."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message["headers"] if pair != (b"cache-control", b"no-cache")]
            if len(headers) < len(message["headers"]):
                message = {**message, "headers": [*headers, *_PRIVATE]}
        await send(message)

    return wrapped


async def _answer(send: Send, answer: tuple[int, Headers, bytes]) -> None:
    status, headers, body = answer
    try:
        await answers.send(send, status, body, headers)
    except RuntimeError:
        # the room had begun its answer: the connection must be cut, not completed
        log.warning("an answer that had begun could not be completed")
        raise
