"""What a protocol asks of things and observations: read a path, decode what is sent. No HTTP in it.

Writing is :class:`twin.things.write.Writer`, inside a transaction of :mod:`twin.live.ingest`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from layers.errors import BadBody, BadParameter
from layers.observations.series import Observation
from twin.access.caller import Caller
from twin.live import Live
from twin.live.clock import now_ms
from twin.live.registry import Datastream
from twin.things import observe, options, paths
from twin.things.geometries import Located
from twin.things.model import OBSERVATIONS, SETS, Prop
from twin.things.read import EntityReader
from twin.things.spatial import Space

_FEATURE = "SELECT 1 FROM feature_of_interest WHERE id = ?"
_DATASTREAM = "Datastreams("
_ITS_OBSERVATIONS = ")/Observations"


@dataclass(frozen=True, slots=True)
class PropertyValue:
    """One property of an entity: None where it has no value; ``raw`` asks for the bare value
    (OGC 18-088 clause 9.2.5)."""

    prop: Prop
    value: Any
    raw: bool


class Things:
    """The things of a city. Its methods block, but :meth:`lone` does not."""

    def __init__(self, live: Live) -> None:
        self._live = live
        #: Where things are and what observations are of.
        self.located = Located(live.file)
        live.renewals.append(self.located.forget)

    def read(
        self, path: str, pairs: Sequence[tuple[str, str]], base: str, at: tuple[str, int] | None = None
    ) -> dict[str, Any] | PropertyValue:
        """What a resource path names, with query options; ``base`` is the service root of links. A set of
        observations only up to the instant (ms) of a parameter ``at``, given as it came and read. Raises
        NotFound, BadParameter."""
        if any(name in value for _, value in pairs for name in ("geo.", "st_")):
            self.located.ready()
        with self._live.file.reading() as conn, _simple_enough():
            target = paths.resolve(conn, path)
            space = Space(self.located)
            query = options.parse(pairs, target.entity, many=target.id is None, space=space)
            space.bind(conn)
            if at is not None:
                if target.entity is not OBSERVATIONS or target.id is not None:
                    raise BadParameter("at", at[0], "only sets of Observations are read as of an instant")
                query.texts["at"] = at[0]
                query.limit(target.entity, at[1])
            reader = EntityReader(conn, base)
            if target.prop is not None and target.id is not None:
                document = reader.one(
                    target.entity, target.id, options.QueryOptions(select=(target.prop.name,))
                )
                return PropertyValue(target.prop, document.get(target.prop.name), target.raw)
            if target.ref:
                own = query.top, query.skip, query.count, query.filter, query.orderby
                query = options.QueryOptions(*own, texts=query.texts, until=query.until)
            if target.id is not None:
                document = reader.one(target.entity, target.id, query)
            else:
                document = reader.set(target.entity, query, target.parent)
            return _links(document) if target.ref else document

    def entity(self, name: str, id_: int, base: str) -> dict[str, Any]:
        """One entity of a set. Raises NotFound."""
        with self._live.file.reading() as conn:
            return EntityReader(conn, base).one(SETS[name], id_, options.QueryOptions())

    def lone(self, path: str, body: Any, who: Caller) -> Observation | None:
        """A lone observation of a known datastream, checked without the database; None for all else.
        Raises BadBody, NotAllowed."""
        if not isinstance(body, dict) or body.get("FeatureOfInterest") is not None:
            return None
        if path == "Observations":
            id_ = observe.reference(body.get("Datastream"), "Datastream")
        elif path.startswith(_DATASTREAM) and path.endswith(_ITS_OBSERVATIONS) and "Datastream" not in body:
            digits = path[len(_DATASTREAM) : -len(_ITS_OBSERVATIONS)]
            id_ = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 17 else 0
        else:
            return None
        stream = self._live.streams.get(id_)
        if stream is None and path == "Observations":
            raise BadBody(f"Datastream: no Datastream {id_}")
        if stream is None:
            return None
        who.check("observe", stream.thing, id_)
        return observe.decode(body, stream, now_ms())

    def rows(self, body: Any, who: Caller) -> list[Observation | str]:
        """The rows of a data array (OGC 18-088 clause 12.2): observations, and of bad ones the reason.
        Raises BadBody."""
        streams = self._live.streams

        def find(id_: int) -> Datastream | None:
            stream = streams.get(id_)
            who.check("observe", stream.thing if stream else None, id_)
            return stream

        rows = observe.decode_arrays(body, find, now_ms())
        # the feature that a datastream stands at is known; only one a row names itself is looked up
        features = {
            row.feature
            for row in rows
            if isinstance(row, Observation) and row.feature != streams[row.datastream].feature
        }
        if not features:
            return rows
        with self._live.file.reading() as conn:
            wrong = {f for f in features if not conn.execute(_FEATURE, (f,)).fetchone()}
        return [
            f"error no FeatureOfInterest {row.feature}"
            if isinstance(row, Observation) and row.feature in wrong
            else row
            for row in rows
        ]


@contextmanager
def _simple_enough() -> Iterator[None]:
    """SQLite bounds its own parser; what the option parser lets through beyond it is the client's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "parser stack overflow" in str(error) or "too large" in str(error):
            raise BadParameter("$filter", "", "too many nested parts") from error
        raise


def _links(document: dict[str, Any]) -> dict[str, Any]:
    """``$ref``: self links instead of entities."""
    if "value" not in document:
        return {"@iot.selfLink": document["@iot.selfLink"]}
    members = {k: v for k, v in document.items() if k != "value"}
    return members | {"value": [{"@iot.selfLink": v["@iot.selfLink"]} for v in document["value"]]}
