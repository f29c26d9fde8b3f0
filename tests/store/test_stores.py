"""What every store does, and that those on disk do it as the one in memory does."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from databases import PostgresServer
from hypothesis import given
from hypothesis import strategies as st
from stores import A_DAY, ended, row

from topaz_status import ConfigurationError, JobRef, MemoryStore, PostgresStore, SQLiteStore, StoreError, WatchStore
from topaz_status.store.base import End, Opening, Row, SharedStore

Store = MemoryStore | SQLiteStore | PostgresStore
Make = Callable[..., Store]
_consumers = itertools.count(1)


def consumer() -> str:
    """A name under which no test has stored anything."""
    return f"consumer {next(_consumers)}"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes one store; its settings are those of the call."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "sqlite":
        return lambda **settings: SQLiteStore(tmp_path / "watches.db", **settings)
    server: PostgresServer = request.getfixturevalue("postgres")
    return lambda **settings: PostgresStore(server.dsn(), consumer=consumer(), **settings)


@pytest.fixture
def store(make: Make) -> Iterator[Store]:
    made = make()
    made.open(0.0)
    yield made
    made.close()


def contents(store: WatchStore) -> list[Row]:
    """All rows that are there for the one client that has the store open."""
    while isinstance(store, SharedStore) and store.claim(2):
        pass
    return list(store.load())


def test_what_is_put_in_comes_out(store: WatchStore) -> None:
    """Every fact of a row, in the order of the numbers."""
    full = row(
        7,
        "video:V-1",
        submitted_at=1.5,
        eta=2.5,
        timeout=10.0,
        deadline=1010.0,
        tag='{"a": [1, "ü"]}',
        status='{"status": "complete"}',
        end=End(polls=4, waited=2.5, detected_at=1002.5, error='{"type": "JobLostError"}', handed_out=True),
    )
    store.write([full, row(3)], [], flush=True)
    assert list(store.load()) == [row(3), full]


def test_a_job_has_one_row_and_the_higher_number_wins(store: WatchStore) -> None:
    """A job watched anew takes its row over; what comes of the earlier watch after that is passed over."""
    store.write([row(1), row(2, "video:a")], [], flush=True)
    store.write([row(5, tag="1"), ended(1)], [], flush=True)
    assert list(store.load()) == [row(2, "video:a"), row(5, tag="1")]
    store.write([row(5, tag="2")], [1], flush=False)
    assert list(store.load()) == [row(2, "video:a"), row(5, tag="2")]


def test_a_topaz_job_is_the_same_in_any_case(store: WatchStore) -> None:
    """Its ids are UUIDs; a try-on's are not."""
    store.write([row(1, "image:AB"), row(2, "try-on:AB")], [], flush=True)
    store.write([row(3, "image:ab"), row(4, "try-on:ab")], [], flush=True)
    assert [(found.number, found.job.id) for found in store.load()] == [(2, "AB"), (3, "ab"), (4, "ab")]


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    """The highest one is known even when its row is gone."""
    for store in (MemoryStore(), SQLiteStore(tmp_path / "w.db")):
        assert store.open(0.0).last_number == 0
        store.write([row(41), row(17, "image:b")], [], flush=True)
        store.write([], [41, 17, 99], flush=True)
        store.close()
        assert store.open(0.0) == Opening(last_number=41, purged=0)
        store.close()


def test_old_rows_go_when_the_store_is_opened(make: Make) -> None:
    """From its outcome, or else from its deadline, or else from its start, a row is kept so long and no longer."""
    rows = [
        row(1, "image:old"),
        row(2, "image:patient", timeout=50.0, deadline=1000.0 + 5 * A_DAY),
        ended(3, "image:reported"),
        ended(4, "image:fresh", detected_at=1000.0 + 4 * A_DAY),
        row(5, "image:started", started_at=1000.0 + 4 * A_DAY),
    ]
    store = make(keep=3 * A_DAY)
    store.open(1000.0)
    store.write(rows, [], flush=True)
    store.close()
    assert store.open(1000.0 + 3 * A_DAY).purged == 0
    store.close()
    assert store.open(1001.0 + 4 * A_DAY).purged == 2
    assert [found.job.id for found in contents(store)] == ["patient", "fresh", "started"]
    store.close()


def test_a_store_may_keep_rows_for_ever(make: Make) -> None:
    """``keep=None`` forgets nothing by itself."""
    store = make(keep=None)
    store.open(0.0)
    store.write([row(1), ended(2, "image:b")], [], flush=True)
    store.close()
    assert store.open(1e12).purged == 0
    assert len(contents(store)) == 2
    store.close()


