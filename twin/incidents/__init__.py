"""Incidents: human cases that are reported, listed and moved along a workflow, each move logged."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from layers.errors import BadBody, NotFound, Stale, Unavailable, shown
from layers.observations.livefile import LiveFile
from layers.observations.tables import point
from twin.incidents import past, workflow
from twin.live import clock

if TYPE_CHECKING:
    from twin.live.bus import Bus
    from twin.live.ingest import Ingest, Transaction

log = logging.getLogger("twin")
COLUMNS = (
    "id, code, title, description, class, level, status, lon, lat, address, source, simulated, reported, "
    "changed, revision, sensor"
)
MEMBERS = ("title", "description", "class", "level", "lon", "lat", "address", "source", "simulated", "sensor")
#: What was cannot be moved.
_DONE: dict[str, Any] = {"actions": []}
LENGTHS = {"title": 200, "description": 4000, "class": 64, "address": 300, "source": 64}


class Incidents:
    """The incidents of a city. Reading methods block; ``report`` and ``act`` await the commit."""

    def __init__(self, ingest: Ingest, file: LiveFile, bus: Bus, zone: ZoneInfo) -> None:
        self._ingest = ingest
        self._file = file
        self._bus = bus
        self._zone = zone
        self.workflow = workflow.load()
        # the ids of rows that cannot be shown, told once
        self._spoilt: set[object] = set()

    @property
    def epoch(self) -> str:
        """The history that revisions count in: it ends when the file is made anew."""
        return self._file.epoch

    async def report(self, body: object, actor: str) -> dict[str, Any]:
        """Make an incident. Raises BadBody naming every fault, ReadOnly, Busy."""
        checked = check(body)
        made: dict[str, Any] = await self._ingest.put(partial(self._report, checked, actor))
        return made

    async def act(
        self, incident: int, body: object, actor: str, if_match: Collection[int] | None
    ) -> dict[str, Any]:
        """Move an incident that is at one of the revisions ``if_match``; None for any.

        Raises NotFound, BadBody, Conflict, Stale, ReadOnly, Busy."""
        action, note = check_action(body)
        moved: dict[str, Any] = await self._ingest.put(
            partial(self._act, incident, action, note, actor, if_match)
        )
        return moved

    def find(
        self,
        *,
        status: str | None = None,
        level: int | None = None,
        since: int | None = None,
        open_: bool | None = None,
        at: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[dict[str, Any]], int]:
        """The newest incidents and how many match; of the open ones the worst first. ``since`` (ms) is
        compared with the last change. As they were ``at`` (ms)."""
        wanted = [("status=?", status), ("level=?", level), ("changed>=?", since)]
        parts = [(sql, value) for sql, value in wanted if value is not None]
        tests, values = [sql for sql, _ in parts], [value for _, value in parts]
        if open_ is not None:
            tests.append(_among(self.workflow.ending(not open_)))
        where = "WHERE " + " AND ".join(tests) if tests else ""
        order = "level, id DESC" if open_ else "id DESC"
        with self._file.reading() as conn:
            table = "incident" if at is None else past.source(COLUMNS, past.last(conn, at))
            count = conn.execute(f"SELECT count(*) FROM {table} {where}", values).fetchone()[0]  # noqa: S608
            rows = conn.execute(
                f"SELECT {COLUMNS} FROM {table} {where} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
                [*values, limit, offset],
            ).fetchall()
        incidents = self._readable(rows)
        return incidents if at is None else [one | _DONE for one in incidents], count

    def mark(self) -> tuple[int, int]:
        """Something that moves with every report and every move."""
        with self._file.reading() as conn:
            count, moves = conn.execute(
                "SELECT count(*), coalesce(sum(revision), 0) FROM incident"
            ).fetchone()
        return count, moves

    def board(self, most_open: int = 500, most_ended: int = 100) -> dict[str, Any]:
        """What an open page begins with: ``incidents``, the open ones, the worst first and of a level the
        newest, then the last that ended; ``open_incidents``, how many are open, as :func:`_counts`."""
        parts = ((False, "level, id DESC", most_open), (True, "changed DESC, id DESC", most_ended))
        with self._file.reading() as conn:
            rows = [
                row
                for final, order, limit in parts
                for row in conn.execute(
                    f"SELECT {COLUMNS} FROM incident WHERE {_among(self.workflow.ending(final))} "  # noqa: S608
                    f"ORDER BY {order} LIMIT ?",
                    (limit,),
                )
            ]
            counts = self._counts(conn)
        return {"incidents": self._readable(rows), "open_incidents": counts}

    def _counts(self, conn: sqlite3.Connection) -> dict[str, int]:
        """How many incidents are open, by level (``"1"``, the worst, to ``"4"``)."""
        counts = dict.fromkeys("1234", 0)
        rows = conn.execute(
            f"SELECT level, count(*) FROM incident WHERE {_among(self.workflow.ending(False))} GROUP BY level"  # noqa: S608
        )
        counts.update((str(level), count) for level, count in rows if str(level) in counts)
        return counts

    def get(self, incident: int, at: int | None = None) -> dict[str, Any]:
        """One incident with its log, as they were ``at`` (ms). Raises NotFound."""
        with self._file.reading() as conn:
            last = None if at is None else past.last(conn, at)
            table = "incident" if last is None else past.source(COLUMNS, last)
            document = self._public(_row(conn, incident, table))
            if last is not None:
                document |= _DONE
            document["log"] = [
                {
                    "at": clock.iso(at),
                    "actor": actor,
                    "action": action,
                    "from": before,
                    "to": to,
                    "note": note,
                }
                for at, actor, action, before, to, note in conn.execute(
                    'SELECT at, actor, action, "from", "to", note FROM incident_log '
                    "WHERE incident=? AND seq <= ? ORDER BY seq",
                    (incident, 2**63 - 1 if last is None else last),
                )
            ]
        return document

    def _report(self, body: Mapping[str, Any], actor: str, tx: Transaction) -> dict[str, Any]:
        sensor = body["sensor"]
        if sensor is not None:
            known = tx.conn.execute("SELECT 1 FROM datastream WHERE id=?", (sensor,)).fetchone()
            if known is None:
                raise BadBody(f"sensor={sensor}: no such datastream")
        now = clock.now_ms()
        last = tx.conn.execute("SELECT seq FROM sqlite_sequence WHERE name='incident'").fetchone()
        new = (last[0] if last else 0) + 1
        code = f"{datetime.fromtimestamp(now / 1000, self._zone):%Y-%m%d}-{new:06d}"
        status = self.workflow.initial
        geom = point(body["lon"], body["lat"]) if body["lon"] is not None else None
        row = (new, code, body["title"], body["description"], body["class"], body["level"], status)
        place = (body["lon"], body["lat"], body["address"], body["source"], int(body["simulated"]))
        marks = ",".join("?" * 17)
        tx.conn.execute(
            f"INSERT INTO incident ({COLUMNS}, geom) VALUES ({marks})",  # noqa: S608
            (*row, *place, now, now, 1, sensor, geom),
        )
        _log(tx.conn, new, now, actor, "report", None, status, "")
        return self._tell(tx, new)

    def _act(
        self,
        incident: int,
        action: str,
        note: str,
        actor: str,
        if_match: Collection[int] | None,
        tx: Transaction,
    ) -> dict[str, Any]:
        row = self._public(_row(tx.conn, incident))
        if if_match is not None and row["revision"] not in if_match:
            raise Stale(f"the incident has changed: read it again; its revision is {row['revision']}")
        to = self.workflow.move(row["status"], action, note)
        now = clock.now_ms()
        tx.conn.execute(
            "UPDATE incident SET status=?, changed=?, revision=revision+1 WHERE id=?", (to, now, incident)
        )
        _log(tx.conn, incident, now, actor, action, row["status"], to, note)
        return self._tell(tx, incident)

    def _tell(self, tx: Transaction, incident: int) -> dict[str, Any]:
        public = self._public(_row(tx.conn, incident))
        tx.after.append(partial(self._bus.publish, "incident", public))
        # stated, not added up by who hears it: a page knows the worst few hundred, and may hear of one twice
        tx.after.append(partial(self._bus.publish, "open_incidents", self._counts(tx.conn)))
        return public

    def _readable(self, rows: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
        """Rows as they are shown; one that another program spoilt is told in the log, and hides no other."""
        readable: list[dict[str, Any]] = []
        for row in rows:
            try:
                readable.append(self._public(row))
            except Unavailable as error:
                if row[0] not in self._spoilt:
                    log.warning("%s", error)
                self._spoilt.add(row[0])
        return readable

    def _public(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """A row as it is shown. Raises Unavailable for one that holds what no incident has."""
        try:
            return self._shown(row)
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise Unavailable(f"incident {row[0]} cannot be read: its row in live.gpkg is damaged") from error

    def _shown(self, row: tuple[Any, ...]) -> dict[str, Any]:
        names = [name.strip() for name in COLUMNS.split(",")]
        document = dict(zip(names, row, strict=True))
        document["simulated"] = bool(document["simulated"])
        document["reported"] = clock.iso(document["reported"])
        document["changed"] = clock.iso(document["changed"])
        document["actions"] = self.workflow.allowed(document["status"])
        return document


def _among(states: Collection[str]) -> str:
    """The test of a status, as SQL."""
    return "status IN ({})".format(",".join("'{}'".format(name.replace("'", "''")) for name in states))


def _row(conn: sqlite3.Connection, incident: int, table: str = "incident") -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = conn.execute(
        f"SELECT {COLUMNS} FROM {table} WHERE id=?",  # noqa: S608
        (incident,),
    ).fetchone()
    if row is None:
        raise NotFound(f"no incident {incident}")
    return row


def _log(
    conn: sqlite3.Connection,
    incident: int,
    at: int,
    actor: str,
    action: str,
    before: str | None,
    to: str,
    note: str,
) -> None:
    conn.execute(
        'INSERT INTO incident_log (incident, at, actor, action, "from", "to", note) VALUES (?,?,?,?,?,?,?)',
        (incident, at, actor, action, before, to, note),
    )


def check(body: object) -> dict[str, Any]:
    """A report as sent, with defaults filled in. Raises BadBody naming every fault."""
    if not isinstance(body, dict):
        raise BadBody("an incident is a JSON object")
    members: dict[str, Any] = {name: body.get(name) for name in MEMBERS}
    faults = [f"{shown(name)}: not known here" for name in body if name not in MEMBERS]
    defaults = {"description": "", "class": "other", "level": 4, "source": "api", "simulated": False}
    for name, default in defaults.items():
        if members[name] is None:
            members[name] = default
    faults += [fault for name, most in LENGTHS.items() if (fault := _text_fault(name, members[name], most))]
    level = members["level"]
    if not isinstance(level, int) or isinstance(level, bool) or not 1 <= level <= 4:
        faults.append(f"level={shown(level)}: 1 (worst) to 4")
    if not isinstance(members["simulated"], bool):
        faults.append("simulated: true or false")
    sensor = members["sensor"]
    if sensor is not None and (not isinstance(sensor, int) or isinstance(sensor, bool) or abs(sensor) >> 53):
        faults.append("sensor: the id of a datastream")
    faults += _position_faults(members["lon"], members["lat"])
    if faults:
        raise BadBody("; ".join(faults))
    return members


def _text_fault(name: str, value: object, most: int) -> str | None:
    if value is None and name == "address":
        return None
    if not isinstance(value, str) or (not value.strip() and name in ("title", "class", "source")):
        return f"{name}: a text is required"
    if "\0" in value:
        return f"{name}: text must not contain a null character"
    return f"{name}: at most {most} characters" if len(value) > most else None


def _position_faults(lon: object, lat: object) -> list[str]:
    if lon is None and lat is None:
        return []
    faults = []
    for name, value, most in (("lon", lon, 180), ("lat", lat, 90)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or abs(value) > most:  # type: ignore[arg-type]
            faults.append(f"{name}={shown(value)}: degrees, -{most} to {most}")
    return faults


def check_action(body: object) -> tuple[str, str]:
    """Action and note of a move as sent. Raises BadBody."""
    if not isinstance(body, dict) or not isinstance(body.get("action"), str):
        raise BadBody("action: the name of a move is required")
    unknown = [name for name in body if name not in ("action", "note")]
    if unknown:
        raise BadBody(f"{shown(unknown[0])}: not known here; known: action, note")
    note = "" if body.get("note") is None else body["note"]
    if not isinstance(note, str) or len(note) > 4000 or "\0" in note:
        raise BadBody("note: a text of at most 4000 characters, none of them null")
    return body["action"], note


def feature(incident: Mapping[str, Any]) -> dict[str, Any]:
    """An incident as a GeoJSON feature (RFC 7946)."""
    at = (
        None
        if incident["lon"] is None
        else {"type": "Point", "coordinates": [incident["lon"], incident["lat"]]}
    )
    properties = {k: v for k, v in incident.items() if k not in ("lon", "lat", "actions", "id")}
    return {"type": "Feature", "id": incident["id"], "geometry": at, "properties": properties}
