"""The tables of a file of watches, version by version, and the migration of files of earlier versions."""

from __future__ import annotations

import sqlite3
from typing import Final

from ..errors import StoreError

APPLICATION_ID: Final = 0x546F7057
"""Marks the file as ours in its header: "TopW"."""

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
"""The statements that make each version from the one before it; the first version starts from an empty file."""
VERSION: Final = len(STEPS)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a file, 0 for an empty one; the file is only read.

    Raises:
        StoreError: the file is damaged, is newer than this library, or is of another program.
        sqlite3.Error: the file cannot be read.
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
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise StoreError(f"is damaged ({result}): restore it or name another file")
    return int(version)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Migrate a file of ``version`` to the current version, in one transaction."""
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
