"""A view of the city that is narrowed by rights: fewer layers, fewer fields, fewer features.

Everything goes through three questions: what the class sees of a layer (``_share``), a query with the
conditions of that joined to it (``_query``), and which features of some are seen (``_visible``). A layer
of which only a part is seen is not edited: a whole feature could not be sent without what is hidden of
it.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from layers.cql import ast
from layers.cql.parse import parse as parse_filter
from layers.errors import BadParameter, NotAllowed, NotEditable, NotFound, TwinError, shown
from layers.model import (
    Author,
    Change,
    ChangeSet,
    FeatureLayer,
    FeaturePage,
    Item,
    Layer,
    Once,
    Operation,
    Outcome,
    Rows,
    Selection,
    Version,
    has_features,
)
from layers.query import Query
from layers.store.base import Store
from layers.store.cancellation import is_stopped
from layers.store.compile import envelope
from layers.textures import Texture
from layers.types import CRS84, SOURCE_FIELD, Bbox, Interval
from tiles.service import Tiles
from twin.access.rights import WHOLE, Rights, Share
from twin.catalogue.pasts import Pasts
from twin.catalogue.published import PublishedLayer
from twin.catalogue.view import Feature, View
from twin.settings import CitySettings

#: Features that are asked for by number at a time.
CHUNK = 500
#: Change sets that the store is asked for at a time, and changes of one set of several layers.
_SETS_AT_ONCE, _CHANGES_OF_SET = 1_000, 1_000
PART = "only a part of it is seen with these rights"


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """What is seen of a layer: the condition on its features, a box that holds them, and its fields."""

    where: ast.Predicate | None
    box: Bbox | None
    names: tuple[str, ...] | None


class NarrowedView(View):
    """The view of one class of rights that does not see all."""

    def __init__(
        self,
        store: Store,
        settings: CitySettings,
        tiles: Callable[[View], Tiles],
        rights: str,
        rules: Rights,
        pasts: Pasts[View] | None = None,
    ) -> None:
        super().__init__(store, settings, tiles, pasts)
        self.rights = rights
        self._rules = rules
        self._mark = f"_{zlib.crc32(rights.encode()):08x}"

    def _begin(self) -> None:
        super()._begin()
        self._named: dict[str, tuple[tuple[str, int], frozenset[str]]] = {}
        self._looking = threading.Lock()

    @property
    def epoch(self) -> str:
        """As :attr:`View.epoch`."""
        return self._store.epoch + self._mark

    @property
    def local(self) -> bool:
        """As :attr:`View.local`: never, for what is seen is looked up beside each read."""
        return False

    def at_once[T](self, layer_id: str, read: Callable[[], T]) -> T | None:
        """As :meth:`View.at_once`: never."""
        return None

    def stored_item(self, layer_id: str, fid: int) -> Item | None:
        """As :meth:`View.stored_item`: never."""
        return None

    # -- what is seen ------------------------------------------------------------------------

    def _rule(self, layer: Layer) -> Share | None:
        """What is seen of a layer; of a model version, as of the layer that it is one of."""
        of = layer.version_of
        return self._rules.share(self.rights, layer if of is None else replace(layer, id=of))

    def _share(self, layer: FeatureLayer) -> Share:
        share = self._rule(layer)
        if share is None:
            raise _unknown(layer.id)
        return share

    def _part(self, layer_id: str) -> _Narrowed:
        """Raises NotFound."""
        layer = self._source(layer_id)
        part = self._share_of(layer, self._share(layer))
        if part is None:
            raise _unknown(layer_id)
        return part

    def _share_of(self, layer: FeatureLayer, share: Share) -> _Narrowed | None:
        """None of a layer as it was when it had not the fields that its rule asks for, and of a model version
        that has not: nothing tells then what was to be hidden."""
        try:
            return _narrowed(layer, share)
        except BadParameter:
            if self.moment is None and layer.version_of is None:
                raise
            return None

    def _source(self, layer_id: str) -> FeatureLayer:
        try:
            return self._store.feature_layer(layer_id)
        except NotFound:
            self.layer(layer_id)  # what form a layer has is not told of one that is not seen
            raise

    def _record(self, source: Layer) -> PublishedLayer[Layer] | None:
        """All of it or nothing: neither fields nor conditions fit a layer without features."""
        share = self._rule(source)
        return super()._record(source) if share is not None and share.whole else None

    def _seen(self, source: FeatureLayer) -> PublishedLayer[FeatureLayer] | None:
        share = self._rule(source)
        if share is None:
            return None
        published = super()._seen(source)
        if published is None or share.whole:
            return published
        part = self._share_of(source, share)
        if part is None:
            return None
        names = part.names
        layer = replace(published.layer, edits=(), fixed_because=PART)
        if names is not None:
            layer = replace(layer, fields=tuple(f for f in layer.fields if f.name in names))
            if layer.time_field not in names:
                layer = replace(layer, time_field=None)
        if part.where is not None:
            count = self._store.count(source.id, Query(filter=part.where), max(source.count, 1))
            layer = replace(
                layer, count=source.count if count is None else count, extent=_within(part.box, layer.extent)
            )
        return replace(published, layer=layer)

    def _query(self, layer_id: str, query: Query) -> Query:
        """The query as the store is asked it. Raises NotFound."""
        part = self._part(layer_id)
        if part.where is not None:
            query = replace(query, filter=_both(part.where, query.filter))
        names = part.names
        if names is None:
            return query
        wanted = names if query.properties is None else tuple(n for n in query.properties if n in names)
        time = self._source(layer_id).time_field
        datetime = query.datetime if time in names else None
        return replace(query, properties=wanted, words_in=names, datetime=datetime)

    def _visible(self, layer_id: str, fids: Sequence[int] | None) -> list[int] | None:
        """The features of these (None: of all) that are seen, ascending; None for all of them."""
        where = self._part(layer_id).where
        if where is None:
            return None if fids is None else sorted(fids)
        if fids is None:
            query = Query(filter=where, properties=(), limit=None)
            with closing(self._store.scan(layer_id, query)) as batches:
                return sorted(fid for rows in batches for fid in rows.fids.tolist())
        visible: list[int] = []
        for at in range(0, len(fids), CHUNK):
            some = fids[at : at + CHUNK]
            query = Query(filter=_both(where, _among(some)), properties=(), limit=len(some))
            visible += self._store.select(layer_id, query).rows.fids.tolist()
        return sorted(visible)

    def _must_see(self, layer_id: str, fid: int) -> None:
        if not self._visible(layer_id, [fid]):
            raise NotFound(f"layer {layer_id} has no feature {fid}")

    # -- reading -----------------------------------------------------------------------------

    def nonce(self, seq: int) -> int | None:
        """As :meth:`View.nonce`."""
        return None

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        """As :meth:`View.changes`, without what lies in hidden layers and outside the seen area."""
        while page := self._store.changes(since, limit):
            if seen := self.seen(page):
                return seen
            since = page[-1].seq
        return []

    def seen(self, changes: list[Change]) -> list[Change]:
        """As :meth:`View.seen`."""
        return [change for change in changes if self._touches(change)]

    def _touches(self, change: Change) -> bool:
        try:
            return self._meets(change)
        except NotFound:
            # a layer that is gone was seen if it was known here
            return self._known.pop(change.layer, None) is not None or self._is_record(change.layer)

    def may_see(self, change: Change) -> bool:
        """As :meth:`View.may_see`."""
        try:
            return self._meets(change)
        except NotFound:
            return self._is_record(change.layer)

    def sees_all(self, layer_id: str) -> bool:
        """As :meth:`View.sees_all`."""
        try:
            part = self._part(layer_id)
        except NotFound:
            return False
        return part.where is None and part.names is None

    def _meets(self, change: Change) -> bool:
        """Raises NotFound."""
        box = self._part(change.layer).box
        boxes = [one for one in (change.old, change.new) if one is not None]
        return box is None or not boxes or any(_meet(box, one) for one in boxes)

    def _is_record(self, layer_id: str) -> bool:
        """Whether a layer of another form than features is seen under this id."""
        try:
            return not has_features(self.layer(layer_id))
        except NotFound:
            return False

    def interval(self, layer_id: str) -> Interval:
        """As :meth:`View.interval`; not known where only some features are seen."""
        part, layer = self._part(layer_id), self.feature_layer(layer_id)
        return self._store.interval(layer_id) if part.where is None and layer.time_field else (None, None)

    def items(self, layer_id: str, query: Query) -> FeaturePage:
        """As :meth:`View.items`."""
        return self._store.items(layer_id, self._query(layer_id, query))

    def select(self, layer_id: str, query: Query) -> Selection:
        """As :meth:`View.select`."""
        return self._store.select(layer_id, self._query(layer_id, query))

    def count(self, layer_id: str, query: Query, most: int) -> int | None:
        """As :meth:`View.count`."""
        return self._store.count(layer_id, self._query(layer_id, query), most)

    def scan(self, layer_id: str, query: Query, size: int = 5_000) -> Generator[Rows]:
        """As :meth:`View.scan`."""
        yield from self._store.scan(layer_id, self._query(layer_id, query), size)

    def item(self, layer_id: str, fid: int, crs: str = CRS84) -> Item:
        """As :meth:`View.item`."""
        # the revision first: a feature that changes between the two is then read again, not taken for new
        revision = self.revision(layer_id, fid)
        page = self.items(layer_id, Query(filter=_among([fid]), limit=1, crs=crs))
        if not page.returned:
            raise NotFound(f"layer {layer_id} has no feature {fid}")
        return Item(page.features, fid, revision)

    def revision(self, layer_id: str, fid: int) -> int:
        """As :meth:`View.revision`."""
        self._must_see(layer_id, fid)
        return self._store.revision(layer_id, fid)

    def rows(self, layer_id: str, fids: Sequence[int] | None = None, *, meshes: bool = False) -> Rows:
        """As :meth:`View.rows`."""
        rows = self._store.rows(layer_id, self._visible(layer_id, fids), meshes=meshes)
        names = self._part(layer_id).names
        if names is None:
            return rows
        return replace(rows, properties={n: column for n, column in rows.properties.items() if n in names})

    def texture(self, layer_id: str, sha: str) -> Texture:
        """As :meth:`View.texture`: where only some features are seen, one that any of them names. It may show
        what is beside it in the same image."""
        if self._part(layer_id).where is not None and sha not in self._textures(layer_id):
            raise NotFound(f"layer {layer_id} has no texture {shown(sha)}")
        return super().texture(layer_id, sha)

    def _textures(self, layer_id: str) -> frozenset[str]:
        """What the bodies of the seen features name: looked up once for each version of the layer, by the one
        who asks first."""
        with self._looking:
            version = self._store.epoch, self._source(layer_id).seq
            known = self._named.get(layer_id)
            if known is None or known[0] != version:
                known = self._named[layer_id] = version, self._find_textures(layer_id)
            return known[1]

    def _find_textures(self, layer_id: str) -> frozenset[str]:
        fids = self._visible(layer_id, None) or []
        named: set[str] = set()
        for at in range(0, len(fids), CHUNK):
            bodies = self._store.rows(layer_id, fids[at : at + CHUNK], meshes=True).meshes
            named.update(*(body.textures() for body in bodies.values()))
        return frozenset(named)

    def texture_types(self, layer_id: str, wanted: Collection[str]) -> Mapping[str, str]:
        """As :meth:`View.texture_types`."""
        self._part(layer_id)
        return super().texture_types(layer_id, wanted)

    def versions(
        self, layer_id: str, fid: int, *, before: int | None = None, limit: int = 100
    ) -> list[Version]:
        """As :meth:`View.versions`. Raises NotAllowed where only some features are seen, since a version may
        be one that was not, or some fields, since it may differ in another."""
        self._refuse_versions(layer_id)
        return super().versions(layer_id, fid, before=before, limit=limit)

    def tells_sets(self, layer_id: str) -> bool:
        """As :meth:`View.tells_sets`: not where only some features are seen, since the change may have been
        made when it was not."""
        try:
            return self._part(layer_id).where is None
        except NotFound:
            return False

    def change_sets(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        actor: str | None = None,
        layer: str | None = None,
        limit: int = 100,
    ) -> list[ChangeSet]:
        """As :meth:`View.change_sets`: those with a change of what is seen."""
        if layer is not None:
            self._part(layer)
        found: list[ChangeSet] = []
        size = max(limit, _SETS_AT_ONCE)
        while len(found) < limit and not is_stopped():
            page = super().change_sets(after=after, before=before, actor=actor, layer=layer, limit=size)
            found += [one for one in page if self._is_told(one)]
            if len(page) < size:
                break
            before = page[-1].id
        return found[:limit]

    def _is_told(self, one: ChangeSet) -> bool:
        """Whether a set has a change of a layer whose sets are told; of one of several layers as far as its
        first changes show it."""
        if one.layer is not None:
            return self.tells_sets(one.layer)
        changes = self._store_now.changes(one.first - 1, min(one.last - one.first + 1, _CHANGES_OF_SET))
        return any(self.tells_sets(layer) for layer in {change.layer for change in changes})

    def earliest(self, layer_id: str, fid: int) -> Version | None:
        """As :meth:`versions`."""
        self._refuse_versions(layer_id)
        return super().earliest(layer_id, fid)

    def _refuse_versions(self, layer_id: str) -> None:
        part = self._part(layer_id)
        if part.where is not None or part.names is not None:
            raise NotAllowed(f"the versions of features of layer {layer_id} are not told: {PART}")

    # -- writing -----------------------------------------------------------------------------

    def create(self, layer_id: str, feature: Feature, by: Author) -> tuple[int, int]:
        """As :meth:`View.create`. Raises NotEditable where only a part of the layer is seen."""
        self._must_edit(layer_id)
        return super().create(layer_id, feature, by)

    def replace(self, layer_id: str, fid: int, feature: Feature, if_match: int | None, by: Author) -> int:
        """As :meth:`View.replace`, and :meth:`create`."""
        self._must_edit(layer_id)
        return super().replace(layer_id, fid, feature, if_match, by)

    def patch(self, layer_id: str, fid: int, patch: Feature, if_match: int | None, by: Author) -> int:
        """As :meth:`View.patch`, and :meth:`create`."""
        self._must_edit(layer_id)
        return super().patch(layer_id, fid, patch, if_match, by)

    def delete(self, layer_id: str, fid: int, if_match: int | None, by: Author) -> int:
        """As :meth:`View.delete`, and :meth:`create`."""
        self._must_edit(layer_id)
        return super().delete(layer_id, fid, if_match, by)

    def transact(
        self,
        operations: Sequence[Operation | TwinError],
        by: Author,
        *,
        atomic: bool,
        once: Once | None = None,
    ) -> list[Outcome]:
        """As :meth:`View.transact`; operations on what is not edited here are refused as :meth:`create`."""
        permitted = [self._permitted(one) for one in operations]
        return super().transact(permitted, by, atomic=atomic, once=once)

    def _permitted(self, operation: Operation | TwinError) -> Operation | TwinError:
        if isinstance(operation, TwinError):
            return operation
        try:
            self._must_edit(operation.layer)
        except (NotFound, NotEditable) as error:
            return error
        return operation

    def sees(self, layer: Layer) -> bool:
        """As :meth:`View.sees`."""
        return self._rule(layer) is not None

    def edits(self, layer: Layer) -> bool:
        """As :meth:`View.edits`: not where only a part of it is seen."""
        share = self._rule(layer)
        return share is not None and share.whole

    def _must_edit(self, layer_id: str) -> None:
        if not self._share(self._source(layer_id)).whole:
            raise NotEditable(f"layer {layer_id} is not edited: {PART}")


def _unknown(layer_id: str) -> NotFound:
    return NotFound(f"there is no layer {shown(layer_id)}")


def _narrowed(layer: FeatureLayer, share: Share) -> _Narrowed:
    if share == WHOLE:
        return _Narrowed(None, None, None)
    names = None
    if share.fields is not None:
        fields = share.fields | {SOURCE_FIELD.name}
        names = tuple(field.name for field in layer.fields if field.name in fields)
    where = parse_filter(share.where, "cql2-text", layer) if share.where else None
    return _Narrowed(where, None if where is None else envelope(Query(filter=where)), names)


def _both(one: ast.Predicate, other: ast.Predicate | None) -> ast.Predicate:
    return one if other is None else ast.And((one, other))


def _among(fids: Sequence[int]) -> ast.Predicate:
    return ast.In(ast.PropertyRef(ast.FID), tuple(ast.Value(int(fid), "integer") for fid in fids))


def _meet(one: Bbox, other: Bbox) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _within(box: Bbox | None, extent: Bbox | None) -> Bbox | None:
    """The part of an extent that lies in a box (None: everywhere)."""
    if box is None or extent is None:
        return extent
    if not _meet(box, extent):
        return None
    return max(box[0], extent[0]), max(box[1], extent[1]), min(box[2], extent[2]), min(box[3], extent[3])
