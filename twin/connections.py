"""The open connections of this process: no more than it has descriptors for, and nobody keeps others out."""

from __future__ import annotations

import contextlib
import logging
import resource
from typing import Protocol

from twin.overload import Reminder

log = logging.getLogger("twin")

#: Descriptors that are kept for files, threads and processes; the most that are asked for at all.
RESERVE, WANTED = 256, 65_536


class Connection(Protocol):
    """What is known of a connection here."""

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""

    def drop(self) -> None:
        """Close it."""


class Connections:
    """The open ones by the address of their peer, the oldest first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._by_address: dict[str, dict[Connection, None]] = {}
        self._address: dict[Connection, str] = {}
        self._reminder = Reminder()

    def __len__(self) -> int:
        return len(self._address)

    def enter(self, connection: Connection, address: str) -> None:
        """A new one. Where there are too many, the oldest idle one of the address that has most is closed,
        or, where none is idle, this one."""
        self._address[connection] = address
        self._by_address.setdefault(address, {})[connection] = None
        if len(self._address) > self.most:
            self._make_room(connection)

    def leave(self, connection: Connection) -> None:
        """One that is gone."""
        address = self._address.pop(connection, None)
        if address is None:
            return
        own = self._by_address[address]
        own.pop(connection, None)
        if not own:
            del self._by_address[address]

    def _make_room(self, newest: Connection) -> None:
        address, own = max(self._by_address.items(), key=lambda one: len(one[1]))
        if self._reminder.due():
            log.warning(
                "%d connections are open, the most there may be, %d of them from %s: idle ones are closed",
                len(self._address),
                len(own),
                address,
            )
        victim = next((one for one in own if one.idle), newest)
        self.leave(victim)
        victim.drop()


def descriptors() -> int:
    """Raise the limit of open files as far as it may be; how many connections that leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return max(64, min(soft, WANTED) - RESERVE)


#: Of this process: descriptors are its own, too.
OPEN = Connections(WANTED)
