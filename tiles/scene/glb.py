"""Binary glTF 2.0 with EXT_mesh_features and EXT_structural_metadata, written whole."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layers.mesh import Material
from tiles import geocentric
from tiles.mesh.body import Body
from tiles.mesh.instances import Instances, quaternions
from tiles.mesh.skin import NO_MATERIAL
from tiles.scene.look import Image, Looks, pieces
from tiles.scene.look import colours as vertex_colours
from tiles.scene.metadata import PropertyColumn, parts
from tiles.scheme import Floats

FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5121, 5123, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
#: Steps of the positions of extruded bodies and tubes in a metre.
FINEST = 1024
#: The names of the property tables.
FEATURES, PARTS = "feature", "surface"
AT_PLACES = "EXT_mesh_gpu_instancing"
MESHOPT, QUANTIZATION = "EXT_meshopt_compression", "KHR_mesh_quantization"


class Buffer:
    """The binary chunk of a file and the views into it; every view starts at a multiple of eight bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.unpacked = 0
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int | None = None, stride: int | None = None) -> int:
        self.views.append({"buffer": 0, "byteOffset": self.size, "byteLength": len(data)})
        if target:
            self.views[-1]["target"] = target
        if stride:
            self.views[-1]["byteStride"] = stride
        padded = data + bytes(-len(data) % 8)
        self.parts.append(padded)
        self.size += len(padded)
        return len(self.views) - 1

    def packed(self, data: bytes, count: int, stride: int, mode: str, target: int) -> int:
        """A view of what is unpacked (EXT_meshopt_compression) to ``count`` elements of ``stride`` bytes: a
        place in a second buffer, which no file holds."""
        of_vertices = {"byteStride": stride} if target == ARRAY_BUFFER else {}
        raw: dict[str, Any] = {"buffer": 1, "byteOffset": self.unpacked, "byteLength": count * stride}
        said: dict[str, Any] = {"byteOffset": self.size, "byteLength": len(data), "byteStride": stride}
        said |= {"buffer": 0, "count": count, "mode": mode}
        self.views.append(raw | of_vertices | {"target": target, "extensions": {MESHOPT: said}})
        padded = data + bytes(-len(data) % 8)
        self.parts.append(padded)
        self.size += len(padded)
        self.unpacked += count * stride + -(count * stride) % 8
        return len(self.views) - 1

    @property
    def document(self) -> list[dict[str, Any]]:
        """What the file says of its buffers."""
        second = {"byteLength": self.unpacked, "extensions": {MESHOPT: {"fallback": True}}}
        return [{"byteLength": self.size}, *([second] if self.unpacked else [])]

    def accessor(self, view: int, component: int, count: int, type_: str, **more: Any) -> int:
        self.accessors.append(
            {"bufferView": view, "componentType": component, "count": count, "type": type_, **more}
        )
        return len(self.accessors) - 1


#: Makes a primitive, and what its node says of its place, of a body about a point.
type Pack = Callable[[Buffer, Body, Floats], tuple[dict[str, Any], dict[str, Any]]]


def glb(
    body: Body,
    table: Mapping[str, PropertyColumn],
    count: int,
    centre: Floats,
    *,
    colours: bool = False,
    copyright_: str = "",
    images: Mapping[str, Image] | None = None,
    repeated: Sequence[Instances] = (),
    pack: Pack | None = None,
    beyond: int = 0,
) -> bytes:
    """The file of one tile.

    ``centre`` (3,) geocentric metres becomes the node's translation, positions are float32
    relative to it; ``count`` is the number of rows of the table, ``body.rows`` index them;
    ``colours`` adds the surface colours as COLOR_0; ``copyright_`` is shown by clients (glTF 2.0, 5.9).

    What has a texture among ``images`` (by SHA-256), or is seen through, is a primitive of its own for each
    of them. Where vertices belong to parts, a second set of feature ids indexes the table ``surface``.
    Bodies that are ``repeated`` are meshes of their own, each with its places and the feature of each
    (EXT_mesh_gpu_instancing, EXT_instance_features); who cannot read these cannot read the file.
    ``pack`` makes the primitive of a body without skin and colours, and how its node is placed. How many
    features are ``beyond`` what a file may have stands in ``extras`` of the asset."""
    buffer, looks = Buffer(), Looks(images or {})
    steps = None if colours or body.skin is not None else FINEST
    tables = {FEATURES: (table, count)}
    ids: list[dict[str, Any]] = [{"featureCount": count, "attribute": 0, "propertyTable": 0}]
    named = () if body.skin is None else body.skin.part_table[1:]
    if named and body.skin is not None:
        tables[PARTS] = parts(named, body.skin.part_surfaces[1:]), len(named)
        ids.append(_part_ids(len(named)))
    meshes: list[dict[str, Any]] = []
    nodes: list[dict[str, Any]] = []
    packed = pack is not None and steps is not None
    if packed and pack is not None and len(body.triangles):
        primitive, placed = pack(buffer, body, centre)
        features = {"EXT_mesh_features": {"featureIds": ids}}
        primitive |= {"material": looks.of(NO_MATERIAL), "extensions": features}
        meshes.append({"primitives": [primitive]})
        nodes.append(placed)
    elif len(body.triangles):
        meshes.append({"primitives": _primitives(buffer, body, centre, looks, colours, ids, steps)})
        nodes.append({})
    for one in repeated:
        meshes.append({"primitives": _primitives(buffer, one.body, one.origin, looks, colours)})
        nodes.append({"extensions": _places(buffer, one, centre, ids[0])})
    document = {
        "asset": asset("2.0", copyright_) | {"generator": "onemap-twin"} | _extras(beyond),
        **_used(meshes, repeated, packed),
        "extensions": {"EXT_structural_metadata": metadata(buffer, tables)},
        **_scene(nodes, centre),
        "meshes": meshes,
        **looks.document(),
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": buffer.document,
    }
    return container(orjson.dumps(document), b"".join(buffer.parts))


