"""``topaz-status simulate``: serve a simulator until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson

from ..cli.exit_codes import INTERRUPTED, USAGE
from ..models.job import JobKind, JobRef
from ..session.http.urls import is_loopback
from .simulator.durations import Durations
from .simulator.faults.rules import parse_faults
from .simulator.job_plan import JobPlan
from .simulator.simulator import Simulator

KEY: Final = "sim"

_SHARES: Final = {JobKind.IMAGE: 0.6, JobKind.VIDEO: 0.08}
_SIGMA: Final = 0.6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to a parser."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="port to listen on; 0 is any that is free (default: %(default)s)")
    add("--allow-remote", action="store_true", help="listen on an address that is not loopback")
    add("--seed", type=int, default=0, help="seed of all that is drawn (default: %(default)s)")
    add("--jobs", type=int, default=0, help="jobs of all kinds: 60%% images, 8%% videos, the rest try-ons")
    for kind, plural in ((JobKind.IMAGE, "images"), (JobKind.VIDEO, "videos"), (JobKind.TRY_ON, "try-ons")):
        add(f"--{plural}", type=int, default=0, help=f"{kind.value} jobs")
    add("--median", type=float, default=30.0, help="median seconds that a job takes (default: %(default)s)")
    add("--failing", type=float, default=0.0, help="share of jobs that fail, 0 to 1 (default: %(default)s)")
    add("--rate", type=float, help="requests a second that are let through (default: no limit)")
    add("--burst", type=float, help="how many of them at once (default: a second's worth)")
    add("--retry-after", help="what a 429 says: auto, date, seconds, or any text")
    add("--delay", type=float, default=0.0, help="seconds that each answer takes (default: %(default)s)")
    add("--faults", default="", metavar="NAME=PROB,…", help="what goes wrong, such as 503=0.01,reset=0.005")
    add("--list-jobs", type=Path, metavar="FILE", help="write the names of the jobs there, one a line")
    add("--until-eof", action="store_true", help="end when standard input ends")
    add("--json", action="store_true", help="print one line of JSON")


def plans_of(arguments: argparse.Namespace) -> list[JobPlan]:
    """Make the plans of the jobs that the arguments ask for."""
    counts = {JobKind.IMAGE: arguments.images, JobKind.VIDEO: arguments.videos, JobKind.TRY_ON: arguments.try_ons}
    left = arguments.jobs
    for kind, share in _SHARES.items():
        counts[kind] += round(arguments.jobs * share)
        left -= round(arguments.jobs * share)
    counts[JobKind.TRY_ON] += max(0, left)
    law = Durations.lognormal(arguments.median, _SIGMA)
    return [
        JobPlan(kind=kind, count=count, duration=law, failure_rate=arguments.failing)
        for kind, count in counts.items()
        if count
    ]


def environment(url: str) -> dict[str, str]:
    """Return the environment variables that point a client at the simulator."""
    return {"TOPAZ_API_URL": url, "PIXELCUT_API_URL": url, "TOPAZ_API_KEY": KEY, "PIXELCUT_API_KEY": KEY}


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code: 0 when its input ended, 130 when interrupted, 2 for bad usage."""
    if not (arguments.allow_remote or is_loopback(arguments.host)):
        return _complain(f"{arguments.host} is not a loopback address: add --allow-remote if you mean it")
    try:
        plans = plans_of(arguments)
        simulator = Simulator(
            seed=arguments.seed,
            rate=arguments.rate,
            burst=arguments.burst,
            retry_after=arguments.retry_after,
            delay=arguments.delay,
        )
        simulator.add_faults(parse_faults(arguments.faults))
    except ValueError as problem:
        return _complain(str(problem))
    try:
        return asyncio.run(_serve(simulator, plans, arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # of standard output: the caller of this function handles it
        raise
    except OSError as problem:
        return _complain(f"cannot listen on {arguments.host}:{arguments.port}: {problem}")


run_simulate = run
"""The same function, under the name of the command."""


def _complain(problem: str) -> int:
    sys.stderr.write(f"topaz-status simulate: {problem}\n")
    return USAGE


async def _serve(simulator: Simulator, plans: Iterable[JobPlan], arguments: argparse.Namespace) -> int:
    async with simulator.serve(arguments.host, arguments.port) as url:
        jobs = simulator.add_jobs(plans)
        if arguments.list_jobs is not None:
            names = "".join(f"{job}\n" for job in jobs)
            await asyncio.to_thread(arguments.list_jobs.write_text, names, encoding="utf-8")
        _print_start(url, jobs, arguments)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(signal.SIGTERM, ended.set)
        if arguments.until_eof:
            await _watch_input(ended)
        await ended.wait()
    return 0


async def _watch_input(ended: asyncio.Event) -> None:
    """Set ``ended`` when standard input ends: when the process at the other end has closed it or ended."""
    if sys.stdin is None:
        ended.set()
        return
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            ended.set()

    loop.add_reader(sys.stdin.fileno(), readable)


def _print_start(url: str, jobs: list[JobRef], arguments: argparse.Namespace) -> None:
    variables = environment(url)
    listed = [] if arguments.list_jobs is not None else [str(job) for job in jobs]
    if arguments.json:
        answer: dict[str, Any] = {"url": url, "env": variables, "count": len(jobs), "jobs": listed}
        lines = [orjson.dumps(answer).decode()]
    else:
        lines = [url, *(f"export {name}={value}" for name, value in variables.items()), *listed]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
