"""Features: anything that no other kind describes."""

from __future__ import annotations

from layers.kinds.base import GROUPS, NAME, Batch, Columns, Kind, plain_style, texts

ALIASES = {"name": ("name", "名称", "title")}


def normalise(batch: Batch) -> Columns:
    """name."""
    return {"name": texts(batch.first(ALIASES["name"]))}


KIND = Kind(
    id="feature",
    title={"zh-CN": "其他要素", "en": "Features"},
    group=GROUPS["special"],
    body=None,
    fields=(NAME,),
    aliases=ALIASES,
    normalise=normalise,
    style=plain_style("#4a7a8c", "要素", "Feature", width=2, size=6),
)
