"""A database that goes away, restarts, answers late or not at all: a clear error each time, and no harm to any row."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from databases import PASSWORD, PostgresServer, Wire, new_schema
from stores import ended, row

from topaz_status import PostgresStore, StoreError
from topaz_status.store import postgres_connection
from topaz_status.store.held_rows import HeldRows
from topaz_status.store.postgres import FIRST_NEW
from topaz_status.store.postgres_connection import PostgresConnection

NEW = FIRST_NEW
COMMIT = b"COMMIT\0"
"""As it goes over the wire: "READ COMMITTED" is not meant."""


@pytest.fixture
def wire(postgres: PostgresServer) -> Iterator[Wire]:
    with Wire(postgres.port).serve() as wire:
        yield wire


@pytest.fixture
def store(postgres: PostgresServer, wire: Wire) -> Iterator[PostgresStore]:
    """A store that reaches its server over the wire; it has one row."""
    store = PostgresStore(postgres.dsn(port=wire.port), schema=new_schema(), statement_timeout=0.5)
    store.open(0.0)
    store.write([row(NEW + 1)], [], flush=True)
    yield store
    wire.dead = wire.silent = False
    with contextlib.suppress(StoreError):  # what is tested may have broken its connection
        store.close()


def jobs(store: PostgresStore) -> list[str]:
    return [str(row.job) for row in store.load()]


def failure(call: Callable[[], object]) -> StoreError:
    """The error of a call, which must be one that may pass and holds no secret."""
    with pytest.raises(StoreError, match=r"postgresql://127\.0\.0\.1") as refused:
        call()
    assert refused.value.is_transient
    assert PASSWORD not in str(refused.value)
    return refused.value


TROUBLES: dict[str, Callable[[PostgresServer, Wire], object]] = {
    "terminated": lambda server, _: server.cut(),
    "cut": lambda _, wire: wire.cut(),
    "restarted": lambda server, _: server.restart("fast"),
    "crashed": lambda server, _: server.restart("immediate"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_connection_that_ends_costs_one_call(
    postgres: PostgresServer, wire: Wire, store: PostgresStore, trouble: str
) -> None:
    """The call fails, has no effect, and may be made again: it then has a new connection, and all rows are there."""
    TROUBLES[trouble](postgres, wire)
    second = [row(NEW + 2, "image:b")]
    failure(lambda: store.write(second, [], flush=True))
    assert store.write(second, [], flush=True) == {}
    assert jobs(store) == ["image:a", "image:b"]


def test_while_the_server_is_down_each_call_fails_at_once(postgres: PostgresServer, store: PostgresStore) -> None:
    """Closing the store then does no harm either, and its rows wait for the next client."""
    postgres.stop()
    try:
        for call in (store.renew, store.load, lambda: store.claim(1), store.renew):
            failure(call)
        store.close()
        other = PostgresStore(postgres.dsn())
        failure(lambda: other.open(0.0))
    finally:
        postgres.start()
    assert [str(row.job) for row in store.peek()] == ["image:a"]


@pytest.mark.parametrize("statement", [b"INSERT INTO", COMMIT])
def test_a_write_whose_answer_is_lost_can_be_made_again(wire: Wire, store: PostgresStore, statement: bytes) -> None:
    """Whether it was committed or not: the rows are there once, or gone."""
    second = [row(NEW + 2, "image:b"), ended(NEW + 1)]
    wire.cut_after = statement
    failure(lambda: store.write(second, [], flush=True))
    assert store.write(second, [], flush=True) == {}
    assert [(str(row.job), row.end is not None) for row in store.load()] == [("image:a", True), ("image:b", False)]
    wire.cut_after = statement if statement == COMMIT else b"DELETE"
    failure(lambda: store.write([], [NEW + 1], flush=True))
    assert store.write([], [NEW + 1], flush=True) == {}
    assert jobs(store) == ["image:b"]


def test_a_new_row_that_may_have_been_written_can_be_taken_out(wire: Wire, store: PostgresStore) -> None:
    """A watch that is canceled while nobody knows whether its row is there does not come back."""
    wire.cut_after = COMMIT
    failure(lambda: store.write([row(NEW + 2, "image:b")], [], flush=True))
    store.write([], [NEW + 2], flush=True)
    assert jobs(store) == ["image:a"]


def test_rows_of_a_claim_whose_answer_is_lost_are_found(postgres: PostgresServer, wire: Wire) -> None:
    """They are this client's, and the next claim returns them; further claims go on from there."""
    schema = new_schema()
    first = PostgresStore(postgres.dsn(), schema=schema)
    first.open(0.0)
    first.write([row(NEW + n, f"image:{n}") for n in range(1, 6)], [], flush=True)
    first.close()
    store = PostgresStore(postgres.dsn(port=wire.port), schema=schema)
    store.open(0.0)
    wire.cut_after = COMMIT
    failure(lambda: store.claim(3))
    found = [str(row.job) for _ in range(3) for row in store.claim(3)]
    assert found == [f"image:{n}" for n in range(1, 6)]
    assert len({row.number for row in store.load()}) == 5
    store.close()


def test_a_locked_table_is_waited_for_no_longer_than_the_timeout(
    postgres: PostgresServer, store: PostgresStore
) -> None:
    """The server ends the statement, and says so; the connection is still good."""
    schema = store._owner.schema
    with postgres.connect() as other, other.transaction():
        other.execute(f"LOCK TABLE {schema}.watches")
        assert "within the statement timeout" in str(failure(lambda: store.write([ended(NEW + 1)], [], flush=True)))
    assert store.write([ended(NEW + 1)], [], flush=True) == {}


