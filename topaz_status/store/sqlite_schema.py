"""The tables of a file of watches, version by version; a file of any earlier version is brought up to date."""

from __future__ import annotations

import sqlite3
from typing import Final

from ..errors import StoreError

APPLICATION_ID: Final = 0x546F7057
"""Says in the file's header whose it is: "TopW"."""

STEPS: Final = (
    (
        """
        CREATE TABLE watches (
            number INTEGER NOT NULL,
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            id TEXT NOT NULL,
            started_at REAL NOT NULL,
            submitted_at REAL,
            eta REAL,
            deadline REAL,
            tag TEXT,
            status TEXT,
            detected_at REAL,
            polls INTEGER,
            waited REAL,
            error TEXT,
            handed_out INTEGER,
            PRIMARY KEY (kind, key)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX by_number ON watches (number)",
        "CREATE TABLE counter (last_number INTEGER NOT NULL)",
        "INSERT INTO counter VALUES (0)",
    ),
    (
        "ALTER TABLE watches ADD COLUMN timeout REAL",
        "UPDATE watches SET timeout = deadline - started_at WHERE deadline IS NOT NULL",
    ),
)
"""What makes each version from the one before it: the first one from an empty file."""
VERSION: Final = len(STEPS)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of a file, 0 for an empty one. Only looks.

    Raises:
        StoreError: it is damaged, newer than this library, or something else's.
        sqlite3.Error: it cannot be read.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version, tables) == (0, 0, 0):
        return 0
    if application != APPLICATION_ID:
        raise StoreError("is a database, but not one of watches; name another file")
    if version > VERSION:
        raise StoreError(
            f"was written by a newer topaz_status (format {version}, not {VERSION} as here): update the library"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(f"is damaged ({verdict}): restore it or name another file")
    return int(version)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file of ``version`` up to date, in one step: it is done whole or not at all."""
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for steps in STEPS[version:]:
            for statement in steps:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
