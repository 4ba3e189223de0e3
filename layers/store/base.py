"""The store protocol: what every place that keeps a city's features must do.

Synchronous on purpose (see docs/decisions.md). Methods may be called from several threads;
an implementation keeps one connection a thread for reading and one for writing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from layers.errors import TwinError
from layers.model import (
    NOBODY,
    Asset,
    Author,
    Change,
    ChangeSet,
    FeatureLayer,
    FeaturePage,
    Former,
    Item,
    Layer,
    Link,
    Moment,
    Once,
    Operation,
    Outcome,
    Rows,
    Selection,
    Touch,
    Version,
)
from layers.query import Query
from layers.store.cursors import Cursors
from layers.textures import Texture
from layers.types import Bbox, Field, Form, GeometryType, Interval, Titles, VersionMark

if TYPE_CHECKING:
    import pyarrow as pa


#: Seconds between two looks for textures that nothing names: each reads all bodies that have any.
SWEEP_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """What a load says of the layer it makes; ``model_version`` what it is to model versions."""

    id: str
    kind: str
    title: Titles
    fields: tuple[Field, ...]
    geometry_type: GeometryType
    crs: str
    time_field: str | None = None
    key: tuple[str, ...] = ()
    vertical_datum: str = ""
    model_version: VersionMark | None = None


@dataclass(frozen=True, slots=True)
class FormSpec:
    """What is recorded of a layer of another form than features; ``extent`` is in lon/lat, ``assets`` are
    where its content lies, in the order in which they are to be drawn."""

    id: str
    form: Form
    kind: str
    title: Titles
    crs: str
    extent: Bbox | None = None
    vertical_datum: str = ""
    assets: tuple[Asset, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish did: the new generation, counts, and the log number it ended at.

    ``vague`` of the created may be features of the layer: they have no source id, and share what tells
    features apart with others."""

    generation: int
    created: int
    updated: int
    unchanged: int
    deleted: int
    seq: int
    vague: int = 0


class Stage(Protocol):
    """Rows written beside a layer in short transactions, seen by no reader until published.

    ``spec`` is what is to be made; its title may be another until then."""

    spec: LayerSpec

    def add(self, batch: pa.Table) -> None:
        """Write one batch (columns: SOURCE_ID, WKB, optional MESH, and the spec's fields).

        Raises BadFile: a source id twice, a geometry or value that does not fit."""

    def texture(self, texture: Texture) -> None:
        """Write an image that bodies of the load name; one that is there already stays."""

    def drop(self) -> None:
        """Forget the stage; may be called again. A stage whose process died is dropped at the next open."""


class Readable(Protocol):
    """What is read of a city: its features, their meshes and the change log, as they are now or were."""

    @property
    def epoch(self) -> str:
        """Random id of this store's history, renewed by a restore; the first half of every ETag."""

    @property
    def read_only(self) -> bool:
        """True when the city folder cannot be written; writes then raise ReadOnly."""

    @property
    def local(self) -> bool:
        """True when a plain read costs microseconds and waits for no other machine, so that an event
        loop may make it; False for a database behind a socket."""

    def at_once[T](self, layer_id: str, read: Callable[[], T]) -> T | None:
        """What a plain read of a layer gives, where it is such a read by now; else None. What was may be so
        once what changed since has been put together. It may have been read when None is given."""
        return read() if self.local else None

    def stored_item(self, layer_id: str, fid: int) -> Item | None:
        """A feature whose text is there to be given, in microseconds; None where it would have to be looked
        for, or is not there."""
        return None

    def seq(self) -> int:
        """The newest number of the change log, exact at the moment of the call.

        Sees edits of other processes; repairs triggers that a foreign tool removed. Raises
        Unavailable within 2 s when a database does not answer."""

    def nonce(self, seq: int) -> int | None:
        """The random number of a row of the change log, which no other history has at that number; None
        where the row is not there, or the store is of what was."""
        return None

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        """Log rows with seq > since, ascending."""

    def feature_layers(self) -> list[FeatureLayer]:
        """Every published layer of features, by id."""

    def layers(self) -> list[Layer]:
        """Every layer of every form, by id."""

    def layer(self, layer_id: str) -> Layer:
        """One layer of any form. Raises NotFound; Unavailable when another program left it half replaced."""

    def feature_layer(self, layer_id: str) -> FeatureLayer:
        """One layer of features. Raises as ``layer``, NotFound also for another form, as what follows."""

    def interval(self, layer_id: str) -> Interval:
        """The first and the last value of the layer's time field, in the form of its type (``YYYY-MM-DD``,
        or ``YYYY-MM-DDThh:mm:ss.sssZ``); None for an end that is not known or open. Raises NotFound."""

    def items(self, layer_id: str, query: Query) -> FeaturePage:
        """A page of features. Raises NotFound, BadParameter (unknown property), Busy (time limit)."""

    def select(self, layer_id: str, query: Query) -> Selection:
        """The same page as columns; ``query.crs`` is not applied (WKB is lon/lat)."""

    def count(self, layer_id: str, query: Query, most: int) -> int | None:
        """How many features a query selects; None when they are more than ``most``. Raises as ``items``."""

    def scan(self, layer_id: str, query: Query, size: int = 5_000) -> Generator[Rows]:
        """Everything a query selects, of one moment, in batches of up to ``size`` rows.

        For whole downloads: bounded memory, no lock that an edit or a load would wait for, no time
        limit of its own. ``query.crs`` is not applied. May be advanced from different threads, one
        at a time; closing the generator frees what it holds. Raises as ``items``, before the first
        batch."""

    def item(self, layer_id: str, fid: int, crs: str = ...) -> Item:
        """One feature. Raises NotFound, Unreadable (its geometry, of another program, cannot be read)."""

    def revision(self, layer_id: str, fid: int) -> int:
        """The revision of one feature. Raises NotFound."""

    def rows(self, layer_id: str, fids: Sequence[int] | None = None, *, meshes: bool = False) -> Rows:
        """Features (all, or those of ``fids``) with a geometry, as columns, for the tilers. No time limit."""

    def texture(self, layer_id: str, sha: str) -> Texture:
        """A texture of a layer's bodies, by the SHA-256 (hex) of its bytes. Raises NotFound."""

    def texture_types(self, layer_id: str, wanted: Collection[str]) -> Mapping[str, str]:
        """The media types of those of some textures that the layer has."""

    def report(self, layer_id: str) -> Mapping[str, Any] | None:
        """The report of the layer's last load, as stored by ``save_report``."""


