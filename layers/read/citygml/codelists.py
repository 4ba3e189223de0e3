"""Code lists that lie beside a file: GML dictionaries, by the relative path that ``codeSpace`` gives."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

from lxml import etree

from layers.read.citygml.names import local

#: Bytes of a list, lists of a file, and how far above the file one may lie.
_MOST, _LISTS, _UP = 8 << 20, 500, 3
_RELATIVE = re.compile(r"((?:\.\./|\./)*)(?:(?!\.\.?/)[^/:?#\\]+/)*[^/:?#\\]+\.xml", re.IGNORECASE)


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
        path = unquote(space)
        found = _RELATIVE.fullmatch(path)
        if found is None or path.split("/").count("..") > _UP:
            return {}
        try:
            file = (self._folder / path).resolve()
            within = file.is_relative_to((self._folder / found[1]).resolve())  # a link may lead elsewhere
            if not within or not file.is_file() or file.stat().st_size > _MOST:
                return {}
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
