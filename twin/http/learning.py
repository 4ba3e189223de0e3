"""What answers of tiles teach the server, so that it asks the application once (:mod:`twin.hits`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.access.caller import CALLER
from twin.access.rights import ALL
from twin.http import respond
from twin.http.respond import PROTOCOL, Connection, Message, Scope, Send

if TYPE_CHECKING:
    from twin.city import City
    from twin.hits import Named


def heard(city: City, scope: Scope, send: Send, named: Named) -> Send:
    """What sends the answer of a tile, and learns from it where the next may be answered like it: nobody in
    particular asks, and sees everything."""
    connection: Connection | None = scope.get(PROTOCOL)
    request = None if connection is None else connection.asked
    caller = scope[CALLER]
    if request is None or caller is not city.callers.anonymous or caller.rights != ALL:
        return send
    query = scope["query_string"]
    line = b"GET %b%b%b HTTP/1.1\r\n" % (scope["raw_path"], b"?" if query else b"", query)
    # "at" names a moment, in whatever way it is written
    if not request.startswith(line) or b"at=" in query or b"%" in query or not respond.accepts_gzip(scope):
        return send

    async def learning(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in (200, 304):
            names = (name for name, _ in scope["headers"])
            city.hits.learn(request, names, message["status"], message["headers"], named)
        await send(message)

    return learning
