"""A source is a file, or a folder or zip archive of files; it is read as the one layer that was named."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from layers.errors import BadFile, shown
from layers.read import gzipped, registry, zipped
from layers.read.base import ReadLimits, ReadOptions, Sink
from layers.read.format import Reader
from layers.read.sample import Sample
from layers.source import SeveralLayers, SourceLayer, unknown_layer

#: Folders that some programs put into an archive beside what was packed.
_JUNK = frozenset({"__MACOSX"})
_DEEPEST = 16
#: Files that are not read whose reasons are told.
_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class _Choice:
    """A layer that can be named, the file (or the folder of a format that is one) and its layer there."""

    shown: SourceLayer
    reader: Reader
    path: Path
    inner: str | None


def read(options: ReadOptions, sink: Sink, work: Path) -> None:
    """Read a source; a zip archive, or a file in gzip, is unpacked into the work folder. Raises BadFile."""
    path = Path(options.path)
    sample = Sample.of(path, options.declared.encoding)
    if sample.head.startswith(gzipped.MAGIC):
        lay = path.parent
        path = _unpacked(path, options, work)
        options = replace(options, path=str(path), beside=str(lay))
        sample = Sample.of(path, options.declared.encoding)
    reader = registry.choose(sample, options.limits)
    if reader is not None:
        _check_size(path, reader, options.limits)
        _check_anchor(reader, options)
        reader.read(path, options, sink)
        return
    if options.declared.in_place:
        raise BadFile(
            "raster.in_place", f"{shown(path.name)} is a container; name the COG itself with --in-place"
        )
    if sample.inside == "zip":
        _check_size(path, None, options.limits)
    folder, what = path, "folder"
    if sample.inside == "zip":
        folder, what = work / "unpacked", "zip archive"
        zipped.unpack(path, folder, options.limits)
    search = _Search(options.limits, options.declared.encoding)
    if not search.take(folder):
        search.look(folder)
    chosen = _chosen(_choices(search, folder, options), search, options, what)
    for name, error in search.others[:_MOST_TOLD]:
        sink.note("source.ignored", f"{shown(name)} is not read: {error.reason}")
    if len(search.others) > _MOST_TOLD:
        sink.note("source.ignored", f"{len(search.others) - _MOST_TOLD} more files are not read")
    _check_anchor(chosen.reader, options)
    declared = replace(options.declared, layer=chosen.inner)
    chosen.reader.read(chosen.path, replace(options, path=str(chosen.path), declared=declared), sink)


def _unpacked(path: Path, options: ReadOptions, work: Path) -> Path:
    """What a file in gzip holds. Raises BadFile."""
    if options.declared.in_place:
        raise BadFile("raster.in_place", f"{shown(path.name)} is packed; unpack it for --in-place")
    beside = frozenset().union(*(each.beside for each in registry.readers()))
    return gzipped.unpack(path, work / "gunzipped", options.limits, beside)


def _check_anchor(reader: Reader, options: ReadOptions) -> None:
    """Raises BadFile anchor.surplus for what has a place of its own."""
    declared = options.declared
    if not reader.anchored and any(
        one is not None for one in (declared.anchor, declared.rotation, declared.unit, declared.up)
    ):
        raise BadFile("anchor.surplus", f"--anchor places a model; a {reader.title} has its own place")


def _check_size(path: Path, reader: Reader | None, limits: ReadLimits) -> None:
    """Raises BadFile limit.bytes: a file is larger than what is read of its format, or a zip archive."""
    most = limits.raster_size if reader is not None and reader.raster else limits.size
    size = path.stat().st_size
    if path.is_file() and size > most:
        raise BadFile("limit.bytes", f"the file has {size} bytes, the limit is {most}")


class _Search:
    """Goes through a folder for what is read."""

    def __init__(self, limits: ReadLimits, encoding: str | None) -> None:
        self._limits = limits
        self._encoding = encoding
        self._seen = 0
        self._beside = {ending for each in registry.readers() for ending in each.beside}
        self.parts: list[tuple[Reader, Path]] = []
        #: Names of files that are not read, and why.
        self.others: list[tuple[str, BadFile]] = []

    def look(self, folder: Path, depth: int = 0) -> None:
        """Find what is read in a folder, and in those inside it. Raises BadFile limit.members."""
        try:
            inside = sorted(folder.iterdir())
        except OSError as error:
            self.others.append(
                (folder.name, BadFile("file.unreadable", f"it cannot be read: {error.strerror}"))
            )
            return
        for path in inside:
            if path.name.startswith(".") or path.name in _JUNK:
                continue
            self._seen += 1
            if self._seen > self._limits.members:
                raise BadFile("limit.members", f"the folder holds more than {self._limits.members} files")
            if path.is_file():
                self.take(path)
            elif path.is_dir() and not path.is_symlink() and not self.take(path) and depth < _DEEPEST:
                self.look(path, depth + 1)

    def take(self, path: Path) -> bool:
        """Whether a file or folder is of a format that is read."""
        try:
            sample = Sample.of(path, self._encoding)
            if path.is_file() and path.stat().st_size > self._limits.size:
                raise BadFile("limit.bytes", f"it has more than {self._limits.size} bytes")
            reader = registry.choose(sample, self._limits)
            if reader is None and sample.inside == "zip":
                raise BadFile("zip.nested", "it is a zip archive; unpack it, or load it alone")
        except BadFile as error:
            if path.suffix.casefold() not in self._beside:
                self.others.append((path.name, error))
            return False
        if reader is None:
            return False
        self.parts.append((reader, path))
        return True


def _choices(search: _Search, folder: Path, options: ReadOptions) -> list[_Choice]:
    """The layers of all files: named after their file where it has one, else file/layer; of a single file as
    they are named there. Files of one name are told apart by their path.

    A file whose layers cannot be listed is one of the others, but for a single one. Raises BadFile."""
    parts = search.parts
    if any(reader.pictured for reader, _ in parts):  # pictures without a place are those of models
        parts = [(reader, path) for reader, path in parts if reader.placed is None or reader.placed(path)]
    stems = Counter(path.stem.casefold() for _, path in parts)
    choices: list[_Choice] = []
    for reader, path in parts:
        name = path.stem if stems[path.stem.casefold()] == 1 else path.relative_to(folder).as_posix()
        try:
            inside = reader.layers(path, options) if reader.layers else [SourceLayer("")]
        except BadFile as error:
            if len(parts) == 1:
                raise
            search.others.append((path.name, error))
            continue
        for each in inside:
            many = f"{name}/{each.name}" if len(inside) > 1 else name
            label = each.name if each.name and len(parts) == 1 else many
            choices.append(_Choice(replace(each, name=label), reader, path, each.name or None))
    return choices


def _chosen(choices: list[_Choice], search: _Search, options: ReadOptions, what: str) -> _Choice:
    """The layer that was named, or the only one. Raises BadFile."""
    if not choices:
        rule = "file.directory" if what == "folder" else "file.zip"
        names = ", ".join(shown(name) for name, _ in search.others[:_MOST_TOLD])
        why = f"; {names}: {search.others[0][1].reason}" if len(search.others) == 1 else f": {names}"
        raise BadFile(rule, f"the {what} holds no file of a type that is read{why if names else ''}")
    wanted = options.declared.layer
    if wanted is None and len(choices) > 1:
        raise SeveralLayers([each.shown for each in choices])
    for each in choices:
        if wanted in (None, each.shown.name):
            return each
    raise unknown_layer(wanted or "", [each.shown.name for each in choices])
