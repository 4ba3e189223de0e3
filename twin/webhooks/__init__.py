"""Webhooks: other systems are sent what changed, as pages of the feed, signed, until they have taken it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from layers.errors import Unavailable, shown
from layers.store.base import Store
from layers.store.cursors import Cursors
from twin.access.caller import Callers
from twin.catalogue import Catalogue
from twin.live.feed import Cursor, Feed, Wanted
from twin.settings import Webhook
from twin.webhooks import secret
from twin.webhooks.hook import Hook, Page
from twin.webhooks.receiver import Receiver
from twin.webhooks.status import HookStatus

if TYPE_CHECKING:
    from twin.catalogue.view import View

#: How long a stop waits for the threads.
STOP_SECONDS = 1.0


class Webhooks:
    """Those of a city. No connection is made, and no thread, where ``city.yml`` names none."""

    def __init__(
        self,
        declared: Sequence[Webhook],
        folder: Path,
        store: Store,
        feed: Feed,
        catalogue: Catalogue,
        callers: Callers,
    ) -> None:
        """``folder`` is the city's. Raises BadConfig: a secret is missing, or is none."""
        self._feed, self._catalogue, self._callers = feed, catalogue, callers
        secrets = [secret.of(one, folder) for one in declared]
        self._cursors: Cursors | None = None
        self._hooks: list[Hook] = []
        # of a store that cannot be opened nothing changes, and it is told already
        with suppress(Unavailable):
            if declared:
                self._cursors = store.cursors()
                self._hooks = [
                    self._hook(one, keys, self._cursors) for one, keys in zip(declared, secrets, strict=True)
                ]

    @property
    def statuses(self) -> list[HookStatus]:
        """How each is."""
        return [hook.status for hook in self._hooks]

    async def run(self) -> None:
        """Send until cancelled; then, or before, :meth:`stop`."""
        if not self._hooks:
            return
        told = self._feed.told
        for hook in self._hooks:
            hook.start()
        while True:
            await self._feed.wait(told)
            told = self._feed.told
            for hook in self._hooks:
                hook.wake()

    def stop(self) -> None:
        """End the threads, soon: what is being sent is sent again at the next start."""
        for hook in self._hooks:
            hook.stop()
        until = time.monotonic() + STOP_SECONDS
        for hook in self._hooks:
            hook.join(max(0.0, until - time.monotonic()))
        if self._cursors is not None:
            self._cursors.close()

    def _hook(self, declared: Webhook, keys: tuple[bytes, ...], cursors: Cursors) -> Hook:
        wanted = Wanted(frozenset(declared.layers) or None, declared.bbox)

        def pages(after: str | None) -> Page:
            view = self._catalogue.of(self._callers.named(declared.key))
            begun = None if after is None else Cursor.parse(after)
            page = self._feed.page(view, begun, wanted)
            lack = _lack(view, declared.layers)
            return Page(str(page.cursor), orjson.dumps(page.document()), page.empty, lack)

        return Hook(declared.name, Receiver(declared.url), keys, pages, cursors)


def _lack(view: View, layers: Sequence[str]) -> str:
    """Which of the layers that a hook names there is not. Raises Unavailable, Busy."""
    seen = {layer.id for layer in view.layers()} if layers else set()
    return ", ".join(f"there is no layer {shown(one)}" for one in layers if one not in seen)