@pytest.mark.parametrize("state", ["40P01", "40001"])
@pytest.mark.parametrize("failures", [1, postgres_connection.ATTEMPTS - 1, postgres_connection.ATTEMPTS])
def test_a_transaction_that_gives_way_is_tried_again(postgres: PostgresServer, state: str, failures: int) -> None:
    """After a deadlock or a serialization failure, as a whole, and not for ever."""
    tries = 0

    def work(cursor: Any) -> object:
        nonlocal tries
        tries += 1
        cursor.execute("CREATE TEMPORARY TABLE once () ON COMMIT DROP")
        if tries <= failures:
            cursor.execute(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")
        return tries

    with PostgresConnection(postgres.dsn, statement_timeout=5.0, application="topaz_status") as connection:
        if failures < postgres_connection.ATTEMPTS:
            assert connection.run(work) == failures + 1
        else:
            failure(lambda: connection.run(work))
            assert tries == failures
        assert connection.run(work) == tries


@pytest.mark.parametrize(("stated", "tries"), [(True, 2), (False, 3)], ids=["as it is", "left to the database"])
def test_two_clients_in_a_serializable_database_both_succeed(
    postgres: PostgresServer, stated: bool, tries: int
) -> None:
    """A store's isolation level lets neither fail; one that the database decides on has one of them tried again.

    Both read the table before either of them writes to it, so that no order of the two explains what they read.
    """
    schema, serializable = new_schema(), "?options=-c%20default_transaction_isolation%3Dserializable"
    stores = [PostgresStore(postgres.dsn() + serializable, schema=schema) for _ in range(2)]
    both_have_read = threading.Barrier(len(stores))
    begun: list[int] = []

    def register(place: int) -> None:
        store = stores[place]

        def work(cursor: Any) -> object:
            begun.append(place)
            cursor.execute(f"SELECT count(*) FROM {schema}.watches")
            if begun.count(place) == 1:
                both_have_read.wait(60)
            return store._owner.write(cursor, [row(NEW + 1, f"image:{place}")], [], HeldRows())

        assert store._connection.run(work) == {}

    for store in stores:
        store.open(0.0)
        if not stated:
            begin = store._connection._begin
            store._connection._begin = begin.replace(b" ISOLATION LEVEL READ COMMITTED", b"")
            assert store._connection._begin != begin
    with ThreadPoolExecutor() as threads:
        list(threads.map(register, range(len(stores))))
    assert len(begun) == tries
    assert [jobs(store) for store in stores] == [["image:0"], ["image:1"]]
    for store in stores:
        store.close()


@pytest.mark.parametrize("state", ["53100", "53200", "53300", "53400"])
def test_a_write_for_which_there_is_no_room_can_be_made_again(
    postgres: PostgresServer, store: PostgresStore, state: str
) -> None:
    """A full disk, among others: the write has no effect, and the connection is still good."""
    second, table = [row(NEW + 2, "image:b")], f"{store._owner.schema}.watches"
    postgres.run(
        f"CREATE FUNCTION {store._owner.schema}.refuse() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{state}'; END $$"
    )
    postgres.run(
        f"CREATE TRIGGER refuse AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {store._owner.schema}.refuse()"
    )
    assert "no room" in str(failure(lambda: store.write(second, [], flush=True)))
    assert store._connection.is_open
    assert jobs(store) == ["image:a"]
    postgres.run(f"DROP TRIGGER refuse ON {table}")
    assert store.write(second, [], flush=True) == {}
    assert jobs(store) == ["image:a", "image:b"]


def test_a_server_that_falls_silent_is_given_up(
    wire: Wire, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen one still acknowledges on TCP: the store waits for its word, a little longer than the timeout."""
    assert store._connection._connection is not None
    store._connection._connection.longest_silence = 0.3
    wire.silent = True
    assert "the server does not answer" in str(failure(store.renew))
    wire.silent = False
    assert store.renew() == {}
    assert postgres_connection.GRACE > 0


def test_a_read_only_server_is_left_for_another(postgres: PostgresServer, store: PostgresStore) -> None:
    """As after a failover, when the name leads to a new primary: the error may pass, and the next call reconnects."""
    store._connection._begin = store._connection._begin.replace(b"READ WRITE", b"READ ONLY")
    assert "read-only" in str(failure(store.renew))
    assert not store._connection.is_open
    store._connection._begin = store._connection._begin.replace(b"READ ONLY", b"READ WRITE")
    assert store.renew() == {}


def test_a_row_that_no_table_takes_is_an_error_that_stays(store: PostgresStore) -> None:
    """Trying again would not help, and the text says what the server said."""
    with pytest.raises(StoreError, match="postgresql://") as refused:
        store.write([row(NEW + 2, "image:b", tag='"\0"')], [], flush=True)
    assert not refused.value.is_transient
    assert jobs(store) == ["image:a"]


def test_tables_that_were_dropped_are_a_clear_error(postgres: PostgresServer, store: PostgresStore) -> None:
    """Somebody else's mistake is named, and not taken for an outage."""
    postgres.run(f"DROP SCHEMA {store._owner.schema} CASCADE")
    with pytest.raises(StoreError, match="does not exist") as refused:
        store.renew()
    assert not refused.value.is_transient
