"""Code lists: ``config/codes/NAME.yml``. What a standard says stands with its clause, and whether its own
text was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from layers import shipped, strict
from layers.kinds.base import text
from layers.strict import At, Strict

type Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]


def _both(titles: dict[str, str]) -> dict[str, str]:
    if set(titles) != {"zh-CN", "en"}:
        raise ValueError("a title in zh-CN and one in en")
    return titles


type Both = Annotated[dict[str, str], AfterValidator(_both)]


class StandardSource(Strict):
    """Where a table comes from; ``verified``: whether the standard's own text was seen."""

    standard: str
    clause: str | None = None
    verified: bool = False


class Code(Strict):
    """One code: its titles, its colour on the map, further words by which sources name it."""

    title: Both
    color: Color | None = None
    words: tuple[str, ...] = ()


class CodeList(Strict):
    """``config/codes/NAME.yml``: a closed list of codes."""

    source: StandardSource | None = None
    codes: Annotated[dict[str, Code], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_word_twice(self) -> Self:
        owners: dict[str, str] = {}
        for code, word in self._named():
            if owners.setdefault(word, code) != code:
                raise At(("codes", code), f"the word {word} means {owners[word]} already")
        return self

    def _named(self) -> Iterator[tuple[str, str]]:
        """(code, one of the words that mean it): itself, its titles and its further words, case folded."""
        for code, entry in self.codes.items():
            for word in (code, *entry.title.values(), *entry.words):
                yield code, word.casefold()

    @cached_property
    def words(self) -> Mapping[str, str]:
        """Word (case folded) → code."""
        return {word: code for code, word in self._named()}

    def find(self, value: Any) -> str | None:
        """The code that a source's value means."""
        if value is None:
            return None
        code = self.words.get(value) if isinstance(value, str) else None
        return code or self.words.get((text(value) or "").casefold())


def _code_list(name: object, info: ValidationInfo) -> object:
    if not isinstance(name, str):
        return name
    own = info.context and info.context["folder"]
    places = [folder for folder in (own and own.parent / "codes", shipped.folder("codes")) if folder]
    for folder in places:
        if (file := folder / f"{name}.yml").is_file():
            return _codes_of(file)
    known = {file.stem for folder in places for file in folder.glob("*.yml")}
    raise ValueError(f"there is no code list {name}{strict.hint(name, known)}")


@cache
def _codes_of(file: Path) -> CodeList:
    return strict.read(file, CodeList, f"codes/{file.name}")


def named(name: str) -> CodeList:
    """A list that comes with the project."""
    return _codes_of(shipped.folder("codes") / f"{name}.yml")


type Codes = Annotated[CodeList, BeforeValidator(_code_list)]
