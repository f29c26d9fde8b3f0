"""A store in PostgreSQL, for any number of processes: each row has one owner, and outlives it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs

from ..core.policy import optional_seconds, seconds
from ..errors import ConfigurationError, StoreError
from .base import RETENTION, Opening, Row
from .held_rows import HeldRows
from .postgres_schema import SCHEMA_VERSION, checked_schema, migrate_schema, version_in
from .postgres_transactions import Lost, Owner, taken_over

T = TypeVar("T")

LEASE: Final = 30.0
"""Seconds for which an owner keeps its rows without a sign of life."""
STATEMENT_TIMEOUT: Final = 10.0
"""Seconds for one statement."""
PATIENCE: Final = 60.0
"""Seconds for which a new watch waits to be stored."""
FIRST_NEW: Final = 1 << 31
"""Claimed rows are numbered below this, new ones above it: a job that is watched anew gets the higher number."""
_HIGHEST: Final = (1 << 63) - 1
_LONGEST_NAME: Final = 200
_LONGEST_APPLICATION: Final = 63


class PostgresStore:
    """A :class:`~topaz_status.WatchStore` for many processes: ``PostgresStore(dsn, consumer="orders")``.

    All clients of one ``consumer`` share its rows. A row has one owner at a time. When an owner leaves, or its lease
    lapses, ``resume()`` of another client takes its rows. What a former owner still writes fails, for that watch alone.

    The store is opened and closed together with its client, and makes its tables when they are missing. It needs
    ``pip install "topaz-status[postgres]"``.

    Args:
        dsn: the URL or connection string of the database. Its settings for TLS apply (``sslmode=verify-full``). What
            it leaves out comes from the environment (``PGPASSWORD``, ``PGSSLROOTCERT``).
        consumer: the name of the work that the clients share.
        schema: where the tables are. It is made if it is missing and the user may make it.
        name: who this is, in the errors of others; by default host name and process id.
        keep: seconds for which a row is kept after its outcome, or after its deadline or start if it has no outcome;
            ``None`` for ever. Older rows are deleted when a store is opened, but never those of a living client.
        lease: seconds without a sign of life after which others may take this client's rows.
        statement_timeout: seconds for one statement.
        patience: while the database is down, seconds for which a new watch waits to be stored before it ends with a
            :class:`~topaz_status.StoreError`.

    Raises:
        ConfigurationError: an argument is unusable, or psycopg is not installed.
    """

    def __init__(
        self,
        dsn: str,
        *,
        consumer: str = "default",
        schema: str = "topaz_status",
        name: str | None = None,
        keep: float | None = RETENTION,
        lease: float = LEASE,
        statement_timeout: float = STATEMENT_TIMEOUT,
        patience: float = PATIENCE,
    ) -> None:
        hidden = _hidden(dsn)
        del dsn  # the traceback of a later error holds this function's variables
        try:
            from .postgres_connection import PostgresConnection  # noqa: PLC0415  # most programs have no psycopg
        except ImportError:
            raise ConfigurationError("PostgresStore needs psycopg: pip install 'topaz-status[postgres]'") from None
        self.lease: Final = seconds("lease", lease)
        self.patience: Final = seconds("patience", patience)
        self.name: Final = _text("name", name or f"process {os.getpid()} on {socket.gethostname()}")
        self._keep = optional_seconds("keep", keep)
        self._owner = Owner(checked_schema(schema), _text("consumer", consumer), self.name, self.lease)
        self._connection = PostgresConnection(
            hidden,
            statement_timeout=seconds("statement_timeout", statement_timeout),
            application=f"topaz_status {consumer}"[:_LONGEST_APPLICATION],
        )
        self._claimed = 0
        """The highest number of a claimed row."""
        self._claim_in_doubt = False
        """True after a claim whose commit was never confirmed."""
        self._held = HeldRows()
        self._unreported: Lost = {}
        """Rows that others have taken, as claims found."""

    def __repr__(self) -> str:
        state = f", open as owner {self._owner.id}" if self._is_open else ""
        return f"<PostgresStore {self._connection.target} {self._owner.consumer!r}{state}>"

    # -- the store of one client --------------------------------------------------------------------------------------

    def open(self, now: float) -> Opening:
        """See :class:`~topaz_status.WatchStore`."""
        if self._is_open:
            raise StoreError(f"another client of this process uses {self!r}")
        since = None if self._keep is None else now - self._keep
        try:
            self._connection.run(lambda cursor: migrate_schema(cursor, self._owner.schema))
            self._owner, purged = self._connection.run(lambda cursor: self._owner.enlist(cursor, since))
        except BaseException:
            self._connection.close()
            raise
        self._claimed, self._claim_in_doubt, self._held, self._unreported = 0, False, HeldRows(), {}
        return Opening(FIRST_NEW, purged)

    def write(self, rows: Sequence[Row], gone: Sequence[int], *, flush: bool) -> Mapping[int, StoreError]:  # noqa: ARG002  # a commit is as durable as the server makes it
        """See :class:`~topaz_status.store.base.SharedStore`."""
        newest = [row for row in self._held.newest(rows) if row.number not in self._unreported]
        lost = self._run(lambda cursor: self._owner.write(cursor, newest, gone, self._held))
        self._held.add(row for row in newest if row.number not in self._held.keys)
        self._held.remove([*gone, *lost])
        return self._report(lost)

    def load(self) -> list[Row]:
        """See :class:`~topaz_status.store.base.SharedStore`."""
        return self._took(self._run(lambda cursor: self._owner.rows(cursor, above=-1, upto=_HIGHEST)))

    def close(self) -> None:
        """See :class:`~topaz_status.WatchStore`. Others may take the rows at once."""
        try:
            if self._is_open and self._connection.is_open:
                self._run(self._owner.leave)
        finally:
            self._owner = attrs.evolve(self._owner, id=None)
            self._held = HeldRows()
            self._connection.close()

    # -- shared with other clients ------------------------------------------------------------------------------------

    def renew(self) -> Mapping[int, StoreError]:
        """See :class:`~topaz_status.store.base.SharedStore`."""
        lost = self._run(lambda cursor: self._owner.renew(cursor, self._held))
        self._held.remove(lost)
        return self._report(lost)

    def claim(self, most: int) -> list[Row]:
        """See :class:`~topaz_status.store.base.SharedStore`."""
        if self._claim_in_doubt:
            found = self._run(lambda cursor: self._owner.rows(cursor, above=self._claimed, upto=FIRST_NEW))
            self._claim_in_doubt = False
            if found:
                return self._took(found)
        self._claim_in_doubt = True
        rows, lost = self._run(lambda cursor: self._owner.claim(cursor, most, self._claimed, self._held))
        self._claim_in_doubt = False
        self._held.remove(lost)
        self._unreported |= lost
        return self._took(rows)

    def peek(self) -> list[Row]:
        """Return the rows of all clients of this consumer, whether this store is open or not.

        Raises:
            StoreError: the database cannot be read, or has no watches.
        """
        try:
            return self._connection.run(self._peek)
        finally:
            if not self._is_open:
                self._connection.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    @property
    def _is_open(self) -> bool:
        return self._owner.id is not None

    def _run(self, work: Callable[[Any], T]) -> T:
        if not self._is_open:
            raise StoreError(f"{self!r} is not open")
        return self._connection.run(work)

    def _took(self, rows: list[Row]) -> list[Row]:
        for number, key in self._held.add(rows).items():  # another had it meanwhile: the former row is to be reported
            self._unreported[number] = taken_over(key, "another client")
        self._claimed = max([self._claimed, *(row.number for row in rows if row.number < FIRST_NEW)])
        return rows

    def _report(self, lost: Lost) -> Lost:
        """Return what is lost, with what no call has returned yet."""
        unreported, self._unreported = self._unreported, {}
        return unreported | lost

    def _peek(self, cursor: Any) -> list[Row]:
        schema = self._owner.schema
        version = version_in(cursor, schema)
        if not version:
            raise StoreError(f"{self._connection.target}: schema {schema} has no watches")
        if version < SCHEMA_VERSION:
            raise StoreError(f"{self._connection.target}: was made by an older topaz_status: 'resume' updates it")
        return self._owner.all_rows(cursor)


def _hidden(value: object) -> Callable[[], object]:
    """Return a function that gives the value, and whose ``repr`` does not show it."""
    return lambda: value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or len(value) > _LONGEST_NAME:
        raise ConfigurationError(f"{name} is a text of 1 to {_LONGEST_NAME} printable characters")
    return value
