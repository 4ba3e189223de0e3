"""A store that cannot be opened: what needs it is told why, and the rest of the server goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, cast

from layers.errors import Unavailable
from layers.store.base import Store
from layers.store.mark import fresh_epoch


class _UnavailableStore:
    """Raises Unavailable whatever it is asked."""

    local = read_only = True

    def __init__(self, reason: str) -> None:
        self.epoch = fresh_epoch()
        self._reason = reason

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise Unavailable(self._reason)

    def close(self) -> None:
        """There is nothing to close."""


def unavailable(reason: str) -> Store:
    """A store that says why it cannot be read."""
    return cast(Store, _UnavailableStore(reason))
