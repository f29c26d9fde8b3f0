"""The table that many clients share: one owner a row, leases, fencing, and what a schema and a password are kept from."""

from __future__ import annotations

import contextlib
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from _pytest._io.saferepr import saferepr
from databases import PASSWORD, PostgresServer, new_schema
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from stores import ended, row

from topaz_status import ConfigurationError, PostgresStore, StoreError
from topaz_status.store.base import Row, SharedStore
from topaz_status.store.postgres import FIRST_NEW
from topaz_status.store.postgres_schema import SCHEMA_VERSION

NEW = FIRST_NEW


@attrs.define
class Table:
    """The stores of one schema, and their server."""

    server: PostgresServer
    schema: str = attrs.field(factory=new_schema)
    opened: list[PostgresStore] = attrs.field(factory=list)

    def store(self, name: str, **facts: Any) -> PostgresStore:
        """A store that is open."""
        store = PostgresStore(self.server.dsn(), schema=self.schema, name=name, **facts)
        store.open(facts.pop("now", 0.0))
        self.opened.append(store)
        return store

    def lapse(self, name: str) -> None:
        """Let a client's lease lapse, as if it had slept for longer."""
        self.server.run(f"UPDATE {self.schema}.owners SET lease_until = now() - interval '1 s' WHERE name = '{name}'")

    def owners(self) -> set[str]:
        return {name for (name,) in self.server.run(f"SELECT name FROM {self.schema}.owners")}


@pytest.fixture
def table(postgres: PostgresServer) -> Iterator[Table]:
    table = Table(postgres)
    yield table
    for store in table.opened:
        store.close()


def jobs(rows: Any) -> list[str]:
    return [str(row.job) for row in rows]


def reasons(lost: Any) -> dict[int, str]:
    return {number: str(error) for number, error in lost.items()}


# -- owners -----------------------------------------------------------------------------------------------------------


def test_it_is_a_shared_store(table: Table) -> None:
    """Clients know it by its two further methods."""
    assert isinstance(table.store("a"), SharedStore)


def test_a_row_of_a_living_client_is_nobody_elses(table: Table) -> None:
    """It cannot be claimed, it is not loaded by others, and its job cannot be registered a second time."""
    a, b = table.store("a"), table.store("b")
    assert a.write([row(NEW + 1)], [], flush=True) == {}
    assert b.claim(10) == []
    assert b.load() == []
    lost = b.write([row(NEW + 1), row(NEW + 2, "image:b")], [], flush=True)
    assert reasons(lost) == {NEW + 1: "image:a is being watched by a"}
    assert lost[NEW + 1].taken_over_by == "a"
    assert jobs(b.load()) == ["image:b"]


def test_a_client_that_leaves_leaves_its_rows(table: Table) -> None:
    """Others can take them at once, with all that is in them, in the order in which they were made."""
    a, b = table.store("a"), table.store("b")
    rows = [row(NEW + 5), ended(NEW + 2, "image:b", handed_out=True), row(NEW + 9, "video:c", tag='"x"')]
    a.write(rows, [], flush=True)
    a.close()
    taken = [*b.claim(2), *b.claim(2)]
    assert jobs(taken) == ["image:b", "image:a", "video:c"]
    assert [attrs.evolve(one, number=0) for one in taken] == [attrs.evolve(rows[n], number=0) for n in (1, 0, 2)]
    assert all(one.number < FIRST_NEW for one in taken)
    assert b.claim(2) == []
    assert table.owners() == {"b"}


def test_a_lapsed_lease_lets_others_take_the_rows(table: Table) -> None:
    """Each of the former owner's writes fails for that row alone, and says who has it."""
    a, b = table.store("a"), table.store("b")
    a.write([row(NEW + n, f"image:{n}") for n in range(1, 5)], [], flush=True)
    table.lapse("a")
    (first, second) = b.claim(2)
    lost = a.write([ended(NEW + 1, "image:1"), ended(NEW + 3, "image:3")], [NEW + 2, NEW + 4], flush=True)
    assert reasons(lost) == {NEW + 1: "image:1 has been taken over by b", NEW + 2: "image:2 has been taken over by b"}
    assert b.load() == [first, second]
    assert jobs(a.load()) == ["image:3"]


