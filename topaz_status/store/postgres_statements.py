"""The statements of a store in PostgreSQL.

A row belongs to one owner: the client that opened the store under that number. A claim gives a row a new owner and a
new number. So ``owner`` and ``number`` together are the fencing token: no former owner's statement finds the row. The
server's clock alone decides which leases have lapsed.

A transaction locks in one order: first its own record in ``owners``, then those of others, and rows last. Where it
meets another client's locks out of this order, it passes over what is locked. What is left of deadlocks is tried again.
"""

from __future__ import annotations

from typing import Final

from .row_columns import COLUMNS

_TYPES: Final = {
    "number": "bigint",
    "polls": "integer",
    "handed_out": "boolean",
    **dict.fromkeys(("kind", "key", "id", "tag", "status", "error"), "text"),
}
_ROWS: Final = (
    "json_to_recordset(%(rows)s::json) AS r("
    + ", ".join(f"{name} {_TYPES.get(name, 'double precision')}" for name in COLUMNS)
    + ")"
)
_NAMES: Final = ", ".join(COLUMNS)
_LAPSED: Final = (
    "SELECT id FROM {schema}.owners WHERE consumer = %(consumer)s AND lease_until <= clock_timestamp()"  # our own names
)
_CHANGES: Final = ", ".join(f"{name} = r.{name}" for name in COLUMNS if name != "number")

ENLIST: Final = """
    INSERT INTO {schema}.owners (consumer, name, lease_until)
    VALUES (%(consumer)s, %(name)s, clock_timestamp() + %(lease)s * interval '1 second') RETURNING id
"""
RENEW: Final = """
    WITH before AS (SELECT lease_until > clock_timestamp() AS held FROM {schema}.owners WHERE id = %(owner)s),
    renewed AS (
        INSERT INTO {schema}.owners (id, consumer, name, lease_until)
        VALUES (%(owner)s, %(consumer)s, %(name)s, clock_timestamp() + %(lease)s * interval '1 second')
        ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until
    )
    SELECT coalesce((SELECT held FROM before), false)
"""
"""Gives true if the lease had not lapsed. It puts an owner back whose record was removed after a lapse."""
LEAVE: Final = "UPDATE {schema}.owners SET lease_until = '-infinity' WHERE id = %(owner)s"
INSERT: Final = f"""
    INSERT INTO {{schema}}.watches AS w (consumer, owner, {_NAMES})
    SELECT %(consumer)s, %(owner)s, r.* FROM {_ROWS} ORDER BY r.kind COLLATE "C", r.key COLLATE "C"
    ON CONFLICT (consumer, kind, key) DO UPDATE SET owner = excluded.owner, {
    ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
}
    WHERE (w.owner = excluded.owner AND w.number <= excluded.number) OR w.owner IN ({_LAPSED})
    RETURNING w.number
"""  # noqa: S608
UPDATE: Final = f"""
    UPDATE {{schema}}.watches w SET {_CHANGES} FROM {_ROWS}
    WHERE w.consumer = %(consumer)s AND w.owner = %(owner)s AND w.number = r.number RETURNING w.number
"""  # noqa: S608
DELETE: Final = """
    DELETE FROM {schema}.watches
    WHERE consumer = %(consumer)s AND owner = %(owner)s AND number = ANY(%(numbers)s) RETURNING number
"""
HOLDERS: Final = """
    SELECT w.kind, w.key, w.owner = %(owner)s, coalesce(o.name, 'an unknown client')
    FROM {schema}.watches w LEFT JOIN {schema}.owners o ON o.id = w.owner
    WHERE w.consumer = %(consumer)s AND (w.kind, w.key) IN (SELECT * FROM unnest(%(kinds)s::text[], %(keys)s::text[]))
"""
HELD: Final = "SELECT number FROM {schema}.watches WHERE consumer = %(consumer)s AND owner = %(owner)s"
MINE: Final = f"""
    SELECT {_NAMES} FROM {{schema}}.watches
    WHERE consumer = %(consumer)s AND owner = %(owner)s AND number > %(above)s AND number <= %(upto)s ORDER BY number
"""  # noqa: S608
EVERYTHING: Final = f"""
    SELECT {_NAMES} FROM {{schema}}.watches WHERE consumer = %(consumer)s ORDER BY owner, number
"""  # noqa: S608
CLAIM: Final = f"""
    WITH free AS MATERIALIZED (
        SELECT owner AS former, number AS old, kind, key FROM {{schema}}.watches
        WHERE consumer = %(consumer)s AND owner IN ({_LAPSED})
        ORDER BY owner, number LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ), renumbered AS (
        SELECT kind, key, %(above)s + row_number() OVER (ORDER BY former, old) AS new FROM free
    )
    UPDATE {{schema}}.watches w SET owner = %(owner)s, number = renumbered.new FROM renumbered
    WHERE w.consumer = %(consumer)s AND w.kind = renumbered.kind AND w.key = renumbered.key
    RETURNING {", ".join(f"w.{name}" for name in COLUMNS)}
"""  # noqa: S608
WRITING: Final = """
    SELECT id FROM {schema}.owners o
    WHERE consumer = %(consumer)s AND id <> %(owner)s AND lease_until <= clock_timestamp()
    AND EXISTS (SELECT FROM {schema}.watches w WHERE w.owner = o.id)
    ORDER BY id FOR SHARE
"""
"""Waits for the transactions of lapsed owners that still have rows, and lets them begin no other one.

Those that have renewed their lease meanwhile are not in the answer. Several claims may hold this lock at a time.
"""
PURGE: Final = f"""
    DELETE FROM {{schema}}.watches WHERE (consumer, kind, key) IN (
        SELECT consumer, kind, key FROM {{schema}}.watches WHERE consumer = %(consumer)s AND owner IN ({_LAPSED})
        AND coalesce(detected_at, greatest(started_at, coalesce(deadline, started_at))) < %(since)s
        FOR UPDATE SKIP LOCKED
    )
"""  # noqa: S608
"""Old rows go, but never those of a client that is alive."""
PURGE_OWNERS: Final = """
    DELETE FROM {schema}.owners WHERE id IN (
        SELECT id FROM {schema}.owners o WHERE consumer = %(consumer)s AND lease_until <= clock_timestamp()
        AND NOT EXISTS (SELECT FROM {schema}.watches w WHERE w.owner = o.id) FOR UPDATE SKIP LOCKED
    )
"""
