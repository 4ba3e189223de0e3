"""The one reader of YAML files: settings, manifests, themes, workflows, kinds and code lists.

A file becomes a typed model or is refused, every fault at once, each with file, line and path; a key that
is not known names the nearest one that is. A mistyped key that does nothing is worse than an error.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAliasType, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from layers import yamltext
from layers.errors import BadConfig, NotFound, shown

CONFIG = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Strict(BaseModel):
    """A model without room for unknown keys or for numbers that are none.

    A dataclass is as strict with ``__pydantic_config__ = strict.CONFIG``."""

    model_config: ClassVar[ConfigDict] = CONFIG


class At(ValueError):
    """What a validator of a whole finds wrong at a path inside it."""

    def __init__(self, path: yamltext.Path, reason: str) -> None:
        self.path = path
        super().__init__(reason)


def read[M](file: Path, model: type[M], name: str | None = None) -> M:
    """The file as a model; ``name`` (the file's own) stands in messages. Validators find the file's folder
    in ``info.context["folder"]``. Raises NotFound, BadConfig."""
    name = name or file.name
    try:
        with file.open("rb") as opened:
            data = opened.read(yamltext.MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"{shown(name)} does not exist") from None
    except OSError as error:
        raise BadConfig(f"{shown(name)} cannot be read: {error.strerror}") from None
    if len(data) > yamltext.MOST_BYTES:
        raise BadConfig(f"{shown(name)}: more than {yamltext.MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadConfig(f"{shown(name)} is not UTF-8 at byte {error.start}") from None
    return parse(text, model, name, file.parent)


def parse[M](text: str, model: type[M], name: str, folder: Path | None = None) -> M:
    """YAML text as a model; an empty text is a mapping without keys. Raises BadConfig."""
    try:
        document = yamltext.parse(text)
    except yamltext.Unparsable as error:
        line = f" line {error.line}" if error.line else ""
        raise BadConfig(f"{name}{line}: {error.reason}") from None
    faults = [*document.faults]
    spoiled = {path for path, _, _ in faults}
    value = {} if document.value is None else document.value
    result: M | None = None
    try:
        result = _adapter(cast(Any, model)).validate_python(value, context={"folder": folder})
    except ValidationError as error:
        # not chained: pydantic's own message shows what was given, and that may be a password
        of_model = [_fault(fault, document, model) for fault in error.errors(include_url=False)]
        faults += [fault for fault in of_model if fault[0] not in spoiled]
    if faults:
        lines = sorted((line, f"{_dotted(path)}: {reason}") for path, line, reason in faults)
        raise BadConfig("\n".join(f"{name} line {line}: {reason}" for line, reason in lines))
    assert result is not None
    return result


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def hint(word: str, known: Iterable[str]) -> str:
    """What to add to the refusal of an unknown word: the nearest known one, else all there are."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f", did you mean `{near[0]}`?" if near else f"; known: {', '.join(words)}" if words else ""


def _fault(fault: Any, document: yamltext.YamlDocument, model: Any) -> yamltext.Fault:
    path: yamltext.Path = tuple(part for part in fault["loc"] if part != "[key]")
    error = fault.get("ctx", {}).get("error")
    if isinstance(error, At):
        path += error.path
    line = document.line(path)
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return path, line, f"unknown key{hint(str(path[-1]), keys(model, path[:-1]))}"
    if not path and fault["type"] in ("model_type", "dataclass_type", "model_attributes_type"):
        return path, line, "expected keys and values at the top level"
    return path, line, fault["msg"].removeprefix("Value error, ")


def _dotted(path: yamltext.Path) -> str:
    return ".".join(map(str, path)) or "the file"


def keys(model: Any, path: yamltext.Path) -> list[str]:
    """The keys that a mapping at that path of a model may have; none where it is no model."""
    for part in path:
        model = next((inner for option in _options(model) for inner in _inside(option, part)), None)
    return [key for option in _options(model) for key in _fields(option)]


def _options(model: Any) -> Iterator[Any]:
    """The plain types that an annotation allows."""
    if isinstance(model, TypeAliasType):
        yield from _options(model.__value__)
    elif get_origin(model) is Annotated:
        yield from _options(get_args(model)[0])
    elif get_origin(model) in (Union, types.UnionType):
        for option in get_args(model):
            yield from _options(option)
    else:
        yield model


def _inside(model: Any, part: str | int) -> Iterator[Any]:
    fields = _fields(model)
    if part in fields:
        yield fields[str(part)]
        return
    origin, arguments = get_origin(model), get_args(model)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(part, str):
        yield arguments[1]
    elif isinstance(origin, type) and issubclass(origin, Sequence) and isinstance(part, int):
        yield arguments[0]


def _fields(model: Any) -> dict[str, Any]:
    """Key as written in the file → annotation, of a model or dataclass."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    if isinstance(model, type) and dataclasses.is_dataclass(model):
        hints = get_type_hints(model, include_extras=True)
        return {field.name: hints[field.name] for field in dataclasses.fields(model)}
    return {}
