"""What the verbs of the command line do, and how they tell it."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from layers import rules
from layers.content import kept
from layers.errors import BadFile, BadParameter, Exists, NotFound, TwinError, Unavailable, shown
from layers.model import ContentLayer, Problem, RasterFacts, Report, SceneFacts, has_features
from layers.place import crs_name
from layers.source import Declared, SeveralLayers, SourceLayer
from layers.store.base import Store
from twin import columns, settings, template
from twin.access.keys import Keys
from twin.access.rights import ACTIONS, Objects
from twin.audit import wiring
from twin.city import unreadable
from twin.operator import operator

#: Findings of one rule, and bands of a raster, that are shown; ``--json`` has more.
SHOWN_EXAMPLES = 3
SHOWN_BANDS = 12
#: The folder in a city of the rows that loads have set aside, a table a layer.
ASIDE = "aside"
WIDTH = 200  # of a table that no terminal shows
out = Console(soft_wrap=True, highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH)


def init(folder: Path, title: str, store: str | None = None) -> str:
    """Make a city folder and its first key; returns the key. Raises Exists, BadParameter, BadConfig."""
    if (folder / "city.yml").exists():
        raise Exists("this folder holds a city already")
    text = template.template(title, store)
    settings.parse(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "city.yml").write_text(text, "utf-8")
    key = Keys(folder).add("admin")
    print(f"City folder made. Its key, shown this once (name: admin):\n  {key}")
    return key


def check(files: list[Path], declared: Declared, *, whole: bool, aside: Path | None, as_json: bool) -> int:
    """Report on each file, on all its rows if ``whole``, and write those of one file that would be set aside.

    The exit code: 0 when all can be loaded, else 1."""
    from layers import load

    code = 0
    reports: list[dict[str, Any]] = []
    for file in files:
        name = shown(file.name)
        try:
            report = load.check(file, declared, rows=None if whole else load.CHECKED, aside=aside)
            reports.append({"file": file.name, "loadable": report.loadable, **dataclasses.asdict(report)})
            if not as_json:
                title = f"{name}: can be loaded" if report.loadable else f"{name}: nothing to keep"
                show(report, title, aside=aside)
            code = code if report.loadable else 1
        except BadFile as error:
            code = 1
            inside = error.layers if isinstance(error, SeveralLayers) else ()
            entry = {"file": file.name, "loadable": False, "rule": error.rule, "reason": error.reason}
            if inside:
                entry["layers"] = [dataclasses.asdict(layer) for layer in inside]
            reports.append(entry)
            if not as_json:
                out.print(f"{name}: cannot be loaded: {error}", markup=False)
                _list_layers(inside)
    if as_json:
        _json(reports)
    return code


def _list_layers(layers: Sequence[SourceLayer]) -> None:
    """Print what can be named with --layer."""
    for layer in layers:
        count = "" if layer.features is None else f": {layer.features} features"
        out.print(f"  --layer {shlex.quote(layer.name)}{count}  {layer.geometry}".rstrip(), markup=False)


@contextmanager
def opened(city_settings: settings.CitySettings, city: Path) -> Iterator[Store]:
    """The store of a city, for one verb."""
    from layers.store.open import open_store

    database, kept = city_settings.database(), city_settings.retention()
    store = open_store(city, database, crs_also=(city_settings.crs,), history=kept)
    try:
        wiring.begin(city_settings, store)
        yield store
        wiring.told(city_settings, store)
    finally:
        store.close()


def load_file(
    city: Path, file: Path, layer_id: str, declared: Declared, *, mode: str, message: str = "", as_json: bool
) -> None:
    """Load one file into the city and print its report."""
    from layers import load

    city_settings = settings.load(city)
    with opened(city_settings, city) as store:
        report = load.run(
            store,
            file,
            declared.in_zone(city_settings.time_zone),
            layer_id=layer_id,
            mode=mode,
            aside=city / ASIDE / f"{layer_id}.csv",
            city=city,
            by=operator(message),
        )
        print_reports([report], as_json)
        columns.make(city_settings, store, city, [report.layer])


def load_manifest(city: Path, manifest: Path, *, mode: str, message: str = "", as_json: bool) -> None:
    """Load every file a manifest names and print the reports."""
    from layers import load_manifest

    city_settings = settings.load(city)
    with opened(city_settings, city) as store:
        reports = load_manifest.run(
            store,
            manifest,
            mode=mode,
            time_zone=city_settings.time_zone,
            aside=city / ASIDE,
            city=city,
            by=operator(message),
        )
        print_reports(reports, as_json)
        columns.make(city_settings, store, city, [each.layer for each in reports if not each.skipped])


def layers(city: Path, *, as_json: bool) -> None:
    """List the layers."""
    city_settings = settings.load(city)
    with opened(city_settings, city) as store:
        listed = store.layers()
        broken = unreadable(city_settings, store)
    for reason in broken.values():
        print(f"twin: {reason}", file=sys.stderr)
    if as_json:
        _json([dataclasses.asdict(layer) for layer in listed])
        return
    table = Table(
        "id", "kind", "title", "form", "geometry", "features", "generation", "CRS of source", "heights from"
    )
    for layer in listed:
        title = " / ".join(dict.fromkeys(layer.title.values()))
        geometry, count = (layer.geometry_type, str(layer.count)) if has_features(layer) else ("", "")
        words = (layer.id, layer.kind, title, layer.form, geometry, count, str(layer.generation))
        table.add_row(*words, crs_name(layer.crs), layer.vertical_datum)
    out.print(table)


def report(city: Path, layer_id: str, *, as_json: bool) -> None:
    """Print the report of a layer's last load. Raises NotFound: no such layer, or one that no load made."""
    with opened(settings.load(city), city) as store:
        known = any(layer.id == layer_id for layer in store.layers())
        document = store.report(layer_id)
    if document is None:
        why = "was not made by a load" if known else "is not there"
        raise NotFound(f"no report: layer {shown(layer_id)} {why}")
    print_reports([Report.of(document)], as_json)


