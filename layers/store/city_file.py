"""The part of ``city.yml`` that says where a city's layers are kept, for who opens them without a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from layers import strict
from layers.errors import NotFound
from layers.store.database import Database, Registered, StoreSettings, resolved

#: The rest of the file is the server's, which checks it.
_PART = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class _LayerPart(Registered):
    __pydantic_config__: ClassVar[ConfigDict] = _PART

    table: Annotated[str, Field(max_length=200)] = ""


@dataclass(frozen=True, slots=True)
class _CityPart:
    __pydantic_config__: ClassVar[ConfigDict] = _PART

    crs: str = "EPSG:4326"
    store: StoreSettings = field(default=None, repr=False)
    layers: dict[str, _LayerPart] = field(default_factory=dict)


def read(folder: Path) -> tuple[Database | None, str]:
    """The database of a city's features (None: a GeoPackage in its folder), and the city's own CRS.

    Raises NotFound where the folder has no ``city.yml``, BadConfig."""
    try:
        part = strict.read(folder / "city.yml", _CityPart)
    except NotFound:
        raise NotFound(f"there is no city.yml in {folder.name!r}: it is no city folder") from None
    return resolved(part.store, part.layers), part.crs
