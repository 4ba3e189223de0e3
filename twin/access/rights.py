"""What of the city a caller sees and may do: the one place where a view of the catalogue is narrowed, and
where the rights of keys are said.

What a key may do is a list of actions (:data:`ACTIONS`), each asked for where it is done: to send what a
sensor measured (``observe``) is another right than to say what it is and when it raises an alarm
(``configure``). Both may be limited to things and datastreams (:class:`Objects`).

The rules of what is seen are an object with two questions (:class:`Rights`). The catalogue asks the first
once a request, the second once a layer and class; what follows from the answers (fewer layers, fewer
fields, a condition joined to every query, other cache keys and ETags) is done by :mod:`twin.catalogue` for
every room alike.
As shipped, everybody sees all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from layers.errors import BadParameter, shown

if TYPE_CHECKING:
    from layers.model import Layer

type Action = Literal["edit", "observe", "configure", "incident"]
ACTIONS: tuple[Action, ...] = ("edit", "observe", "configure", "incident")
_OBJECT = re.compile(r"(Things|Datastreams)\(([1-9][0-9]{0,15})\)")

#: The class of those who see all.
ALL = ""


@dataclass(frozen=True, slots=True)
class Objects:
    """Things, with all their datastreams, and single datastreams, by id."""

    things: frozenset[int] = frozenset()
    streams: frozenset[int] = frozenset()

    @classmethod
    def named(cls, texts: Iterable[str]) -> Objects:
        """The objects that texts such as ``Things(3)`` and ``Datastreams(7)`` name. Raises BadParameter."""
        ids: dict[str, set[int]] = {"Things": set(), "Datastreams": set()}
        for text in texts:
            match = _OBJECT.fullmatch(text)
            if match is None:
                raise BadParameter("of", shown(text), "a thing or datastream, as Things(3) or Datastreams(7)")
            ids[match[1]].add(int(match[2]))
        return cls(frozenset(ids["Things"]), frozenset(ids["Datastreams"]))

    def texts(self) -> list[str]:
        """As :meth:`named` takes them."""
        things = [f"Things({id_})" for id_ in sorted(self.things)]
        return things + [f"Datastreams({id_})" for id_ in sorted(self.streams)]

    def hold(self, thing: int | None, stream: int | None) -> bool:
        """Whether one of them is among these."""
        return thing in self.things or stream in self.streams


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