def test_one_client_a_store(store: WatchStore) -> None:
    """A second one is turned away, and can have it later."""
    with pytest.raises(StoreError, match="another client"):
        (SQLiteStore(store.path) if isinstance(store, SQLiteStore) else store).open(0.0)
    store.close()
    store.open(0.0)


@pytest.mark.parametrize("path", ["", ":memory:", "file:x?mode=memory", b"w.db"])
def test_a_path_names_a_file(path: str) -> None:
    """What SQLite takes for something else is refused, with a word on what to use."""
    with pytest.raises(ConfigurationError, match="MemoryStore"):
        SQLiteStore(path)


@pytest.mark.parametrize("keep", [0, -1, float("nan"), "7 days", True])
def test_keep_is_a_span(keep: float) -> None:
    """Seconds above 0, or ``None``."""
    with pytest.raises(ConfigurationError, match="keep"):
        SQLiteStore("w.db", keep=keep)


def test_a_store_says_what_it_is(tmp_path: Path) -> None:
    """Its ``repr`` names the file, and whether it is open."""
    store = SQLiteStore(tmp_path / "w.db")
    assert repr(store) == f"<SQLiteStore {tmp_path}/w.db>"
    store.open(0.0)
    assert repr(store) == f"<SQLiteStore {tmp_path}/w.db, open>"
    store.close()
    assert repr(MemoryStore()) == "<MemoryStore 0 rows>"


# -- the file does as memory does -------------------------------------------------------------------------------------

JOBS = ["image:a", "image:A", "image:b", "video:a", "try-on:a", "try-on:A"]
NUMBERS = st.integers(10, 39)
"""Of any job; the last digit is the job's place above, so that no two jobs share one."""
TIMES = st.floats(-1e12, 1e12)
TEXTS = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
"""JSON has no zero byte either."""


@st.composite
def rows(draw: st.DrawFn) -> Row:
    end = None
    if draw(st.booleans()):
        end = End(draw(st.integers(0, 9)), draw(TIMES), draw(TIMES), draw(TEXTS), draw(st.booleans()))
    place = draw(st.integers(0, len(JOBS) - 1))
    return Row(
        number=draw(st.integers(1, 3)) * 10 + place,
        job=JobRef.parse(JOBS[place]),
        started_at=draw(TIMES),
        submitted_at=draw(st.none() | TIMES),
        eta=draw(st.none() | TIMES),
        timeout=draw(st.none() | TIMES),
        deadline=draw(st.none() | TIMES),
        tag=draw(TEXTS),
        status=draw(TEXTS),
        end=end,
    )


WRITES = st.tuples(st.lists(rows(), max_size=4), st.lists(NUMBERS, max_size=2), st.booleans())


@contextmanager
def in_a_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "watches.db"


@given(steps=st.lists(WRITES | TIMES, max_size=8))
def test_a_file_holds_what_memory_would(steps: list[tuple[list[Row], list[int], bool] | float]) -> None:
    """Whatever is written, taken out, closed and opened at whatever time: both stores give the same rows."""
    with in_a_file() as path:
        stores = (MemoryStore(keep=1e11), SQLiteStore(path, keep=1e11))
        for store in stores:
            store.open(0.0)
        for step in steps:
            if isinstance(step, float):
                for store in stores:
                    store.close()
                assert stores[0].open(step) == stores[1].open(step)
            else:
                fitting = {found.number: found for found in step[0]}.values()
                for store in stores:
                    store.write(list(fitting), step[1], flush=step[2])
            assert stores[0].load() == stores[1].load()
        for store in stores:
            store.close()


@given(writes=st.lists(WRITES, max_size=8))
def test_a_table_holds_what_memory_would(
    postgres: PostgresServer, writes: list[tuple[list[Row], list[int], bool]]
) -> None:
    """Whatever its one client writes and takes out, a store in PostgreSQL gives the rows that one in memory gives."""
    memory, table = MemoryStore(keep=None), PostgresStore(postgres.dsn(), consumer=consumer())
    table.open(0.0)
    for rows, gone, flush in writes:
        fitting = list({found.number: found for found in rows}.values())
        memory.write(fitting, gone, flush=flush)
        assert not table.write(fitting, gone, flush=flush)
        assert memory.load() == table.load()
    table.close()
