"""What is cut out of a registered tileset: areas of a setting, and where features of the city stand
instead."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely

from layers import wkb
from layers.errors import BadConfig, shown
from layers.model import Rows
from tiles.cache import Cache
from tiles.scheme import METRES_PER_DEGREE

#: Metres around a feature: what a photo shows of its walls and eaves is not thinner.
_AROUND = 0.5
#: Metres that an outline may be beside its place: engines draw so many corners in each frame.
_FINE = 0.1
#: Corners of an area in a file.
_MOST = 100_000

#: Bytes of documents that are kept.
_KEPT = 16_000_000

type Ring = Sequence[tuple[float, float]]
#: Rings, or the name of a GeoJSON file below the city's folder.
type Said = str | Sequence[Ring]


@dataclass(frozen=True, slots=True)
class _Made:
    body: bytes

    @property
    def weight(self) -> int:
        return len(self.body)


class Cuts:
    """Documents of what is cut out of layers, each made once for a state of the city and of its files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: Cache[_Made] = Cache(_KEPT)

    def document(
        self,
        state: Hashable,
        cut: Said | None,
        keep: Said | None,
        replaced: Callable[[], Iterable[Rows]] | None,
    ) -> bytes:
        """The document of two areas and of the features that stand for what is there; ``state`` names the
        layer, and what of it and of the features the document follows from. Raises BadConfig."""
        files = [self._folder / one for one in (cut, keep) if isinstance(one, str)]

        def build() -> _Made:
            areas = [] if cut is None else [area(cut, self._folder)]
            kept = None if keep is None else area(keep, self._folder)
            if replaced is not None:
                areas.append(outlines(replaced()))
            return _Made(document(areas, kept))

        return self._kept.make((state, *_changed(files)), build).body


def _changed(files: Iterable[Path]) -> list[int]:
    """When files of areas were changed last; one that is not there is told when it is read."""
    return [file.stat().st_mtime_ns for file in files if file.is_file()]


def area(said: Said, folder: Path) -> Any:
    """The area of a setting, in degrees; its file lies below the city's ``folder``. Raises BadConfig."""
    if not isinstance(said, str):
        return shapely.union_all(shapely.make_valid([shapely.Polygon(ring) for ring in said]))
    try:
        shape = shapely.from_geojson((folder / said).read_bytes())
    except OSError as error:
        raise BadConfig(f"{shown(said)} cannot be read: {error.strerror}") from error
    except shapely.GEOSException as error:
        raise BadConfig(f"{shown(said)} is no GeoJSON of polygons") from error
    merged = shapely.union_all(shapely.make_valid(shapely.get_parts(shapely.force_2d(shape))))
    if shapely.get_dimensions(merged) != 2 or shapely.get_num_coordinates(merged) > _MOST:
        raise BadConfig(f"{shown(said)} has no polygons, or more than {_MOST} corners")
    return merged


def outlines(batches: Iterable[Rows]) -> Any:
    """Where features stand, with a little around: one area in degrees."""
    found: list[Any] = []
    for rows in batches:
        shapes = shapely.force_2d(wkb.shapes(rows.wkb))
        found.append(shapes[shapely.get_dimensions(shapes) == 2])
    shapes = np.concatenate(found) if found else np.empty(0, object)
    if not len(shapes):
        return shapely.Polygon()
    # metres, near enough for a city: a buffer in degrees would be narrower to the east
    lon, lat = shapely.get_coordinates(shapes).mean(axis=0)
    scale = np.array([METRES_PER_DEGREE * np.cos(np.radians(lat)), METRES_PER_DEGREE])
    local = shapely.transform(shapes, lambda xy: (xy - (lon, lat)) * scale)
    merged = shapely.union_all(shapely.buffer(shapely.make_valid(local), _AROUND, join_style="mitre"))
    return shapely.transform(shapely.simplify(merged, _FINE), lambda xy: xy / scale + (lon, lat))


def document(cut: Iterable[Any], keep: Any | None) -> bytes:
    """GeoJSON of what is cut out (a feature of the id ``cut``), or, where an area is named outside of which
    nothing is kept, of what is then left (``keep``); without a feature where all is shown."""
    out = shapely.union_all(list(cut))
    name, shape = ("cut", out) if keep is None else ("keep", shapely.difference(keep, out))
    features = [
        {"type": "Feature", "id": name, "properties": {}, "geometry": orjson.Fragment(_geojson(shape))}
    ]
    empty = keep is None and shapely.is_empty(out)
    return orjson.dumps({"type": "FeatureCollection", "features": [] if empty else features})


def _geojson(shape: Any) -> str:
    return str(shapely.to_geojson(shapely.set_precision(shape, 1e-8, mode="pointwise")))
