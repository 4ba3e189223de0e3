"""``load.yml``: many files, each with the layer it becomes, loaded in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, ConfigDict, ValidationInfo, model_validator

from layers import strict
from layers.source import Declared
from layers.strict import Strict
from layers.types import LAYER_ID


def _layer_id(text: str) -> str:
    if not LAYER_ID.match(text):
        raise ValueError(f"must match {LAYER_ID.pattern}")
    return text


def _beside(file: Path, info: ValidationInfo) -> Path:
    folder = Path((info.context or {}).get("folder") or ".")
    if not (folder / file).resolve().is_relative_to(folder.resolve()):
        raise ValueError("must name a file in the manifest's folder")
    return folder / file


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry(Declared):
    """One file of a manifest, and what it declares of it."""

    __pydantic_config__: ClassVar[ConfigDict] = strict.CONFIG

    id: Annotated[str, AfterValidator(_layer_id)]
    file: Annotated[Path, AfterValidator(_beside)]
    title: Mapping[str, str] = field(default_factory=dict)
    #: Whether it is skipped, and that is told, where nothing here knows its kind, or it is refused.
    optional: bool = False

    @property
    def declared(self) -> Declared:
        """What it declares, alone."""
        return Declared(**{each.name: getattr(self, each.name) for each in fields(Declared)})


class Manifest(Strict):
    """The whole of a ``load.yml``."""

    layers: tuple[ManifestEntry, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [entry.id for entry in self.layers]
        for number, layer_id in enumerate(ids):
            if layer_id in ids[:number]:
                raise strict.At(("layers", number, "id"), f"layer {layer_id} is named twice")
        return self


def read(path: Path) -> Manifest:
    """Read a manifest; its files lie in its own folder. Raises NotFound, BadConfig."""
    return strict.read(path, Manifest)
