"""Requests that edit features of a running server."""

from __future__ import annotations

import json

import httpx

from tests.support import Server

GEOJSON = "application/geo+json"
MERGE = "application/merge-patch+json"


def item(layer: str, fid: int | str) -> str:
    return f"/ogc/collections/{layer}/items/{fid}"


def put(server: Server, path: str, feature: object, **headers: str) -> httpx.Response:
    headers = {"content-type": GEOJSON, **server.auth, **headers}
    return server.http.put(path, content=json.dumps(feature), headers=headers)


def patch(server: Server, path: str, change: object, **headers: str) -> httpx.Response:
    headers = {"content-type": MERGE, **server.auth, **headers}
    return server.http.patch(path, content=json.dumps(change), headers=headers)


def post(server: Server, layer: str, feature: object, **headers: str) -> httpx.Response:
    headers = {"content-type": GEOJSON, **server.auth, **headers}
    return server.http.post(f"/ogc/collections/{layer}/items", content=json.dumps(feature), headers=headers)