class Past(Readable, Protocol):
    """A city as it was after a change of the log: ``seq()`` is its number, and what is read is of then.

    A layer that did not exist raises NotFound; one whose rows are no longer kept, Gone."""

    def chosen(self, layer_id: str, fids: Sequence[int]) -> Rows:
        """Those of some features that were there, without a geometry too, with their bodies: it costs what
        these cost, however much has changed since. A geometry that nobody can read is None."""


class Audit(Protocol):
    """The chain of a store's audit, which is only ever appended to: see :mod:`layers.audit.chain`.

    There is none (no table of it, either) before its first link."""

    def head(self) -> Link | None:
        """The newest link."""

    def sealed(self) -> int | None:
        """The newest change set that a link is of."""

    def links(self, after: int = 0, limit: int = 1_000) -> list[Link]:
        """Links by ascending number, those with n > after."""

    def sets(self, after: int, limit: int = 100) -> list[ChangeSet]:
        """Change sets by ascending id, those with id > after, which no later change extends."""

    def append(self, head: int, links: Sequence[Link]) -> bool:
        """Put links behind the one with the number ``head`` (0: the first); False where that is no longer the
        newest, and nothing is written. Raises Busy, ReadOnly, Unavailable."""

    def cut(self, through: int) -> None:
        """Remove the links up to a number."""


