"""The body of a feature as a mesh of trimesh, for notebooks and scripts."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from layers import crs as crss
from layers.errors import NotFound
from layers.mesh import Mesh, Surface
from layers.store.base import Store

if TYPE_CHECKING:
    from trimesh import Trimesh

type Floats = NDArray[np.float64]

_UNTOLD = (255, 255, 255, 255)


def body(store: Store, layer_id: str, fid: int, crs: str | None, texture: bool) -> Trimesh:
    """See :meth:`layers.door.FeatureReader.to_trimesh`."""
    import trimesh

    mesh = store.rows(layer_id, [fid], meshes=True).meshes.get(fid)
    if mesh is None:
        store.item(layer_id, fid)  # whether there is such a feature
        raise NotFound(f"feature {fid} of layer {layer_id} has no body of its own")
    positions, about = _placed(mesh, crs)
    images = {sha: _image(store, layer_id, sha) for sha in sorted(mesh.textures())}
    surfaces = [Surface(kind).name if kind < len(Surface) else "UNKNOWN" for kind in mesh.surfaces.tolist()]
    told: dict[str, Any] = {"surface": np.array(surfaces)}
    if mesh.parts is not None:
        told["part"] = mesh.parts
        about["parts"] = [asdict(one) for one in mesh.part_table]
    made: dict[str, Any] = {"process": False, "face_attributes": told, "metadata": about}
    if texture and len(images) == 1 and mesh.uv is not None:
        return trimesh.Trimesh(**made, **_textured(mesh, positions, next(iter(images.values()))))
    colours = None if mesh.materials is None else _colours(mesh, images)
    return trimesh.Trimesh(positions, mesh.triangles, face_colors=colours, **made)


def _placed(mesh: Mesh, crs: str | None) -> tuple[Floats, dict[str, Any]]:
    """Positions in metres east, north and up of the middle of the body's underside, or in a CRS with heights
    as they are; and where that is. Raises BadFile for a CRS that is none."""
    lon, lat, height = mesh.positions.T
    if crs is not None:
        xy = crss.from_lonlat(mesh.positions[:, :2], crs, x_first=True)
        return np.column_stack([xy, height]), {"crs": crs}
    origin = [float((axis.min() + axis.max()) / 2) for axis in (lon, lat)] + [float(height.min())]
    local = Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=cart +ellps=WGS84"
        f" +step +proj=topocentric +ellps=WGS84 +lon_0={origin[0]!r} +lat_0={origin[1]!r} +h_0={origin[2]!r}"
    )
    return np.column_stack(local.transform(lon, lat, height)), {"origin": tuple(origin)}


def _image(store: Store, layer_id: str, sha: str) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(store.texture(layer_id, sha).data)).convert("RGBA")


def _textured(mesh: Mesh, positions: Floats, image: Any) -> dict[str, Any]:
    """Vertices of their own for each corner: an image lies on corners, not on places."""
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    corners = np.arange(3 * len(mesh.triangles)).reshape(-1, 3)
    assert mesh.uv is not None
    uv = mesh.uv.reshape(-1, 2) * [1, -1] + [0, 1]  # trimesh counts v from the lower side
    colors = {one.color for one in mesh.material_table if one.texture is not None}
    color = colors.pop() if len(colors) == 1 else None
    material: Any = PBRMaterial(  # type: ignore[no-untyped-call]
        baseColorTexture=image, baseColorFactor=color, metallicFactor=0.0, roughnessFactor=1.0
    )
    return {
        "vertices": positions[mesh.triangles].reshape(-1, 3),
        "faces": corners,
        "visual": TextureVisuals(uv=uv, material=material),  # type: ignore[no-untyped-call]
    }


def _colours(mesh: Mesh, images: dict[str, Any]) -> NDArray[np.uint8]:
    """The colour (m, 4) of each triangle: that of its material, else what its image has in its middle."""
    out = np.full((len(mesh.triangles), 4), _UNTOLD, np.uint8)
    for index, material in enumerate(mesh.material_table):
        mine = np.flatnonzero(mesh.materials == index)
        if material.texture is not None and mesh.uv is not None:
            pixels = np.asarray(images[material.texture])
            middle = mesh.uv[mine].mean(axis=1) % 1.0
            at = np.minimum((middle * pixels.shape[1::-1]).astype(int), np.array(pixels.shape[1::-1]) - 1)
            seen = pixels[at[:, 1], at[:, 0]]
            out[mine] = seen if material.color is None else seen * (np.array(material.color) / 255)
        elif material.color is not None:
            out[mine] = material.color
    return out
