"""City components (城市部件): lamps, hydrants, cabinets, signals, manholes, cameras, signs."""

from __future__ import annotations

from collections.abc import Mapping

from layers.errors import shown
from layers.kinds.base import GROUPS, NAME, Batch, Columns, Kind, legend, text, texts
from layers.types import Field

#: class → (zh-CN, en, colour)
CLASSES: Mapping[str, tuple[str, str, str]] = {
    "hydrant": ("消火栓", "Hydrant", "#c0392b"),
    "lamp": ("路灯", "Street lamp", "#d4a72c"),
    "traffic_signal": ("交通信号灯", "Traffic signal", "#3d8b40"),
    "cabinet": ("箱体", "Cabinet", "#607d8b"),
    "manhole": ("井盖", "Manhole", "#5d4037"),
    "camera": ("视频点位", "Camera", "#6a3ab2"),
    "sign": ("交通标志", "Traffic sign", "#2f6fb0"),
    "pole": ("杆", "Pole", "#8d8d8d"),
    "valve": ("阀门", "Valve", "#00838f"),
    "station": ("监测站", "Monitoring station", "#00695c"),
    "other": ("其他", "Other", "#9aa0a6"),
}

ALIASES = {
    "class": ("class", "部件类型", "部件名称", "小类名称", "小类"),
    "name": ("name", "名称", "ref"),
}

#: (column, value or None for any, class), in order: the first that holds decides. OSM tags.
_TAGS: tuple[tuple[str, str | None, str], ...] = (
    ("emergency", "fire_hydrant", "hydrant"),
    ("highway", "street_lamp", "lamp"),
    ("highway", "traffic_signals", "traffic_signal"),
    ("man_made", "street_cabinet", "cabinet"),
    ("man_made", "manhole", "manhole"),
    ("manhole", None, "manhole"),
    ("man_made", "surveillance", "camera"),
    ("man_made", "utility_pole", "pole"),
    ("power", "pole", "pole"),
    ("man_made", "monitoring_station", "station"),
    ("power", "box", "cabinet"),
    ("power", "cable_distribution_cabinet", "cabinet"),
    ("street_cabinet", None, "cabinet"),
    ("pipeline", "valve", "valve"),
    ("traffic_sign", None, "sign"),
    ("traffic_signals", None, "traffic_signal"),
)

_WORDS: Mapping[str, str] = {
    **{name: name for name in CLASSES},
    **{zh: name for name, (zh, _, _) in CLASSES.items()},
    "消防栓": "hydrant",
    "井": "manhole",
    "检查井": "manhole",
    "窨井": "manhole",
    "监控": "camera",
    "摄像头": "camera",
    "信号灯": "traffic_signal",
    "street_lamp": "lamp",
    "fire_hydrant": "hydrant",
}


def normalise(batch: Batch) -> Columns:
    """class, name."""
    tags = [(batch.first((column,)), value, name) for column, value, name in _TAGS]
    out: list[str] = []
    for i, given in enumerate(batch.first(ALIASES["class"])):
        word = (text(given) or "").casefold()
        found = _WORDS.get(word)
        if found is None:
            found = next((n for c, v, n in tags if (c[i] == v if v else bool(text(c[i])))), None)
        if found is None and word:
            batch.note(i, "component.class", f"class {shown(given)} is not known; kept as other")
        out.append(found or "other")
    return {"class": list(out), "name": texts(batch.first(ALIASES["name"]))}


KIND = Kind(
    id="component",
    title={"zh-CN": "城市部件", "en": "Street assets"},
    group=GROUPS["special"],
    body=None,
    fields=(
        Field(
            "class",
            "string",
            {"zh-CN": "部件类型", "en": "Class"},
            codes={name: {"zh-CN": zh, "en": en} for name, (zh, en, _) in CLASSES.items()},
        ),
        NAME,
    ),
    aliases=ALIASES,
    normalise=normalise,
    style={
        "color": {
            "property": "class",
            "values": {name: color for name, (_, _, color) in CLASSES.items()},
            "default": CLASSES["other"][2],
        },
        "size": 6,
        "legend": [legend(zh, en, color, name) for name, (zh, en, color) in CLASSES.items()],
        "assumed": None,
    },
    geometry=frozenset({"point"}),
    signature=("emergency", "部件类型", "部件名称", "street_cabinet"),
)