class Store(Readable, Protocol):
    """A city's features, their meshes, the change log, and what was before the changes."""

    def wait(self, since: int, seconds: float) -> int:
        """Wait until the change log goes beyond ``since``, or the time is over; its newest known number.

        Wakes at once for a change of any process where the store is told of it, else within 50 ms.
        Raises nothing when a database is away: the time passes."""

    def moment(self, at: str) -> Moment:
        """The moment that a text names: ``@4711`` (after the change set that contains this number), or an
        RFC 3339 instant with a zone (after the newest change set not after it).

        Raises BadParameter (``at``: malformed, without a zone, in the future, a number not given yet), Gone
        (before the beginning of the history; it says what is kept)."""

    def as_of(self, seq: int) -> Past:
        """The city after change ``seq``. Cheap to make, and nothing to close."""

    def kept(self, layer_id: str | None = None) -> Moment:
        """The earliest moment that can be asked for, of the city or of a layer. Raises NotFound."""

    def change_sets(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        actor: str | None = None,
        layer: str | None = None,
        limit: int = 100,
    ) -> list[ChangeSet]:
        """Change sets, newest first: those with ``after`` < id < ``before``, of an actor, of a layer."""

    def versions(
        self, layer_id: str, fid: int, *, before: int | None = None, limit: int = 100
    ) -> list[Version]:
        """What a feature was, newest first; ``before`` is the ``since`` of the last one that was given.

        Raises NotFound: no such layer, or a feature that never was."""

    def earliest(self, layer_id: str, fid: int) -> Version | None:
        """The first version of a feature in which it was there, of those that are kept; however many there
        are, it costs one. Raises as :meth:`versions`."""

    def touched(
        self,
        layer_id: str,
        after: int,
        until: int,
        *,
        actor: str | None = None,
        beyond: int | None = None,
        limit: int = 1_000,
    ) -> list[Touch]:
        """Features that were changed by numbers of the log with ``after`` < number <= ``until``, by ascending
        id: of those above ``beyond``, ``limit`` at most; of an actor's change sets only, where one is named.

        A load that made the layer is a change of each of its features. Where the layer was made in between,
        features that it got later are among them, too. Raises NotFound: no such layer, now or ever."""

    def reshaped(self, layer_id: str, after: int, until: int) -> list[int]:
        """Numbers of the log, ``after`` < number <= ``until``, ascending, with which a layer may have got
        other fields, or become another one."""

    def stage(self, spec: LayerSpec) -> Stage:
        """Begin a load. Raises ReadOnly, BadFile (an id or field name a table cannot have)."""

    def publish(
        self,
        stage: Stage,
        *,
        mode: str = "replace",
        by: Author = NOBODY,
        unchanged_since: int | None = None,
    ) -> Published:
        """Make a stage the layer's new generation in one transaction; the stage is used up.

        mode ``create`` raises Exists when the layer is there; ``replace`` matches rows by
        source id, else by the spec's key, keeps their fids and deletes the rest; ``append``
        matches alike and deletes nothing. Rows equal to what is there are not logged; up to
        10 000 changed rows are logged each, above that one row logs the whole layer.

        Raises Stale where the layer was changed after ``unchanged_since``."""

    def create(self, layer_id: str, feature: Mapping[str, Any], by: Author = NOBODY) -> tuple[int, int]:
        """POST: a new feature (GeoJSON without id). Returns its fid and revision.

        Raises NotFound, BadBody (each fault named), Exists (source_id), Conflict (a constraint of another
        program's table), NotEditable (see ``Layer.edits``), NotAllowed (a policy of its rows), ReadOnly."""

    def delete(self, layer_id: str, fid: int, if_match: int | None = None, by: Author = NOBODY) -> int:
        """DELETE: the feature and its mesh. Returns the log number. Raises NotFound, Stale,
        and what ``create`` raises of rights and constraints."""

    def replace(
        self,
        layer_id: str,
        fid: int,
        feature: Mapping[str, Any],
        if_match: int | None = None,
        by: Author = NOBODY,
    ) -> int:
        """PUT: the whole feature (GeoJSON). Returns the new revision.

        ``by`` is kept with the change, in the same transaction, as everywhere below. Raises NotFound, BadBody
        (geometry or property does not fit the layer), Stale, and what ``create`` raises."""

    def patch(
        self,
        layer_id: str,
        fid: int,
        patch: Mapping[str, Any],
        if_match: int | None = None,
        by: Author = NOBODY,
    ) -> int:
        """PATCH: RFC 7396 merge-patch of ``properties`` and/or ``geometry``; as ``replace``."""

    def transact(
        self,
        operations: Sequence[Operation | TwinError],
        by: Author = NOBODY,
        *,
        atomic: bool = True,
        once: Once | None = None,
    ) -> list[Outcome]:
        """Many edits, over several layers, in their order, in one transaction and one change set.

        An outcome for each operation, at its index. An atomic transaction is written whole or, where an
        operation is refused, not at all, and every refusal is told; else what is right is written. An error
        in the place of an operation is one that was refused before. An atomic one that was done ``once``
        is not done again: its outcomes are those of then. Raises KeyReused, TooLarge (more than
        ``MOST_OPERATIONS``), Busy (nothing is written: other writers, or it would hold them up for too long),
        Unavailable, ReadOnly."""

    def put_back(self, former: Sequence[Former], by: Author = NOBODY, *, unchanged_since: int) -> int:
        """Make features what they were, of the same id, to the last digit: values, geometry and body; or not
        there, where they were not. In one transaction and one change set; the number of its newest change.

        A field that is gone by now, or has another type, is left as it is. Raises Conflict: one of them was
        changed after ``unchanged_since``, its source id is another feature's by now, or its layer was dropped
        since; NotFound (the layer), NotEditable, Gone (what it was is not kept), and what an edit does."""

    def revert(self, layer_id: str, seq: int, by: Author = NOBODY, *, unchanged_since: int) -> int:
        """Make a layer of features what it was after change ``seq``, as a new generation: features with their
        ids, bodies and digits, its fields, what was said of it; or remove it, where there was none. In one
        transaction and one change set; the number of its newest change.

        Raises Conflict (the layer was changed after ``unchanged_since``; it was dropped since and made again;
        it has another form, or is a table that the settings name), Gone (what it was is not kept), NotFound
        (there is and was none), Busy, ReadOnly."""

    @property
    def audit(self) -> Audit:
        """The chain of what was done."""

    def record(self, spec: FormSpec, by: Author = NOBODY) -> int:
        """Record a layer of another form than features, or a new generation of it, which is returned.

        The change log gets one row for the whole. Raises BadFile (an id that is none, an asset that lies
        nowhere), Exists (a layer of features has the id), ReadOnly."""

    def drop(self, layer_id: str, by: Author = NOBODY) -> None:
        """Remove a layer, or the record of one of another form. Raises NotFound, ReadOnly, and Conflict for a
        table of another program that the settings name."""

    def sweep_textures(self) -> int:
        """Remove the textures that no body names, now or in what is kept of before; how many. A store that
        prunes does it once a day; beside loads it takes away nothing that these bring. Raises Busy."""

    def save_report(self, layer_id: str, report: Mapping[str, Any]) -> None:
        """Keep the report of a load."""

    def cursors(self) -> Cursors:
        """Where those who must miss nothing of the change log keep how far they have come; to be closed."""

    def close(self) -> None:
        """Close every connection; a call of another thread that still runs ends with Unavailable."""
