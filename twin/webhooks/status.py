"""How each webhook is: for the log, for /health/ready and for the figures."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger("twin")

#: ``troubled``: what is to be told cannot be read; ``elsewhere``: another server of the city sends it.
type State = Literal["working", "failing", "troubled", "off", "elsewhere"]


@dataclass
class HookStatus:
    """One hook, as its thread tells it; others read it.

    ``failures`` are those in a row; ``attempts`` and ``delivered`` are since the start; ``reason`` says why
    it fails, is troubled or off, and names neither address nor secret."""

    name: str
    state: State = "working"
    reason: str = ""
    failures: int = 0
    attempts: int = 0
    delivered: int = 0
    _told: str = ""
    _lack: str = ""

    @property
    def ok(self) -> bool:
        """Whether all is as it should be."""
        return self.state in ("working", "elsewhere")

    def taken(self) -> None:
        """A message was taken."""
        if self.failures:
            log.warning("webhook %s: taken again, after %d attempts in vain", self.name, self.failures)
        self.delivered += 1
        self.failures = 0
        self._works()

    def fails(self, reason: str) -> None:
        """A message was not taken. The log is told of the first one."""
        self.failures += 1
        if self.failures == 1:
            log.warning("webhook %s: %s; it is sent again until it is taken", self.name, reason)
        self.state, self.reason = "failing", reason

    def ends(self, reason: str) -> None:
        """Nothing more is sent in this run."""
        log.warning("webhook %s: %s; nothing more is sent until the server starts anew", self.name, reason)
        self.state, self.reason = "off", reason

    def cannot_read(self, reason: str, *, told: bool = False) -> None:
        """There is no page to be sent; ``told`` where the log has it from others."""
        if not told:
            self._tell(reason)
        self.state, self.reason = "troubled", reason

    def reads(self, lack: str) -> None:
        """There is a page, or nothing to be told; ``lack`` is what is not there, of which nothing is told,
        whether or not the rest is taken."""
        self._lack = lack
        if lack:
            self._tell(lack)
        elif self._told:
            log.warning("webhook %s: in order again", self.name)
            self._told = ""
        if self.state != "failing":
            self._works()

    def is_elsewhere(self) -> None:
        """Another server of the city sends it."""
        self.state, self.reason = "elsewhere", ""

    def _works(self) -> None:
        self.state, self.reason = ("troubled", self._lack) if self._lack else ("working", "")

    def _tell(self, reason: str) -> None:
        if reason != self._told:
            log.warning("webhook %s: %s", self.name, reason)
            self._told = reason
