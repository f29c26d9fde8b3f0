"""``--store postgresql://…``: commands that share a database with each other and with programs."""

from __future__ import annotations

import signal

import pytest
from databases import PASSWORD, PostgresServer, new_schema

from topaz_status import PostgresStore
from topaz_status.testing import SimulatorProcess

from .driver import EAGER, Cli, child, end, ended, line_of, while_running

PAST = {"after": -60.0, "duration": 1.0}
Environment = dict[str, str]


@pytest.fixture
def store(postgres: PostgresServer) -> list[str]:
    """The options that name a store that nobody has used."""
    return ["--store", postgres.dsn(), "--schema", new_schema(), "--consumer", "orders"]


def known(postgres: PostgresServer, store: list[str]) -> int:
    """How many rows there are."""
    try:
        return len(PostgresStore(postgres.dsn(), schema=store[3], consumer="orders").peek())
    except Exception:  # noqa: BLE001  # it is just being made
        return 0


def test_an_interrupted_watch_is_resumed(
    cli: Cli, environment: Environment, simulator: SimulatorProcess, store: list[str]
) -> None:
    """By another process, at once: the first one has left the store in order. The password is printed nowhere."""
    first, second = simulator.add_jobs([{"kind": "image", **PAST}, {"kind": "video", "stuck": True}])
    with child(["watch", first, second, *store, *EAGER], environment) as process:
        assert line_of(process.stdout).startswith(first)
        process.send_signal(signal.SIGINT)
        result = ended(process)
    assert result.code == 130
    assert "'resume' goes on with them" in result.err
    pending = cli("pending", *store)
    assert [line.split()[0] for line in pending.lines if "unfinished" in line] == [second]
    end(simulator, second)
    resumed = cli("resume", *store, "--json", *EAGER)
    assert (resumed.code, [each["job"] for each in resumed.objects if each["job"] != first]) == (0, [second])
    assert cli("pending", *store).lines == []
    assert PASSWORD not in "".join(each.out + each.err for each in (result, pending, resumed))


def test_following_takes_up_what_a_killed_process_leaves(
    cli: Cli, environment: Environment, simulator: SimulatorProcess, postgres: PostgresServer, store: list[str]
) -> None:
    """Once its lease has lapsed; Ctrl-C ends it."""
    (job,) = simulator.add_jobs([{"kind": "image", "stuck": True}])
    with child(["resume", *store, "--follow", *EAGER], environment) as follower:
        with child(["watch", job, *store, *EAGER], environment) as process:
            while_running(process, lambda: known(postgres, store))
            process.send_signal(signal.SIGKILL)
            ended(process)
        end(simulator, job)
        postgres.run(f"UPDATE {store[3]}.owners SET lease_until = now() WHERE name LIKE 'process {process.pid} on %'")
        assert line_of(follower.stdout).split()[:2] == [job, "completed"]
        follower.send_signal(signal.SIGINT)
        assert ended(follower).code == 130


def test_a_resume_may_have_a_timeout(cli: Cli, simulator: SimulatorProcess, store: list[str]) -> None:
    """What has not ended by then is left for the next one."""
    (job,) = simulator.add_jobs([{"kind": "image", "stuck": True}])
    assert cli("watch", job, *store, "--timeout", "1s", *EAGER).code == 3
    result = cli("resume", *store, "--timeout", "1s", *EAGER)
    assert result.code == 3
    assert "not known" in result.out
    assert len(cli("pending", *store).lines) == 1


@pytest.mark.parametrize("name", ["watch", "resume", "pending"])
def test_a_database_that_cannot_be_used_is_one_line_without_the_password(
    cli: Cli, simulator: SimulatorProcess, postgres: PostgresServer, name: str
) -> None:
    """Whether the URL is mistyped, the password wrong, or nothing there."""
    words = [name, "image:a"] if name == "watch" else [name]
    for url, code in (
        (postgres.dsn().replace(":", "", 1), 2),
        (postgres.dsn().replace(PASSWORD, PASSWORD[::-1]), 3),
        (postgres.dsn().rsplit(":", 1)[0] + ":1/postgres", 3),
    ):
        result = cli(*words, "--store", url)
        assert (result.code, result.out, result.err.count("\n")) == (code, "", 1)
        assert PASSWORD not in result.err
        assert PASSWORD[::-1] not in result.err


def test_a_file_has_neither_consumer_nor_schema(cli: Cli, simulator: SimulatorProcess) -> None:
    """The options are refused before anything is made."""
    for option in ("--consumer", "--schema"):
        result = cli("watch", "image:a", "--store", "watches.db", option, "orders")
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert "go with --store postgresql://" in result.err
