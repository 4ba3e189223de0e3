"""The members of a city model, one at a time: memory holds one of them, never the file.

Entities are not resolved, nothing is fetched, no DOCTYPE is taken; libxml2's own ceilings hold (256 levels, a
text of 10 MB). Source: CityGML 2.0 (OGC 12-019), 10.1; CityGML 3.0 GML encoding (OGC 21-006r2), 7.2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from layers.errors import BadFile, shown
from layers.read.citygml.names import GML, TAGS
from layers.read.encodings import marked

type Element = etree._Element

#: Bytes of XML that one member may have: its tree needs about four times as much memory.
MOST_MEMBER = 256 << 20
#: Bytes before the outermost element.
_PROLOG = 1 << 20
_BLOCK = 1 << 20
_CITYGML = re.compile(r"http://www\.opengis\.net/citygml/([123]\.[0-9])")
_AT_ONCE = ("cityObjectMember", "featureMember", "appearanceMember", "featureMembers", "versionMember")
_SKIPPED = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_NAME = re.compile(rb"<(?:[^\s<>/:=]+:)?([^\s<>/:=]+)")


def _forms(word: str, block: bytes) -> list[bytes]:
    """A word as the encodings write it that a file of this beginning may have."""
    wide = 0 in block[:4]  # UTF-16: the outermost element begins with what is ASCII
    return [word.encode(form) for form in (("utf-16-le", "utf-16-be") if wide else ("ascii",))]


#: Words that are counted.
WORDS = ("srsName", "srsDimension")
_TAIL = 2 * max(map(len, WORDS)) - 1
_DOCTYPE = "the file is XML with a DOCTYPE, which is never read"


@dataclass(slots=True)
class Member:
    """One child of the model: the property that holds it, the element itself, and its number in the file."""

    property: str
    element: Element
    row: int


def mentions(path: Path, word: str) -> bool:
    """Whether a word stands anywhere in a file."""
    tail = b""
    with path.open("rb") as file:
        forms = _forms(word, file.read(4))
        file.seek(0)
        while block := file.read(_BLOCK):
            text = tail + block
            if any(form in text for form in forms):
                return True
            tail = text[-2 * len(word) :]
    return False


def outermost(path: Path) -> str | None:
    """The name of the outermost element, None where none begins within 1 MiB. Raises BadFile xml.doctype."""
    with path.open("rb") as file:
        head = file.read(_PROLOG)
    if (name := marked(head)) is not None:
        head = head.decode(name, "ignore").encode()
    at = 0
    while found := _SKIPPED.match(head, at):
        at = found.end()
    if head.startswith(b"<!", at) and not head.startswith(b"<!--", at):
        raise BadFile("xml.doctype", _DOCTYPE)
    found = _NAME.match(head, at)
    return found[1].decode(errors="replace") if found else None


class Members:
    """Goes through a file; ``root`` is its outermost element without its members, once the first is there.

    ``mentioned`` counts words that most files have but in their envelope, or not at all: what they mean need
    not be looked for in every member."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.root: Element | None = None
        self.mentioned: Counter[str] = Counter()
        self._tail = b""
        self._written: dict[str, list[bytes]] = {}

    @property
    def version(self) -> str:
        """The version of CityGML by the namespace of the model, "" for another."""
        found = _CITYGML.fullmatch(etree.QName(self.root).namespace or "") if self.root is not None else None
        return found[1] if found else ""

    def __iter__(self) -> Iterator[Member]:
        """The members; each is freed when the next is asked for.

        Raises BadFile xml.syntax, xml.limit, xml.doctype, limit.member."""
        parser = etree.XMLPullParser(
            events=("end",),
            tag=[f"{{*}}{name}" for name in _AT_ONCE],
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            collect_ids=False,
        )
        row = since = 0
        with self._path.open("rb") as file:
            while block := file.read(_BLOCK):
                self._count(block)
                self._feed(parser, block)
                since += len(block)
                for _, holder in parser.read_events():
                    parent = holder.getparent()
                    if parent is None or parent.getparent() is not None:
                        continue  # a member of a group inside of a member
                    if self.root is None:
                        self._begin(parent)
                    since = 0
                    name = TAGS[holder.tag].name
                    for element in holder.iterchildren(etree.Element):
                        row += 1
                        yield Member(name, element, row)
                    if not len(holder):
                        row += 1
                        yield Member(name, holder, row)
                    _free(holder)
                if since > MOST_MEMBER:
                    reason = (
                        f"after member {row} more than {MOST_MEMBER} bytes belong to one object; split it"
                    )
                    raise BadFile("limit.member", reason)
        self._close(parser)

    def _count(self, block: bytes) -> None:
        if not self._written:
            self._written = {word: _forms(word, block) for word in WORDS}
        text = self._tail + block
        for word, forms in self._written.items():
            for written in forms:
                # those that the tail holds as a whole were counted with the block before
                self.mentioned[word] += text.count(written) - self._tail.count(written)
        self._tail = text[-_TAIL:]

    def _begin(self, root: Element) -> None:
        self.root = root
        if root.getroottree().docinfo.doctype:
            raise BadFile("xml.doctype", _DOCTYPE)

    def _feed(self, parser: etree.XMLPullParser[Element], block: bytes) -> None:
        try:
            parser.feed(block)
        except etree.XMLSyntaxError as error:
            raise _fault(error) from error

    def _close(self, parser: etree.XMLPullParser[Element]) -> None:
        try:
            root = parser.close()
        except etree.XMLSyntaxError as error:
            raise _fault(error) from error
        if self.root is None:
            self._begin(root)


def _fault(error: etree.XMLSyntaxError) -> BadFile:
    text = str(error)
    if "xcessive depth" in text or "XML_PARSE_HUGE" in text or "huge" in text.casefold():
        return BadFile(
            "xml.limit", f"the XML is nested deeper or has longer texts than is read: {shown(text)}"
        )
    return BadFile("xml.syntax", f"the XML breaks off or is not well formed: {shown(text)}")


def _free(holder: Element) -> None:
    """Take a member that was read, and what lies before it, out of the tree."""
    parent = holder.getparent()
    holder.clear()
    if parent is None:
        return
    while (before := holder.getprevious()) is not None:
        tag = TAGS[before.tag]
        if tag.gml and tag.name in ("boundedBy", "name", "description"):
            break
        parent.remove(before)


def envelope(root: Element) -> Element | None:
    """The envelope of the model, where it has one."""
    for namespace in GML:
        found = root.find(f"{{{namespace}}}boundedBy/{{{namespace}}}Envelope")
        if found is not None:
            return found
    return None
