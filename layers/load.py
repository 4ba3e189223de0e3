"""The one road in: a file becomes a layer, with a report of what was found.

file → guarded reader → cleaned rows (placed, repaired, quarantined) → kind's fields → stage →
publish in one transaction. A file that cannot become a layer is refused and the last good
generation stays.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from layers import guard, identity, kinds, load_changes, wkb
from layers.batch import MESH, ROW, SOURCE_ID, WKB, properties, source_array
from layers.clean import Cleaner, implausible, losses
from layers.column_plan import ColumnPlan, Fill, geometry_type, plan
from layers.content import kept
from layers.content import load as content
from layers.errors import BadFile, BadParameter, Exists, NotFound, shown
from layers.findings import Findings, RowNaming
from layers.guard import Reading, ReadLimits
from layers.identity import Identity, is_of_store
from layers.kinds import Kind, SourceBatch
from layers.kinds.base import Columns, Prism, named
from layers.kinds.vector import ArrowLists, ArrowTexts, counted
from layers.model import NOBODY, Author, FeatureLayer, Layer, Problem, Report, has_features
from layers.place import Place, crs_name, exchanged, undefined, x_is_north
from layers.place import source as source_crs
from layers.rules import ADVICE
from layers.source import NOTHING, UTC, Declared
from layers.store import forms, staged
from layers.store.base import LayerSpec, Store
from layers.textures import Texture
from layers.times import Times
from layers.types import LAYER_ID, LIVE_LAYERS, GeometryType, Titles, VersionMark

type Progress = Callable[[str, int, int], None]

MODES = ("create", "replace", "append")
#: Rows that a check looks at: seconds, whatever the file holds.
CHECKED = 100_000
_VAGUE = (
    "{} rows are new: they have no source id, and their key or place is not theirs alone, so none of them is"
    " taken for a feature of before; a column of ids would tell them apart"
)
_NO_CRS = "the file names no CRS"
_DECLARE = "declare it, for example --crs EPSG:4490"
_WKT = ("PROJCRS", "GEOGCRS", "BOUNDCRS")
#: What a layer is called that is not going to be.
_CHECKED = "checked"


def check(
    path: Path,
    declared: Declared = NOTHING,
    *,
    layer_id: str = "",
    limits: ReadLimits | None = None,
    progress: Progress | None = None,
    rows: int | None = CHECKED,
    aside: Path | None = None,
) -> Report:
    """What a load of this file would find, of so many ``rows`` of it (None: all); nothing is written, but
    those that would be set aside to the file ``aside``, also where nothing is kept.

    Raises BadFile, BadParameter."""
    with guard.read(path, declared, limits=replace(limits or ReadLimits(), rows=rows)) as reading:
        if content.is_content(reading):
            return content.report(reading, path, declared, layer_id, whole=rows is None)
        content.refuse_rows(declared, reading)
        source = _FileLoad(reading, path, declared, layer_id, progress or _silent, aside)
        source.clean()
        spec = source.spec(source.kind.title, layer_id or _CHECKED)
        fields = staged.fields(spec)
        for table in source.staged():
            staged.decode(table, spec, fields)  # what a store would refuse, a check does, too
        return source.report()


def run(
    store: Store,
    path: Path,
    declared: Declared = NOTHING,
    *,
    layer_id: str,
    mode: str = "create",
    title: Titles | None = None,
    limits: ReadLimits | None = None,
    progress: Progress | None = None,
    aside: Path | None = None,
    city: Path | None = None,
    by: Author = NOBODY,
    version: VersionMark | None = None,
    turn: Callable[[], None] | None = None,
) -> Report:
    """Load a file as a layer and keep its report in the store, and the rows that were set aside, also where
    nothing is kept, in the file ``aside``.

    ``mode`` create refuses an id that is there, replace makes a new generation (rows that match
    keep their fid), append adds to it. Without a declared ``time_field`` the layer keeps the one it has,
    else takes the only column of dates or times. ``version`` says that it is a model version, and
    of which layer. ``turn`` returns when the layer may be published, for loads that run side by side.
    Raises BadFile, BadParameter, Exists, NotFound (append to no layer), ReadOnly.
    """
    present = permitted(store, layer_id, mode)
    if present and not declared.kind:
        declared = replace(declared, kind=present.kind)
    turn = turn or _at_once
    wanted = content.Wanted(layer_id, mode, title or {}, present, by)
    while True:
        with _reading(store, path, declared, wanted, limits, city) as (reading, written, datum):
            if not content.is_content(reading):
                content.refuse_rows(declared, reading)
                if present is not None and not has_features(present):
                    raise forms.in_use(layer_id, present.form)
                known = _known(store, layer_id, present, version)
                source = _FileLoad(reading, path, declared, layer_id, progress or _silent, aside, known)
                return _rows(store, source, wanted, version, turn)
            if city is None or written is None:
                raise BadParameter("city", "", "rasters and tilesets are kept in the folder of a city")
            turn()
            # a load before it may have said meanwhile what heights count from
            if content.datum(store.layers(), layer_id, mode) == datum:
                return content.run(store, city, reading, path, declared, wanted, written=written)


def _at_once() -> None:
    """No load goes before."""


@contextmanager
def _reading(
    store: Store,
    path: Path,
    declared: Declared,
    wanted: content.Wanted,
    limits: ReadLimits | None,
    city: Path | None,
) -> Iterator[tuple[Reading, Path | None, str]]:
    """A file as it was read, the folder of what was written of a raster or tileset, and the datum of the
    city's terrain of which it was told."""
    with ExitStack() as held:
        into: Path | None = None
        datum = ""
        if city is not None:
            into = held.enter_context(kept.writing(city, store.layers))
            datum = content.datum(store.layers(), wanted.layer_id, wanted.mode)
        target = None if declared.in_place else into
        read = guard.read(path, declared, limits=limits, into=target, vertical_datum=datum)
        yield held.enter_context(read), into, datum


