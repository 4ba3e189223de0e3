"""What a load changed, for its report: which change set it made, and which fields got other values."""

from __future__ import annotations

from layers.diff import Counts, Span, changes
from layers.errors import Gone
from layers.model import Report
from layers.store.base import Published, Store

#: Changed features that are compared with what they were; of more, the fields are not counted.
COMPARED = 20_000
#: Change sets of the layer that may have come since.
_RECENT = 20
GEOMETRY = "geometry"


def note(store: Store, layer_id: str, published: Published, report: Report) -> None:
    """Note it in the report, as far as the layer's history is kept."""
    if not published.created + published.updated + published.deleted:
        return
    try:
        sets = store.change_sets(layer=layer_id, limit=_RECENT)
        made = next((one for one in sets if one.first <= published.seq <= one.last), None)
        if made is None:
            return
        report.set = made.id
        if 0 < published.updated <= COMPARED:
            counts = Counts()
            for change in changes(Span(store, store.as_of(made.first - 1), store.as_of(made.last)), layer_id):
                counts.add(change)
            report.changed = dict(sorted(counts.fields.items()))
            if counts.geometry:
                report.changed[GEOMETRY] = counts.geometry
    except Gone:
        return