def test_a_client_that_slept_hears_of_all_its_losses_at_once(table: Table) -> None:
    """With the renewal or the write that finds the lease lapsed, whatever that write is about."""
    a, b = table.store("a"), table.store("b")
    a.write([row(NEW + 1), row(NEW + 2, "image:b")], [], flush=True)
    assert a.renew() == {}
    table.lapse("a")
    assert jobs(b.claim(1)) == ["image:a"]
    assert reasons(a.renew()) == {NEW + 1: "image:a has been taken over by b"}
    table.lapse("a")
    assert jobs(b.claim(1)) == ["image:b"]
    lost = a.write([row(NEW + 3, "image:c")], [], flush=True)
    assert reasons(lost) == {NEW + 2: "image:b has been taken over by b"}
    assert a.renew() == {}


def test_a_row_that_comes_back_is_another_row(table: Table) -> None:
    """Taken by a second client and then again by the first, it answers only to its newest number."""
    a, b = table.store("a"), table.store("b")
    a.write([row(NEW + 1)], [], flush=True)
    table.lapse("a")
    b.claim(1)
    b.close()
    (again,) = a.claim(1)
    lost = a.write([ended(NEW + 1)], [NEW + 1], flush=True)
    assert reasons(lost) == {NEW + 1: "image:a has been taken over by b"}
    assert a.load() == [again]
    assert a.renew() == {}


def test_what_another_has_finished_is_not_brought_back(table: Table) -> None:
    """A late write about a row that is nowhere any more fails; a late removal is content."""
    a, b = table.store("a"), table.store("b")
    a.write([row(NEW + 1), row(NEW + 2, "image:b")], [], flush=True)
    table.lapse("a")
    b.write([], [one.number for one in b.claim(2)], flush=True)
    lost = a.write([ended(NEW + 1)], [NEW + 2], flush=True)
    assert "image:a has been taken over by another client, which has finished it" in reasons(lost).values()
    assert not b.claim(10)
    assert a.load() == []


def test_a_new_watch_takes_over_what_a_dead_client_left(table: Table) -> None:
    """As with a file: the job's row is then the new one."""
    a, b = table.store("a"), table.store("b")
    a.write([row(NEW + 1, tag='"old"')], [], flush=True)
    table.lapse("a")
    assert b.write([row(NEW + 7, tag='"new"')], [], flush=True) == {}
    assert [one.tag for one in b.load()] == ['"new"']
    assert "b" in reasons(a.renew())[NEW + 1]


def test_a_client_that_everybody_took_for_dead_goes_on(table: Table) -> None:
    """Its record may even be gone: its next write brings that back, and its rows are found when it dies again."""
    a, b = table.store("a"), table.store("b")
    table.lapse("a")
    b.claim(1)
    assert table.owners() == {"b"}
    assert a.write([row(NEW + 1)], [], flush=True) == {}
    assert table.owners() == {"a", "b"}
    assert b.claim(1) == []
    a.close()
    assert jobs(b.claim(1)) == ["image:a"]


def test_consumers_do_not_see_each_other(table: Table) -> None:
    """The same job in the same table belongs to each of them."""
    a, b = table.store("a", consumer="orders"), table.store("b", consumer="avatars")
    for store in (a, b):
        assert store.write([row(NEW + 1)], [], flush=True) == {}
    a.close()
    assert b.claim(10) == []
    assert jobs(b.load()) == ["image:a"]


