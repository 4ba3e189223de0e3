"""Edits a GeoPackage as GDAL does: a program of its own, on the libgdal of the pyogrio wheel.

pyogrio itself cannot update or delete features, so the C API is called (gdal.org/api/vector_c_api.html).
Run: python gdal_edit.py FILE COMMAND ARGUMENT…; prints what it found; exit code 1 on any GDAL error.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from ctypes import c_char_p, c_int, c_longlong, c_void_p
from pathlib import Path


def edit(path: Path, *arguments: object) -> str:
    """Run one edit in a child process; what it printed. AssertionError when GDAL complained."""
    done = subprocess.run(
        [sys.executable, __file__, str(path), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


class Gdal:
    """The few calls that editing needs."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("pyogrio")
        assert found is not None
        assert found.origin is not None
        package = Path(found.origin).parent  # not imported: that takes longer than the edit
        os.environ["GDAL_DATA"] = str(package / "gdal_data")
        os.environ["PROJ_DATA"] = str(package / "proj_data")
        self.lib = ctypes.CDLL(str(next(package.with_name("pyogrio.libs").glob("libgdal*"))))
        self.lib.GDALAllRegister()
        pointers = (
            "GDALOpenEx GDALDatasetGetLayerByName OGR_L_GetFeature OGR_F_Create OGR_L_GetLayerDefn"
            " GDALDatasetExecuteSQL OGR_G_CreateGeometryFromJson GDALVectorTranslateOptionsNew"
            " GDALVectorTranslate GDALDatasetGetLayer OGR_L_GetName CPLGetLastErrorMsg"
            " OGR_Fld_Create"
        )
        for name in pointers.split():
            getattr(self.lib, name).restype = c_void_p

    def open(self, path: str, update: bool = True) -> c_void_p:
        dataset = self.lib.GDALOpenEx(path.encode(), 4 | int(update), None, None, None)
        if not dataset:
            raise SystemExit("GDAL cannot open it")
        return c_void_p(dataset)

    def layer(self, dataset: c_void_p, name: str) -> c_void_p:
        found = self.lib.GDALDatasetGetLayerByName(dataset, name.encode())
        if not found:
            raise SystemExit(f"GDAL sees no layer {name}")
        return c_void_p(found)

    def feature(self, layer: c_void_p, fid: int) -> c_void_p:
        found = self.lib.OGR_L_GetFeature(layer, c_longlong(fid))
        if not found:
            raise SystemExit(f"GDAL sees no feature {fid}")
        return c_void_p(found)

    def ok(self, code: int) -> None:
        if code != 0:
            raise SystemExit(f"GDAL error {code}: {self.message()}")

    def message(self) -> str:
        return str(ctypes.string_at(self.lib.CPLGetLastErrorMsg()), "utf-8", "replace")

    def set(self, dataset: c_void_p, layer: str, fid: str, field: str, value: str) -> None:
        handle = self.layer(dataset, layer)
        feature = self.feature(handle, int(fid))
        index = self.lib.OGR_F_GetFieldIndex(feature, field.encode())
        self.lib.OGR_F_SetFieldString(feature, c_int(index), c_char_p(value.encode()))
        self.ok(self.lib.OGR_L_SetFeature(handle, feature))

    def move(self, dataset: c_void_p, layer: str, fid: str, geojson: str) -> None:
        handle = self.layer(dataset, layer)
        feature = self.feature(handle, int(fid))
        shape = c_void_p(self.lib.OGR_G_CreateGeometryFromJson(geojson.encode()))
        self.ok(self.lib.OGR_F_SetGeometry(feature, shape))
        self.ok(self.lib.OGR_L_SetFeature(handle, feature))

    def bend(self, dataset: c_void_p, layer: str, fid: str, wkt: str) -> None:
        """Give a feature a geometry that GeoJSON has no words for."""
        handle = self.layer(dataset, layer)
        feature = self.feature(handle, int(fid))
        shape, text = c_void_p(), c_char_p(wkt.encode())
        self.ok(self.lib.OGR_G_CreateFromWkt(ctypes.byref(text), None, ctypes.byref(shape)))
        self.ok(self.lib.OGR_F_SetGeometry(feature, shape))
        self.ok(self.lib.OGR_L_SetFeature(handle, feature))

    def insert(self, dataset: c_void_p, layer: str, geojson: str) -> None:
        handle = self.layer(dataset, layer)
        feature = c_void_p(self.lib.OGR_F_Create(c_void_p(self.lib.OGR_L_GetLayerDefn(handle))))
        shape = c_void_p(self.lib.OGR_G_CreateGeometryFromJson(geojson.encode()))
        self.ok(self.lib.OGR_F_SetGeometry(feature, shape))
        self.ok(self.lib.OGR_L_CreateFeature(handle, feature))
        self.lib.OGR_F_GetFID.restype = c_longlong
        print(self.lib.OGR_F_GetFID(feature))

    def delete(self, dataset: c_void_p, layer: str, fid: str) -> None:
        self.ok(self.lib.OGR_L_DeleteFeature(self.layer(dataset, layer), c_longlong(int(fid))))

    def column(self, dataset: c_void_p, layer: str, name: str) -> None:
        field = c_void_p(self.lib.OGR_Fld_Create(name.encode(), c_int(4)))
        self.ok(self.lib.OGR_L_CreateField(self.layer(dataset, layer), field, c_int(1)))

    def sql(self, dataset: c_void_p, statement: str) -> None:
        self.lib.CPLErrorReset()
        self.lib.GDALDatasetExecuteSQL(dataset, statement.encode(), None, None)
        if self.message():
            raise SystemExit(self.message())

    def layers(self, dataset: c_void_p) -> None:
        for index in range(self.lib.GDALDatasetGetLayerCount(dataset)):
            layer = c_void_p(self.lib.GDALDatasetGetLayer(dataset, c_int(index)))
            self.lib.OGR_L_GetFeatureCount.restype = c_longlong
            count = self.lib.OGR_L_GetFeatureCount(layer, c_int(1))
            print(str(ctypes.string_at(self.lib.OGR_L_GetName(layer)), "utf-8"), count)

    def drop(self, dataset: c_void_p, layer: str) -> None:
        for index in range(self.lib.GDALDatasetGetLayerCount(dataset)):
            handle = c_void_p(self.lib.GDALDatasetGetLayer(dataset, c_int(index)))
            if str(ctypes.string_at(self.lib.OGR_L_GetName(handle)), "utf-8") == layer:
                self.ok(self.lib.GDALDatasetDeleteLayer(dataset, c_int(index)))
                return
        raise SystemExit(f"GDAL sees no layer {layer}")

    def translate(self, dataset: c_void_p, source: str, *options: str) -> None:
        """ogr2ogr FILE SOURCE OPTION…"""
        words = (c_char_p * (len(options) + 1))(*[o.encode() for o in options], None)
        prepared = c_void_p(self.lib.GDALVectorTranslateOptionsNew(words, None))
        sources = (c_void_p * 1)(self.open(source, update=False))
        failed = c_int(0)
        out = self.lib.GDALVectorTranslate(None, dataset, c_int(1), sources, prepared, ctypes.byref(failed))
        if not out or failed.value:
            raise SystemExit(f"ogr2ogr failed: {self.message()}")


def main() -> None:
    """Open, run one command, close (which flushes)."""
    gdal = Gdal()
    path, command, *arguments = sys.argv[1:]
    dataset = gdal.open(path, update=command != "layers")
    getattr(gdal, command)(dataset, *arguments)
    gdal.ok(gdal.lib.GDALClose(dataset))


if __name__ == "__main__":
    main()
