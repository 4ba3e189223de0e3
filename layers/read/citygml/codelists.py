"""Code lists that lie beside a file: GML dictionaries, by the relative path that ``codeSpace`` gives."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lxml import etree

from layers.read import beside
from layers.read.citygml.names import local

#: Bytes of a list, and lists of a file.
_MOST, _LISTS = 8 << 20, 500


class CodeLists:
    """The lists of one file, each read once. Only names that a dictionary defines are taken out of it."""

    def __init__(self, file: Path) -> None:
        self._folder = file.parent
        self._lists: dict[str, dict[str, str]] = {}
        #: Lists that are not there or are no dictionaries, by values that wanted them.
        self.absent: Counter[str] = Counter()

    def name(self, space: str, code: str) -> str | None:
        """What a code means; None where the list, or the code in it, is not there."""
        known = self._lists.get(space)
        if known is None:
            known = self._lists[space] = self._load(space) if len(self._lists) < _LISTS else {}
        if not known:
            self.absent[space] += 1
        return known.get(code)

    def _load(self, space: str) -> dict[str, str]:
        if not space.casefold().endswith(".xml"):
            return {}
        try:
            file = beside.find(self._folder, space, _MOST)
            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
            root = etree.fromstring(file.read_bytes(), parser)  # by its name lxml would unpack a gzip file
        except (OSError, ValueError, etree.XMLSyntaxError):
            return {}
        if local(root) != "Dictionary" or root.getroottree().docinfo.doctype:
            return {}
        out: dict[str, str] = {}
        for definition in root.iter("{*}Definition"):
            texts = {
                local(child): (child.text or "").strip() for child in definition.iterchildren(etree.Element)
            }
            if texts.get("name") and texts.get("description"):
                out.setdefault(texts["name"], texts["description"])
        return out