def _scene(nodes: Sequence[dict[str, Any]], centre: Floats) -> dict[str, Any]:
    """One scene of nodes, each of the mesh of its number."""
    where = geocentric.y_up(centre).tolist()
    return {
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": [{"mesh": i, "translation": where, **node} for i, node in enumerate(nodes)],
    }


def _used(meshes: Sequence[object], repeated: Sequence[Instances], packed: bool) -> dict[str, list[str]]:
    """What the document says of extensions."""
    once = ["EXT_mesh_features"] if len(meshes) > len(repeated) else []
    if packed:
        needed = [MESHOPT, QUANTIZATION]
        return {"extensionsUsed": [*once, "EXT_structural_metadata", *needed], "extensionsRequired": needed}
    if not repeated:
        return {"extensionsUsed": [*once, "EXT_structural_metadata"]}
    used = [*once, "EXT_structural_metadata", AT_PLACES, "EXT_instance_features"]
    return {"extensionsUsed": used, "extensionsRequired": [AT_PLACES]}


def _primitives(
    buffer: Buffer,
    body: Body,
    centre: Floats,
    looks: Looks,
    colours: bool,
    ids: Sequence[dict[str, Any]] = (),
    steps: float | None = None,
) -> list[dict[str, Any]]:
    """The primitives of a mesh, one a material; ``ids`` are the sets of feature ids of its vertices; its
    positions are in ``steps`` of a metre, as they are for None."""
    made = []
    for material, piece in pieces(body, looks.known):
        primitive = _primitive(buffer, piece, centre, material, looks, colours, steps)
        if ids:
            primitive["attributes"] |= _ids(buffer, piece)
            primitive["extensions"] = {"EXT_mesh_features": {"featureIds": ids}}
        made.append(primitive)
    return made


def asset(version: str, copyright_: str) -> dict[str, Any]:
    """The ``asset`` of a glTF file or of a tileset: its version and, where there is one, the notice."""
    return {"version": version} | ({"copyright": copyright_} if copyright_ else {})


def _part_ids(count: int) -> dict[str, int]:
    return {"featureCount": count, "attribute": 1, "propertyTable": 1, "nullFeatureId": count}


def _extras(beyond: int) -> dict[str, Any]:
    return {"extras": {"features_beyond_budget": beyond}} if beyond else {}


def _places(buffer: Buffer, one: Instances, centre: Floats, ids: dict[str, Any]) -> dict[str, Any]:
    """The extensions of a node: where its mesh is drawn, and of which feature each time."""
    n = len(one.rows)
    shifts = geocentric.y_up(one.places - centre).astype("<f4")
    # the axes of glTF, before and after
    up = geocentric.y_up(np.eye(3))
    turns = quaternions(up.T @ one.rotations @ up).astype("<f4")
    attributes = {
        "TRANSLATION": buffer.accessor(
            buffer.view(shifts.tobytes()),
            FLOAT,
            n,
            "VEC3",
            min=shifts.min(axis=0).astype(float).tolist(),
            max=shifts.max(axis=0).astype(float).tolist(),
        ),
        "ROTATION": buffer.accessor(buffer.view(turns.tobytes()), FLOAT, n, "VEC4"),
        "_FEATURE_ID_0": feature_ids(buffer, one.rows),
    }
    return {
        AT_PLACES: {"attributes": attributes},
        "EXT_instance_features": {"featureIds": [ids]},
    }