def _known(
    store: Store, layer_id: str, present: Layer | None, version: VersionMark | None
) -> Mapping[str, Any] | None:
    """The report of the last load of the layer, or of that of which it is to be a version."""
    if version is not None:
        return store.report(version.of)
    return store.report(layer_id) if present else None


def _rows(
    store: Store,
    source: _FileLoad,
    wanted: content.Wanted,
    version: VersionMark | None,
    turn: Callable[[], None],
) -> Report:
    """Clean, stage and publish the rows of a file; the report is kept. ``wanted.present`` has features."""
    layer_id, mode, present = wanted.layer_id, wanted.mode, wanted.present
    assert present is None or has_features(present)
    source.clean(present, append=mode == "append")
    named = wanted.title or (present.title if present else None)
    spec = source.spec(named or source.kind.title, layer_id)
    spec = replace(spec, model_version=version)
    stage = store.stage(spec)
    try:
        for table in source.staged():
            stage.add(table)
        for texture in source.textures():
            stage.texture(texture)
        turn()
        if not named:  # what others are called is known now
            title = content.untaken(store, layer_id, source.kind.title)
            stage.spec = replace(stage.spec, title=title)
        published = store.publish(stage, mode=mode, by=replace(wanted.by, via="load"))
    except BaseException:
        stage.drop()
        raise
    if published.vague:
        source.findings.add(Problem("match.vague", 0, _VAGUE.format(published.vague), "noted"))
    report = source.report()
    report.version = "" if version is None else version.name
    report.generation = published.generation
    report.created, report.updated = published.created, published.updated
    report.unchanged, report.deleted = published.unchanged, published.deleted
    load_changes.note(store, layer_id, published, report)
    store.save_report(layer_id, asdict(report))
    return report


def permitted(store: Store, layer_id: str, mode: str) -> Layer | None:
    """The layer as it is now, or None; refuses before any work is done.

    Raises BadParameter, Exists (create), NotFound (append)."""
    if not LAYER_ID.match(layer_id):
        raise BadParameter("as", layer_id, f"a layer id matches {LAYER_ID.pattern}")
    if layer_id in LIVE_LAYERS:
        raise BadParameter("as", layer_id, "this name is taken by a collection of live data")
    if mode not in MODES:
        raise BadParameter("mode", mode, f"one of {', '.join(MODES)}")
    try:
        present = store.layer(layer_id)
    except NotFound:
        if mode == "append":
            raise
        return None
    if mode == "create":
        form = "" if has_features(present) else f", as one of the form {present.form}"
        raise Exists(
            f"layer {layer_id} exists already{form};"
            " use --replace for a new generation or --append to add to it"
        )
    if present.version_of is not None:
        raise BadParameter(
            "as", layer_id, f"it is a model version of {present.version_of}; see twin model check-in"
        )
    return present


def _silent(_what: str, _done: int, _all: int) -> None:
    """No progress."""


