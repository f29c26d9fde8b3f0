"""The file: damaged, newer, older, somebody else's, on a full disk, in a folder that takes no writes, in use."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from stores import ended, row

from topaz_status import SQLiteStore, StoreError
from topaz_status.store.base import Opening
from topaz_status.store.sqlite_schema import APPLICATION_ID, STEPS, VERSION, migrate

ROWS = [row(1, "image:a", tag='"one"', timeout=50.0, deadline=1050.0), ended(2, "image:b"), row(3, "try-on:c")]
HOLD = """
import sys, time
from topaz_status import SQLiteStore
store = SQLiteStore(sys.argv[1])
store.open(0.0)
print("open", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with three rows, closed in order."""
    path = tmp_path / "watches.db"
    with opened(path) as store:
        store.write(ROWS, [], flush=True)
    return path


@contextlib.contextmanager
def opened(path: Path, now: float = 0.0) -> Iterator[SQLiteStore]:
    store = SQLiteStore(path)
    store.open(now)
    try:
        yield store
    finally:
        store.close()


def refusal(path: Path) -> str:
    """What opening the file says; nothing is left open or locked by it."""
    store = SQLiteStore(path)
    with pytest.raises(StoreError) as refused:
        store.open(0.0)
    assert refused.value.path == str(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert not any(str(link).startswith(str(path)) for link in open_files())
    with pytest.raises(StoreError, match="not open"):
        store.load()
    return str(refused.value)


def open_files() -> Iterator[Path]:
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            yield link.readlink()


def command(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


# -- what is in the file ----------------------------------------------------------------------------------------------


def test_rows_outlive_the_store(path: Path) -> None:
    """What was written is there for the next one."""
    with opened(path) as store:
        assert store.load() == ROWS


def test_only_its_owner_may_read_the_lock_and_it_holds_no_secret(path: Path) -> None:
    """Beside the file lies a lock with a process's number in it, and after closing nothing else."""
    assert sorted(file.name for file in path.parent.iterdir()) == ["watches.db", "watches.db.lock"]
    assert path.with_name("watches.db.lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"no database at all, but long enough to be read" * 9,
        lambda data: data[:16] + b"\xff" * 84 + data[100:],
        lambda data: data[:4096] + b"\x55" * (len(data) - 4096),
        lambda data: data[: len(data) // 2],
    ],
    ids=["text", "header", "pages", "cut"],
)
def test_a_damaged_file_is_refused_and_left_as_it_is(path: Path, spoil: Callable[[bytes], bytes]) -> None:
    """Whatever is wrong with it, not one byte is changed: somebody may want to mend it."""
    spoiled = spoil(path.read_bytes())
    path.write_bytes(spoiled)
    assert "damaged" in refusal(path)
    assert path.read_bytes() == spoiled
    with pytest.raises(StoreError, match="damaged"):
        SQLiteStore(path).peek()


def test_damage_that_no_query_would_meet_is_found(path: Path) -> None:
    """The whole file is checked when it is opened, and not only what is read then."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'by_number'").fetchone()
    spoiled = bytearray(path.read_bytes())
    spoiled[(page - 1) * size : page * size] = b"\x55" * size
    path.write_bytes(spoiled)
    assert "damaged" in refusal(path)
    assert path.read_bytes() == spoiled


@pytest.mark.parametrize("spoil", ["PRAGMA user_version = 99", "PRAGMA application_id = 7"])
def test_what_a_crash_left_in_the_log_of_a_file_that_is_not_ours_stays_there(path: Path, spoil: str) -> None:
    """A refused file is only read: not even the log beside it is worked into it."""
    log = path.with_name("watches.db-wal")
    with contextlib.closing(sqlite3.connect(path)) as writer, contextlib.closing(sqlite3.connect(path)):
        writer.execute(spoil)
        main, beside = path.read_bytes(), log.read_bytes()
    path.write_bytes(main)
    log.write_bytes(beside)
    refusal(path)
    assert path.read_bytes() == main
    assert log.read_bytes() == beside


def test_a_newer_file_is_refused_and_left_as_it_is(path: Path) -> None:
    """It may hold what this version would lose; the message says which formats are meant."""
    command(path, f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    assert f"newer topaz_status (format {VERSION + 1}, not {VERSION} as here)" in refusal(path)
    assert path.read_bytes() == before


def test_somebody_elses_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """A name that was mistyped must not have tables of ours put into an address book."""
    path = tmp_path / "contacts.db"
    command(path, "CREATE TABLE contacts (name TEXT)")
    before = path.read_bytes()
    assert "not one of watches" in refusal(path)
    assert path.read_bytes() == before


def test_an_empty_file_is_taken_for_a_new_one(tmp_path: Path) -> None:
    """As ``mktemp`` makes it, or a crash at the first moment."""
    path = tmp_path / "new.db"
    path.touch()
    assert SQLiteStore(path).peek() == []
    with opened(path) as store:
        assert store.load() == []


# -- versions ---------------------------------------------------------------------------------------------------------


def version_1(path: Path) -> None:
    """A file as version 1 made and filled it: it knew deadlines, and no timeouts."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in STEPS[0]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute(
            "INSERT INTO watches VALUES (1, 'image', 'a', 'a', 1000.0, NULL, NULL, 1050.0, '\"one\"', NULL,"
            " NULL, NULL, NULL, NULL, NULL)"
        )
        connection.execute(
            "INSERT INTO watches VALUES (2, 'image', 'b', 'b', 1000.0, NULL, NULL, NULL, NULL,"
            ' \'{"process_id": "a", "status": "Completed"}\', 2000.0, 3, 1.5, NULL, 0)'
        )
        connection.execute(
            "INSERT INTO watches (number, kind, key, id, started_at) VALUES (3, 'try-on', 'c', 'c', 1000)"
        )
        connection.execute("UPDATE counter SET last_number = 3")


