"""What changed between two moments of the city, as far as a caller sees it: counted, and a page of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from layers import diff
from layers.diff import Chosen, Counts, FeatureChange, Span
from layers.errors import Gone, NotFound

if TYPE_CHECKING:
    from layers.model import Moment
    from layers.types import Bbox
    from twin.catalogue.view import View

#: Changes that are counted; of more it is told that they are more.
MOST = 10_000

#: Where a page begins: after a feature of a layer.
type Place = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Changes of some layers (None: of all) between two moments: a page of ``limit`` after a place; of an
    actor's change sets, or meeting a box, where these are given."""

    first: Moment
    last: Moment
    layers: Sequence[str] | None = None
    actor: str | None = None
    bbox: Bbox | None = None
    limit: int = 100
    after: Place | None = None


@dataclass(slots=True)
class Found:
    """A page of changes in the order of layers and ids, and where the next begins, when there are more.

    ``counts`` are by layer, of all changes and not of the page, None on a page that is not the first;
    ``complete`` is False where there are more than were counted. ``gone`` are layers whose history does not
    reach back so far, with the reason."""

    changes: list[FeatureChange] = field(default_factory=list)
    counts: dict[str, Counts] | None = None
    complete: bool = True
    following: Place | None = None
    gone: dict[str, str] = field(default_factory=dict)


def find(view: View, asked: Asked) -> Found:
    """Raises NotFound (of one layer: there was none at either moment) and Gone."""
    span = Span(view.present, view.present.at(asked.first), view.present.at(asked.last))
    found = Found(counts={} if asked.after is None else None)
    for change in _changes(view, span, asked, found):
        if len(found.changes) < asked.limit:
            found.changes.append(change)
            _count(found, change)
            continue
        last = found.changes[-1]
        found.following = (last.layer, last.fid)
        if found.counts is None or not _count(found, change):
            break
    return found


def some(view: View, asked: Asked) -> bool:
    """Whether anything changed of what is asked. Raises as :func:`find`."""
    span = Span(view.present, view.present.at(asked.first), view.present.at(asked.last))
    return next(_changes(view, span, asked, Found()), None) is not None


def _count(found: Found, change: FeatureChange) -> bool:
    """Whether more are to be counted."""
    if found.counts is None:
        return False
    if sum(one.added + one.removed + one.changed for one in found.counts.values()) >= MOST:
        found.complete = False
        return False
    found.counts.setdefault(change.layer, Counts()).add(change)
    return True


def _changes(view: View, span: Span, asked: Asked, found: Found) -> Iterator[FeatureChange]:
    every = asked.layers is None
    chosen = Chosen(actor=asked.actor, bbox=asked.bbox)
    for layer in span.layers() if asked.layers is None else asked.layers:
        if asked.after is not None and layer < asked.after[0]:
            continue
        beyond = asked.after[1] if asked.after is not None and layer == asked.after[0] else None
        try:
            for change in diff.changes(span, layer, replace(chosen, beyond=beyond)):
                yield change if view.tells_sets(layer) else replace(change, seq=None, set=None)
        except Gone as error:
            if not every:
                raise
            found.gone[layer] = str(error)
        except NotFound:
            if not every:
                raise
