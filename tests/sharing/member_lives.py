"""A program whose children are members of one account, to be killed: run by ``test_kill_campaign.py`` as a process.

It imports once, and then forks a child for each life: ``LOG JOB…`` on a line of standard input begins one, whose process
id it prints. A life watches the jobs, and appends to its log: its id as a member, then ``JOB STATE`` for each outcome.
When there are no more it stays a member until it is killed, or ends in order when it gets SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from topaz_status import PollPolicy, StatusClient
from topaz_status.redis import RedisCoordinator

RATE, BURST = 40.0, 10.0


async def live(log: int, jobs: list[str]) -> None:
    loop, leave = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, leave.set)
    policy = PollPolicy(price=0.01, min_interval=0.05)
    async with StatusClient(rate=RATE, burst=BURST, policy=policy, coordinator=RedisCoordinator()) as client:
        shared = client.stats().shared
        assert shared is not None
        write(log, shared.member)
        async for outcome in client.as_completed(jobs):
            assert outcome.state is not None, outcome
            write(log, f"{outcome.job} {outcome.state}")
        await leave.wait()


def write(log: int, text: str) -> None:
    os.write(log, f"{text}\n".encode())


def life(file: str, *jobs: str) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        asyncio.run(live(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT), list(jobs)))
    except BaseException:  # noqa: BLE001  # a life that fails by itself is what the test is to find
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        return 1
    return 0


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(life(*line.split()))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
