"""A server with rasters, seen from outside, and what its answers hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import httpx
from rasterio.io import MemoryFile

from tests import imagery
from tests.support import Server

SPEC = "http://www.opengis.net/spec"
REL = "http://www.opengis.net/def/rel/ogc/1.0"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
BOX = "24.94,60.163,24.95,60.165"


class Site:
    """A server with rasters, seen from outside."""

    def __init__(self, server: Server) -> None:
        self.root = f"{server.url}/ogc"
        self.url = server.url
        self._client = httpx.Client(timeout=60)

    def get(self, path: str, accept: str = "*/*", **query: str | list[str]) -> httpx.Response:
        """An answer; underscores of names stand for hyphens."""
        asked = {name.replace("_", "-"): value for name, value in query.items()}
        address = path if path.startswith("http") else self.root + path
        return self._client.get(address, params=asked or None, headers={"Accept": accept})

    def close(self) -> None:
        self._client.close()

    def coverage(self, accept: str = "*/*", **query: str | list[str]) -> httpx.Response:
        return self.get("/collections/dem/coverage", accept, **query)

    def photo(self, **query: str | list[str]) -> httpx.Response:
        return self.get("/collections/photo/coverage", **query)

    def map(self, accept: str = "*/*", **query: str | list[str]) -> httpx.Response:
        return self.get("/collections/photo/map", accept, **query)


def grid(answer: httpx.Response) -> Any:
    """The GeoTIFF of an answer, open."""
    assert answer.status_code == 200, answer.text
    return MemoryFile(answer.content).open()


def size(answer: httpx.Response) -> tuple[int, int]:
    """Columns and rows of a picture."""
    assert answer.status_code == 200, answer.text
    _, height, width = imagery.pixels(answer.content).shape
    return width, height


def declared(site: Site, standard: str) -> set[str]:
    classes = site.get("/conformance", f="json").json()["conformsTo"]
    return {one.rpartition("/conf/")[2] for one in classes if one.startswith(f"{SPEC}/{standard}/1.0/conf/")}


def linked(site: Site, layer: str, rel: str) -> list[dict[str, Any]]:
    return [one for one in site.get(f"/collections/{layer}").json()["links"] if one["rel"] == f"{REL}/{rel}"]


def ported(file: Path, mark: str) -> list[str]:
    """The abstract tests with which docstrings of a file of tests begin."""
    tree = ast.parse(file.read_text("utf-8"))
    words = [ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [one for text in words for one in re.findall(rf"^{mark}/conf/([\w-]+/[\w-]+):", text)]
