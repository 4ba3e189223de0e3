"""What a view, a foreign table or another relation without our triggers shows, as a copy that is read again.

Every ``refresh`` seconds the rows are compared with the copy, and only what differs is written to it: the
copy's own triggers log that, so ETags, tiles and pages follow as for any layer, and are true of the copy.
"""

from __future__ import annotations

import time
from dataclasses import replace

import psycopg

from layers.model import Author
from layers.store.layer_record import OK
from layers.store.postgis import ddl, history, layer_table, schema, shape
from layers.store.postgis.connection import quoted
from layers.store.postgis.ddl import DdlTarget
from layers.store.postgis.introspect import Facts
from layers.store.postgis.layer_table import COPY_FID, COPY_GEOMETRY, LayerTable

NO_SELECT = "this server may not read it; grant it SELECT"
READ_SECONDS = 60  # a relation that takes longer cannot be published
_SHARE = 9  # times as long as a comparison took nothing is compared again


def make(place: DdlTarget, table: LayerTable, facts: Facts) -> str:
    """Make the copy of a relation anew, with its triggers; the layer's state."""
    assert table.source is not None
    columns = "".join(f", {quoted(c.name)} {schema.COLUMN_TYPES[c.type]}" for c in facts.columns)
    drop(place, table)
    place.con.execute(
        f"CREATE TABLE {table.copy} ({COPY_FID} bigint PRIMARY KEY, {COPY_GEOMETRY} {place.postgis}.geometry"
        f"{columns})"
    )
    state = update(place, table, facts)
    if state == OK:
        unplaced = shape.null_geometry_sql(COPY_GEOMETRY, f"{place.postgis}.")
        place.con.execute(f"CREATE INDEX ON {table.copy} USING gist ({COPY_GEOMETRY})")
        place.con.execute(f"CREATE INDEX ON {table.copy} ({COPY_FID}) WHERE {unplaced}")
        place.con.execute(f"ANALYZE {table.copy}")
        ddl.create_triggers(place, table.id, replace(table, copied=True).rows)
    else:
        place.con.execute(f"DROP TABLE {table.copy}")
    place.con.execute(
        f"INSERT INTO {place.s}.twin_refresh VALUES (%s, %s, clock_timestamp() + %s * interval '1 second')",
        (table.id, table.source.refresh, table.source.refresh),
    )
    return state


def drop(place: DdlTarget, table: LayerTable) -> None:
    """Forget the copy, if there is one."""
    place.con.execute(f"DROP TABLE IF EXISTS {table.copy}")
    place.con.execute(f"DELETE FROM {place.s}.twin_refresh WHERE layer = %s", (table.id,))


def update(place: DdlTarget, table: LayerTable, facts: Facts) -> str:
    """Bring the copy to what the relation shows now, in one statement; the layer's state."""
    assert table.source is not None
    try:
        with place.con.transaction():
            place.con.execute(f"SET LOCAL statement_timeout = '{READ_SECONDS}s'")
            rows, ids = place.con.execute(_difference(place, table, facts)).fetchone() or (0, 0)
    except psycopg.errors.InsufficientPrivilege:
        return NO_SELECT
    except psycopg.errors.NotNullViolation:
        return f"its column {table.source.fid} is null in some rows"
    except psycopg.errors.UniqueViolation:
        rows, ids = 1, 0
    except psycopg.errors.QueryCanceled:
        return f"reading it takes longer than {READ_SECONDS} s"
    except (psycopg.DataError, psycopg.InternalError, psycopg.errors.RaiseException):
        return "its rows make the database fail"
    return OK if rows == ids else f"its column {table.source.fid} is not unique"


def _difference(place: DdlTarget, table: LayerTable, facts: Facts) -> str:
    source = table.source
    assert source is not None
    names = [COPY_FID, COPY_GEOMETRY, *(quoted(c.name) for c in facts.columns)]
    # what is read has its percent signs doubled, for statements with parameters: this one has none
    read = [f"t.{quoted(source.fid)}", shape.plain(f"t.{quoted(source.geometry)}", source.srid)]
    read += [c.read.replace("%%", "%") for c in facts.columns]
    shown = ", ".join(f"{sql} AS {name}" for sql, name in zip(read, names, strict=True))
    # two geometries are the same when their bytes are: = rounds to float boxes in some versions
    compared = [f"{{0}}.{name}" if name != COPY_GEOMETRY else f"{{0}}.{name}::bytea" for name in names[1:]]
    old, new = (f"({', '.join(compared)})".replace("{0}", alias) for alias in ("c", "f"))
    return (
        f"WITH f AS MATERIALIZED (SELECT {shown} FROM {source.relation} t),"
        f" gone AS (DELETE FROM {table.copy} c WHERE NOT EXISTS (SELECT FROM f"
        f" WHERE f.{COPY_FID} = c.{COPY_FID})),"
        f" changed AS (UPDATE {table.copy} c SET {', '.join(f'{n} = f.{n}' for n in names[1:])} FROM f"
        f" WHERE f.{COPY_FID} = c.{COPY_FID} AND {old} IS DISTINCT FROM {new}),"
        f" come AS (INSERT INTO {table.copy} SELECT * FROM f WHERE NOT EXISTS (SELECT FROM {table.copy} c"
        f" WHERE c.{COPY_FID} = f.{COPY_FID}))"
        f" SELECT count(*), count(DISTINCT {COPY_FID}) FROM f"
    )


def due(place: DdlTarget) -> list[str]:
    """Claim the layers that are to be compared now; of several processes one gets each."""
    rows = place.con.execute(
        f"UPDATE {place.s}.twin_refresh SET due = clock_timestamp() + every * interval '1 second' WHERE layer"
        f" IN (SELECT layer FROM {place.s}.twin_refresh WHERE due <= clock_timestamp()"
        " FOR UPDATE SKIP LOCKED) RETURNING layer"
    ).fetchall()
    return [row[0] for row in rows]


def refresh(place: DdlTarget, layer: str) -> bool:
    """Compare a layer's copy with its relation, in one transaction; False where it must be made anew."""
    began = time.monotonic()
    with place.con.transaction():
        history.sign(place.con, Author(via="other", message=f"copy of {layer}"))
        row = place.con.execute(
            f"SELECT signature FROM {place.s}.twin_layers WHERE id = %s FOR UPDATE", (layer,)
        ).fetchone()
        facts, table = ddl.facts(place).get(layer), layer_table.tables(place.con, place.schema).get(layer)
        if row is None or facts is None or table is None or not table.copied:
            return True
        if facts.signature != row[0] or table.state != OK:
            return False
        state = update(place, table, facts)
        if state != OK:
            place.con.execute(f"UPDATE {place.s}.twin_layers SET state = %s WHERE id = %s", (state, layer))
            ddl.log_whole(place, layer, 0, None, None)
            ddl.touch(place)
    took = time.monotonic() - began
    place.con.execute(
        f"UPDATE {place.s}.twin_refresh SET due = greatest(due, clock_timestamp() + %s * interval '1 second')"
        " WHERE layer = %s",
        (_SHARE * took, layer),
    )
    return True