def test_rows_are_claimed_once_however_many_claim(table: Table) -> None:
    """Claims at the same time pass over each other's rows, and wait for nobody."""
    a = table.store("a")
    a.write([row(NEW + n, f"image:{n}") for n in range(1, 401)], [], flush=True)
    a.close()
    others = [table.store(name) for name in "bcde"]
    taken: list[list[Row]] = [[] for _ in others]

    def claim(place: int) -> None:
        while some := others[place].claim(7):
            taken[place] += some

    threads = [threading.Thread(target=claim, args=[place]) for place in range(len(others))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [job for rows in taken for job in jobs(rows)]
    assert len(everything) == len(set(everything))
    while some := others[0].claim(100):  # a claim may have met nothing but rows that another was about to take
        everything += jobs(some)
    assert len(everything) == 400
    for store, rows in zip(others[1:], taken[1:], strict=True):
        assert {one.number for one in store.load()} == {one.number for one in rows}


@contextlib.contextmanager
def writing(table: Table, name: str, *, row: bool = True) -> Iterator[Any]:
    """A write of a client that has locked what a write locks, and has not ended: its record, and its rows."""
    with table.server.connect() as other, contextlib.closing(other.cursor()) as cursor:
        cursor.execute("BEGIN")
        renew = f"UPDATE {table.schema}.owners SET lease_until = now() + interval '1 h' WHERE name = '{name}'"
        cursor.execute(f"{renew} RETURNING id")
        (owner,) = cursor.fetchone()
        if row:
            cursor.execute(f"UPDATE {table.schema}.watches SET status = NULL WHERE owner = {owner}")
        yield cursor


@pytest.mark.parametrize(("end", "taken"), [("ROLLBACK", ["image:1"]), ("COMMIT", [])])
def test_rows_that_a_lapsed_client_is_writing_are_waited_for(table: Table, end: str, taken: list[str]) -> None:
    """A write that fails leaves them to the claim; one that succeeds has renewed the lease."""
    a, b = table.store("a"), table.store("b")
    a.write([row(NEW + 1, "image:1")], [], flush=True)
    table.lapse("a")
    claimed: list[Row] = []
    claim = threading.Thread(target=lambda: claimed.extend(b.claim(10)))
    with writing(table, "a") as cursor:
        claim.start()
        waits = (
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'topaz_status%'"
        )
        while claim.is_alive() and not table.server.run(waits):
            pass
        assert claim.is_alive(), "it waits"
        cursor.execute(end)
        claim.join()
    assert jobs(claimed) == taken


def test_a_claim_waits_for_no_write_while_there_are_other_rows(table: Table) -> None:
    """Neither for rows that are locked, nor for the record of a client whose last row it takes."""
    a, b, c = (table.store(name, statement_timeout=1.0) for name in "abc")
    a.write([row(NEW + 1, "image:1")], [], flush=True)
    b.write([row(NEW + 1, "image:2")], [], flush=True)
    table.lapse("a")
    table.lapse("b")
    with writing(table, "a"), writing(table, "b", row=False) as last:
        assert jobs(c.claim(10)) == ["image:2"]
        last.execute(f"UPDATE {table.schema}.watches SET status = NULL WHERE owner = {b._owner.id}")
        assert last.rowcount == 0


def test_peek_shows_the_rows_of_all(table: Table) -> None:
    """Without taking them, and without opening the store."""
    a, b = table.store("a"), table.store("b")
    a.write([row(NEW + 1)], [], flush=True)
    b.write([row(NEW + 1, "image:b")], [], flush=True)
    looker = PostgresStore(table.server.dsn(), schema=table.schema)
    assert jobs(looker.peek()) == ["image:a", "image:b"]
    assert jobs(a.peek()) == ["image:a", "image:b"]
    with pytest.raises(StoreError, match="not open"):
        looker.load()
    with pytest.raises(StoreError, match="has no watches"):
        PostgresStore(table.server.dsn(), schema=new_schema()).peek()


# -- whatever happens, a row has one owner ----------------------------------------------------------------------------

NAMES = "abc"
IDS = st.sampled_from([f"image:{place}" for place in range(4)])
WHO = st.sampled_from(NAMES)


class Fencing(RuleBasedStateMachine):
    """Three clients write, die, sleep and claim as they like; a model knows who owns what."""

    server: PostgresServer

    @initialize()
    def begin(self) -> None:
        self.table = Table(self.server)
        self.stores = {name: self.table.store(name) for name in NAMES}
        self.numbers = dict.fromkeys(NAMES, NEW)
        self.owner: dict[str, str] = {}
        self.number: dict[str, int] = {}
        self.former: set[tuple[str, int, str]] = set()
        self.lapsed: set[str] = set()

    def teardown(self) -> None:
        for store in self.table.opened:
            store.close()

    def heard(self, name: str, lost: Any) -> None:
        """A call reported to a client rows that are not its own."""
        self.lapsed.discard(name)
        for number in lost:
            self.former = {one for one in self.former if one[:2] != (name, number)}

    @rule(name=WHO, job=IDS)
    def register(self, name: str, job: str) -> None:
        self.numbers[name] += 1
        number, owner = self.numbers[name], self.owner.get(job)
        lost = self.stores[name].write([row(number, job)], [], flush=True)
        self.heard(name, lost)
        refused = owner not in {None, name} and owner not in self.lapsed
        assert (number in lost) == refused
        if not refused:
            if owner not in {None, name}:
                self.former.add((str(owner), self.number[job], job))
            self.owner[job], self.number[job] = name, number

    @rule(job=IDS)
    def finish(self, job: str) -> None:
        if job in self.owner:
            name = self.owner.pop(job)
            number = self.number.pop(job)
            lost = self.stores[name].write([ended(number, job)], [], flush=True)
            assert number not in lost
            self.heard(name, lost)
            assert number not in self.stores[name].write([], [number], flush=True)

    @rule(data=st.data())
    def write_late(self, data: st.DataObject) -> None:
        if self.former:
            name, number, job = data.draw(st.sampled_from(sorted(self.former)))
            lost = self.stores[name].write([ended(number, job)], [], flush=True)
            assert lost[number].taken_over_by
            self.heard(name, lost)

    @rule(name=WHO)
    def sleep(self, name: str) -> None:
        self.table.lapse(name)
        self.lapsed.add(name)

    @rule(name=WHO, most=st.integers(1, 3))
    def claim(self, name: str, most: int) -> None:
        self.lapsed.discard(name)
        free = {job for job, owner in self.owner.items() if owner in self.lapsed}
        taken = self.stores[name].claim(most)
        assert len(taken) == min(most, len(free))
        for one in taken:
            job = str(one.job)
            assert job in free
            self.former.add((self.owner[job], self.number[job], job))
            self.owner[job], self.number[job] = name, one.number

    @invariant()
    def each_row_has_its_owner(self) -> None:
        if hasattr(self, "table"):
            found = self.server.run(
                f"SELECT w.kind || ':' || w.key, o.name, w.number FROM {self.table.schema}.watches w"
                f" LEFT JOIN {self.table.schema}.owners o ON o.id = w.owner"
            )
            assert {(job, name, number) for job, name, number in found} == {
                (job, name, self.number[job]) for job, name in self.owner.items()
            }


def test_whatever_happens_a_row_has_one_owner(postgres: PostgresServer) -> None:
    """Former owners hear of it, nobody takes a living client's row, and no row is lost or brought back."""
    Fencing.server = postgres
    run_state_machine_as_test(Fencing, settings=settings(max_examples=15, stateful_step_count=25))


# -- the schema -------------------------------------------------------------------------------------------------------


def test_many_that_open_an_empty_schema_make_it_once(postgres: PostgresServer) -> None:
    """They wait for each other, and all of them have it then."""
    table, errors = Table(postgres), []

    def run(name: str) -> None:
        try:
            table.store(name)
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[f"store {n}"]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(table.owners()) == 8
    assert postgres.run(f"SELECT version FROM {table.schema}.version") == [(SCHEMA_VERSION,)]
    for store in table.opened:
        store.close()


def test_a_newer_schema_is_refused_and_left_as_it_is(table: Table) -> None:
    """It may mean something else by its columns."""
    table.store("a").close()
    table.server.run(f"UPDATE {table.schema}.version SET version = 99")
    with pytest.raises(StoreError, match=r"newer topaz_status \(format 99, not 1 as here\): update the library"):
        table.store("b")
    with pytest.raises(StoreError, match="newer"):
        PostgresStore(table.server.dsn(), schema=table.schema).peek()


def test_a_role_without_the_right_to_make_tables_uses_those_that_are_there(table: Table) -> None:
    """The rights that the README names are all that it takes; without them the error names what is missing."""
    table.store("owner").close()
    server, schema = table.server, table.schema
    role = f"role_{schema}"
    server.run(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    dsn = server.dsn().replace("//postgres:", f"//{role}:")
    with pytest.raises(StoreError, match="lacks a right"):
        PostgresStore(dsn, schema=new_schema()).open(0.0)
    server.run(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    server.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}")
    store = PostgresStore(dsn, schema=schema)
    store.open(1e12)
    assert store.write([row(NEW + 1)], [], flush=True) == {}
    assert store.claim(1) == []
    store.write([], [NEW + 1], flush=True)
    store.close()


def test_a_strict_isolation_level_of_the_database_changes_nothing(table: Table) -> None:
    """A store's transactions say which one they need."""
    dsn = f"{table.server.dsn()}?options=-c%20default_transaction_isolation%3Dserializable%20-c%20default_transaction_read_only%3Don"
    store = PostgresStore(dsn, schema=table.schema)
    store.open(0.0)
    assert store.write([row(NEW + 1)], [], flush=True) == {}
    store.close()


# -- arguments and secrets --------------------------------------------------------------------------------------------

BAD_DSNS = [
    f"postgresql//user:{PASSWORD}@host/db",
    f"postgresql://user:{PASSWORD}@host:port{PASSWORD}/db?nonsense={PASSWORD}",
    f"{PASSWORD}",
    "",
    None,
]


@pytest.mark.parametrize("dsn", BAD_DSNS)
def test_a_dsn_that_cannot_be_read_is_not_quoted(dsn: Any) -> None:
    """Neither in the error, nor in what a traceback's frames hold."""
    with pytest.raises(ConfigurationError, match="postgresql://host/database") as refused:
        PostgresStore(dsn)
    assert_hidden(refused.value)


BAD_ARGUMENTS: list[dict[str, Any]] = [
    {"consumer": ""},
    {"consumer": "a\nb"},
    {"consumer": 7},
    {"schema": 'x"; DROP TABLE y'},
    {"schema": "pg_catalog"},
    {"schema": "x" * 64},
    {"lease": 0},
    {"keep": -1},
    {"patience": float("nan")},
    {"statement_timeout": None},
    {"name": "x" * 201},
]


@pytest.mark.parametrize("argument", BAD_ARGUMENTS, ids=str)
def test_other_arguments_are_checked(postgres: PostgresServer, argument: dict[str, Any]) -> None:
    """At once, and not when the first watch is stored."""
    with pytest.raises(ConfigurationError) as refused:
        PostgresStore(postgres.dsn(), **argument)
    assert_hidden(refused.value)


FAILURES: list[Callable[[str], str]] = [
    lambda dsn: dsn.replace(PASSWORD, f"{PASSWORD}x"),
    lambda dsn: dsn.removesuffix("postgres") + "none",
    lambda dsn: dsn.replace("@127.0.0.1", "@host.invalid"),
    lambda dsn: dsn.rsplit(":", 1)[0] + ":1/postgres",
]


@pytest.mark.parametrize("spoil", FAILURES, ids=["password", "database", "host", "port"])
def test_a_server_that_cannot_be_reached_is_a_clear_error_without_the_password(
    postgres: PostgresServer, spoil: Callable[[str], str]
) -> None:
    """It names the server, and no text, frame or pickle of it holds the password."""
    store = PostgresStore(spoil(postgres.dsn()))
    assert PASSWORD not in repr(vars(store))
    with pytest.raises(StoreError, match="postgresql://") as refused:
        store.open(0.0)
    assert refused.value.is_transient
    assert_hidden(refused.value)
    assert PASSWORD.encode() not in pickle.dumps(refused.value)


def assert_hidden(error: BaseException | None) -> None:
    """No text of an error, or of what it came from, and no variable of our frames holds the password."""
    while error is not None:
        shown = [str(error), repr(error), repr(vars(error))]
        trace = error.__traceback__
        while trace is not None:
            if "/tests/" not in trace.tb_frame.f_code.co_filename:
                shown += [saferepr(value, maxsize=None) for value in trace.tb_frame.f_locals.values()]
            trace = trace.tb_next
        assert not [text for text in shown if PASSWORD in text]
        error = error.__cause__ or error.__context__


def test_its_repr_names_the_server_and_the_consumer(table: Table) -> None:
    """And whether it is open, but neither user nor password."""
    store = PostgresStore(table.server.dsn(), schema=table.schema, consumer="orders")
    target = f"postgresql://127.0.0.1:{table.server.port}/postgres"
    assert repr(store) == f"<PostgresStore {target} 'orders'>"
    store.open(0.0)
    assert repr(store) == f"<PostgresStore {target} 'orders', open as owner 1>"
    store.close()


def test_without_psycopg_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(__import__("sys").modules, "topaz_status.store.postgres_connection", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'topaz-status\[postgres\]'"):
        PostgresStore("postgresql://localhost/x")
