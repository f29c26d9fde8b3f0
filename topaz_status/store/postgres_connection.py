"""One connection to PostgreSQL: it reconnects by itself, bounds every wait, and shows no password.

It is a plain blocking connection, because a store's calls run on a thread of their own. An asynchronous one would gain
nothing there, and could not be used before the loop runs or after it has ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.waiting import Ready, wait_selector

from ..errors import ConfigurationError, StoreError
from ..models.redact import shown

T = TypeVar("T")

GRACE: Final = 5.0
"""Seconds beyond the statement timeout after which a server that says nothing is given up."""
ATTEMPTS: Final = 5
"""Times that a transaction is tried which the server ends in favor of another one."""
_GIVEN_WAY: Final = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
_WAKE: Final = 0.1
"""Seconds between two checks of a wait."""
_DEFAULTS: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
"""A server or network that has gone is found within half a minute, unless the DSN says otherwise."""
_ADVICE: Final = {
    "28": "the server does not let this user in",
    "3D": "there is no such database",
    "42501": "the user lacks a right that the store needs",
    "53100": "the server's disk is full",
    "53200": "the server is out of memory",
    "53300": "the server has too many connections",
    "57014": "the server did not answer within the statement timeout",
    "57P03": "the server is starting or stopping",
    "25006": "the server is read-only",
}


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that gives up on a server that stays silent, even if the network does not."""

    longest_silence: float = 60.0

    def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
        """See psycopg: wait for an answer, for as long as there is any sign of it."""
        limited = _limited(gen, int(self.longest_silence / _WAKE))
        return wait_selector(limited, self.pgconn.socket, interval=_WAKE)


def _limited(steps: Generator[Any, Any, T], most: int) -> Generator[Any, Any, T]:
    """Pass on what psycopg waits for, and fail after ``most`` checks in a row that found nothing."""
    silent = 0
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            silent = silent + 1 if ready == Ready.NONE else 0
            if silent > most:
                raise psycopg.OperationalError("the server does not answer")
            wanted = steps.send(ready)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


class PostgresConnection:
    """Runs transactions, on a connection that is made when it is needed.

    Args:
        dsn: returns a connection string or URL of libpq. It is a function, because no ``repr`` of one shows a password.
        statement_timeout: seconds for one statement.
        application: the name under which the server's views show the connection.

    Raises:
        ConfigurationError: the DSN cannot be read. The error does not quote it.
    """

    def __init__(self, dsn: Callable[[], object], *, statement_timeout: float, application: str) -> None:
        settings = _settings_of(dsn())
        if settings is None:
            raise ConfigurationError(
                "dsn is a PostgreSQL URL or connection string, such as 'postgresql://host/database'"
            )
        host, port = settings.get("host") or settings.get("hostaddr"), settings.get("port")
        self.target: Final = f"postgresql://{host or ''}{f':{port}' if port else ''}/{settings.get('dbname') or ''}"
        self._password: Callable[[], str] = lambda: str(settings.get("password") or "")
        self._conninfo: Callable[[], str] = lambda: make_conninfo(
            **{**_DEFAULTS, "application_name": application, **settings, "client_encoding": "UTF8"}
        )
        self._begin = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {_limit(statement_timeout)}".encode()
        self._longest_silence = statement_timeout + GRACE
        self._connection: _Connection | None = None

    def __repr__(self) -> str:
        return f"<PostgresConnection {self.target}>"

    @property
    def is_open(self) -> bool:
        """True while there is a connection, as far as is known."""
        return self._connection is not None and not self._connection.closed

    def run(self, work: Callable[[Any], T]) -> T:
        """Run ``work`` with a cursor, in one transaction.

        A transaction that has to give way to another one (a deadlock, say) is tried again at once: ``work`` may be
        called several times.

        Raises:
            StoreError: the transaction has had no effect, or the connection broke while it was being committed.
                ``is_transient`` is true if the same transaction may well succeed a little later.
        """
        try:
            for _ in range(ATTEMPTS - 1):
                with contextlib.suppress(*_GIVEN_WAY):
                    return self._attempt(work)
            return self._attempt(work)
        except psycopg.Error as error:
            failure = self._failure(error)
        raise failure  # outside of the handler, so that no frame that holds the DSN hangs on to it

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _attempt(self, work: Callable[[Any], T]) -> T:
        connection = self._connected()
        with connection.cursor() as cursor:
            try:
                cursor.execute(self._begin)
                result = work(cursor)
                cursor.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise
        return result

    def _connected(self) -> _Connection:
        if self._connection is None or self._connection.closed:
            self._connection = _Connection.connect(self._conninfo(), autocommit=True, prepare_threshold=None)
            self._connection.longest_silence = self._longest_silence
        return self._connection

    def _roll_back(self, connection: _Connection) -> None:
        """End a failed transaction; a connection on which that fails, too, is closed."""
        try:
            if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.ACTIVE:
                connection.execute("ROLLBACK")
                return
        except psycopg.Error:
            pass
        self.close()

    def _failure(self, error: psycopg.Error) -> StoreError:
        state = error.sqlstate or ""
        if state == "25006":
            self.close()  # after a failover, the name leads to another server
        said = next((advice for start, advice in _ADVICE.items() if state.startswith(start)), None)
        text = str(error)
        password = self._password()
        text = shown(text.replace(password, "…") if password else text)
        failure = StoreError(f"{self.target}: {f'{said} ({text})' if said else text}")
        failure.is_transient = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) or state == "25006"
        return failure


def _settings_of(dsn: object) -> dict[str, Any] | None:
    """Return the settings in a DSN; ``None`` if it cannot be read."""
    if not isinstance(dsn, str) or not dsn.strip():
        return None
    try:
        return dict(conninfo_to_dict(dsn))
    except psycopg.Error:
        return None


def _limit(seconds: float) -> str:
    return f"SET LOCAL statement_timeout = {max(1, int(1000 * seconds))}"
