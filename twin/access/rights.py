"""What of the city a caller sees: the one place where a view of the catalogue is narrowed.

The rules are an object with two questions (:class:`Rights`). The catalogue asks the first once a request,
the second once a layer and class; what follows from the answers (fewer layers, fewer fields, a condition
joined to every query, other cache keys and ETags) is done by :mod:`twin.catalogue` for every room alike.
As shipped, everybody sees all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from layers.model import Layer
    from twin.access.keys import Action

#: The class of those who see all.
ALL = ""


@dataclass(frozen=True, slots=True)
class Share:
    """What of one layer is seen: ``fields`` by name (None: all; a feature's number and ``source_id`` are
    its identity and always seen), and the features that ``where`` selects, in CQL2 text (empty: all)."""

    fields: frozenset[str] | None = None
    where: str = ""

    @property
    def whole(self) -> bool:
        """Whether it is the whole layer."""
        return self.fields is None and not self.where


WHOLE = Share()


class Rights(Protocol):
    """The rules of a city. Called from several threads."""

    def class_of(self, name: str | None, may: tuple[Action, ...]) -> str:
        """The class of a caller: a short text, equal for all who see the same, :data:`ALL` for those who
        see all. ``name`` is that of the key, None for who has none. Rules that change give other texts:
        what is kept of answers is kept by class."""

    def share(self, rights: str, layer: Layer) -> Share | None:
        """What a class sees of a layer; None where it sees nothing of it. Never asked of :data:`ALL`."""


class Everybody:
    """Everybody sees all."""

    def class_of(self, name: str | None, may: tuple[Action, ...]) -> str:
        """As :meth:`Rights.class_of`."""
        return ALL

    def share(self, rights: str, layer: Layer) -> Share | None:
        """As :meth:`Rights.share`."""
        return WHOLE


EVERYBODY = Everybody()
