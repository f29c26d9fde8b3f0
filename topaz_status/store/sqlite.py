"""A store in an SQLite file: each write is one transaction, which is on disk before the call returns."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ..core.policy import optional_seconds
from ..errors import ConfigurationError, StoreError
from .base import RETENTION, Opening, Row
from .file_lock import FileLock
from .row_columns import COLUMNS, row_of, values_of
from .sqlite_schema import VERSION, migrate, version_of

_COLUMNS: Final = ", ".join(COLUMNS)
_PUT: Final = (
    f"INSERT INTO watches ({_COLUMNS}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  # our own names
    " ON CONFLICT (kind, key) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
    + " WHERE excluded.number >= watches.number"
)
_DELETE: Final = "DELETE FROM watches WHERE number = ?"
_COUNT: Final = "UPDATE counter SET last_number = max(last_number, ?)"
_LOAD: Final = f"SELECT {_COLUMNS} FROM watches ORDER BY number"  # noqa: S608
_PURGE: Final = "DELETE FROM watches WHERE coalesce(detected_at, max(started_at, coalesce(deadline, started_at))) < ?"
_ADVICE: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it cannot be written to",
    "SQLITE_CANTOPEN": "it cannot be opened: is its folder there, and may it be written to?",
    "SQLITE_CORRUPT": "it is damaged: restore it or name another file",
    "SQLITE_NOTADB": "it is damaged, or no database at all: restore it or name another file",
    "SQLITE_IOERR": "the disk does not work as it should, or is full",
    "SQLITE_BUSY": "another program has locked it",
}


class SQLiteStore:
    """A :class:`~topaz_status.WatchStore` in one file: ``StatusClient(store=SQLiteStore("watches.db"))``.

    The file is made if it is missing. The files ``-wal`` and ``-shm`` beside it belong to it; ``.lock`` excludes a
    second client. The store is opened and closed together with its client.

    Args:
        path: the file, on a local disk.
        keep: seconds for which a row is kept after its outcome, or after its deadline or start if it has no outcome;
            ``None`` for ever. Older rows are deleted when the file is opened.

    Raises:
        ConfigurationError: an argument is unusable.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep: float | None = RETENTION) -> None:
        text = os.fspath(path)
        if not isinstance(text, str) or not text or text.startswith((":", "file:")):
            raise ConfigurationError(f"path names a file, not {path!r}; MemoryStore() stores watches in memory")
        self.path: Final = Path(text).absolute()
        self._keep = optional_seconds("keep", keep)
        self._lock = FileLock(self.path)
        self._connection: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return f"<SQLiteStore {self.path}{', open' if self._connection else ''}>"

    def open(self, now: float) -> Opening:
        """See :class:`~topaz_status.WatchStore`."""
        with self._translated_errors():
            if self.path.is_dir():
                raise StoreError("is a folder, not a file")
            self._lock = FileLock(self.path.resolve())
            self._lock.take()
            try:
                _check(self.path)
                self._connection = _connect(self.path, "rwc")
                migrate(self._connection, version_of(self._connection))
                self._connection.execute("PRAGMA journal_mode = WAL")
                return self._begin(now)
            except BaseException:
                self.close()
                raise

    def write(self, rows: Sequence[Row], gone: Sequence[int], *, flush: bool) -> None:
        """See :class:`~topaz_status.WatchStore`."""
        with self._translated_errors(), self._transaction(flush=flush) as connection:
            connection.executemany(_PUT, map(values_of, rows))
            connection.executemany(_DELETE, ((number,) for number in gone))
            if rows:
                connection.execute(_COUNT, (max(row.number for row in rows),))

    def load(self) -> list[Row]:
        """See :class:`~topaz_status.WatchStore`."""
        with self._translated_errors():
            return _rows(self._open())

    def close(self) -> None:
        """See :class:`~topaz_status.WatchStore`."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                with self._translated_errors():
                    connection.close()
        finally:
            self._lock.release()

    def peek(self) -> list[Row]:
        """Return all rows without opening the store, even while a client of another process has it open.

        Raises:
            StoreError: there is no such file, or the file cannot be read.
        """
        with self._translated_errors():
            if not self.path.exists():
                raise StoreError("there is no such file")
            try:
                return self._peek("ro")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
                    raise
            return self._peek("rw")  # a writer was killed in its first transaction, which is rolled back by this

    # -- inside -------------------------------------------------------------------------------------------------------

    def _peek(self, mode: str) -> list[Row]:
        with contextlib.closing(_connect(self.path, mode)) as connection:
            version = version_of(connection)
            if version not in {0, VERSION}:
                raise StoreError("was written by an older topaz_status: 'resume' brings it up to date")
            return _rows(connection) if version else []

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("is not open")
        return self._connection

    def _begin(self, now: float) -> Opening:
        purged = 0
        with self._transaction(flush=True) as connection:
            if self._keep is not None:
                purged = connection.execute(_PURGE, (now - self._keep,)).rowcount
            else:
                connection.execute(_COUNT, (0,))  # a write, so that a file that cannot be written to is found now
            (last_number,) = connection.execute("SELECT last_number FROM counter").fetchone()
        return Opening(last_number, purged)

    @contextlib.contextmanager
    def _transaction(self, *, flush: bool) -> Iterator[sqlite3.Connection]:
        connection = self._open()
        connection.execute(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # on a full disk, SQLite has rolled back already
                connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn errors of the file or of SQLite into a :class:`StoreError` that names the file and says what to do."""
        try:
            yield
        except StoreError as error:
            raise StoreError(error.args[0], path=str(self.path)) from None
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            advice = next((advice for start, advice in _ADVICE.items() if name.startswith(start)), None)
            raise StoreError(f"{advice} ({error})" if advice else str(error), path=str(self.path)) from error
        except OSError as error:
            raise StoreError(f"cannot be opened: {error.strerror or error}", path=str(self.path)) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(path.as_posix())}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _check(path: Path) -> None:
    """Check a file before anything is written to it.

    A file that only a writer can read is checked later, when it is opened.
    """
    if not path.exists():
        return
    with contextlib.closing(_connect(path, "ro")) as connection:
        try:
            version_of(connection)
        except sqlite3.OperationalError:
            return


def _rows(connection: sqlite3.Connection) -> list[Row]:
    return [row_of(values) for values in connection.execute(_LOAD)]
