"""The tree of a tileset, over all of its documents: volumes, errors, contents. Nothing is drawn of it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.errors import BadFile, shown
from layers.read.tileset import implicit, volumes
from layers.read.tileset.files import MOST_BYTES, begins, embedded, resolved, there
from layers.read.tileset.files import document as read_document
from layers.read.tileset.volumes import KINDS, Floats

VERSIONS = ("0.0", "1.0", "1.1")
MOST_TILES = 5_000_000
_MOST_MISSING = 20_000
#: Documents inside one another.
_DEEPEST = 500
_IMPLICIT, _MULTIPLE = "3DTILES_implicit_tiling", "3DTILES_multiple_contents"
#: Rows that are compared at once.
_CHUNK = 50_000


@dataclass(slots=True)
class Content:
    """A file that a tile shows: the number of its tile, and the axis of its glTF that points up."""

    path: str
    tile: int
    up: str


@dataclass(slots=True)
class Tree:
    """All tiles of a set in the order in which they were met: what volume each has (``kind`` an index of
    KINDS, -1 for none of these), its numbers, its geometric error, its parent (-1: none) and the number of
    its frame, from the tile to the root."""

    kind: list[int] = field(default_factory=list)
    numbers: list[list[float]] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    frames: list[Floats] = field(default_factory=lambda: [np.eye(4)])
    contents: list[Content] = field(default_factory=list)
    #: Documents and subtrees, root first.
    documents: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    version: str = ""
    up: str = "Y"
    required: set[str] = field(default_factory=set)

    def of_kind(self, kind: int, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Numbers and frames of those of some rows that are of one kind."""
        length = volumes.LENGTHS[KINDS[kind]]
        numbers = np.array([self.numbers[row] for row in rows.tolist()], float).reshape(-1, length)
        frames = np.stack([self.frames[self.frame[row]] for row in rows.tolist()])
        return numbers, frames

    def corners(self, rows: NDArray[np.int64]) -> Floats:
        """Corners (n, 8, 3) of the volumes of some rows, in the frame of the root; NaN for those of none."""
        made = np.full((len(rows), 8, 3), np.nan)
        kinds = np.array([self.kind[row] for row in rows.tolist()], int)
        for kind, name in enumerate(KINDS):
            some = np.flatnonzero(kinds == kind)
            if len(some):
                made[some] = volumes.points(name, *self.of_kind(kind, rows[some]))
        return made

    def holds(self, rows: NDArray[np.int64], corners: Floats) -> NDArray[np.bool_]:
        """Whether the volumes of some rows hold points (n, k, 3); True where either is not known."""
        made = np.ones(len(rows), bool)
        kinds = np.array([self.kind[row] for row in rows.tolist()], int)
        known = np.isfinite(corners).all(axis=(1, 2))
        for kind, name in enumerate(KINDS):
            some = np.flatnonzero((kinds == kind) & known)
            if len(some):
                made[some] = volumes.inside(name, *self.of_kind(kind, rows[some]), corners[some])
        return made

    def beyond(self) -> int:
        """How many tiles reach beyond the one that they are in."""
        parents = np.array(self.parent, int)
        inner = np.flatnonzero(parents >= 0)
        count = 0
        for start in range(0, len(inner), _CHUNK):
            rows = inner[start : start + _CHUNK]
            count += int((~self.holds(parents[rows], self.corners(rows))).sum())
        return count

    def growing(self) -> int:
        """How many tiles have a larger error than the one that they are in."""
        errors, parents = np.array(self.error), np.array(self.parent, int)
        inner = np.flatnonzero(parents >= 0)
        return int((errors[inner] > errors[parents[inner]] * (1 + 1e-6)).sum())


@dataclass(slots=True)
class _Waiting:
    """A tile to be looked at."""

    raw: Any
    document: str
    parent: int
    frame: int
    up: str
    #: The documents around its own, that among them.
    inside: tuple[str, ...]


def walk(root: Path, name: str) -> Tree:
    """The tree of the tileset whose root document is ``name`` in the folder ``root``.

    Raises BadFile: tileset.damaged, tileset.version, tileset.outside, tileset.cycle, limit.tiles."""
    return _Walk(root).run(name)