def drop(city: Path, layer_id: str, *, ask: Callable[[str], object] | None, message: str = "") -> None:
    """Remove a layer and its model versions; ``ask`` puts a question and does not return if the answer is no.

    Raises NotFound, Conflict (a table that city.yml names), ReadOnly."""
    from layers.models import check_in
    from layers.models.versions import versions

    with opened(settings.load(city), city) as store:
        layer = next((one for one in store.layers() if one.id == layer_id), None)
        if ask is not None and layer is not None:
            what = f"{layer.count} features" if has_features(layer) else f"a {layer.form}"
            waiting = ", ".join(shown(one.name) for one in versions(store, layer_id))
            also = f" and its model versions {waiting}" if waiting else ""
            back = "" if has_features(layer) else " This cannot be undone"
            ask(f"Remove layer {layer_id} ({what}){also} from the city?{back}")
        check_in.drop(store, layer_id, replace(operator(message), via="drop"))
        if isinstance(layer, ContentLayer):
            kept.remove(city, layer.assets)
    columns.drop(city, layer_id)
    print(f"Layer {layer_id} is removed.")


def key_add(city: Path, name: str, may: list[str] | None, of: list[str] | None = None) -> None:
    """Make a key and print it. Raises BadParameter, Exists, Unavailable: where there is an audit, no key is
    made that is not in it."""
    settings.load(city)
    actions = [action for action in ACTIONS if may is None or action in may]
    unknown = [action for action in may or () if action not in ACTIONS]
    if unknown:
        raise BadParameter("may", unknown[0], "one of " + ", ".join(ACTIONS))
    objects = Objects.named(of) if of else None
    keys = Keys(city)
    if name in keys.names():
        raise Exists(f"a key named {name!r} exists")
    try:
        _tell(city, "added", name, may=actions, of=[] if objects is None else objects.texts())
    except TwinError as error:
        raise Unavailable(f"no key was made, for the audit cannot tell of it now: {error}") from error
    try:
        print(keys.add(name, actions, objects))
    except TwinError:
        _tell(city, "added", name, result="failed")
        raise


def key_list(city: Path) -> None:
    """Print the names of the keys."""
    settings.load(city)
    for name in Keys(city).names():
        print(name)


def key_remove(city: Path, name: str) -> None:
    """Remove a key. Raises NotFound, Unavailable: it is removed, which waits for nothing, and the audit could
    not be told."""
    settings.load(city)
    Keys(city).remove(name)
    try:
        _tell(city, "removed", name)
    except TwinError as error:
        why = f"the key {name} is no longer taken, but the audit does not tell of it: {error}"
        raise Unavailable(why) from error
    print(f"The key {name} is no longer taken.")


def _tell(city: Path, action: str, name: str, **facts: Any) -> None:
    """Have in the audit what is done to a key. Raises Busy, ReadOnly, Unavailable: it is not there."""
    city_settings = settings.load(city)
    if city_settings.audit.enabled:
        with opened(city_settings, city) as store:
            wiring.told(city_settings, store, "key", action=action, name=name, **facts)


