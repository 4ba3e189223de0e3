"""``twin model``: versions of a model are checked in beside it, compared, and made current."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from layers.errors import shown
from layers.model import Report
from layers.models import check_in as checking
from layers.models import diff as model_diff
from layers.models import versions
from layers.models.diff import ElementChange, ModelCounts
from layers.source import Declared
from layers.store.base import Store
from twin import columns, settings
from twin import model_documents as documents
from twin.operator import operator
from twin.verbs import ASIDE, opened, out, print_reports

#: Elements that are listed, and of each the fields; ``--json`` has all.
SHOWN, FIELDS = 20, 4
_WORDS = {"added": "new", "removed": "gone", "moved": "moved", "changed": "changed"}


def check_in(
    city: Path, layer: str, name: str, file: Path | None, declared: Declared, message: str, *, as_json: bool
) -> None:
    """Keep a file, or what the layer is now, as a version.

    Raises as :func:`layers.models.check_in.check_in`."""
    city_settings = settings.load(city)
    with opened(city_settings, city) as store:
        report = checking.check_in(
            store,
            layer,
            name,
            file,
            declared.in_zone(city_settings.time_zone),
            aside=city / ASIDE,
            by=operator(message),
        )
        print_reports([report], as_json)
        columns.make(city_settings, store, city, [report.layer])


def listing(city: Path, layer: str, *, as_json: bool) -> None:
    """Print the versions of a layer. Raises NotFound."""
    with opened(settings.load(city), city) as store:
        current = versions.current(store.feature_layer(layer))
        found = [documents.version(one, current) for one in versions.versions(store, layer)]
    if as_json:
        _json(found)
        return
    for one in found:
        mark = " (current)" if one["current"] else ""
        out.print(f"{one['name']}{mark}: {one['elements']} elements, layer {one['layer']}", markup=False)
    if not found:
        out.print(f"layer {layer} has no model versions", markup=False)


def make_current(
    city: Path,
    layer: str,
    name: str,
    message: str,
    *,
    ask: Callable[[str], object] | None,
    as_json: bool,
) -> None:
    """Make the layer what the version is. Raises as :func:`layers.models.check_in.make_current`."""
    with opened(settings.load(city), city) as store:
        one = versions.find(store, layer, name)
        seen = None
        if ask is not None:
            seen = store.feature_layer(layer).seq
            counts = _counts(store, layer, one.layer.id)
            ask(f"Make {shown(one.name)} current? {_numbers(counts)}")
        report: Report = checking.make_current(store, layer, name, operator(message), seen)
    print_reports([report], as_json)


def diff(city: Path, layer: str, old: str | None, new: str, *, as_json: bool) -> None:
    """Print what is different between two versions, or what the layer is now and a version."""
    with opened(settings.load(city), city) as store:
        ends = tuple(
            layer if name is None else versions.find(store, layer, name).layer.id for name in (old, new)
        )
        counts = ModelCounts()
        found = model_diff.changes(store, ends[0], store, ends[1], counts)
        if as_json:
            told = [documents.change(one, (ends[0], ends[1])) for one in found]
            _json({"summary": documents.counted(counts), "changes": told})
            return
        first = list(itertools.islice(found, SHOWN))
        more = sum(1 for _ in found)
    out.print(_numbers(counts), style="bold", markup=False)
    for one in first:
        out.print(f"  {_line(one)}", markup=False)
    if more:
        out.print(f"  … and {more} more")


def clash(
    city: Path,
    layer: str,
    name: str,
    beside: list[str] | None,
    tolerance: float,
    clearance: float,
    *,
    as_json: bool,
) -> None:
    """Print the clashes of a version. Raises NotFound, BadParameter."""
    from tiles.service import Caches
    from twin import catalogue, clashes
    from twin.access.rights import ALL, EVERYBODY

    city_settings = settings.load(city)
    with opened(city_settings, city) as store:
        view = catalogue.view_of(
            store,
            city_settings,
            lambda one: catalogue.tiles_of(one, city_settings, city, Caches()),
            ALL,
            EVERYBODY,
        )
        asked = clashes.Question(beside=beside, tolerance=tolerance, clearance=clearance)
        found = clashes.look(view, layer, name, asked)
    if as_json:
        _json(asdict(found))
        return
    out.print(f"{found.count} clashes of {found.looked} new bodies", style="bold", markup=False)
    for one in found.pairs[:SHOWN]:
        out.print(f"  {_pair(one)}", markup=False)
    if found.near_count:
        out.print(f"{found.near_count} nearer to pipes than {clearance:g} m", style="bold", markup=False)
    for one in found.near[:SHOWN]:
        out.print(f"  {_pair(one)}", markup=False)
    if found.open:
        out.print(f"  {found.open} bodies are not closed: only crossing surfaces are found of them")
    for other, why in found.left_out.items():
        out.print(f"  not held against {other}: {why}", markup=False)


def _pair(one: dict[str, Any]) -> str:
    depth, volume, gap = one.get("depth_m"), one.get("volume_m3"), one.get("gap_m")
    storey = one["new"].get("storey")
    other = f"{one['other']['layer']} {one['other']['title']}" + (f", {storey}" if storey else "")
    if gap is not None:
        return f"{one['new']['title']} beside {other}: {gap:.3f} m"
    how = f"{depth:.3f} m, {volume:.4f} m³" if depth is not None else f"{one['crossings']} edges cross"
    return f"{one['new']['title']} in {other}: {how}"


def remove(city: Path, layer: str, name: str, message: str) -> None:
    """Forget a version. Raises NotFound."""
    with opened(settings.load(city), city) as store:
        checking.remove(store, layer, name, operator(message))
    out.print(f"Model version {shown(name)} of layer {layer} is removed.", markup=False)


def _counts(store: Store, old: str, new: str) -> ModelCounts:
    counts = ModelCounts()
    for _ in model_diff.changes(store, old, store, new, counts):
        pass
    return counts


def _numbers(counts: ModelCounts) -> str:
    told = [f"{getattr(counts, kind)} {word}" for kind, word in _WORDS.items()]
    bare = sum(counts.nameless)
    lost = f"; {bare} without an id are not compared" if bare else ""
    return f"{', '.join(told)}, {counts.same} the same{lost}"


def _line(one: ElementChange) -> str:
    state = one.new or one.old
    name = state.values.get("name") if state is not None else None
    called = f"{one.id} ({name})" if name else one.id
    told = [] if one.distance is None else [f"by {one.distance:.3f} m"]
    if one.kind in ("moved", "changed"):
        told += [f"{field} {old!r} → {new!r}" for field, (old, new) in list(one.fields.items())[:FIELDS]]
    if one.shape_changed:
        told.append("another shape")
    if one.surfaces_changed:
        told.append("other surfaces or colours")
    return f"{_WORDS[one.kind]} {called}: {'; '.join(told)}" if told else f"{_WORDS[one.kind]} {called}"


def _json(value: object) -> None:
    out.print(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode(), markup=False)
