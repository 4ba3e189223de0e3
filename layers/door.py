"""The door of notebooks and scripts: a city's layers, read where they are kept, while a server runs or not.

    import layers

    with layers.open("mycity") as city:
        tall = city["buildings"].to_geopandas(filter="height_m > 30")
        heights = city["relief"].sample([(24.94, 60.17)])

Nothing is written: a GeoPackage is opened read-only, of a database the reading role of ``city.yml`` is taken
where it names one. Who may read the city folder sees all of the city: rights are the server's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from layers import query as queries
from layers.errors import BadInput, NotFound
from layers.model import ContentLayer, FeatureLayer, Layer, has_features, is_raster
from layers.raster.files import OpenFiles, at_time, true_at
from layers.raster.profiles import RasterProfiles
from layers.store.base import Store
from layers.store.open import open_to_read
from layers.types import CRS84, Bbox, Field

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from rasterio import DatasetReader
    from trimesh import Trimesh

    from layers.raster.bands import Band


def open_city(folder: str | Path) -> CityLayers:
    """The layers of a city folder. Raises NotFound (no city there), BadConfig, Unavailable."""
    path = Path(folder)
    store, _ = open_to_read(path)
    return CityLayers(path, store)


class CityLayers(Mapping[str, "FeatureReader | RasterReader"]):
    """Layers by id: those of features, and those of rasters (coverages, terrain)."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._store = folder, store
        self._profiles = RasterProfiles(folder, OpenFiles())

    def __getitem__(self, layer_id: str) -> FeatureReader | RasterReader:
        try:
            layer = self._store.layer(layer_id)
        except NotFound:
            raise KeyError(f"there is no layer {layer_id!r}; there are {', '.join(self)}") from None
        if has_features(layer):
            return FeatureReader(self._store, layer)
        if is_raster(layer):
            return RasterReader(self._profiles, layer)
        raise KeyError(f"layer {layer_id} is of the form {layer.form}, which is not read here")

    def __iter__(self) -> Iterator[str]:
        return (layer.id for layer in self._readable())

    def __len__(self) -> int:
        return len(self._readable())

    def __repr__(self) -> str:
        return f"<layers of {self._folder.name}: {', '.join(self)}>"

    def _readable(self) -> list[Layer]:
        return [one for one in self._store.layers() if has_features(one) or is_raster(one)]

    def close(self) -> None:
        """Let go of files and connections; readers of this city end with it."""
        self._profiles.files.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FeatureReader:
    """A layer of features as it is at each call; ``layer`` says what it was when it was asked for."""

    def __init__(self, store: Store, layer: FeatureLayer) -> None:
        self._store = store
        self.layer = layer

    def __len__(self) -> int:
        return self._store.feature_layer(self.layer.id).count

    def __repr__(self) -> str:
        return f"<{self.layer.id}: {self.layer.count} features of kind {self.layer.kind}>"

    @property
    def fields(self) -> tuple[Field, ...]:
        """Names, types, titles, units and codes of the columns."""
        return self.layer.fields

    def to_geopandas(
        self,
        *,
        bbox: Bbox | None = None,
        filter: str | Mapping[str, Any] | None = None,
        datetime: str | None = None,
        properties: Sequence[str] | None = None,
        sortby: str | None = None,
        crs: str | None = None,
    ) -> GeoDataFrame:
        """The features as a table of geopandas; its index is the id of the feature (``fid``).

        ``bbox`` is west, south, east, north in degrees; ``filter`` is CQL2 as text or as JSON, ``datetime``
        as in a request, ``crs`` (``EPSG:n``) one that the layer is offered in: longitude, latitude without
        it. Raises BadParameter, Unavailable, ImportError without geopandas (``pip install
        'onemap-twin[notebook]'``)."""
        from layers.frames import frame

        pairs = [
            ("bbox", None if bbox is None else ",".join(repr(float(end)) for end in bbox)),
            ("filter", filter if filter is None or isinstance(filter, str) else json.dumps(dict(filter))),
            ("filter-lang", "cql2-json" if isinstance(filter, Mapping) else None),
            ("datetime", datetime),
            ("properties", None if properties is None else ",".join(properties)),
            ("sortby", sortby),
            ("crs", crs),
        ]
        layer = self._store.feature_layer(self.layer.id)
        query = queries.parse_download(layer, [(name, text) for name, text in pairs if text is not None])
        with closing(self._store.scan(layer.id, replace(query, crs=CRS84))) as batches:
            return frame(layer, batches, query)

    def to_trimesh(self, fid: int, *, crs: str | None = None, texture: bool = False) -> Trimesh:
        """The body of a feature that has one of its own: of a city model, or a roof that its kind made.

        Vertices are metres east, north and up of the middle of its underside (``metadata["origin"]``:
        longitude, latitude, height), or x, y of a ``crs`` (``EPSG:n``) with heights as the layer has them.
        Triangles share vertices as in the source, so that ``is_watertight`` and ``volume`` say what it is;
        ``face_attributes`` has the kind of ``surface`` and the ``part`` of each, whose ids, classes and names
        are ``metadata["parts"]``. Colours are kept, images as the colour in the middle of each triangle;
        with ``texture``, a body of one image has that, and vertices of its own for each corner.

        Raises NotFound (no such feature, or it has no body), BadFile (a CRS that is none), Unavailable,
        trimesh is imported then."""
        from layers import trimeshes

        return trimeshes.body(self._store, self.layer.id, fid, crs, texture)


