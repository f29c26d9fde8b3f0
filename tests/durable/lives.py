"""A program that watches jobs with a store and is killed again and again: run by ``test_crash.py`` as a process.

It imports once and then forks a child for each life: ``FILE LOG END JOB…`` on a line of standard input begins one,
whose process id it prints, and then its exit code when it has ended. A life takes up what is in the store, watches the
jobs named, and appends ``JOB STATE REDELIVERED`` to the log for each outcome it is given. When there are no more it
goes, if ``END`` is ``goes``, or else waits to be killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

from topaz_status import Completions, PollPolicy, SQLiteStore, StatusClient

WORK = 0.05
"""Seconds that an outcome is worked on, at most."""


async def live(file: str, log: int, jobs: list[str]) -> None:
    policy = PollPolicy(price=0.001, min_interval=0.02)
    client = StatusClient(store=SQLiteStore(file), rate=1000.0, burst=1000.0, policy=policy)
    async with client, client.resume() as left, client.as_completed(jobs) as new:
        await asyncio.gather(*(write_down(outcomes, log) for outcomes in (left, new)))


async def write_down(outcomes: Completions, log: int) -> None:
    async for outcome in outcomes:
        assert outcome.state is not None, outcome
        os.write(log, f"{outcome.job} {outcome.state} {outcome.redelivered}\n".encode())
        await asyncio.sleep(random.uniform(0.0, WORK))


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(life(*line.split()))
        say(child)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def life(file: str, log: str, end: str, *jobs: str) -> int:
    try:
        asyncio.run(live(file, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), list(jobs)))
    except BaseException:  # noqa: BLE001  # a life that fails by itself is what the test waits for
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        return 1
    while end != "goes":
        signal.pause()
    return 0


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