class _Walk:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._tree = Tree()
        self._seen: set[str] = set()
        self._files: set[str] = set()

    def run(self, name: str) -> Tree:
        """All of it."""
        waiting = [self._open(name, -1, 0, ())]
        while waiting:
            one = waiting.pop()
            waiting += self._tile(one)
            if len(self._tree.kind) > MOST_TILES:
                raise BadFile("limit.tiles", f"the tileset has more than {MOST_TILES} tiles")
        return self._tree

    def _open(self, path: str, parent: int, frame: int, inside: tuple[str, ...]) -> _Waiting:
        """The root tile of a document."""
        document = read_document(self._root / path, MOST_BYTES)
        if not isinstance(document.get("root"), dict):
            raise BadFile("tileset.damaged", f"{shown(path)} has no root tile")
        asset = _object(document.get("asset"))
        version = str(asset.get("version", ""))
        if version not in VERSIONS:
            raise BadFile(
                "tileset.version",
                f"{shown(path)} is of 3D Tiles {shown(version or 'without a version')}; read are 1.0 and 1.1",
            )
        up = str(asset.get("gltfUpAxis", "Y")).upper()
        if up not in ("X", "Y", "Z"):
            raise BadFile("tileset.damaged", f"{shown(path)}: gltfUpAxis {shown(up)} is none of X, Y, Z")
        tree = self._tree
        if not tree.documents:
            tree.version, tree.up = version, up
        tree.required.update(one for one in document.get("extensionsRequired", ()) if isinstance(one, str))
        tree.documents.append(path)
        self._seen.add(path)
        # engines take the axis of the root document for all
        return _Waiting(document["root"], path, parent, frame, tree.up, (*inside, path))

    def _tile(self, one: _Waiting) -> Iterator[_Waiting]:
        raw, tree = one.raw, self._tree
        if not isinstance(raw, dict):
            raise BadFile("tileset.damaged", f"{shown(one.document)} has a tile that is no object")
        frame = self._frame(raw.get("transform"), one)
        number = len(tree.kind)
        found = volumes.read(raw.get("boundingVolume"))
        tree.kind.append(KINDS.index(found[0]) if found else -1)
        tree.numbers.append(found[1] if found else [])
        tree.error.append(self._error(raw.get("geometricError"), one))
        tree.parent.append(one.parent)
        tree.frame.append(frame)
        extensions = _object(raw.get("extensions"))
        tiling = raw.get("implicitTiling") or extensions.get(_IMPLICIT)
        named = list(_contents(raw, extensions))
        if tiling is not None:
            self._implicit(tiling, named, one, number)
        else:
            for uri in named:
                yield from self._content(uri, one, number, frame)
        children = raw.get("children", [])
        if not isinstance(children, list):
            raise BadFile("tileset.damaged", f"{shown(one.document)}: the children of a tile are no list")
        for child in children:
            yield _Waiting(child, one.document, number, frame, one.up, one.inside)

    def _content(self, uri: object, one: _Waiting, tile: int, frame: int) -> Iterator[_Waiting]:
        if isinstance(uri, str) and embedded(uri):
            return
        path = resolved(uri, one.document)
        if path in one.inside:
            raise BadFile("tileset.cycle", f"{shown(one.document)} names {shown(path)}, which is around it")
        if not self._there(path):
            return
        if posixpath.splitext(path)[1].casefold() == ".json" and self._is_tileset(path):
            if len(one.inside) > _DEEPEST:
                raise BadFile("tileset.cycle", f"more than {_DEEPEST} documents lie inside one another")
            if path not in self._seen:
                yield self._open(path, tile, frame, one.inside)
            return
        self._file(path, tile)

    def _is_tileset(self, path: str) -> bool:
        head = begins(self._root / path, 1 << 16)
        return b'"geometricError"' in head or b'"root"' in head

    def _file(self, path: str, tile: int) -> None:
        if path not in self._files:
            self._files.add(path)
            self._tree.contents.append(Content(path, tile, self._tree.up))

    def _there(self, path: str) -> bool:
        """As ``there``; what is missing is remembered. Raises BadFile tileset.outside, tileset.missing."""
        if there(self._root, path):
            return True
        self._missing(path)
        return False

    def _missing(self, path: str) -> None:
        self._tree.missing.append(path)
        if len(self._tree.missing) > _MOST_MISSING:
            reason = f"more than {_MOST_MISSING} files that it names are not there, such as {shown(path)}"
            raise BadFile("tileset.missing", f"{reason}; copy the whole folder again")

    def _implicit(self, raw: object, named: list[object], one: _Waiting, tile: int) -> None:
        if not isinstance(raw, Mapping) or not all(isinstance(uri, str) for uri in named):
            raise BadFile("tileset.damaged", f"{shown(one.document)}: an implicitTiling is no object")
        tiling = implicit.Tiling.of(raw, tuple(str(uri) for uri in named))
        used = self._tree.documents.append
        for path in implicit.contents(tiling, one.document, self._root, used, self._missing):
            if self._there(path):
                self._file(path, tile)
            if len(self._files) > MOST_TILES:
                raise BadFile("limit.tiles", f"the tileset has more than {MOST_TILES} contents")

    def _frame(self, raw: object, one: _Waiting) -> int:
        """The number of a tile's own frame."""
        if raw is None:
            return one.frame
        if not isinstance(raw, list) or len(raw) != 16 or not volumes.finite(raw):
            raise BadFile("tileset.damaged", f"{shown(one.document)}: a transform is not 16 numbers")
        matrix = np.array(raw, float).reshape(4, 4).T
        if abs(np.linalg.det(matrix[:3, :3])) < 1e-12 or not np.allclose(matrix[3], (0, 0, 0, 1)):
            raise BadFile("tileset.damaged", f"{shown(one.document)}: a transform is of no use: {raw}")
        self._tree.frames.append(self._tree.frames[one.frame] @ matrix)
        return len(self._tree.frames) - 1

    def _error(self, raw: object, one: _Waiting) -> float:
        if not volumes.finite([raw]) or raw < 0:  # type: ignore[operator]
            raise BadFile("tileset.damaged", f"{shown(one.document)}: geometricError {shown(raw)} of a tile")
        return float(raw)  # type: ignore[arg-type]


def _object(raw: object) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _contents(raw: Mapping[str, Any], extensions: Mapping[str, Any]) -> Iterator[object]:
    """The addresses of a tile's contents, as 3D Tiles 1.1, 1.0 and the drafts before it write them."""
    several = raw.get("contents")
    if several is None:
        extension = extensions.get(_MULTIPLE)
        if isinstance(extension, Mapping):
            several = extension.get("contents", extension.get("content"))
    many = several if isinstance(several, list) else []
    for one in [*([raw["content"]] if raw.get("content") is not None else []), *many]:
        if not isinstance(one, Mapping):
            raise BadFile("tileset.damaged", "the content of a tile is no object")
        yield one.get("uri", one.get("url"))
