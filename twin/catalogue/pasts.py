"""Views of what was, as many as are asked for at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

#: Epoch of the store, class of rights, number of the change log.
type Key = tuple[str, str, int]
#: Moments that are kept ready. A page compares two of them; a replay takes one after the other.
MOST = 8


class Pasts[T]:
    """Views by moment, least recently used first out. Safe to use from several threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[Key, T] = OrderedDict()

    def of(self, key: Key, make: Callable[[], T]) -> T:
        """What is held under the key, else what ``make`` gives, which takes no time."""
        with self._lock:
            if key not in self._held:
                self._held[key] = make()
                if len(self._held) > self._most:
                    self._held.popitem(last=False)
            self._held.move_to_end(key)
            return self._held[key]
