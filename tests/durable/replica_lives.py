"""A program that follows a shared store and is killed again and again: run by ``test_replicas_crash.py``.

As ``lives.py`` does, it imports once and forks a child for each life: ``DSN SCHEMA LOG JOB…`` on a line of standard
input begins one, whose process id it prints, and then its exit code when it has ended. A life watches the jobs named,
takes over what others leave, and for each outcome appends ``begins JOB STATE REDELIVERED PID`` to the log before it
works on it and ``done JOB - - PID`` before it asks for the next one. It lives until it is killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys

from topaz_status import Completions, Outcome, PollPolicy, PostgresStore, StatusClient, StoreError

WORK = 0.05
"""Seconds that an outcome is worked on, at most."""
LEASE = 2.0
"""Seconds: a busy machine may hold a process up, and one that is held up for longer would rightly lose its rows."""


async def live(dsn: str, schema: str, log: int, jobs: list[str]) -> None:
    policy = PollPolicy(price=0.001, min_interval=0.02)
    store = PostgresStore(dsn, schema=schema, lease=LEASE)
    client = StatusClient(store=store, rate=1000.0, burst=1000.0, policy=policy)
    while not await opened(client):
        pass
    try:
        async with client.resume(follow=True) as left, client.as_completed(jobs) as new:
            await asyncio.gather(*(write_down(outcomes, log) for outcomes in (left, new)))
    finally:
        await client.aclose()


async def opened(client: StatusClient) -> bool:
    """Open a client, unless the database is just away: a program would be started anew."""
    try:
        await client.open()
    except StoreError as error:
        if not error.is_transient:
            raise
        return False
    return True


async def write_down(outcomes: Completions, log: int) -> None:
    async for outcome in outcomes:
        if is_anothers(outcome):
            continue
        assert outcome.state is not None, outcome
        say(log, f"begins {outcome.job} {outcome.state} {outcome.redelivered} {os.getpid()}")
        await asyncio.sleep(random.uniform(0.0, WORK))
        say(log, f"done {outcome.job} - - {os.getpid()}")


def is_anothers(outcome: Outcome) -> bool:
    """Whether another client has the watch: this one was too slow to renew its lease, or registered it second."""
    return isinstance(outcome.error, StoreError) and outcome.error.taken_over_by is not None


def say(to: int, line: str) -> None:
    os.write(to, f"{line}\n".encode())


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(life(*line.split()))
        say(1, str(child))
        say(1, str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))


def life(dsn: str, schema: str, log: str, *jobs: str) -> int:
    try:
        asyncio.run(live(dsn, schema, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), list(jobs)))
    except BaseException:  # noqa: BLE001  # a life that fails by itself is what the test is about
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        return 1
    return 0


if __name__ == "__main__":
    main()
