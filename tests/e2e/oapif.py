"""Run as a process of its own: GDAL's OAPIF driver reads every layer and prints what it saw.

GDAL inside a process that also runs a server's threads can lock up, so it gets one for itself.
usage: python oapif.py <landing page> <JSON: {layer: {bbox, property, value, crs}}>
Of a layer that is not asked for it tells the number of features only.
"""

import json
import sys

import pyogrio
import shapely


def main(root: str, asked: dict[str, dict[str, object]]) -> None:
    source = f"OAPIF:{root}"
    found = {}
    for name, geometry in pyogrio.list_layers(source).tolist():
        if name not in asked:
            found[name] = {"features": len(pyogrio.raw.read(source, layer=name, return_fids=True)[1])}
            continue
        query = asked[name]
        info = pyogrio.read_info(source, layer=name)
        moved = {"PREFERRED_CRS": query["crs"]}
        whole = pyogrio.raw.read(source, layer=name, return_fids=True)
        boxed = pyogrio.raw.read(source, layer=name, return_fids=True, bbox=tuple(query["bbox"]))
        where = "\"{}\" = '{}'".format(query["property"], str(query["value"]).replace("'", "''"))
        filtered = pyogrio.raw.read(source, layer=name, return_fids=True, where=where)
        found[name] = {
            "geometry": geometry,
            "crs": info["crs"],
            "fields": list(info["fields"]),
            "dtypes": [str(one) for one in info["dtypes"]],
            "sources": _column(whole, "source_id"),
            "boxed": _column(boxed, "source_id"),
            "filtered": _column(filtered, "source_id"),
            "moved_crs": pyogrio.read_info(source, layer=name, **moved)["crs"],
            "moved": _first(pyogrio.raw.read(source, layer=name, max_features=1, **moved)),
            "numbers": {
                name: _numbers(whole, name)
                for name, kind in zip(info["fields"], info["ogr_types"], strict=True)
                if kind in ("OFTInteger", "OFTInteger64", "OFTReal") and name != "id"
            },
        }
    print(json.dumps(found))


def _column(read: tuple, name: str) -> list[str]:
    meta, _, _, columns = read
    return [str(one) for one in columns[list(meta["fields"]).index(name)]]


def _first(read: tuple) -> list[float]:
    """The box of the first geometry, in the CRS that was asked for."""
    _, _, geometries, _ = read
    return list(shapely.from_wkb(geometries[0]).bounds)


def _numbers(read: tuple, name: str) -> list[float]:
    """The values that are there, sorted; numpy has NaN for null."""
    meta, _, _, columns = read
    values = columns[list(meta["fields"]).index(name)].astype(float)
    return sorted(values[values == values].tolist())


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