def show(report: Report, title: str, *, aside: Path | None = None) -> None:
    """Print a report for people; what became of the rows stands in its first line. ``aside``: where the rows
    that were set aside are, if not in the city's folder."""
    out.print(f"{title}: {_what(report)}", style="bold", markup=False)
    if report.skipped:
        return
    facts: Mapping[str, object] = {
        "kind": report.kind,
        "driver": report.driver,
        "CRS": crs_name(report.crs),
        "heights from": report.vertical_datum,
        "encoding": report.encoding,
        "source id": report.identity,
        "times in": report.time_zone,
        "time field": report.time_field,
    }
    out.print("  " + ", ".join(f"{k} {v}" for k, v in facts.items() if v), markup=False)
    if report.raster:
        _show_bands(report.raster)
    if report.scene:
        _show_scene(report.scene)
    if report.generation and (report.raster or report.scene):
        out.print(f"  generation {report.generation}")
    elif report.generation:
        out.print(
            f"  generation {report.generation}: {report.created} new, {report.updated} changed, "
            f"{report.unchanged} as before, {report.deleted} gone"
        )
        if report.changed:
            fields = ", ".join(f"{name} of {n}" for name, n in report.changed.items())
            out.print(f"  changed: {fields}", markup=False)
        if report.set:
            out.print(f"  change set {report.set}: /ogc/changes?set={report.set} shows what it changed")
    for name, counts in report.sources.items():
        out.print(f"  {name}: " + ", ".join(f"{k} {v}" for k, v in counts.items()), markup=False)
    _show_findings(report)
    if report.aside:
        where = aside or Path(ASIDE, report.aside)
        out.print(f"  the rows that were set aside: {where}", markup=False)


def _what(report: Report) -> str:
    if report.skipped:
        return f"skipped, {report.skipped}"
    if report.raster:
        return _cells(report.raster)
    return _tiles(report.scene) if report.scene else _rows(report)


def _tiles(scene: SceneFacts) -> str:
    contents = ", ".join(f"{count} {kind}" for kind, count in scene.contents.items())
    return f"{scene.tiles} tiles, {contents}, {scene.bytes / 1e6:.3g} MB"


def _show_scene(scene: SceneFacts) -> None:
    """How high it reaches, what it needs, and where it is."""
    out.print(f"  {scene.low:.1f} to {scene.high:.1f} m above the ellipsoid")
    if scene.extensions:
        out.print(f"  extensions: {', '.join(map(shown, scene.extensions))}", markup=False)
    where = "read where it lies" if scene.in_place else "copied into the city"
    out.print(f"  {where}{', placed by its anchor' if scene.transform else ''}")


def _rows(report: Report) -> str:
    lost = f", {report.quarantined} set aside" if report.quarantined else ""
    mended = f", {report.repaired} repaired" if report.repaired else ""
    return f"{report.read} rows, {report.kept} kept{lost}{mended}"


def _cells(raster: RasterFacts) -> str:
    bands = f"{len(raster.bands)} bands" if len(raster.bands) > 1 else "1 band"
    unit = f" {raster.cell_unit}" if raster.cell_unit not in ("", "°") else raster.cell_unit
    along, down = raster.cell
    size = f"{along:.6g}{unit}" if f"{along:.4g}" == f"{down:.4g}" else f"{along:.6g} × {down:.6g}{unit}"
    return f"{raster.width} × {raster.height} cells of {size}, {bands}"


def _show_bands(raster: RasterFacts) -> None:
    """What is in the bands, of many the first."""
    for number, band in enumerate(raster.bands[:SHOWN_BANDS], 1):
        facts = [band.type, band.unit, band.colour if band.colour != "undefined" else ""]
        if band.minimum is not None and band.maximum is not None:
            facts.append(f"{band.minimum:.6g} to {band.maximum:.6g}")
        facts += [f"nodata {band.nodata}" if band.nodata else "", f"{band.filled:g} % filled"]
        name = f" {shown(band.name)}" if band.name else ""
        out.print(f"  band {number}{name}: " + ", ".join(fact for fact in facts if fact), markup=False)
    if len(raster.bands) > SHOWN_BANDS:
        out.print(f"  and {len(raster.bands) - SHOWN_BANDS} more bands")
    where = "in the tiles of the web map" if raster.aligned else "in its own CRS and grid"
    out.print(f"  {'read where it lies' if raster.in_place else f'kept {where}'}", markup=False)


_WORDS = {"quarantined": "set aside", "repaired": "repaired", "noted": "noted"}


def _show_findings(report: Report) -> None:
    """Rule by rule, lost rows first: how often, some examples, and what to do."""
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in report.problems:
        groups.setdefault((problem.action, problem.rule), []).append(problem)
    order = list(_WORDS)
    for (action, rule), findings in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        count = report.counts.get(f"{action} {rule}", len(findings))
        rows = f", {count} rows" if count > 1 else ""
        out.print(f"  {_WORDS[action]} {rule}{rows}", markup=False)
        for problem in findings[:SHOWN_EXAMPLES]:
            at = problem.at or (f"row {problem.row}" if problem.row else "")
            of = f" ({shown(problem.source_id)})" if problem.source_id else ""
            out.print(f"    {at}{of}{': ' if at or of else ''}{problem.reason}", markup=False)
        if advice := rules.ADVICE.get(rule):
            out.print(f"    → {advice}", markup=False)


def print_reports(reports: list[Report], as_json: bool) -> None:
    """Print reports of loads, for people or as JSON."""
    if as_json:
        _json([dataclasses.asdict(report) for report in reports])
        return
    for report in reports:
        show(report, title=f"{report.layer} ← {shown(report.source)}")


def _json(value: object) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")
