"""``watch --store``, ``resume`` and ``pending``: a command that is killed is taken up by another one."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from topaz_status import SQLiteStore, StatusClient
from topaz_status.testing import SimulatorProcess

from .driver import EAGER, Cli, child, end, ended, line_of, while_running

PAST = {"after": -60.0, "duration": 1.0}
Environment = dict[str, str]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "watches.db"


def test_what_was_printed_is_done_with(cli: Cli, simulator: SimulatorProcess, store: Path) -> None:
    """A watch with a store leaves nothing to be resumed when it has gone to its end."""
    jobs = simulator.add_jobs([{"kind": "image", "count": 2, **PAST}])
    result = cli("watch", *jobs, "--store", store)
    assert (result.code, len(result.lines)) == (0, 2)
    for name in ("pending", "resume"):
        result = cli(name, "--store", store)
        assert (result.code, result.out, result.err) == (0, "", "")


def test_an_interrupted_watch_is_resumed(
    cli: Cli, environment: Environment, simulator: SimulatorProcess, store: Path
) -> None:
    """Ctrl-C says so; 'pending' lists what is open, and 'resume' waits for it."""
    first, second = simulator.add_jobs([{"kind": "image", **PAST}, {"kind": "video", "stuck": True}])
    with child(["watch", first, second, "--store", store, *EAGER], environment) as process:
        assert line_of(process.stdout).startswith(first)
        process.send_signal(signal.SIGINT)
        result = ended(process)
    assert result.code == 130
    assert "1 job still open, 1 ended; 'resume' goes on with them" in result.err
    lines = cli("pending", "--store", store).lines
    assert [line.split()[0] for line in lines if "unfinished" in line] == [second]
    end(simulator, second)
    result = cli("resume", "--store", store, "--json", *EAGER)
    assert result.code == 0
    printed = {printed["job"]: printed for printed in result.objects}
    assert printed[second]["state"] == "completed"
    assert printed[second]["redelivered"] is False
    assert printed.keys() - {first} == {second}
    assert cli("pending", "--store", store).lines == []


def test_a_killed_watch_is_resumed(
    cli: Cli, environment: Environment, simulator: SimulatorProcess, store: Path
) -> None:
    """As a restart of the machine would end it."""
    jobs = simulator.add_jobs([{"kind": "try-on", "count": 3, "stuck": True}])
    with child(["watch", *jobs, "--store", store, *EAGER], environment) as process:
        while_running(process, lambda: len(known(store)) == 3)
        process.send_signal(signal.SIGKILL)
        ended(process)
    end(simulator, *jobs, outcome="failed", message="no")
    result = cli("resume", "--store", store, *EAGER)
    assert result.code == 1
    assert sorted(line.split()[:2] for line in result.lines) == sorted([job, "failed"] for job in jobs)


def known(store: Path) -> list[str]:
    """The jobs in the store."""
    try:
        return [str(row.job) for row in SQLiteStore(store).peek()]
    except Exception:  # noqa: BLE001  # it is just being made
        return []


def test_an_outcome_nobody_acknowledged_is_delivered_again(cli: Cli, simulator: SimulatorProcess, store: Path) -> None:
    """With the tag that a program gave; 'pending' says that it was handed out, and changes nothing."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    cli("get", job)

    async def program() -> None:
        async with StatusClient(store=SQLiteStore(store)) as client:
            await client.watch(job, tag={"order": 7})

    asyncio.run(program())
    for _ in range(2):
        (pending,) = cli("pending", "--store", store, "--json").objects
        assert (pending["job"], pending["state"], pending["tag"]) == (job, "completed", {"order": 7})
        assert (pending["unfinished"], pending["handed_out"], pending["error"]) == (False, True, None)
    assert "delivered, not acknowledged" in cli("pending", "--store", store).out
    result = cli("resume", "--store", store, "--json")
    assert [(printed["job"], printed["tag"], printed["redelivered"]) for printed in result.objects] == [
        (job, {"order": 7}, True)
    ]


def test_a_line_says_that_it_was_delivered_before(cli: Cli, simulator: SimulatorProcess, store: Path) -> None:
    """So that nobody takes it for a second job."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    cli("get", job)

    async def program() -> None:
        async with StatusClient(store=SQLiteStore(store)) as client:
            await client.watch(job)

    asyncio.run(program())
    assert cli("resume", "--store", store).out.endswith("(delivered before)\n")


def test_pending_needs_neither_key_nor_network(
    cli: Cli, simulator: SimulatorProcess, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch that timed out is still there, with what was last known of it."""
    (job,) = simulator.add_jobs([{"kind": "image", "stuck": True}])
    assert cli("watch", job, "--store", store, "--timeout", "1s", *EAGER).code == 3
    asked = simulator.stats()["requests"]
    for name in ("TOPAZ_API_KEY", "PIXELCUT_API_KEY", "TOPAZ_API_URL", "PIXELCUT_API_URL"):
        monkeypatch.delenv(name)
    (line,) = cli("pending", "--store", store).lines
    assert line.split()[:2] == [job, "running"]
    assert line.endswith("unfinished")
    assert simulator.stats()["requests"] == asked


def test_resume_without_a_key_says_which(
    cli: Cli, simulator: SimulatorProcess, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, and the row stays."""
    (job,) = simulator.add_jobs([{"kind": "try-on", "stuck": True}])
    cli("watch", job, "--store", store, "--timeout", "1s", *EAGER)
    monkeypatch.delenv("PIXELCUT_API_KEY")
    result = cli("resume", "--store", store)
    assert result.code == 3
    assert "set the environment variable PIXELCUT_API_KEY" in result.out
    assert len(cli("pending", "--store", store).lines) == 1


@pytest.mark.parametrize("name", ["resume", "pending"])
def test_a_store_that_is_none_is_refused(cli: Cli, tmp_path: Path, name: str) -> None:
    """One line, nothing is made, and a file that is no store stays as it is."""
    missing = cli(name, "--store", tmp_path / "none.db")
    assert (missing.code, missing.out, missing.err.count("\n")) == (2 if name == "resume" else 3, "", 1)
    assert "there is no" in missing.err
    assert not list(tmp_path.iterdir())
    wrong = tmp_path / "notes.txt"
    wrong.write_text("milk, bread, " * 100)
    refused = cli(name, "--store", wrong)
    assert (refused.code, refused.out, refused.err.count("\n")) == (3, "", 1)
    assert "no database" in refused.err
    assert wrong.read_text() == "milk, bread, " * 100
    assert cli(name, "--store", ":memory:").code == 2


def test_a_store_in_use_is_refused(
    cli: Cli, environment: Environment, simulator: SimulatorProcess, store: Path
) -> None:
    """The line names the process that has it; reading is allowed."""
    (job,) = simulator.add_jobs([{"kind": "image", "stuck": True}])
    with child(["watch", job, "--store", store, *EAGER], environment) as process:
        while_running(process, lambda: known(store))
        for words in (["resume"], ["watch", job]):
            refused = cli(*words, "--store", store)
            assert (refused.code, refused.out) == (3, "")
            assert f"in use by process {process.pid}" in refused.err
        assert len(cli("pending", "--store", store).lines) == 1
