"""A forked process has only a copy of its parent's client: using it says so, and harms nothing of the parent's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from harness import PIXELCUT_KEY, TOPAZ_KEY

from topaz_status.testing import SimulatorProcess

PROGRAM = """
import asyncio, os, sys
from topaz_status import ConfigurationError, StatusClient

async def awaited(awaitable):
    return await awaitable

async def later(call):
    return call()

def child(client, watch, job):
    tries = {
        "watch": lambda: client.watch(job),
        "await": lambda: asyncio.run(awaited(watch)),
        "updates": lambda: asyncio.run(awaited(anext(watch.updates()))),
        "get": lambda: asyncio.run(client.get(job)),
        "watch in a loop": lambda: asyncio.run(later(lambda: client.watch(job))),
        "gather": lambda: asyncio.run(client.gather([job])),
        "stats": client.stats,
        "close": lambda: asyncio.run(client.aclose()),
    }
    for name, call in tries.items():
        try:
            call()
        except ConfigurationError as error:
            print(name, "|", error, flush=True)
    print("notify", "|", client.notify(job), flush=True)

async def of_its_own(job):
    async with StatusClient() as client:
        return (await client.watch(job)).state.value

async def main(job):
    async with StatusClient() as client:
        watch = client.watch(job)
        await client.get(job)  # a connection is open
        if (forked := os.fork()) == 0:
            try:
                child(client, watch, job)
                print("own", "|", asyncio.run(of_its_own(job)), flush=True)
            finally:
                os._exit(0)
        await asyncio.to_thread(os.waitpid, forked, 0)
        print("parent", "|", (await watch).state.value, os.getpid(), client.stats().in_flight)

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    """What each use in the forked process said, and how it went on for the parent."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    with (simulator := SimulatorProcess(seed=1)) as url:
        (job,) = simulator.add_jobs([{"kind": "image", "duration": 3.0}])
        keys = {"TOPAZ_API_KEY": TOPAZ_KEY, "PIXELCUT_API_KEY": PIXELCUT_KEY}
        environment = os.environ | keys | {"TOPAZ_API_URL": url, "PIXELCUT_API_URL": url}
        command = [sys.executable, "-W", "error", "-c", PROGRAM, job]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert not run.stderr
    return dict(line.split(" | ") for line in run.stdout.splitlines())


@pytest.mark.parametrize("use", ["watch", "await", "updates", "get", "watch in a loop", "gather", "stats", "close"])
def test_each_use_after_a_fork_says_what_to_do(answers: dict[str, str], use: str) -> None:
    """Whether a loop runs there or not, the error names the cause and the remedy."""
    parent = answers["parent"].split()[1]
    assert f"belongs to process {parent}, from which this one was forked" in answers[use]
    assert answers[use].endswith("open another client after the fork")


def test_a_notice_after_a_fork_is_not_taken(answers: dict[str, str]) -> None:
    """``notify`` raises nothing, and does not say that a poll follows."""
    assert answers["notify"] == "None"


def test_both_processes_go_on(answers: dict[str, str]) -> None:
    """The parent's connection and loop are untouched; a client that the child opens works."""
    assert answers["own"] == "completed"
    state, _, in_flight = answers["parent"].split()
    assert (state, in_flight) == ("completed", "0")
