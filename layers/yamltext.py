"""YAML text → plain values, each with the line it stands on; bounded, without recursion.

The values are those of YAML's core types. Keys are text as they are written (``no:`` and ``1:`` too).
A tag that asks for anything else, a key given twice and several documents are faults. An alias stands for
the value it names and counts at its full size, so a short file cannot become a large value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

type Path = tuple[str | int, ...]
#: Where, in which line, what.
type Fault = tuple[Path, int, str]

#: Bytes of a file; levels of nesting; values, aliases at the size of what they stand for.
MOST_BYTES, MOST_LEVELS, MOST_VALUES = 4_000_000, 32, 200_000

#: libyaml where PyYAML was built with it: some ten times faster. Only its events are used: its composer
#: recurses on the C stack, and a deep nest ends the process.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_SCALARS = frozenset(_CORE + name for name in ("null", "bool", "int", "float", "str", "timestamp"))
_TAGS = {yaml.MappingStartEvent: _CORE + "map", yaml.SequenceStartEvent: _CORE + "seq"}


class Unparsable(Exception):
    """The text is not YAML, or beyond a limit; ``line`` counts from 1, None where there is none."""

    def __init__(self, line: int | None, reason: str) -> None:
        self.line, self.reason = line, reason
        super().__init__(reason)


@dataclass(slots=True)
class YamlDocument:
    """``value``, the line of each path, and the faults that do not end the reading."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of the nearest thing that stands in the file: the path itself or what holds it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that has not ended yet; ``first`` is the number of values before it."""

    path: Path
    value: Any
    anchor: str | None
    first: int
    key: str | None = None
    key_line: int = 0


def parse(text: str) -> YamlDocument:
    """Read one document. Raises Unparsable."""
    if len(text.encode()) > MOST_BYTES:
        raise Unparsable(None, f"more than {MOST_BYTES} bytes")
    try:
        return _Composer().read(yaml.parse(text, _LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1, text.count("\n") + 1) if mark else None
        raise Unparsable(line, error.problem or error.context or "") from None
    except yaml.YAMLError:
        raise Unparsable(None, "not YAML text") from None


class _Composer:
    def __init__(self) -> None:
        self.document = YamlDocument()
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.count = 0
        self.resolver: Any = Resolver()
        self.constructor: Any = SafeConstructor()

    def read(self, events: Iterator[yaml.Event]) -> YamlDocument:
        documents = 0
        for event in events:
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unparsable(line, "a second document begins here")
            elif isinstance(event, yaml.CollectionStartEvent):
                self._begin(event, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event, line)
        return self.document

    def _begin(self, event: yaml.CollectionStartEvent, line: int) -> None:
        path = self._place(line)
        if len(self.open) >= MOST_LEVELS:
            raise Unparsable(line, f"nested more than {MOST_LEVELS} deep")
        if event.tag not in (None, "!", _TAGS[type(event)]):
            self._fault(path, line, f"the tag {event.tag} is not taken")
        self._counted(1, line)
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.open.append(_Open(path, value, event.anchor, self.count - 1))

    def _end(self) -> None:
        ended = self.open.pop()
        if ended.anchor:
            self.anchors[ended.anchor] = ended.value, self.count - ended.first
        self._put(ended.value, self.document.lines[ended.path])

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        inside = self.open[-1] if self.open else None
        if inside and isinstance(inside.value, dict) and inside.key is None:
            inside.key, inside.key_line = event.value, line
            return
        self._counted(1, line)
        value = self._value(event, self._place(line), line)
        if event.anchor:
            self.anchors[event.anchor] = value, 1
        self._put(value, line)

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        if event.anchor not in self.anchors:
            raise Unparsable(line, f"*{event.anchor} names nothing above")
        value, size = self.anchors[event.anchor]
        self._counted(size, line)
        self._place(line)
        self._put(value, line)

    def _value(self, event: yaml.ScalarEvent, path: Path, line: int) -> Any:
        tag = event.tag
        if tag in (None, "!"):
            tag = self.resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == _CORE + "str":
            return event.value
        if tag not in _SCALARS:
            self._fault(path, line, f"the tag {tag} is not taken")
            return None
        try:
            return self.constructor.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, KeyError, OverflowError, yaml.YAMLError):
            self._fault(path, line, f"not a value of the type {tag.removeprefix(_CORE)}")
            return None

    def _place(self, line: int) -> Path:
        """The path of the value that comes next, its line noted: that of its key where it has one."""
        if not self.open:
            path: Path = ()
        else:
            inside = self.open[-1]
            if isinstance(inside.value, dict):
                if inside.key is None:
                    raise Unparsable(line, "a key must be text")
                path, line = (*inside.path, inside.key), inside.key_line
            else:
                path = (*inside.path, len(inside.value))
        self.document.lines.setdefault(path, line)
        return path

    def _put(self, value: Any, line: int) -> None:
        if not self.open:
            self.document.value = value
            return
        inside = self.open[-1]
        if isinstance(inside.value, list):
            inside.value.append(value)
            return
        assert inside.key is not None
        if inside.key in inside.value:
            path = (*inside.path, inside.key)
            first = self.document.lines[path]
            self._fault(path, inside.key_line, f"the key stands in line {first} already")
        inside.value.setdefault(inside.key, value)
        inside.key = None

    def _counted(self, size: int, line: int) -> None:
        self.count += size
        if self.count > MOST_VALUES:
            raise Unparsable(line, f"more than {MOST_VALUES} values")

    def _fault(self, path: Path, line: int, reason: str) -> None:
        self.document.faults.append((path, line, reason))
