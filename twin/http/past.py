"""Reading at an instant: the parameter ``at``, and what the answers to it have in common (RFC 7089).

A route that declares ``past`` is handed a request whose view is that of the moment; see :func:`view` (one of
``live`` things makes it of the instant: :func:`then`, :func:`show`). Its
answer says of when it is, leads to the resource as it is now, and, where it is made of the rows of the store
alone, is the same for ever. What also speaks with settings, titles or files of terrain is asked for again:
those may change under what was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import format_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote_plus

from layers.errors import BadParameter
from layers.instants import moment as parsed
from layers.parameters import AT
from twin.access.caller import CALLER, NAMES
from twin.access.rights import ALL, EVERYBODY
from twin.http import answers, respond
from twin.http.context import Context
from twin.http.respond import Headers, Message, Scope, Send
from twin.live import clock

if TYPE_CHECKING:
    from layers.model import Moment
    from twin.catalogue.view import View
    from twin.city import City
    from twin.http.room import Past, Route

#: In a scope: the view of the moment that is asked for.
_VIEW = "twin.past"
#: In a scope: the instant (ms) that is asked for of what is no part of the store.
_INSTANT = "twin.past.instant"
_NAME = f"{AT.name}="
_NAMED = _NAME.encode()
#: ``at`` alone, in characters that a link can repeat.
_ALONE = re.compile(_NAMED + rb"(?:[A-Za-z0-9@:.-]|%[0-9A-Fa-f]{2})+")
#: What an answer is chosen by where not everybody sees all.
WHO = (b"vary", b", ".join(name.title() for name in sorted(NAMES)))
#: Statuses of answers that are of the moment.
_OF_IT = frozenset({200, 204, 206, 304})


def view(city: City, scope: Scope) -> View:
    """What the caller sees: as it is, or as it was at the moment that the request names."""
    past = cast("View | None", scope.get(_VIEW))
    return city.catalogue.of(scope[CALLER]) if past is None else past


def then(scope: Scope) -> int | None:
    """The instant (ms) that a request to a ``live`` route names."""
    return cast("int | None", scope.get(_INSTANT))


def show(scope: Scope, view: View) -> None:
    """Make this what the request reads."""
    scope[_VIEW] = view


def asked(scope: Scope) -> str | None:
    """The parameter ``at`` of a request. Raises BadParameter."""
    raw: bytes = scope["query_string"]
    if b"%" not in raw and _ALONE.fullmatch(raw):
        texts = [raw[len(_NAMED) :].decode()]
    else:
        texts = [text for name, text in respond.query_pairs(scope) if name == AT.name]
    if len(texts) > 1:
        raise BadParameter(AT.name, texts[1], "given more than once")
    return AT.read(texts[0]) if texts else None


async def enter(city: City, scope: Scope, send: Send, how: Past) -> Send:
    """Take ``at`` of a request, if it has one; what sends its answer. Raises BadParameter, Gone."""
    at = asked(scope)
    if at is None:
        return send
    if how == "live":
        scope[_INSTANT], answered = await instant(city, scope, send, at)
        return answered
    moment, past = await city.read(_look, city.catalogue.of(scope[CALLER]), at)
    scope[_VIEW] = past
    # who sees a part may see another one tomorrow, and a set of another program's edits may still grow
    settled = how == "fixed" and past.rights == ALL and moment.fixed
    return answering(city, scope, send, moment.at, settled=settled)


async def instant(city: City, scope: Scope, send: Send, at: str) -> tuple[int, Send]:
    """The instant (ms) of a value of ``at`` for what is no part of the store (of a change of the city its
    own), and what sends the answer. Raises BadParameter, Gone."""
    text = (await city.read(city.catalogue.whole.which, at)).at if at.startswith("@") else at
    then, now = clock.parse(text, AT.name), clock.now_ms()
    if then > now:
        raise BadParameter(AT.name, at, f"it is {clock.iso(now)} now; what will be is not known")
    # a reading that comes late may still be of before
    return then, answering(city, scope, send, text, settled=False)


def answering(city: City, scope: Scope, send: Send, instant: str, *, settled: bool) -> Send:
    """What sends the answer of an instant; ``settled`` if it will never be another one."""
    shared = city.catalogue.rights is EVERYBODY
    here = f"{respond.base_url(city, scope)}{scope['path']}"
    own: Headers = [
        (b"memento-datetime", http_date(instant).encode()),
        (b"link", f'<{without_at(here, scope["query_string"])}>; rel="original"'.encode()),
    ]
    return _answering(scope, send, own, settled, shared)


def alone(scope: Scope) -> bool:
    """Whether a request whose view is of a moment names that and nothing else, in plain characters."""
    return _VIEW in scope and _ALONE.fullmatch(scope["query_string"]) is not None


def name(view: View) -> str:
    """The moment of a view as a request names it; empty for what is now."""
    return "" if view.moment is None else view.moment.name


def _look(present: View, at: str) -> tuple[Moment, View]:
    moment = present.which(at)
    return moment, present.at(moment)


@lru_cache(maxsize=256)
def http_date(instant: str) -> str:
    """An instant as HTTP writes it (RFC 9110, section 5.6.7), which has whole seconds."""
    return format_datetime(parsed(instant), usegmt=True)


def others(pairs: list[tuple[str, str]], view: View) -> list[tuple[str, str]]:
    """The parameters of a request but for ``at``, where its view is of that."""
    return pairs if view.moment is None else [pair for pair in pairs if pair[0] != AT.name]


def without_at(here: str, raw: bytes) -> str:
    """An address with a query string, but for ``at``."""
    parts = raw.decode("ascii", "ignore").split("&")
    kept = [part for part in parts if part and unquote_plus(part.partition("=")[0]) != AT.name]
    return f"{here}?{'&'.join(kept)}" if kept else here


def with_at(href: str, moment: str) -> str:
    """An address at a moment, as ``at`` takes it."""
    return f"{href}{'&' if '?' in href else '?'}{_NAME}{moment}"


def pinned(document: Any, context: Context, route: Callable[[str], Route | None]) -> Any:
    """A document of a moment, whose links lead to the same moment wherever that can be asked for; ``route``
    is that of a path."""
    moment = context.view.moment
    if moment is None:
        return document
    if isinstance(document, list):
        return [pinned(one, context, route) for one in document]
    if not isinstance(document, dict):
        return document
    result = {name: pinned(value, context, route) for name, value in document.items()}
    href = result.get("href")
    if isinstance(href, str) and href.startswith(context.root):
        of = route(href.removeprefix(context.root).partition("?")[0])
        if of is not None and of.past is not None:
            result["href"] = with_at(href, moment.name)
    return result


def _answering(scope: Scope, send: Send, own: Headers, lasting: bool, shared: bool) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in _OF_IT:
            headers: list[Any] = list(message["headers"])
            media = next((value for name, value in headers if name == b"content-type"), b"")
            if lasting and b"html" not in media and answers.FRESH in headers:
                headers.remove(answers.FRESH)
                headers.append(answers.forever(shared=shared))
                headers += [] if shared else [WHO]
            message = {**message, "headers": [*headers, *own]}
        await send(message)

    return wrapped
