"""References between elements (xlink:href), within a member and from one to another."""

from __future__ import annotations

import copy
from pathlib import Path

from lxml import etree

from layers.read.citygml.geometry import identified
from layers.read.citygml.names import gml_id
from layers.read.citygml.stream import Members

type Element = etree._Element

_REFERRED = etree.XPath(".//@xlink:href", namespaces={"xlink": "http://www.w3.org/1999/xlink"})
#: What references may lead on to further members.
_ROUNDS = 4


class Links:
    """Finds what references name. What lies in another member is found once it was fetched."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._member: Element | None = None
        self._local: dict[str, Element] | None = None
        self._far: dict[str, Element] = {}
        self._wanted: set[str] = set()
        self._fetched = False
        self._open = False

    def begin(self, member: Element) -> None:
        """References are those of this member from here on."""
        self._member, self._local, self._open = member, None, False

    @property
    def waits(self) -> bool:
        """Whether the member names what :meth:`fetch` may yet find in others."""
        return self._open and not self._fetched

    def miss(self) -> None:
        """The member names what is not known yet, and is to be read again."""
        self._open = True

    def find(self, href: str) -> Element | None:
        """What a reference names: in the member, else what was fetched of others."""
        name = href.rpartition("#")[2]
        if self._local is None and self._member is not None:
            self._local = identified(self._member)
        found = (self._local or {}).get(name)
        if found is None:
            found = self._far.get(name)
        if found is None and href.startswith("#"):
            self._wanted.add(name)
            self._open = True
        return found

    def fetch(self) -> None:
        """Copy what references name in other members, and what that refers to."""
        self._fetched = True
        for _ in range(_ROUNDS):
            looking = self._wanted - self._far.keys()
            if not looking:
                return
            more: set[str] = set()
            for member in Members(self._path):
                for element in member.element.iter(etree.Element):
                    name = gml_id(element)
                    if name in looking and name not in self._far:
                        kept = copy.deepcopy(element)
                        self._far[name] = kept
                        more.update(str(h)[1:] for h in _REFERRED(kept) if str(h).startswith("#"))
            self._wanted = more
