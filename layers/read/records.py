"""Records of a delimited text (RFC 4180) as people have it: the header below blank lines, and quotes that
open and never close."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

_DELIMITERS = ",;\t|"
#: Characters of a cell: a geometry as text is long.
_MOST_CELL = 64 << 20
#: Lines, and characters of one, that are looked at for the delimiter.
_MOST_BLANK, _MOST_HEAD = 1000, 1 << 20
#: Rows that are looked at for the header: titles and remarks lie above it.
_MOST_ABOVE = 20
#: A first line by which a spreadsheet is told the delimiter.
_SAID = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)
#: Blanks behind a closing quote, which the standard does not know and people do not see.
_BEHIND_QUOTE = re.compile(r'"[ \t]+(?=[,;\t|\r\n]|$)')


@dataclass(frozen=True, slots=True)
class Records:
    """A table: its names, and its rows as often as they are asked for. ``blank``: rows above the header;
    ``above``: what of them is not blank."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    blank: int
    above: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, path: Path, encoding: str, is_header: Callable[[Sequence[str]], bool] = lambda _: True
    ) -> Records:
        """Of a file; without a header where it has no row that is not blank. The header is the first of some
        rows that ``is_header`` takes, however it has to be cut into cells, else the first. Raises
        csv.Error."""
        csv.field_size_limit(_MOST_CELL)
        with _opened(path, encoding) as file:
            heads = (file.readline(_MOST_HEAD) for _ in range(_MOST_BLANK))
            line = next((each for each in heads if each.strip()), "")
        # first the one that cuts the first line into most cells
        delimiters = sorted(_DELIMITERS, key=line.count, reverse=True)
        if (said := _SAID.fullmatch(line.lstrip("\ufeff"))) is not None:
            delimiters = [said[1]]
        first: Records | None = None
        for delimiter in delimiters:
            for table in cls._beginning(path, encoding, delimiter):
                first = first or table
                if is_header(table.header):
                    return table
        return first or cls(path, encoding, delimiters[0], (), 0)

    @classmethod
    def _beginning(cls, path: Path, encoding: str, delimiter: str) -> Iterator[Records]:
        """The table with each of its first rows as the header."""
        above: list[str] = []
        with _opened(path, encoding) as file:
            for number, row in enumerate(_records(file, delimiter)):
                names = tuple(name.strip("\ufeff \t\r\n\u3000\xa0") for name in row)
                if not any(names):
                    continue
                yield cls(path, encoding, delimiter, names, number, tuple(above))
                above.append(" ".join(filter(None, names)))
                if len(above) >= _MOST_ABOVE:
                    return

    def rows(self, open_quote: Callable[[int], None] = lambda _: None) -> Iterator[list[str]]:
        """The rows below the header. ``open_quote`` is told the number, from 1, of each that has a quote
        which opens and does not close: its line is read as if it were none, and what it swallowed as rows."""
        above = self.blank + 1
        with _opened(self.path, self.encoding) as file:
            yield from islice(_records(file, self.delimiter, lambda at: open_quote(at - above)), above, None)


def _opened(path: Path, encoding: str) -> TextIO:
    return path.open(encoding=encoding, errors="replace", newline="")


class _PushbackLines:
    """Lines that can be given back; ``held`` are those taken since it was emptied."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self.held: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.held.append(line)
        return line

    def give_back(self) -> str:
        """All that is held but for the first line, which is returned."""
        first, *rest = self.held
        self._again.extendleft(reversed(rest))
        self.held.clear()
        return first


def _records(
    lines: Iterator[str], delimiter: str, open_quote: Callable[[int], None] = lambda _: None
) -> Iterator[list[str]]:
    """The records of some lines; ``open_quote`` is told the number, from 1, of one whose quote is open."""
    source = _PushbackLines(lines)
    number = 0
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        number += 1
        try:
            row = next(reader)
            whole = len(source.held) < 2 or _is_whole(source.held, delimiter)
        except StopIteration:
            return
        except csv.Error:
            if len(source.held) < 2:
                raise
            whole = False
        if not whole:
            open_quote(number)
            plain = csv.reader([source.give_back()], delimiter=delimiter, quoting=csv.QUOTE_NONE)
            row = next(plain, [])
            reader = csv.reader(source, delimiter=delimiter)
        source.held.clear()
        yield row


def _is_whole(lines: list[str], delimiter: str) -> bool:
    """Whether a record of several lines is what the standard says: else a quote that nobody closed swallowed
    them."""
    # line by line as the file has them: str.splitlines knows ends of lines that CSV does not
    plain = (_BEHIND_QUOTE.sub('"', line) for line in lines)
    try:
        return len(list(csv.reader(plain, delimiter=delimiter, strict=True))) == 1
    except csv.Error:
        return False