class _FileLoad:
    """One file on its way in."""

    def __init__(
        self,
        reading: Reading,
        path: Path,
        declared: Declared,
        layer_id: str,
        progress: Progress,
        aside: Path | None,
        before: Mapping[str, Any] | None = None,
    ) -> None:
        reading = reading.called(reading.meta["names"])
        longer = kinds.long_names()
        # saved on in another format, columns that a Shapefile cut short stay so
        cut = any(longer.get(name, "").endswith("_source") for name in reading.columns())
        self._reading = reading.called(longer if cut or reading.meta["short"] else {})
        self._path = path
        self._layer_id = layer_id
        self._progress = progress
        self._aside_file = aside
        self.findings = Findings()
        for problem in reading.problems:
            self.findings.add(problem)
        self.findings.more(reading.meta["counts"])
        self.kind = kinds.get(declared.kind) if declared.kind else self._guess()
        self._vertical = ""
        self._crs, place = self._place(declared.crs)
        meta = self._reading.meta
        self._identity = self._identify(declared.id_field, before or {})
        self._cleaner = Cleaner(self.kind, place, self.findings, self._identity)
        zone = declared.time_zone or UTC
        coded = {f.name.casefold(): f.codes for f in self.kind.fields if f.codes}
        self._fill = Fill(Times(meta["times"], meta["guess_times"], zone, declared.time_field), coded)
        self._unsourced = self._find_unsourced()
        self._parts = 0
        self._aside = np.empty(0, np.int64)
        self._plan: ColumnPlan | None = None
        self._geometry: GeometryType = "Geometry"
        self._sources: dict[str, Counter[str]] = {}

    def _identify(self, wanted: str | None, before: Mapping[str, Any]) -> Identity:
        """What tells the rows apart, and what is to be said of it; ``before`` is the report of the layer's
        last load. Raises BadParameter."""
        was = before.get("id_field", ""), before.get("identity", "")
        chosen = identity.again(self._reading.batches, self._reading.columns(), wanted, *was)
        for problem in chosen.problems():
            self.findings.add(problem)
        return chosen

    def _find_unsourced(self) -> tuple[str, ...]:
        """Fields that say where a value came from which a file of a store has lost, beside the value: without
        them it counts as assumed."""
        names = self._reading.columns()
        if not is_of_store(names):
            return ()
        lost = {
            source: value
            for source, value in self.kind.provenance.items()
            if named(names, value) and not named(names, source)
        }
        for source, value in lost.items():
            reason = f"a store wrote the file, which has no {source}: {value} counts as assumed"
            self.findings.add(Problem("provenance.lost", 0, reason, "noted"))
        return tuple(lost)

    def _guess(self) -> Kind:
        """The kind by the columns and shapes of the first batch, noted."""
        if known := self._reading.meta["kind"]:
            return kinds.get(known)
        first = next(self._reading.batches(), None)
        if first is None:
            return kinds.KINDS["feature"]
        names = properties(first.column_names)
        filled = {n: 1 - first[n].null_count / len(first) for n in names}
        common = {n: _most_common(first[n]) for n in kinds.signature_columns() if n in names}
        shapes = wkb.shapes(first[WKB].to_pylist())
        families = {
            f
            for f, d in (("point", 0), ("line", 1), ("polygon", 2))
            if (shapely.get_dimensions(shapes) == d).any()
        }
        kind = kinds.guess(filled, families, common)
        self.findings.add(
            Problem("kind.guessed", 0, f"no kind was given; the columns say {kind.id}", "noted")
        )
        return kind

    def _place(self, declared: str | None) -> tuple[str, Place | None]:
        """(recorded CRS, transform to lon/lat or None): declared, else the file's, else refused."""
        meta = self._reading.meta
        if columns := meta.get("place_columns"):
            reason = f"the geometry is made of {' and '.join(map(shown, columns))}, which are no properties"
            self.findings.add(Problem("geometry.columns", 0, reason, "noted"))
        if not meta["batches"]:
            return declared or meta["crs"] or "EPSG:4326", None
        code = declared or meta["crs"]
        if code is None and meta.get("crs_of_columns"):
            code = meta["crs_of_columns"]
            self.findings.add(
                Problem(
                    "crs.by_column",
                    0,
                    f"the columns are named longitude and latitude; taken as {code}",
                    "noted",
                )
            )
        if code is None and all(table[WKB].null_count == len(table) for table in self._reading.batches()):
            return "EPSG:4326", None  # a table of things without a place, which is told of each
        nowhere = undefined(code) if code and not declared else None
        if code is None or nowhere:
            what = f"the file's CRS, {shown(nowhere)}, does not say where it lies" if nowhere else _NO_CRS
            raise BadFile("crs.missing", f"{what}; {_DECLARE}")
        if declared and meta["crs"] and declared.casefold() != str(meta["crs"]).casefold():
            self.findings.add(
                Problem(
                    "crs.declared",
                    0,
                    f"the file says {meta['crs'][:60]}; the declared {declared} is used",
                    "noted",
                )
            )
        try:
            label, place, vertical = source_crs(code)
        except BadFile as error:
            if error.rule != "crs.unknown" or declared:
                raise
            raise BadFile(error.rule, f"{error.reason}; {_DECLARE}") from error
        if place is not None and not meta.get("directed", True) and x_is_north(self._positions(), label):
            reason = f"the x counts to the north: only so do the numbers lie in the area of {crs_name(label)}"
            self.findings.add(Problem("geometry.axes", 0, reason, "noted"))
            place = exchanged(place)
        if label.startswith(_WKT):
            reason = f"the file's own definition of {shown(crs_name(label))}, which has no code, is used"
            self.findings.add(Problem("crs.own", 0, reason, "noted"))
        if vertical:
            self._vertical = vertical
            self.findings.add(
                Problem("datum.vertical", 0, f"heights are kept in their datum, {vertical}", "noted")
            )
        return label, place

    def _positions(self) -> NDArray[np.float64]:
        """The coordinates (n, 2) of the first batch."""
        first = next(self._reading.batches())
        positions: NDArray[np.float64] = shapely.get_coordinates(wkb.shapes(first[WKB].to_pylist()))
        return positions

    def clean(self, present: FeatureLayer | None = None, *, append: bool = False) -> None:
        """First pass: clean every batch and learn how the columns are filled; then decide those of the
        layer, of which ``present`` is what there is. Raises BadFile, BadParameter."""
        total = self._reading.meta.get("features", 0)
        for table in self._reading.batches():
            cleaned = self._cleaner.clean(table)
            self._fill.add(cleaned)
            self._write(cleaned)
            self._progress("read", self._cleaner.read, total)
        if not self._cleaner.read and not self._reading.meta["dropped"]:
            raise BadFile("file.no_features", "the file holds no features")
        implausible(self._cleaner)
        self._aside = self._cleaner.unmeasured()
        for problem in losses(self._cleaner):
            self.findings.add(problem)
        if not self._cleaner.kept:
            raise self._nothing_kept()
        bag, ours = self._reading.meta["bag"], self._identity.ours
        self._plan = plan(self.kind, self._fill, present, append=append, bag=bag, ours=ours)
        for problem in self._plan.problems:
            self.findings.add(problem)
        if present is not None and append:
            self._keep_datum(present.vertical_datum)
        had = present.time_field if present is not None else None
        if had and self._plan.time_field != had and self._fill.times.wanted is None:
            reason = f"{had} was the layer's time, and is no date or time any more"
            self.findings.add(Problem("time.field", 0, reason, "noted"))
        self._geometry = geometry_type(self._cleaner.types)

    def _nothing_kept(self) -> BadFile:
        """Why there is no layer; the rows are given back all the same."""
        first = next((p for p in self.findings.kept if p.action == "quarantined"), None)
        why = f"; the first: {first.rule}: {first.reason}" if first else ""
        if first and first.rule in ADVICE:
            why += f"; {ADVICE[first.rule]}"
        if (returned := self._give_back()) and self._aside_file is not None:
            why += f"; all of them are in {shown(str(Path(self._aside_file.parent.name, returned)))}"
        read = self._cleaner.read + self._reading.meta["dropped"]
        return BadFile("file.nothing_kept", f"none of the {read} rows can be kept{why}")

    def _keep_datum(self, present: str) -> None:
        """Rows that are added do not change what the layer's heights count from."""
        if present and self._vertical and present != self._vertical:
            reason = f"the layer's heights count from {present}, those of the file from {self._vertical}"
            self.findings.add(Problem("datum.mixed", 0, f"{reason}; they are not shifted", "noted"))
        self._vertical = present or self._vertical

    def _write(self, table: pa.Table) -> None:
        file = str(self._reading.folder / f"clean-{self._parts:06}.arrow")
        with pa.OSFile(file, "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
        self._parts += 1

    def _cleaned(self) -> Iterator[pa.Table]:
        for number in range(self._parts):
            with pa.memory_map(str(self._reading.folder / f"clean-{number:06}.arrow")) as source:
                table = pa.ipc.open_file(source).read_all()
                if len(self._aside):
                    table = table.filter(~np.isin(table[ROW].to_numpy(), self._aside))
                yield table

    def spec(self, title: Titles, layer_id: str) -> LayerSpec:
        """What the store is told of the layer."""
        assert self._plan is not None
        return LayerSpec(
            id=layer_id,
            kind=self.kind.id,
            title=title,
            fields=self._plan.fields,
            geometry_type=self._geometry,
            crs=self._crs,
            time_field=self._plan.time_field,
            key=self.kind.key,
            vertical_datum=self._vertical,
        )

    def staged(self) -> Iterator[pa.Table]:
        """Second pass: the kind's fields and bodies, batch by batch, as the stage wants them."""
        assert self._plan is not None
        done = 0
        for table in self._cleaned():
            if not len(table):
                continue
            batch = _batch(table, self._unsourced)
            values = self.kind.normalise(batch)
            meshes = self._meshes(table, batch, values)
            self._count(values)
            staged = self._plan.table(batch, values, meshes, self._geometry)
            for problem in batch.problems:
                self.findings.add(problem)
            done += len(table)
            self._progress("stage", done, self._cleaner.kept)
            yield staged

    def textures(self) -> Iterator[Texture]:
        """The images that the bodies name, as the stage wants them."""
        return self._reading.textures()

    def _meshes(self, table: pa.Table, batch: SourceBatch, values: Columns) -> list[bytes | None] | None:
        """The bodies that came with the rows, else those that the kind makes."""
        own = table[MESH].to_pylist() if MESH in table.column_names else None
        if own is not None and not (isinstance(self.kind.body, Prism) and self.kind.body.stored):
            reason = f"bodies are kept, but {self.kind.id} draws its own; load with --kind cim to draw them"
            self.findings.add(Problem("mesh.not_drawn", 0, reason, "noted"))
        if self.kind.mesh is None or (own is not None and all(one is not None for one in own)):
            return own
        made = self.kind.mesh(batch, values)
        return made if own is None else [o or m for o, m in zip(own, made, strict=True)]

    def _count(self, values: Columns) -> None:
        for name in self.kind.provenance:
            self._sources.setdefault(name, Counter()).update(counted(values[name]))

    def report(self) -> Report:
        """What was found, asked for once at the end; the rows that were set aside are written."""
        meta, cleaner, times = self._reading.meta, self._cleaner, self._fill.times
        report = Report(
            layer=self._layer_id,
            kind=self.kind.id,
            source=self._path.name,
            sha256=_sha256(self._path),
            driver=meta["driver"],
            crs=self._crs,
            encoding=meta["encoding"],
            identity=self._identity.title,
            id_field=self._identity.declared,
            time_zone=times.zone_name if times.local.total() else "",
            time_field=(self._plan and self._plan.time_field) or "",
            read=cleaner.read + meta["dropped"],
            kept=cleaner.kept,
            repaired=cleaner.repaired,
            quarantined=cleaner.quarantined + meta["dropped"],
            bulk=cleaner.bulk.box(),
            sources={name: dict(count) for name, count in self._sources.items()},
        )
        for problem in times.problems():
            self.findings.add(problem)
        report.aside = self._give_back()
        self.findings.into(report, RowNaming(*meta["rows"]), self._reading.batches())
        return report

    def _give_back(self) -> str:
        """Write the rows that were set aside; the name of the file, empty where there are none."""
        aside = self._aside_file
        if aside is None:
            return ""
        meta, batches = self._reading.meta, self._reading.batches()
        try:
            aside.unlink(missing_ok=True)
            naming, lost = RowNaming(*meta["rows"]), self._reading.lost()
            returned = self.findings.give_back(aside, naming, batches, lost)
            return aside.name if returned else ""
        except OSError as error:
            reason = f"the rows that were set aside cannot be written: {error.strerror}"
            self.findings.add(Problem("aside.unwritten", 0, reason, "noted"))
            return ""


def _most_common(column: pa.ChunkedArray) -> str:
    counted = Counter(v for v in column.to_pylist() if v is not None).most_common(1)
    return str(counted[0][0]) if counted else ""


def _batch(table: pa.Table, unsourced: tuple[str, ...]) -> SourceBatch:
    arrow = {name: source_array(table[name]) for name in properties(table.column_names)}
    arrow |= {name: pa.nulls(len(table)) for name in unsourced}
    return SourceBatch(
        ArrowLists(arrow),
        table[ROW].to_numpy(),
        ArrowTexts(table[SOURCE_ID]),
        lambda: wkb.shapes(table[WKB].to_pylist()),
        arrow=arrow,
        wkb=table[WKB],
    )


def _sha256(path: Path) -> str:
    """Of a file's bytes; of a folder's, over the names and digests of its files."""
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file())
        lines = (f"{_sha256(each)}  {each.relative_to(path).as_posix()}\n" for each in files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
