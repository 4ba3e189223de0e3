"""A peer on a PostGIS database, behind the same HTTP server with the same settings as ours.

Run by the peers' own Python: ``python -m tests.bench.peers.serve pygeoapi|tipg DATABASE_URL TABLE…``.
A table has the key ``fid`` and the geometry ``geom`` in EPSG:4326. Both run as they ship.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
MAX_LIMIT = 10_000


class Server(uvicorn.Server):
    """uvicorn that tells its address once it listens."""

    url = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            print(f"Serving peer at {self.url}/", flush=True)


def main() -> None:
    """Serve on a free port and print the address."""
    name, database, *tables = sys.argv[1:]
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        application = {"pygeoapi": _pygeoapi, "tipg": _tipg}[name](database, url, tables, Path(folder))
    settings = uvicorn.Config(
        application,
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
    )
    server = Server(settings)
    server.url = url
    server.run([sock])


def _tipg(database: str, url: str, tables: list[str], folder: Path) -> Any:
    os.environ["DATABASE_URL"] = database
    os.environ["TIPG_DB_SCHEMAS"] = '["public"]'
    return importlib.import_module("tipg.main").app


def _pygeoapi(database: str, url: str, tables: list[str], folder: Path) -> Any:
    config = _config(database, url, tables)
    settings, openapi = folder / "config.yml", folder / "openapi.json"
    settings.write_text(json.dumps(config), "utf-8")  # JSON is YAML
    os.environ["PYGEOAPI_CONFIG"] = str(settings)
    os.environ["PYGEOAPI_OPENAPI"] = str(openapi)
    document = importlib.import_module("pygeoapi.openapi").get_oas(config)
    openapi.write_text(json.dumps(document, default=str), "utf-8")
    return importlib.import_module("pygeoapi.starlette_app").APP


def _config(database: str, url: str, tables: list[str]) -> dict[str, Any]:
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": urlsplit(url).port},
            "url": url,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "gzip": False,
            "languages": ["en-US"],
            "pretty_print": False,
            "limits": {"default_items": 10, "max_items": MAX_LIMIT},
            "map": {"url": "about:blank", "attribution": ""},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": "peer",
                "description": "peer",
                "keywords": ["peer"],
                "keywords_type": "theme",
                "terms_of_service": "about:blank",
                "url": "about:blank",
            },
            "license": {"name": "none", "url": "about:blank"},
            "provider": {"name": "nobody", "url": "about:blank"},
            "contact": {"name": "nobody"},
        },
        "resources": {table: _collection(database, table) for table in tables},
    }


def _collection(database: str, table: str) -> dict[str, Any]:
    parts = urlsplit(database)
    return {
        "type": "collection",
        "title": table,
        "description": table,
        "keywords": [table],
        "links": [],
        "extents": {"spatial": {"bbox": [-180, -90, 180, 90], "crs": CRS84}},
        "providers": [
            {
                "type": "feature",
                "name": "PostgreSQL",
                "data": {
                    "host": parts.hostname,
                    "port": parts.port,
                    "dbname": parts.path.strip("/"),
                    "user": parts.username,
                    "password": parts.password or "",
                    "search_path": ["public"],
                },
                "id_field": "fid",
                "table": table,
                "geom_field": "geom",
                "crs": [CRS84],
                "storage_crs": CRS84,
            }
        ],
    }


if __name__ == "__main__":
    main()