def test_a_file_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its rows are as if they had been written today; a timeout is what the deadline says."""
    path = tmp_path / "old.db"
    version_1(path)
    with pytest.raises(StoreError, match="older topaz_status: 'resume' brings it up to date"):
        SQLiteStore(path).peek()
    with opened(path) as store:
        assert store.load() == ROWS
    assert SQLiteStore(path).peek() == ROWS
    with opened(path) as store:
        assert store.open is not None


def test_a_migrated_file_has_the_tables_of_a_new_one(tmp_path: Path, path: Path) -> None:
    """There is one schema, however a file came to it."""
    old = tmp_path / "old.db"
    version_1(old)
    with opened(old):
        pass
    reported = []
    for file in (old, path):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            reported.append(
                [
                    connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall(),
                    connection.execute("PRAGMA user_version").fetchone(),
                    connection.execute("PRAGMA application_id").fetchone(),
                ]
            )
    assert reported[0] == reported[1]


def test_a_migration_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    """One that breaks off leaves a file of the earlier version, which the next attempt takes up."""
    path = tmp_path / "old.db"
    version_1(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_UPDATE else sqlite3.SQLITE_OK
        )
        with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
            migrate(connection, 1)
        connection.set_authorizer(None)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert "timeout" not in [column[1] for column in connection.execute("PRAGMA table_info(watches)")]
    with opened(path) as store:
        assert store.load() == ROWS


# -- disks that do not take it ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_reported_and_harms_nothing(path: Path) -> None:
    """The write that found no room is undone whole; the store goes on once there is some."""
    many = [attrs.evolve(row(number, f"video:{number}"), tag='"%s"' % ("x" * 1000)) for number in range(10, 500)]
    with opened(path) as store:
        with full_disk(100_000), pytest.raises(StoreError, match="full") as reported:
            store.write(many, [1], flush=True)
        assert reported.value.path == str(path)
        assert store.load() == ROWS
        store.write(many, [1], flush=True)
        assert len(store.load()) == len(many) + 2
    with opened(path) as store:
        assert len(store.load()) == len(many) + 2


def test_a_file_that_is_full_by_its_own_limit_is_reported(path: Path) -> None:
    """SQLite's own word for a full disk is passed on in ours."""
    with opened(path) as store:
        assert store._connection is not None
        store._connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(StoreError, match="the disk is full"):
            store.write([row(9, f"video:{'x' * 250}", tag="x" * 100_000)], [], flush=True)
        assert store.load() == ROWS


NOBODY = 65_534
AS_NOBODY = f"""
import os, sys
from topaz_status import SQLiteStore, StoreError
store = SQLiteStore(sys.argv[1])
os.setgid({NOBODY}); os.setuid({NOBODY})
try:
    store.open(0.0)
except StoreError as error:
    print(error)
"""


def as_somebody_who_may_not_write(path: Path) -> str:
    """What opening the file says to another user."""
    script = AS_NOBODY if os.getuid() == 0 else AS_NOBODY.replace("os.setgid", "id").replace("os.setuid", "id")
    done = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def locked_folder(path: Path) -> Iterator[Path]:
    """A file in a folder that may be read, and not written to."""
    for folder in (path.parent, *path.parent.parents):
        if folder.owner() == path.owner() and folder != Path("/") and "pytest" in str(folder):
            folder.chmod(0o755)
    path.parent.chmod(0o555)
    path.chmod(0o444)
    yield path
    path.parent.chmod(0o755)