def _ids(buffer: Buffer, body: Body) -> dict[str, int]:
    """The feature ids of vertices, and those of their parts where they have some."""
    attributes = {"_FEATURE_ID_0": feature_ids(buffer, body.rows)}
    skin = body.skin
    if skin is not None and len(skin.part_table) > 1:
        # the first row of the skin's table is none, and the last id of the file is
        last = len(skin.part_table) - 1
        attributes["_FEATURE_ID_1"] = feature_ids(buffer, np.where(skin.parts > 0, skin.parts - 1, last))
    return attributes


def _primitive(
    buffer: Buffer,
    body: Body,
    centre: Floats,
    material: Material,
    looks: Looks,
    colours: bool,
    steps: float | None,
) -> dict[str, Any]:
    n = len(body.positions)
    places = geocentric.y_up(body.positions - centre)
    # zeros at the end of numbers cost nothing once they are packed
    positions = (places if steps is None else np.round(places * steps) / steps).astype("<f4")
    normals = geocentric.y_up(body.normals).astype("<f4")
    attributes = {
        "POSITION": buffer.accessor(
            buffer.view(positions.tobytes(), ARRAY_BUFFER, 12),
            FLOAT,
            n,
            "VEC3",
            # three columns one by one: numpy reduces short rows slowly
            min=[float(each.min()) for each in positions.T],
            max=[float(each.max()) for each in positions.T],
        ),
        "NORMAL": buffer.accessor(buffer.view(normals.tobytes(), ARRAY_BUFFER, 12), FLOAT, n, "VEC3"),
    }
    skin = body.skin
    if colours and material == NO_MATERIAL:
        view = buffer.view(vertex_colours(body).tobytes(), ARRAY_BUFFER, 4)
        attributes["COLOR_0"] = buffer.accessor(view, UNSIGNED_BYTE, n, "VEC4", normalized=True)
    if skin is not None and material.texture is not None:
        view = buffer.view(skin.uv.astype("<f4").tobytes(), ARRAY_BUFFER, 8)
        attributes["TEXCOORD_0"] = buffer.accessor(view, FLOAT, n, "VEC2")
    # 65535 is the primitive restart value (glTF 2.0, 3.7.2.1)
    small = n < 65_535
    index = body.triangles.astype("<u2" if small else "<u4").tobytes()
    indices = buffer.accessor(
        buffer.view(index, ELEMENT_ARRAY_BUFFER),
        UNSIGNED_SHORT if small else UNSIGNED_INT,
        body.triangles.size,
        "SCALAR",
    )
    return {"attributes": attributes, "indices": indices, "material": looks.of(material), "mode": 4}


def feature_ids(buffer: Buffer, rows: NDArray[np.int64]) -> int:
    """Rows as 16-bit numbers four bytes apart (vertex data is 4-byte aligned), as floats beyond 65 535."""
    if not len(rows) or rows.max() < 65_536:
        padded = np.zeros((len(rows), 2), "<u2")
        padded[:, 0] = rows
        view = buffer.view(padded.tobytes(), ARRAY_BUFFER, 4)
        return buffer.accessor(view, UNSIGNED_SHORT, len(rows), "SCALAR")
    view = buffer.view(rows.astype("<f4").tobytes(), ARRAY_BUFFER, 4)
    return buffer.accessor(view, FLOAT, len(rows), "SCALAR")


def metadata(
    buffer: Buffer, tables: Mapping[str, tuple[Mapping[str, PropertyColumn], int]]
) -> dict[str, Any]:
    """The extension's object of tables by the name of their class, each with its number of rows."""
    classes: dict[str, Any] = {}
    enums: dict[str, Any] = {}
    written: list[dict[str, Any]] = []
    for name, (table, count) in tables.items():
        properties: dict[str, dict[str, Any]] = {}
        schema: dict[str, dict[str, Any]] = {}
        for key, column in table.items():
            entry: dict[str, Any] = {"values": buffer.view(column.values)}
            if column.offsets is not None:
                entry |= {"stringOffsets": buffer.view(column.offsets), "stringOffsetType": "UINT32"}
            properties[key], schema[key] = entry, column.schema
            if column.enum is not None:
                enum = f"{name}_{column.schema['enumType']}"
                enums[enum], schema[key] = column.enum, {**column.schema, "enumType": enum}
        classes[name] = {"properties": schema}
        written.append({"class": name, "count": count, "properties": properties})
    schema_ = {"id": "layer", "classes": classes} | ({"enums": enums} if enums else {})
    return {"schema": schema_, "propertyTables": written}


def container(document: bytes, binary: bytes) -> bytes:
    """Header and chunks (glTF 2.0, 4.4); the JSON is padded so that the binary data starts at 8 n."""
    document += b" " * ((4 - len(document)) % 8)
    total = 12 + 8 + len(document) + 8 + len(binary)
    return b"".join(
        (
            struct.pack("<4sII", b"glTF", 2, total),
            struct.pack("<I4s", len(document), b"JSON"),
            document,
            struct.pack("<I4s", len(binary), b"BIN\x00"),
            binary,
        )
    )
