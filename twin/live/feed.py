"""The feed: what changed after a place in the change log, page by page, for whoever keeps a copy of the city.

A page is made of the log, of what the reader sees, and of nothing that was remembered: a reader may come back
after a second or after a month, and to another process of the same city. The tiles of a page are served as it
says when it is given. Who waits is woken by the watcher (:mod:`twin.live.refresh`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

from layers import diff
from layers.cql.ast import FID, In, PropertyRef, Value
from layers.errors import Gone, NotFound
from layers.model import Change, Layer, Moment, Touch
from layers.query import Query
from layers.types import Bbox, lon_spans
from twin.catalogue.view import View

#: Features of a page.
MOST, DEFAULT = 10_000, 1_000
#: Rows of the log that are read at a time, and for a page.
ROWS, MOST_ROWS = 10_000, 100_000
#: Features that are asked for at a time.
CHUNK = 500
_CURSOR = re.compile(r"([0-9a-z_]{1,60})-(0|[1-9]\d{0,17})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log of a city, as one class of rights sees it: after change ``seq`` of the history
    ``epoch``. It holds for ever, or tells that the history is another one by now."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The inverse of ``str``. Raises ValueError."""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise ValueError("the cursor of a page, or the id of an event")
        return cls(match[1], int(match[2]))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader is told of: of these layers (None: of all that he sees), and of features whose old or new
    box meets a box in lon/lat (west > east across the antimeridian)."""

    layers: frozenset[str] | None = None
    bbox: Bbox | None = None

    def of(self, layer_id: str) -> bool:
        """Whether it is of a layer."""
        return self.layers is None or layer_id in self.layers

    def near(self, change: Change) -> bool:
        """Whether a change may be in the box."""
        boxes = [box for box in (change.old, change.new) if box is not None]
        if self.bbox is None or (change.fid is None and not boxes):
            return True
        return any(_meet(self.bbox, box) for box in boxes)


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class FeedPage:
    """What changed up to ``cursor``, with which the next page is asked for; ``complete`` where that is all
    for now. After a ``reset`` nothing is known of what the reader has: he fetches all layers again.

    The members of the lists are as :meth:`document` has them."""

    cursor: Cursor
    complete: bool = True
    reset: bool = False
    features: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    tiles: list[dict[str, str]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not (self.reset or self.features or self.layers or self.tiles)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "cursor": str(self.cursor),
            "complete": self.complete,
            "reset": self.reset,
            "features": self.features,
            "layers": self.layers,
            "tiles": self.tiles,
        }


@dataclass(slots=True)
class _Touched:
    """What happened to a feature in a part of the log: whether it lay somewhere before and after, and its
    newest number."""

    before: bool
    after: bool
    seq: int


@dataclass(slots=True)
class _Read:
    """A part of the log: its seen rows, the features and whole layers of them that are wanted, and where it
    ends."""

    rows: list[Change] = field(default_factory=list)
    features: dict[str, dict[int, _Touched]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    end: int = 0

    def has(self, change: Change) -> bool:
        """Whether a feature is told of, and so what became of it, wherever that was."""
        return change.fid in self.features.get(change.layer, ())

    def take(self, change: Change, limit: int) -> bool:
        """Whether there was room for it."""
        if change.fid is None:
            self.whole.add(change.layer)
            return True
        own = self.features.setdefault(change.layer, {})
        known = own.get(change.fid)
        if known is not None:
            known.after, known.seq = change.new is not None, change.seq
            return True
        if sum(map(len, self.features.values())) >= limit:
            return False
        own[change.fid] = _Touched(change.old is not None, change.new is not None, change.seq)
        return True


class _Unknown(Exception):
    """What the reader was told before cannot be found out any more."""


class Feed:
    """Pages for any reader (:meth:`page`, from any thread), and who waits for news (in the event loop)."""

    def __init__(self) -> None:
        self._told: tuple[str, int] = ("", -1)
        self._news = asyncio.Event()

    # -- who waits ---------------------------------------------------------------------------

    @property
    def told(self) -> tuple[str, int]:
        """Epoch and number of the log up to which is told; another one after each news."""
        return self._told

    def tell(self, epoch: str, seq: int) -> None:
        """There is news: everybody who waits is woken. Called in the event loop, once tiles are fresh."""
        self._told = epoch, seq
        self._news.set()
        self._news = asyncio.Event()

    async def wait(self, told: tuple[str, int]) -> None:
        """Return once something else is told than this."""
        while self._told == told:
            await self._news.wait()

    # -- pages -------------------------------------------------------------------------------

    def page(
        self, view: View, after: Cursor | None, wanted: Wanted = EVERYTHING, limit: int = DEFAULT
    ) -> FeedPage:
        """What changed of what a view sees after a cursor (None: nothing, to begin with), of ``limit``
        features at most. Raises Busy, Unavailable."""
        newest = view.seq()
        now = Cursor(view.epoch, newest)
        if after is None:
            return FeedPage(now)
        if after.epoch != now.epoch or after.seq > newest:
            return FeedPage(now, reset=True)
        if after.seq == newest:
            return FeedPage(now)
        try:
            return _page(view, after.seq, now, wanted, limit)
        except _Unknown:
            return FeedPage(now, reset=True)


def _page(view: View, after: int, now: Cursor, wanted: Wanted, limit: int) -> FeedPage:
    read = _read(view, after, now.seq, wanted, limit)
    moments = _at(view, after), view if read.end >= view.seq() else _at(view, read.end)
    features: list[dict[str, Any]] = []
    for layer_id, touched in sorted(read.features.items()):
        if layer_id in read.whole:
            continue
        try:
            features += _features(view, moments, (after, read.end), layer_id, touched)
        except Gone:
            # what of it was seen before is not kept
            read.whole.add(layer_id)
    stale = view.make_tiles().stale(read.rows)
    listed = {layer_id for layer_id, entries in stale.items() if entries is None and wanted.of(layer_id)}
    tiles = [
        entry
        for layer_id, entries in sorted(stale.items())
        if wanted.of(layer_id) and layer_id not in read.whole
        for entry in entries or ()
    ]
    layers: list[dict[str, Any]] = []
    if read.whole or listed:
        known: dict[str, Layer] = {layer.id: layer for layer in view.layers()}
        for layer_id in sorted(read.whole | listed):
            generation = known[layer_id].generation if layer_id in known else None
            layers.append({"id": layer_id, "generation": generation, "listed": layer_id not in read.whole})
    return FeedPage(
        Cursor(now.epoch, read.end),
        complete=read.end >= now.seq,
        features=features,
        layers=layers,
        tiles=tiles,
    )


def _read(view: View, after: int, newest: int, wanted: Wanted, limit: int) -> _Read:
    read, since, rows = _Read(end=newest), after, 0
    seen = _Seen(view, after)
    while since < newest:
        page = view.log(since, ROWS)
        for change in page:
            if change.seq > newest:
                return read
            near = wanted.near(change)
            if not (near or read.has(change)) or not seen(change):
                continue
            if wanted.of(change.layer) and not read.take(change, limit):
                read.end = change.seq - 1
                return read
            if near:
                read.rows.append(change)
        if len(page) < ROWS:
            return read
        since, rows = page[-1].seq, rows + len(page)
        if rows >= MOST_ROWS:
            read.end = min(since, newest)
            return read
    return read


class _Seen:
    """Whether changes are of what a view sees, or saw of a layer that is gone."""

    def __init__(self, view: View, after: int) -> None:
        self._view, self._after = view, after
        self._gone: dict[str, bool] = {}

    def __call__(self, change: Change) -> bool:
        if self._view.may_see(change):
            return True
        if change.layer not in self._gone:
            self._gone[change.layer] = self._was(change.layer)
        return change.fid is None and self._gone[change.layer]

    def _was(self, layer_id: str) -> bool:
        """Whether there is no such layer any more, but was one that was seen. Raises _Unknown."""
        try:
            self._view.layer(layer_id)
        except NotFound:
            try:
                _at(self._view, self._after).layer(layer_id)
            except NotFound:
                return False
            except Gone:
                raise _Unknown from None
            return True
        return False


def _at(view: View, seq: int) -> View:
    return view.at(Moment(seq=seq, at="", fixed=True))


def _features(
    view: View,
    moments: tuple[View, View],
    between: tuple[int, int],
    layer_id: str,
    touched: dict[int, _Touched],
) -> Iterator[dict[str, Any]]:
    """One entry a feature. Raises Gone."""
    tells = view.tells_sets(layer_id)
    sets = _sets(view, layer_id, between, touched) if tells else {}
    kinds = _kinds if view.sees_all(layer_id) else _compared
    for fid, change in sorted(kinds(moments, layer_id, touched).items()):
        seq = touched[fid].seq if tells or change != "removed" else None
        yield {"layer": layer_id, "id": fid, "change": change, "seq": seq, "set": sets.get(fid)}


def _kinds(moments: tuple[View, View], layer_id: str, touched: dict[int, _Touched]) -> dict[int, diff.Kind]:
    """What happened to features of a layer that is seen whole: the log tells of most, of those that lay
    nowhere before or after, only the moments. Where the history does not reach back, what lay nowhere and
    has a place now is told as added, what still lies nowhere as changed, what is gone as removed."""
    before = _there(moments[0], layer_id, [fid for fid, one in touched.items() if not one.before])
    nowhere = [fid for fid, one in touched.items() if not one.after]
    after = _there(moments[1], layer_id, nowhere)
    if after is None:
        after = _there(moments[1].present, layer_id, nowhere) or set()
    kinds: dict[int, diff.Kind] = {}
    for fid, one in touched.items():
        known = not one.after if before is None else fid in before
        was, now = one.before or known, one.after or fid in after
        if was or now:
            kinds[fid] = "changed" if was and now else "added" if now else "removed"
    return kinds


def _there(moment: View, layer_id: str, fids: Collection[int]) -> set[int] | None:
    """Those of some features that there were; None where the history of the layer does not reach back."""
    found: set[int] = set()
    for some in batched(fids, CHUNK):
        among = In(PropertyRef(FID), tuple(Value(fid, "integer") for fid in some))
        try:
            page = moment.select(layer_id, Query(filter=among, properties=(), limit=len(some)))
        except NotFound:
            return found
        except Gone:
            return None
        found.update(page.rows.fids.tolist())
    return found


def _compared(
    moments: tuple[View, View], layer_id: str, touched: dict[int, _Touched]
) -> dict[int, diff.Kind]:
    """What happened to features of a layer of which a part is seen: as far as what is seen differs. Raises
    Gone."""
    touches = [Touch(fid=fid, first=0, seq=one.seq, set=None) for fid, one in sorted(touched.items())]
    return {change.fid: change.kind for change in diff.compared(*moments, layer_id, touches)}


def _sets(view: View, layer_id: str, between: tuple[int, int], touched: Collection[int]) -> dict[int, int]:
    """The change set that touched each feature last, by id."""
    try:
        told = diff.touched(view.present, layer_id, *between)
        return {one.fid: one.set.id for one in told if one.fid in touched and one.set is not None}
    except NotFound:
        return {}


def _meet(wanted: Bbox, box: Bbox) -> bool:
    west, south, east, north = wanted
    in_lon = any(a <= box[2] and box[0] <= b for a, b in lon_spans(west, east))
    return in_lon and south <= box[3] and box[1] <= north