class RasterReader:
    """A coverage or the terrain. ``datetime`` (a day or an instant) chooses among files with dates: the
    newest that is not later; the newest of all without it."""

    def __init__(self, profiles: RasterProfiles, layer: ContentLayer) -> None:
        self._profiles = profiles
        self.layer = layer

    def __repr__(self) -> str:
        return f"<{self.layer.id}: a {self.layer.form} in {self.layer.crs}>"

    @property
    def bands(self) -> tuple[Band, ...]:
        """Names, titles, units and types of the bands."""
        return tuple(one.band for one in self._profiles.of(self.layer).bands)

    def sample(
        self, points: ArrayLike, *, bands: Sequence[str] | None = None, datetime: str | None = None
    ) -> NDArray[np.float64]:
        """Values (points, bands) at longitudes and latitudes (points, 2): bilinear, those of the cell where
        they are classes or colours (a palette, eight bits), NaN where there are none.

        Raises BadInput for points that are none or a band that there is not, NotFound for a time before the
        first, Unavailable where a file cannot be read."""
        from layers.raster import values

        places = np.asarray(points, np.float64)
        if places.ndim != 2 or places.shape[1] != 2:
            raise BadInput("points are pairs of longitude and latitude: an array of n rows and 2 columns")
        profile = self._profiles.of(self.layer)
        by_name = {one.band.name: one.band.index for one in profile.bands}
        if unknown := [name for name in bands or () if name not in by_name]:
            raise BadInput(f"no band {unknown[0]!r}; there are {', '.join(by_name)}")
        indexes = list(by_name.values()) if bands is None else [by_name[name] for name in bands]
        lent = [self._profiles.files.lend(path) for path in self._true_at(datetime)]
        return values.at(lent, places, indexes, profile.smooth(self.layer.form)).T

    def paths(self, *, datetime: str | None = None) -> tuple[Path, ...]:
        """The files, in the order in which they are drawn. Raises Unavailable for one on another server."""
        return self._profiles.paths(at_time(self.layer, datetime))

    def _true_at(self, datetime: str | None) -> tuple[Path, ...]:
        return self._profiles.paths(true_at(self.layer, datetime))

    def open(self, *, datetime: str | None = None) -> DatasetReader:
        """The file as a dataset of rasterio, opened for reading; whoever opens it closes it.

        Raises BadInput where the layer is of several files at that time (see :meth:`paths`), NotFound,
        Unavailable."""
        import rasterio
        from rasterio.errors import RasterioIOError

        from layers.errors import Unavailable
        from layers.raster.files import DRIVER

        paths = self._true_at(datetime)
        if len(paths) > 1:
            raise BadInput(f"layer {self.layer.id} is of {len(paths)} files: open each of paths()")
        try:
            return rasterio.open(paths[0], driver=DRIVER)
        except RasterioIOError as error:
            raise Unavailable(f"layer {self.layer.id}: its raster cannot be read") from error
