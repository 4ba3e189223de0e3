"""Threads that work for an event loop: bounded in number and in waiting.

An executor of the standard library does the same for twice the price: two futures, three locks and a
chain of callbacks a call, where one queue and one future do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from layers.errors import Busy
from twin.overload import Pace
from twin.turns import BURST

#: How long a call waits for a thread, and how long a wait is begun at all beyond a burst. By what calls took
#: lately, whoever would wait for longer is told at once.
THREAD_SECONDS, WORTH_SECONDS = 10.0, 2.0
#: How much less of a busy processor modest threads get (setpriority(2), of a thread on Linux).
MODEST = 10
BUSY = "every worker of this server is busy; try again soon"


@dataclass(eq=False, slots=True)
class _Call:
    """One call. Whoever takes ``claim`` decides what becomes of it: a thread begins it, or it is dropped."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    after: Callable[[], None] | None
    claim: threading.Lock = field(default_factory=threading.Lock)


class Threads:
    """Up to ``size`` threads, started when they are needed. For one event loop, and called in it.

    ``modest`` ones leave a busy processor to the others."""

    def __init__(self, size: int, name: str, *, modest: bool = False) -> None:
        self._size, self._name, self._modest = size, name, modest
        self._pace = Pace()
        self._queue: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unsettled = 0

    async def run[T](
        self, function: Callable[..., T], *args: Any, after: Callable[[], None] | None = None
    ) -> T:
        """What a call gives or raises. Raises Busy when no thread begins it in time, at once where that can
        be told by what calls took. A burst is what a few pages ask at once: its wait is begun however long
        it takes less than ``THREAD_SECONDS``.

        ``after`` is called in the event loop once the call has ended, or will never begin, whether or
        not anybody still waits for it."""
        waiting = self._unsettled - self._size
        worth = WORTH_SECONDS if waiting >= BURST else THREAD_SECONDS
        if self._pace.too_long(waiting, self._size, worth):
            if after is not None:
                after()
            raise Busy(BUSY)
        loop = asyncio.get_running_loop()
        call = _Call(function, args, loop, loop.create_future(), after)
        self._unsettled += 1
        if self._unsettled > len(self._threads) < self._size:
            self._start()
        self._queue.put(call)
        late = loop.call_later(THREAD_SECONDS, self._drop, call)
        try:
            answer: T = await call.answer
            return answer
        except asyncio.CancelledError:
            self._drop(call)
            raise
        finally:
            late.cancel()

    def close(self) -> None:
        """Drop what waits, let what runs end."""
        with contextlib.suppress(queue.Empty):
            while call := self._queue.get_nowait():
                self._drop(call)
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        if self._modest:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), MODEST)
        while call := self._queue.get():
            if not call.claim.acquire(blocking=False):
                continue
            result: Any = None
            error: BaseException | None = None
            begun = time.monotonic()
            try:
                result = call.function(*call.args)
            except BaseException as raised:
                error = raised
            self._pace.took(time.monotonic() - begun)
            # a loop that has ended needs no answer
            with contextlib.suppress(RuntimeError):
                call.loop.call_soon_threadsafe(self._resolve, call, result, error)
            del call, result, error

    def _drop(self, call: _Call) -> None:
        if call.claim.acquire(blocking=False):
            self._resolve(call, None, Busy(BUSY))

    def _resolve(self, call: _Call, result: Any, error: BaseException | None) -> None:
        self._unsettled -= 1
        if call.after is not None:
            call.after()
        if call.answer.done():
            return
        if error is None:
            call.answer.set_result(result)
        else:
            call.answer.set_exception(error)
