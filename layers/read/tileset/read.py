"""A tileset in the guarded child: walked to its leaves, told of, and copied where a folder is given."""

from __future__ import annotations

import posixpath
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from layers.errors import BadFile, listed, shown
from layers.model import SceneFacts
from layers.read import anchor as anchors
from layers.read.base import ReadOptions, Sink
from layers.read.tileset import content, volumes
from layers.read.tileset.content import BadContent
from layers.read.tileset.files import resolved, there
from layers.read.tileset.volumes import Floats
from layers.read.tileset.walk import Content, Tree, walk

NAME = "tileset.json"
#: Names that a finding lists, and contents that are read to their positions.
_LISTED, _LOOKED = 5, 400
#: The CRS of heights above the ellipsoid: what 3D Tiles are in.
_CRS = "EPSG:4979"


def read(path: Path, options: ReadOptions, sink: Sink) -> None:
    """Look at a tileset, a folder or its root document. Raises BadFile."""
    root = path / NAME if path.is_dir() else path
    _TilesetRead(root.resolve(), options, sink).run()


class _TilesetRead:
    def __init__(self, root: Path, options: ReadOptions, sink: Sink) -> None:
        self._folder, self._name = root.parent, root.name
        self._options, self._sink = options, sink
        self._types: Counter[str] = Counter()
        self._extensions: set[str] = set()
        self._beside: set[str] = set()
        self._bytes = 0

    def run(self) -> None:
        tree = walk(self._folder, self._name)
        self._note_tree(tree)
        shown_contents = self._contents(tree)
        frame = self._placed(tree)
        box, low, high = self._extent(tree, shown_contents, frame)
        files = [*dict.fromkeys(tree.documents), *(one.path for one in tree.contents), *sorted(self._beside)]
        facts = SceneFacts(
            version=tree.version,
            tiles=len(tree.kind),
            contents=dict(sorted(self._types.items())),
            bytes=self._bytes,
            low=low,
            high=high,
            extensions=tuple(sorted(self._extensions | tree.required)),
            root=self._name,
            transform=None if frame is None else tuple(frame.T.ravel().tolist()),
            in_place=bool(self._options.declared.in_place),
        )
        if self._options.into and not self._options.declared.in_place:
            self._copy(files, Path(self._options.into))
        self._sink.meta |= {
            "driver": f"3D Tiles {tree.version}",
            "crs": _CRS,
            "scene": asdict(facts),
            "extent": box,
            "vertical_datum": "ellipsoidal height",
        }

    # -- findings -------------------------------------------------------------------------------

    def _note_tree(self, tree: Tree) -> None:
        if tree.missing:
            self._several("tileset.missing", "files that the tileset names are not there", tree.missing)
        if beyond := tree.beyond():
            reason = f"{beyond} of {len(tree.kind)} tiles reach beyond the tile that they are in"
            self._sink.note("tileset.box", f"{reason}: they may vanish when one looks at their edge")
        if growing := tree.growing():
            reason = f"{growing} of {len(tree.kind)} tiles have a larger geometricError than the one around"
            self._sink.note("tileset.error", f"{reason}: finer parts may come late or not at all")
        unknown = sum(1 for kind in tree.kind if kind < 0)
        if unknown:
            reason = f"{unknown} tiles have a boundingVolume that is neither box, region nor sphere"
            self._sink.note("tileset.volume", reason)

    def _several(self, rule: str, what: str, names: list[str]) -> None:
        self._sink.note(rule, f"{what}: {listed(names, _LISTED)}")

    # -- contents -------------------------------------------------------------------------------

    def _contents(self, tree: Tree) -> list[Content]:
        """Those that can be drawn; what is wrong with the others is noted. Raises BadFile tileset.empty."""
        good: list[Content] = []
        bad: list[str] = []
        old: list[str] = []
        lying: list[str] = []
        every = max(1, len(tree.contents) // _LOOKED)
        for number, one in enumerate(tree.contents):
            self._sink.at(f"at {one.path}")
            try:
                # what others lie beside is known of a content that is read whole only
                found = self._look(one, whole=number % every == 0)
                if number % every == 0 and self._lies(tree, one, found):
                    lying.append(one.path)
            except BadContent as error:
                bad.append(f"{one.path} ({error})")
                continue
            except OSError as error:
                bad.append(f"{one.path} ({error.strerror})")
                continue
            if found.old:
                old.append(one.path)
            good.append(one)
        if bad:
            self._several("tileset.content", "contents cannot be drawn", bad)
        if old:
            self._several("tileset.gltf1", "contents are of glTF 1.0, which engines no longer draw", old)
        if lying:
            what = "contents reach beyond the box of their tile, and vanish when one looks at their edge"
            self._several("tileset.box", what, lying)
        if not good:
            raise BadFile("tileset.empty", f"the tileset has no content that can be drawn{_why(tree, bad)}")
        return good

    def _look(self, one: Content, *, whole: bool) -> content.Content:
        """A content; the files that it needs are among those that belong to the set.

        Raises BadContent, BadFile tileset.outside."""
        path = self._folder / one.path
        kind = content.type_of(path)
        if kind in ("b3dm", "cmpt", "pnts", "glb") and not whole and not self._options.into:
            found = content.Content(kind)
        else:
            found = content.look(path)
        self._types[found.type] += 1
        self._bytes += path.stat().st_size
        self._extensions |= found.requires
        for uri in found.needs:
            beside = resolved(uri, one.path)
            if not there(self._folder, beside):
                raise BadContent(f"{posixpath.basename(beside)}, which it needs, is not there")
            self._beside.add(beside)
        return found

    def _lies(self, tree: Tree, one: Content, found: content.Content) -> bool:
        """Whether positions lie outside the volume of the tile."""
        corners = content.box(found, one.up)
        if corners is None or tree.kind[one.tile] < 0:
            return False
        rows = np.array([one.tile])
        frame = tree.frames[tree.frame[one.tile]][None]
        placed = volumes.placed(corners[None], frame)
        # corners of a box around turned shapes lie outside of it where no position does: a tenth is for them
        middle = placed.mean(axis=1, keepdims=True)
        return not bool(tree.holds(rows, middle + (placed - middle) * 0.8)[0])

    # -- place ----------------------------------------------------------------------------------

    def _placed(self, tree: Tree) -> Floats | None:
        """The matrix that carries a set without a place of its own to the Earth, by its anchor; None for one
        that has a place. Raises BadFile anchor.missing, anchor.surplus."""
        corners = tree.corners(np.array([0]))
        anchor = anchors.of(self._folder / self._name, self._options.declared)
        if not np.isfinite(corners).all():
            raise BadFile("tileset.volume", "the root says in no box, region or sphere where it lies")
        if volumes.on_earth(corners):
            if anchor is not None:
                raise BadFile("anchor.surplus", "the tileset lies on the Earth; move it with layers.ID.scene")
            return None
        if anchor is None:
            raise BadFile(
                "anchor.missing",
                "the tileset does not say where on Earth it lies; declare its origin with --anchor"
                " LON,LAT,HEIGHT or in NAME.anchor.yml beside it",
            )
        from layers import crs

        ends = anchor.placed(anchor.metres(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)))
        return volumes.frame_of(crs.to_lonlat(ends, anchor.crs))

    def _extent(
        self, tree: Tree, contents: Iterable[Content], frame: Floats | None
    ) -> tuple[Any, float, float]:
        """The box in degrees and the heights of what is shown, else of the root."""
        rows = np.array(sorted({one.tile for one in contents}))
        corners = tree.corners(rows)
        corners = corners[np.isfinite(corners).all(axis=(1, 2))]
        if not len(corners):
            corners = tree.corners(np.array([0]))
        if frame is not None:
            corners = volumes.placed(corners, np.repeat(frame[None], len(corners), axis=0))
        elif not volumes.on_earth(corners):
            raise BadFile(
                "tileset.place", "the tiles do not lie where the root says: their transforms are wrong"
            )
        return volumes.around(corners)

    def _copy(self, files: Iterable[str], into: Path) -> None:
        try:
            for name in files:
                to = into / name
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._folder / name, to)
        except OSError as error:
            reason = f"the tileset cannot be copied into the city: {error.strerror}"
            raise BadFile("limit.disk", f"{reason}; --in-place reads it where it lies") from error


def _why(tree: Tree, bad: list[str]) -> str:
    if bad:
        return f": {bad[0]}"
    return f": {len(tree.missing)} files are not there, as {shown(tree.missing[0])}" if tree.missing else ""
