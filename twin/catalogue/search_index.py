"""Addresses and names in memory: words and, for Chinese, pairs of characters → features.

Built at the first search and kept up with the change log. Accents are folded (``Töölö`` is
found by ``toolo``), the last word may be unfinished, a house number may miss its letter.
"""

from __future__ import annotations

import bisect
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layers import kinds, wkb
from layers.kinds import Kind
from layers.model import FeatureLayer, Rows
from layers.types import Bbox
from tiles.feature_source import FeatureSource

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af"
_WORDS = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")
EXACT, PREFIX = 1.0, 0.6
MAX_WORDS = 12
#: Removed entries that may lie beside as many living ones before they are swept out.
SLACK = 1000


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """A feature that can be found: what is shown, and where it lies (lon, lat, degrees)."""

    layer: str
    kind: str
    fid: int
    title: str
    lon: float
    lat: float
    bbox: Bbox
    words: int  # of the name proper: street and number, not postcode and city


def fold(text: str) -> str:
    """Case, width and accents removed."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in apart if not unicodedata.combining(char))


def words(text: str) -> list[str]:
    """The searchable words of a text: folded words, and pairs of characters of a Chinese run."""
    result: list[str] = []
    for run in _WORDS.findall(unicodedata.normalize("NFC", fold(text))):
        if _IS_CJK.match(run) and len(run) > 1:
            result.extend(run[at : at + 2] for at in range(len(run) - 1))
        else:
            result.append(run)
    return result


def indexed(text: str) -> list[str]:
    """What a text is found by: its words, and every single Chinese character."""
    folded = unicodedata.normalize("NFC", fold(text))
    return [*dict.fromkeys([*words(text), *_IS_CJK.findall(folded)])]


def title_of(kind: Kind, values: Mapping[str, Any]) -> str:
    """What a feature is called in the results; '' for one that has no name."""
    return next((text for fields in kind.label if (text := _joined(fields, values))), "")


class SearchIndex:
    """The index of one store, or of what is seen of it. Thread-safe; a search first takes in what has
    changed."""

    def __init__(self, store: FeatureSource, *, empty: bool = False) -> None:
        """``empty`` is one of a store that does not change, with what is put in by :meth:`add`."""
        self._store = store
        self._lock = threading.Lock()
        self._seq = store.seq() if empty else -1
        self._entries: list[SearchEntry | None] = []
        self._at: dict[tuple[str, int], int] = {}
        self._postings: dict[str, list[int]] = {}
        self._vocabulary: list[str] = []

    def search(
        self, text: str, limit: int, without: Callable[[SearchEntry], bool] | None = None
    ) -> list[tuple[SearchEntry, float]]:
        """The best entries with their score in (0, 1], best first, but for those of which ``without`` is
        true."""
        terms = words(text)[:MAX_WORDS]
        if not terms:
            return []
        with self._lock:
            self._refresh()
            hits = self._matching(terms)
            ranked = sorted(((self._score(number, weight, terms), number) for number, weight in hits.items()))
            found = ((self._entries[number], -score) for score, number in ranked)
            return distinct(((one, s) for one, s in found if one and not (without and without(one))), limit)

    def _matching(self, terms: Sequence[str]) -> dict[int, float]:
        """Entry number → summed weight, for the entries that have every word."""
        left: dict[int, float] | None = None
        for word in sorted(terms, key=len, reverse=True):
            weights: dict[int, float] = {}
            for known in self._beginning_with(word):
                weight = EXACT if known == word else PREFIX * len(word) / len(known)
                for number in self._postings[known]:
                    if (left is None or number in left) and weight > weights.get(number, 0.0):
                        weights[number] = weight
            left = {number: weight + (left or {}).get(number, 0.0) for number, weight in weights.items()}
            if not left:
                break
        return left or {}

    def _beginning_with(self, word: str) -> Sequence[str]:
        low = bisect.bisect_left(self._vocabulary, word)
        high = bisect.bisect_left(self._vocabulary, word + "\U0010ffff")
        return self._vocabulary[low:high]

    def _score(self, number: int, weight: float, terms: Sequence[str]) -> float:
        """Negative, so that sorting puts the best first: how well the words fit, how much is left over."""
        entry = self._entries[number]
        if entry is None:
            return 0.0
        fit = weight / len(terms)
        cover = min(1.0, len(terms) / max(entry.words, 1))
        return -round(0.75 * fit + 0.2 * cover + (0.05 if kinds.known(entry.kind).locates else 0.0), 4)

    def add(self, layer: FeatureLayer, fids: Sequence[int] | None) -> None:
        """Put in features of a layer, None for all."""
        with self._lock:
            gone = [key for key in self._at if key[0] == layer.id] if fids is None else []
            for key in gone:
                self._remove(key)
            self._add(layer, fids)
            self._compact()

    def _refresh(self) -> None:
        seq = self._store.seq()
        if seq == self._seq:
            return
        known = self._store.feature_layers()
        # of what waits beside a layer, each feature would be found twice
        layers = {layer.id: layer for layer in known if layer.version_of is None}
        whole, single = self._changed(layers)
        for layer_id in whole:
            for key in [key for key in self._at if key[0] == layer_id]:
                self._remove(key)
            if layer_id in layers:
                self._add(layers[layer_id], None)
        for layer_id, fids in single.items():
            for fid in fids:
                self._remove((layer_id, fid))
            self._add(layers[layer_id], sorted(fids))
        self._seq = seq
        self._compact()

    def _changed(self, layers: Mapping[str, FeatureLayer]) -> tuple[set[str], dict[str, set[int]]]:
        """Layers to read anew, and single features of the others."""
        if self._seq < 0:
            return set(layers), {}
        whole: set[str] = {layer_id for layer_id, _ in self._at if layer_id not in layers}
        single: dict[str, set[int]] = {}
        since = self._seq
        while changes := self._store.changes(since):
            for change in changes:
                if change.fid is None or change.layer not in layers:
                    whole.add(change.layer)
                else:
                    single.setdefault(change.layer, set()).add(change.fid)
            since = changes[-1].seq
        return whole, {layer_id: fids for layer_id, fids in single.items() if layer_id not in whole}

    def _add(self, layer: FeatureLayer, fids: Sequence[int] | None) -> None:
        kind = kinds.known(layer.kind)
        if not any(layer.field(name) for name in kind.searched):
            return
        rows = self._store.rows(layer.id, fids)
        named = _named(kind, rows)
        if not named:
            return
        places = _places(rows, [one[0] for one in named])
        for (at, title, proper, text), place in zip(named, places, strict=True):
            if place is None:  # there is nothing to fly to
                continue
            terms = indexed(text)
            lon, lat, bbox = place
            entry = SearchEntry(layer.id, layer.kind, int(rows.fids[at]), title, lon, lat, bbox, proper)
            self._put(entry, terms)

    def _put(self, entry: SearchEntry, terms: Iterable[str]) -> None:
        number = len(self._entries)
        self._entries.append(entry)
        self._at[entry.layer, entry.fid] = number
        for word in terms:
            self._postings.setdefault(word, []).append(number)

    def _remove(self, key: tuple[str, int]) -> None:
        number = self._at.pop(key, None)
        if number is not None:
            self._entries[number] = None

    def _compact(self) -> None:
        """Forget removed entries once they are as many as the others; sort the vocabulary."""
        if len(self._entries) > 2 * len(self._at) + SLACK:
            live = [number for number, entry in enumerate(self._entries) if entry is not None]
            moved = {old: new for new, old in enumerate(live)}
            self._entries = [self._entries[number] for number in live]
            self._at = {key: moved[number] for key, number in self._at.items()}
            shrunk = {
                word: [moved[number] for number in numbers if number in moved]
                for word, numbers in self._postings.items()
            }
            self._postings = {word: numbers for word, numbers in shrunk.items() if numbers}
        if len(self._vocabulary) != len(self._postings):
            self._vocabulary = sorted(self._postings)


def distinct(scored: Iterable[tuple[SearchEntry, float]], limit: int) -> list[tuple[SearchEntry, float]]:
    """One result a name: a street of fifty segments is one street."""
    seen: set[tuple[str, str]] = set()
    results: list[tuple[SearchEntry, float]] = []
    for entry, score in scored:
        if (entry.layer, entry.title) in seen:
            continue
        seen.add((entry.layer, entry.title))
        results.append((entry, score))
        if len(results) == limit:
            break
    return results


def _named(kind: Kind, rows: Rows) -> list[tuple[int, str, int, str]]:
    """(row, title, words of the name proper, searched text) of the rows that have a title."""
    columns = {name: rows.properties[name] for name in kind.searched if name in rows.properties}
    named = []
    for at in range(len(rows.fids)):
        values = {name: column[at] for name, column in columns.items()}
        title = title_of(kind, values)
        if title:
            text = " ".join([title, *(str(value) for value in values.values() if value is not None)])
            named.append((at, title, len(set(words(_proper(kind, values) or title))), text))
    return named


def _proper(kind: Kind, values: Mapping[str, Any]) -> str:
    """The label that is put together of several fields (street and house number), '' where there is none."""
    return next((_joined(fields, values) for fields in kind.label if len(fields) > 1), "")


def _joined(fields: Sequence[str], values: Mapping[str, Any]) -> str:
    if not values.get(fields[0]):
        return ""
    return " ".join(str(values[name]) for name in fields if values.get(name))


def _places(rows: Rows, chosen: Sequence[int]) -> list[tuple[float, float, Bbox] | None]:
    """A point on each chosen geometry, and its box; None for one that is empty or cannot be read."""
    import shapely

    geometries = wkb.shapes([rows.wkb[at] for at in chosen])
    points = shapely.point_on_surface(geometries)
    lons, lats = shapely.get_x(points).tolist(), shapely.get_y(points).tolist()
    bounds = shapely.bounds(geometries).tolist()
    return [
        None if lon != lon else (lon, lat, (west, south, east, north))
        for lon, lat, (west, south, east, north) in zip(lons, lats, bounds, strict=True)
    ]
