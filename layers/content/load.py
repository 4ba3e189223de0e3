"""A raster or tileset becomes a layer: what the guarded child found is recorded, and its COG or the copy of
its files gets its place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from layers import instants
from layers.content import kept
from layers.errors import BadParameter
from layers.findings import Findings, RowNaming
from layers.guard import Reading
from layers.model import NOBODY, Asset, Author, ContentLayer, Layer, Report
from layers.place import source as source_crs
from layers.source import Declared
from layers.store import forms
from layers.store.base import FormSpec, Store
from layers.types import Bbox, Form, Titles

#: Kinds of what has no rows, the form of each, and what a layer is called that has no title.
FORMS: dict[str, Form] = {"raster": "coverage", "terrain": "surface", "scene": "scene"}
_TITLES: dict[str, Titles] = {
    "raster": {"en": "Raster", "zh-CN": "栅格"},
    "terrain": {"en": "Terrain", "zh-CN": "地形"},
    "scene": {"en": "3D scene", "zh-CN": "三维场景"},
}
#: Bytes of a file whose digest a check still takes.
_HASHED = 2 << 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """The layer that is to be made, how, and what there is of it."""

    layer_id: str
    mode: str
    title: Titles
    present: Layer | None
    by: Author = NOBODY


def is_content(reading: Reading) -> bool:
    """Whether what was read has no rows."""
    return reading.raster is not None or reading.scene is not None


def kind_of(reading: Reading, declared: Declared) -> str:
    """The kind of what was read. Raises BadParameter: the declared one is of something else; what goes with
    rows, or with rasters, only."""
    what, kinds = ("raster", ("raster", "terrain")) if reading.scene is None else ("tileset", ("scene",))
    kind = declared.kind or kinds[0]
    if kind not in kinds:
        raise BadParameter("kind", kind, f"the file is a {what}, which is one of {', '.join(kinds)}")
    surplus = ["id_field", "encoding", "time_field", "layer"]
    if reading.scene is not None:
        surplus += ["nodata", "vertical"]
    for name in surplus:
        if (value := getattr(declared, name)) is not None:
            raise BadParameter(name, value, f"the file is a {what}, which has no such thing")
    if kind != "terrain" and declared.offset is not None:
        raise BadParameter("offset", declared.offset, "goes with --kind terrain")
    return kind


def refuse_rows(declared: Declared, reading: Reading) -> None:
    """Raises BadParameter: something is declared of a file of rows that only rasters and tilesets have."""
    for name in ("time", "nodata", "vertical", "offset", "in_place"):
        if name == "time" and reading.meta["dated"]:
            continue
        if (value := getattr(declared, name)) is not None:
            raise BadParameter(name, value, "the file has rows, and this goes with rasters and tilesets")


def moment(declared: Declared) -> str | None:
    """The time of a raster or tileset as assets have it. Raises BadParameter."""
    text = declared.time
    if text is None:
        return None
    try:
        return instants.day(text) if len(text.strip()) == 10 else instants.instant(text)
    except ValueError as error:
        raise BadParameter("time", text, f"a day (2024-05-01) or a time with its zone: {error}") from error


def report(reading: Reading, path: Path, declared: Declared, layer_id: str, *, whole: bool) -> Report:
    """What was found; ``whole``: a raster was read to its end. Raises BadFile, BadParameter."""
    meta = reading.meta
    findings = Findings()
    for problem in reading.problems:
        findings.add(problem)
    label, _, _ = source_crs(meta["crs"])
    moment(declared)
    made = Report(
        layer=layer_id,
        kind=kind_of(reading, declared),
        source=path.name,
        sha256=_digest(path, whole=whole),
        driver=meta["driver"],
        crs=label,
        vertical_datum=meta["vertical_datum"],
        raster=reading.raster,
        scene=reading.scene,
    )
    findings.into(made, RowNaming(), ())
    return made


def run(
    store: Store,
    city: Path,
    reading: Reading,
    path: Path,
    declared: Declared,
    wanted: Wanted,
    *,
    written: Path,
) -> Report:
    """Record what was read as a layer, or as more of one, with its report; ``written`` is the folder that has
    its COG or its files. Raises BadFile, BadParameter, Exists, ReadOnly."""
    before = _before(wanted)
    made = report(reading, path, declared, wanted.layer_id, whole=True)
    form = FORMS[made.kind]
    if before and wanted.mode == "append" and before.form != form:
        raise forms.in_use(wanted.layer_id, before.form)
    href = _settled(city, reading, path, declared, wanted.layer_id, written)
    if wanted.mode == "append":
        # another load may have added to it while this file was read
        before = _before(replace(wanted, present=store.layer(wanted.layer_id)))
    asset = Asset(
        href=href,
        media_type=kept.COG if reading.scene is None else kept.TILESET,
        time=moment(declared),
        transform=reading.scene.transform if reading.scene is not None else None,
    )
    old = before.assets if before else ()
    assets = (*old, asset) if wanted.mode == "append" else (asset,)
    spec = FormSpec(
        id=wanted.layer_id,
        form=form,
        kind=made.kind,
        title=wanted.title
        or (before.title if before else untaken(store, wanted.layer_id, _TITLES[made.kind])),
        crs=made.crs,
        extent=_around(reading.meta["extent"], before if wanted.mode == "append" else None),
        vertical_datum=made.vertical_datum,
        assets=assets,
    )
    try:
        made.generation = store.record(spec, replace(wanted.by, via="load"))
    except BaseException:
        kept.remove(city, [asset])
        raise
    kept.remove(city, [each for each in old if each not in assets])
    store.save_report(wanted.layer_id, asdict(made))
    return made


def untaken(store: Store, layer_id: str, title: Titles) -> Titles:
    """What a layer without a title of its own is called: as its kind, and by its id, too, where another is
    called so already."""
    others = [one.title for one in store.layers() if one.id != layer_id]
    if not any(other.get(lang) == text for other in others for lang, text in title.items()):
        return {**title}
    return {lang: f"{text} · {layer_id}" for lang, text in title.items()}


def datum(layers: Iterable[Layer], layer_id: str, mode: str) -> str:
    """What the terrain of a city counts from, but for a layer that is to be replaced; empty where it is not
    known."""
    surfaces = (one for one in layers if one.form == "surface" and (one.id != layer_id or mode == "append"))
    return next((one.vertical_datum for one in surfaces if one.vertical_datum), "")


def _before(wanted: Wanted) -> ContentLayer | None:
    """The layer as it is. Raises Exists: it has features."""
    present = wanted.present
    if present is None:
        return None
    if not isinstance(present, ContentLayer) or present.form not in FORMS.values():
        raise forms.in_use(wanted.layer_id, present.form)
    return present


def _around(extent: tuple[float, ...], before: Layer | None) -> Bbox:
    west, south, east, north = extent
    if before is None or before.extent is None:
        return west, south, east, north
    a, b, c, d = before.extent
    return min(west, a), min(south, b), max(east, c), max(north, d)


def _settled(
    city: Path, reading: Reading, path: Path, declared: Declared, layer_id: str, written: Path
) -> str:
    """Where the content lies from now on, as an asset says it. Raises ReadOnly."""
    scene = reading.scene
    if declared.in_place:
        return _where(city, path / scene.root if scene is not None and path.is_dir() else path)
    if scene is None:
        return kept.settle(city, written / "cog.tif", layer_id)
    return f"{kept.settle(city, written, layer_id)}/{scene.root}"


def _where(city: Path, path: Path) -> str:
    """The path of a file below the city folder, else its whole path."""
    whole, folder = path.resolve(), city.resolve()
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else str(whole)


def _digest(path: Path, *, whole: bool) -> str:
    if not path.is_file() or (not whole and path.stat().st_size > _HASHED):
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
