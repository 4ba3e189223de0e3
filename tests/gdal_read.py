"""Reads a vector file as GDAL does, in a process of its own, on the libgdal of the pyogrio wheel.

An independent judge of what the writers make. pyogrio is not asked, because it turns integers beside
nulls into floats, and its Arrow path fails on a FlatGeobuf feature without a geometry.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from ctypes import c_char_p, c_double, c_int, c_longlong, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INTEGER, REAL, STRING, DATE, DATETIME, INTEGER64 = 0, 2, 4, 9, 11, 12
BOOLEAN, JSON = 1, 5


@dataclass
class Layer:
    """One layer as GDAL sees it: columns as (name, type, subtype, alternative name, comment, domain),
    features as (fid, ISO WKB or None, values)."""

    name: str
    title: str
    geometry: str
    epsg: str
    count: int
    columns: list[tuple[str, int, int, str, str, str]]
    features: list[tuple[int, bytes | None, list[Any]]]

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        index = [c[0] for c in self.columns].index(name)
        return [values[index] for _, _, values in self.features]


class Gdal:
    """The child process; ``read`` may be called many times."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self, path: Path | str) -> list[Layer]:
        """Every layer of a file. AssertionError when GDAL cannot open it or says anything at all."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(str(path)) + "\n")
        self._child.stdin.flush()
        answer = json.loads(self._child.stdout.readline())
        assert "error" not in answer, answer["error"]
        layers = []
        for one in answer["layers"]:
            features = [(f, None if w is None else bytes.fromhex(w), v) for f, w, v in one.pop("features")]
            columns = [tuple(c) for c in one.pop("columns")]
            layers.append(Layer(**one, columns=columns, features=features))
        return layers

    def close(self) -> None:
        """End the child."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait(20)
        self._child.stdout.close()


@dataclass
class _Library:
    lib: Any
    said: list[str] = field(default_factory=list)

    @classmethod
    def load(cls) -> _Library:
        sys.path.insert(0, str(Path(__file__).parent))
        from gdal_edit import Gdal as Edit

        lib = Edit().lib
        names = (
            "OGR_L_GetName OGR_L_GetLayerDefn OGR_L_GetNextFeature OGR_L_GetSpatialRef OGR_FD_GetFieldDefn"
            " OGR_Fld_GetNameRef OGR_Fld_GetAlternativeNameRef OGR_Fld_GetComment OGR_Fld_GetDomainName"
            " OGR_F_GetGeometryRef OGR_F_GetFieldAsString OGR_F_GetFieldAsISO8601DateTime"
            " OGRGeometryTypeToName OSRGetAuthorityCode GDALGetMetadataItem"
        )
        for name in names.split():
            getattr(lib, name).restype = c_void_p
        lib.OGR_F_GetFieldAsDouble.restype = c_double
        for name in ("OGR_F_GetFID", "OGR_F_GetFieldAsInteger64", "OGR_L_GetFeatureCount"):
            getattr(lib, name).restype = c_longlong
        lib.CPLSetConfigOption(b"VERIFY_BUFFERS", b"YES")
        found = cls(lib)
        handler = ctypes.CFUNCTYPE(None, c_int, c_int, c_char_p)(
            lambda _level, _code, text: found.said.append(text.decode("utf-8", "replace"))
        )
        found._handler = handler  # type: ignore[attr-defined]
        lib.CPLSetErrorHandler(handler)
        return found

    def text(self, pointer: Any) -> str:
        return "" if not pointer else ctypes.string_at(pointer).decode("utf-8", "replace")

    def read(self, path: str) -> list[dict[str, Any]]:
        dataset = c_void_p(self.lib.GDALOpenEx(path.encode(), 4 | 64, None, None, None))
        if not dataset:
            raise ValueError("; ".join(self.said) or "GDAL cannot open it")
        count = self.lib.GDALDatasetGetLayerCount(dataset)
        layers = [self.layer(c_void_p(self.lib.GDALDatasetGetLayer(dataset, i))) for i in range(count)]
        self.lib.GDALClose(dataset)
        if self.said:
            raise ValueError("; ".join(self.said))
        return layers

    def layer(self, layer: Any) -> dict[str, Any]:
        lib = self.lib
        definition = c_void_p(lib.OGR_L_GetLayerDefn(layer))
        columns = [
            self.column(c_void_p(lib.OGR_FD_GetFieldDefn(definition, i)))
            for i in range(lib.OGR_FD_GetFieldCount(definition))
        ]
        srs = c_void_p(lib.OGR_L_GetSpatialRef(layer))
        features = []
        while feature := lib.OGR_L_GetNextFeature(layer):
            features.append(self.feature(c_void_p(feature), columns))
            lib.OGR_F_Destroy(c_void_p(feature))
        return {
            "name": self.text(lib.OGR_L_GetName(layer)),
            "title": self.text(lib.GDALGetMetadataItem(layer, b"IDENTIFIER", None))
            or self.text(lib.GDALGetMetadataItem(layer, b"TITLE", None)),
            "geometry": self.text(lib.OGRGeometryTypeToName(lib.OGR_L_GetGeomType(layer))),
            "epsg": self.text(lib.OSRGetAuthorityCode(srs, None)) if srs else "",
            "count": lib.OGR_L_GetFeatureCount(layer, 1),
            "columns": columns,
            "features": features,
        }

    def column(self, column: Any) -> tuple[str, int, int, str, str, str]:
        lib = self.lib
        return (
            self.text(lib.OGR_Fld_GetNameRef(column)),
            lib.OGR_Fld_GetType(column),
            lib.OGR_Fld_GetSubType(column),
            self.text(lib.OGR_Fld_GetAlternativeNameRef(column)),
            self.text(lib.OGR_Fld_GetComment(column)),
            self.text(lib.OGR_Fld_GetDomainName(column)),
        )

    def feature(self, feature: Any, columns: list[tuple[str, int, int, str, str, str]]) -> tuple[Any, ...]:
        values = [self.value(feature, c_int(i), c[1]) for i, c in enumerate(columns)]
        shape = c_void_p(self.lib.OGR_F_GetGeometryRef(feature))
        wkb = None
        if shape:
            buffer = ctypes.create_string_buffer(self.lib.OGR_G_WkbSize(shape))
            self.lib.OGR_G_ExportToIsoWkb(shape, c_int(1), buffer)
            wkb = buffer.raw.hex()
        return self.lib.OGR_F_GetFID(feature), wkb, values

    def value(self, feature: Any, index: Any, kind: int) -> Any:
        lib = self.lib
        if not lib.OGR_F_IsFieldSetAndNotNull(feature, index):
            return None
        if kind in (INTEGER, INTEGER64):
            return lib.OGR_F_GetFieldAsInteger64(feature, index)
        if kind == REAL:
            return lib.OGR_F_GetFieldAsDouble(feature, index)
        if kind == DATETIME:
            return self.text(lib.OGR_F_GetFieldAsISO8601DateTime(feature, index, None))
        return self.text(lib.OGR_F_GetFieldAsString(feature, index))


def main() -> None:
    """A JSON path a line in, a JSON answer a line out."""
    library = _Library.load()
    for line in sys.stdin:
        library.said.clear()
        try:
            answer: dict[str, Any] = {"layers": library.read(json.loads(line))}
        except ValueError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