def test_a_read_only_folder_is_reported_and_harms_nothing(locked_folder: Path) -> None:
    """Whether the file is there or not, the message names it and what is wrong."""
    before = locked_folder.read_bytes()
    for path in (locked_folder, locked_folder.with_name("new.db")):
        assert as_somebody_who_may_not_write(path).startswith(f"{path}: cannot be opened: Permission denied")
    assert locked_folder.read_bytes() == before


def test_a_read_only_file_is_reported_and_harms_nothing(locked_folder: Path) -> None:
    """A folder that takes files is not enough."""
    locked_folder.parent.chmod(0o777)
    locked_folder.with_name("watches.db.lock").unlink()
    before = locked_folder.read_bytes()
    assert as_somebody_who_may_not_write(locked_folder).startswith(f"{locked_folder}: it cannot be written to")
    assert locked_folder.read_bytes() == before


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    """No folder is made for it: the name may be mistyped."""
    assert "No such file or directory" in refusal(tmp_path / "nowhere" / "watches.db")
    assert "is a folder" in refusal(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not tmp_path.with_name(f"{tmp_path.name}.lock").exists()


# -- two of them ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open."""
    with subprocess.Popen(  # noqa: S603  # our own script
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_turned_away_until_the_first_is_gone(path: Path) -> None:
    """The message names the first; when that is killed, the lock is free at once."""
    with held(path) as first:
        assert f"in use by process {first.pid}: one client a file" in refusal(path)
        assert SQLiteStore(path).peek() == ROWS
        first.kill()
        first.wait()
        with opened(path) as store:
            assert store.load() == ROWS


def test_a_longer_number_in_the_lock_does_not_show_through(path: Path) -> None:
    """The lock is left there by its last holder; the number in it is the holder's alone."""
    lock = path.with_name("watches.db.lock")
    lock.write_text("12345678901234567890\n")
    with opened(path):
        assert lock.read_text() == f"{os.getpid()}\n"


def test_another_name_for_the_file_does_not_help(path: Path) -> None:
    """A link leads to the same lock."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    with opened(path):
        assert "another client of this process" in refusal(link)


def test_reading_needs_no_lock_and_changes_nothing(path: Path) -> None:
    """Rows can be listed while a client writes; a file that is not there is not made."""
    with opened(path) as store:
        store.write([row(9, "video:new")], [1], flush=True)
        assert [found.number for found in SQLiteStore(path).peek()] == [2, 3, 9]
        store.write([row(10, "video:newer")], [], flush=True)
    before = path.read_bytes()
    assert len(SQLiteStore(path).peek()) == 4
    assert path.read_bytes() == before
    with pytest.raises(StoreError, match="no such file"):
        SQLiteStore(path.with_name("none.db")).peek()
    assert not path.with_name("none.db").exists()


def test_a_killed_process_leaves_a_file_that_opens(path: Path) -> None:
    """Its last commits are in the log beside the file, and come in."""
    script = HOLD.replace(
        'print("open"',
        "from topaz_status.store.base import Row\nfrom topaz_status import JobRef\n"
        'store.write([Row(number=8, job=JobRef("video", "v"), started_at=1.0)], [2], flush=False)\nprint("open"',
    )
    with subprocess.Popen(  # noqa: S603  # our own script
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    with opened(path) as store:
        assert [found.number for found in store.load()] == [1, 3, 8]


def test_numbers_go_on_where_they_were(path: Path) -> None:
    """A store that is opened again says the highest number of any row."""
    store = SQLiteStore(path)
    assert store.open(0.0) == Opening(last_number=3, purged=0)
    store.close()
    store.close()


def test_a_writer_killed_in_its_first_transaction_leaves_a_file_that_can_be_peeked_at(tmp_path: Path) -> None:
    """What it wrote to the file is rolled back, which no reader without the right to write could do."""
    written, left = tmp_path / "written.db", tmp_path / "left.db"
    with contextlib.closing(sqlite3.connect(written, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("CREATE TABLE filler (text)")
        connection.execute("DROP TABLE filler")
        connection.execute("BEGIN EXCLUSIVE")
        for statement in STEPS[0]:
            connection.execute(statement)
        connection.execute("CREATE TABLE filler (text)")
        connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 2000,)] * 200)
        for end in ("", "-journal"):
            shutil.copy(f"{written}{end}", f"{left}{end}")
        connection.execute("ROLLBACK")
    with (
        pytest.raises(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(f"file:{left}?mode=ro", uri=True)) as reader,
    ):
        reader.execute("SELECT * FROM sqlite_master")
    assert SQLiteStore(left).peek() == []
