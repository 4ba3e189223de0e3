"""One webhook: what changed, in pages and in order, until its receiver has taken each.

The change log is the outbox. Only the cursor is kept, after a page was taken; so what a crash leaves unsaid
is said again, at least once and never out of order. A page is made anew for each attempt: while a receiver is
away, what changes is merged, and nothing waits in memory.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version

from layers.errors import Busy, TwinError, Unavailable
from layers.store.cursors import Cursors
from twin.webhooks import signature
from twin.webhooks.receiver import NotDelivered, Receiver
from twin.webhooks.status import HookStatus

log = logging.getLogger("twin")

#: The first pause after a failure, which doubles; the longest one. Each is shortened at random by up to half.
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 7200.0
#: From the beginning of one message to that of the next: what happens meanwhile is merged.
PACE_SECONDS = 1.0
#: Until a page that could not be made is tried again; until a name that another server holds is.
TROUBLE_SECONDS, ELSEWHERE_SECONDS = 5.0, 2.0
#: How long a cursor that only passed over what is not to be told may be unkept; the longest sleep.
UNKEPT_SECONDS, SLEEP_SECONDS = 10.0, 30.0


@dataclass(frozen=True, slots=True)
class Page:
    """What changed between two cursors, as it is sent. An empty one tells of nothing; ``lack`` says what a
    hook names and there is not."""

    cursor: str
    body: bytes
    empty: bool
    lack: str = ""


#: The page after a cursor; after None, an empty one whose cursor is now. Raises TwinError.
type Pages = Callable[[str | None], Page]


def back_off(failures: int, retry_after: float | None = None) -> float:
    """Seconds until the next attempt after so many failures in a row."""
    if retry_after is not None:
        return max(FIRST_SECONDS, retry_after) * random.uniform(1, 1.1)  # noqa: S311
    doubled = FIRST_SECONDS * 2.0 ** min(failures - 1, 30)
    return min(doubled, LONGEST_SECONDS) * random.uniform(0.5, 1)  # noqa: S311


class Hook:
    """A hook's thread. It is a daemon: a name that is being looked up must not hold up the server's stop."""

    def __init__(
        self, name: str, receiver: Receiver, secrets: Sequence[bytes], pages: Pages, cursors: Cursors
    ) -> None:
        self.status = HookStatus(name)
        self._receiver, self._secrets = receiver, secrets
        self._pages, self._cursors = pages, cursors
        self._at: str | None = None
        self._kept: str | None = None
        self._unkept: float | None = None
        self._began = -PACE_SECONDS
        self._stopped = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"twin-hook-{name}", daemon=True)

    def start(self) -> None:
        """Begin where the kept cursor says, or with what changes from now on."""
        self._thread.start()

    def wake(self) -> None:
        """Something may have changed."""
        self._wake.set()

    def stop(self) -> None:
        """Send nothing more; what is being sent is cut."""
        self._stopped = True
        self._wake.set()
        self._receiver.cut()

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, for so long."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopped and self.status.state != "off":
            self._wake.clear()
            try:
                self._sleep(self._turn())
            except TwinError as error:
                self._troubled(error)
            except Exception:
                log.exception("webhook %s: unexpected error", self.status.name)
                self._pause(TROUBLE_SECONDS)
        with suppress(TwinError):
            self._keep(self._unkept is not None)

    def _turn(self) -> float:
        """One look, and one message where there is something to be told; how long there is nothing to do.
        Raises TwinError."""
        if self._pause(self._began + PACE_SECONDS - time.monotonic()):
            return 0
        if not self._cursors.hold(self.status.name):
            self._at, self._unkept = None, None
            self.status.is_elsewhere()
            self._pause(ELSEWHERE_SECONDS)
            return 0
        kept = self._cursors.get(self.status.name)
        if kept != self._kept:
            # another server had the name for a while, and has sent what is before this
            self._at, self._unkept, self._kept = None, None, kept
        after = self._at or kept
        self._keep(self._unkept is not None and time.monotonic() >= self._unkept)
        page = self._pages(after)
        self.status.reads(page.lack)
        if page.empty:
            self._passed(after, page.cursor)
            return SLEEP_SECONDS if self._unkept is None else UNKEPT_SECONDS
        self._deliver(after or "", page)
        return 0

    def _passed(self, after: str | None, cursor: str) -> None:
        """There was nothing to tell up to this cursor."""
        self._at = cursor
        if after is None:
            self._keep(True)
        elif after != cursor and self._unkept is None:
            self._unkept = time.monotonic() + UNKEPT_SECONDS

    def _deliver(self, after: str, page: Page) -> None:
        """One attempt, and the pause after one that failed. Raises TwinError: the cursor was not kept."""
        message = hashlib.sha256(f"{self.status.name} {after} {page.cursor}".encode()).hexdigest()[:32]
        headers = {
            "content-type": "application/json",
            "connection": "close",
            "user-agent": f"onemap-twin/{version('onemap-twin')}",
            **signature.headers(f"msg_{message}", int(time.time()), page.body, self._secrets),
        }
        self._began = time.monotonic()
        self.status.attempts += 1
        retry_after = None
        try:
            answer = self._receiver.post(page.body, headers)
        except NotDelivered as error:
            reason = str(error)
        else:
            if 200 <= answer.status < 300:
                self._at, self._unkept = page.cursor, self._began
                self.status.taken()
                self._keep(True)
                return
            if answer.status == HTTPStatus.GONE:
                self.status.ends("its receiver says that it is gone (410)")
                return
            reason, retry_after = _refusal(answer.status), answer.retry_after
        if not self._stopped:
            self.status.fails(reason)
            self._pause(back_off(self.status.failures, retry_after))

    def _keep(self, due: bool) -> None:
        if due and self._at is not None:
            self._cursors.put(self.status.name, self._at)
            self._kept, self._unkept = self._at, None

    def _troubled(self, error: TwinError) -> None:
        """The city's store being away is told by others."""
        self.status.cannot_read(str(error), told=isinstance(error, Busy | Unavailable))
        self._pause(TROUBLE_SECONDS)

    def _sleep(self, seconds: float) -> None:
        """Until something may have changed, or the time is over."""
        if seconds > 0:
            self._wake.wait(seconds)

    def _pause(self, seconds: float) -> bool:
        """For so long, whatever changes; whether the hook is to stop."""
        until = time.monotonic() + seconds
        while not self._stopped and (left := until - time.monotonic()) > 0:
            self._wake.wait(left)
            self._wake.clear()
        return self._stopped


def _refusal(status: int) -> str:
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    followed = ": redirects are not followed" if 300 <= status < 400 else ""
    return f"it answered {status}{phrase}{followed}"
