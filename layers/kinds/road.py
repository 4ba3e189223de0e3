"""Roads and paths: lines with a class and a name."""

from __future__ import annotations

from collections.abc import Mapping

from layers.kinds.base import GROUPS, NAME, Batch, Columns, Kind, legend, texts
from layers.types import Field

#: class → (zh-CN, en, colour, OSM highway values)
CLASSES: Mapping[str, tuple[str, str, str, tuple[str, ...]]] = {
    "motorway": ("高速路", "Motorway", "#e0a85a", ("motorway", "motorway_link", "trunk", "trunk_link")),
    "main": (
        "主干路",
        "Main road",
        "#e8c27e",
        ("primary", "primary_link", "secondary", "secondary_link"),
    ),
    "collector": ("次干路", "Collector", "#efdca8", ("tertiary", "tertiary_link")),
    "street": (
        "支路",
        "Street",
        "#c9c9c4",
        ("residential", "unclassified", "living_street", "road"),
    ),
    "service": ("内部道路", "Service road", "#d9d9d5", ("service", "track", "busway")),
    "path": (
        "步行与骑行",
        "Path",
        "#cfd6c8",
        ("footway", "path", "cycleway", "steps", "pedestrian", "trail", "bridleway", "corridor", "platform"),
    ),
    "other": ("其他", "Other", "#dddddd", ()),
}

_BY_TAG = {tag: name for name, (_, _, _, tags) in CLASSES.items() for tag in tags}
_WORDS = {**_BY_TAG, **{n: n for n in CLASSES}, **{zh: n for n, (zh, _, _, _) in CLASSES.items()}}

ALIASES = {
    "class": ("class", "highway", "道路等级", "道路类型"),
    "name": ("name", "名称", "道路名称", "路名"),
}


def normalise(batch: Batch) -> Columns:
    """class, name."""
    classes = [_WORDS.get((v or "").casefold(), "other") for v in texts(batch.first(ALIASES["class"]))]
    return {"class": list(classes), "name": texts(batch.first(ALIASES["name"]))}


KIND = Kind(
    id="road",
    title={"zh-CN": "道路", "en": "Roads"},
    group=GROUPS["base"],
    body=None,
    fields=(
        Field(
            "class",
            "string",
            {"zh-CN": "道路等级", "en": "Class"},
            codes={name: {"zh-CN": zh, "en": en} for name, (zh, en, _, _) in CLASSES.items()},
        ),
        NAME,
    ),
    aliases=ALIASES,
    normalise=normalise,
    style={
        "color": {
            "property": "class",
            "values": {name: color for name, (_, _, color, _) in CLASSES.items()},
            "default": CLASSES["other"][2],
        },
        "width": 2,
        "legend": [legend(zh, en, color, name) for name, (zh, en, color, _) in CLASSES.items()],
        "assumed": None,
    },
    geometry=frozenset({"line", "polygon"}),
    signature=("highway", "道路等级"),
)
