"""The same fleet of jobs awaited twice: by a plain hand-written client and by this library, with one request budget.

Each client runs in a process of its own, with its own simulator in another process, over a real loopback socket.
Both have equal jobs (same seed: same ids, same durations), submitted just before the client begins. Both run side by
side, so that the machine is equally busy for both (at 10 requests/s neither client loads it). With ``--in-turn`` they
run one after the other. Jobs last a lognormal time (σ 0.6), and 3 % of them fail. An image's ``eta`` is off by up to
30 % of the time left.

The plain client (``plain.py``) is one coroutine per job: poll, ``asyncio.sleep(5)``, poll again. It has an
``asyncio.Semaphore(32)``, an ``AsyncLimiter`` with the same budget, and for try-ons a second limiter at 5/s.

Detection lag is the time from a job's true end, which only the simulator knows, until the caller's own code has the
result. Both times are of the system's monotonic clock. The server refuses (429) requests beyond the rate by more than
5 %, or beyond the burst by more than 100 %. So a 429 means that a client exceeded its budget. CPU and memory are the
client process's own: CPU from the moment when it receives its jobs, memory at its peak and above that moment's.

Example::

    python benchmarks/fleet.py --jobs 1000 --rate 10 --seed 7
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, Final

import attrs
from common import Child, peak_memory, progress, resident_memory, run_main, simulator_at, spread, table
from plain import PlainClient, limiter, plain_session

from topaz_status import JobKind, JobRef, StatusClient
from topaz_status.testing import SimulatorProcess

SHARES: Final = {JobKind.IMAGE: 0.90, JobKind.VIDEO: 0.06}
SIGMA: Final = 0.6
FAILING: Final = 0.03
ETA_ERROR: Final = 0.3
RATE_HEADROOM: Final = 1.05
BURST_HEADROOM: Final = 2.0
REPORT_INTERVAL: Final = 0.5
EARLIEST: Final = -0.01
"""The least plausible lag in seconds: clocks differ a little, but no end is detected before it happens."""


@attrs.frozen
class Order:
    """The work for a client."""

    url: str
    jobs: tuple[str, ...]
    rate: float
    burst: float


@attrs.frozen
class Found:
    """A client's result: each job's last state, and when the caller had it (``time.monotonic()``)."""

    ends: dict[str, tuple[str, float]]
    began_at: float
    ended_at: float
    cpu: float
    peak_memory: int
    own_memory: int


Ends = AsyncIterator[tuple[JobRef, str]]


# -- the clients, each in its own process -----------------------------------------------------------------------------


async def run_plain(pipe: Connection) -> None:
    await _carry_out(pipe, _await_plainly)


async def run_library(pipe: Connection) -> None:
    await _carry_out(pipe, _await_with_library)


async def _await_plainly(order: Order) -> Ends:
    async with plain_session() as session:
        client = PlainClient(session, order.url, limiter(order.rate, order.burst))

        async def named(job: JobRef) -> tuple[JobRef, str]:
            return job, (await client.wait(job))["status"]

        tasks = [asyncio.create_task(named(JobRef.parse(job))) for job in order.jobs]
        for task in asyncio.as_completed(tasks):
            job, word = await task
            yield job, "failed" if word.lower() == "failed" else "completed"


async def _await_with_library(order: Order) -> Ends:
    async with StatusClient(
        topaz_api_key="sim",
        pixelcut_api_key="sim",
        topaz_url=order.url,
        pixelcut_url=order.url,
        rate=order.rate,
        burst=order.burst,
    ) as client:
        async for outcome in client.as_completed(order.jobs):
            assert outcome.job is not None
            yield outcome.job, str(outcome.state or type(outcome.error).__name__)


async def _carry_out(pipe: Connection, work: Callable[[Order], Ends]) -> None:
    """Report that the process is up, receive the order, then report progress and the result."""
    pipe.send("up")
    order: Order = pipe.recv()
    held = resident_memory()
    began, cpu = time.monotonic(), time.process_time()
    ends: dict[str, tuple[str, float]] = {}
    reporter = asyncio.create_task(_report(pipe, ends))
    async for job, state in work(order):
        ends[str(job)] = state, time.monotonic()
    reporter.cancel()
    peak = peak_memory()
    pipe.send(Found(ends, began, time.monotonic(), time.process_time() - cpu, peak, peak - held))


async def _report(pipe: Connection, ends: dict[str, tuple[str, float]]) -> None:
    while True:
        pipe.send(len(ends))
        await asyncio.sleep(REPORT_INTERVAL)


CLIENTS: Final = {"plain client": run_plain, "topaz_status": run_library}


# -- the comparison ---------------------------------------------------------------------------------------------------


@attrs.define
class Lane:
    """One client and its simulator."""

    name: str
    simulator: SimulatorProcess
    child: Child
    done: int = 0
    found: Found | None = None

    def begin(self, plans: Sequence[dict[str, Any]], rate: float, burst: float) -> None:
        """Submit the jobs and let the client begin."""
        assert self.child.receive() == "up"
        names = self.simulator.add_jobs(plans)
        self.child.send(Order(self.simulator.url, tuple(names), rate, burst))

    def listen(self) -> None:
        """Receive the messages that the client has sent."""
        while self.found is None and self.child.poll(0):
            message = self.child.receive()
            if isinstance(message, Found):
                self.found = message
                self.done = len(message.ends)
            else:
                self.done = message


def counts_of(arguments: argparse.Namespace) -> dict[JobKind, int]:
    """Return the number of jobs of each kind: the given numbers, or the usual shares of ``--jobs``."""
    counts = {kind: round(arguments.jobs * share) for kind, share in SHARES.items()}
    counts[JobKind.TRY_ON] = arguments.jobs - sum(counts.values())
    given = {JobKind.IMAGE: arguments.images, JobKind.VIDEO: arguments.videos, JobKind.TRY_ON: arguments.try_ons}
    if any(count is not None for count in given.values()):
        counts = {kind: count or 0 for kind, count in given.items()}
    return counts


def plans_of(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the fleet's plans, in the simulator's JSON."""
    return [
        {
            "kind": kind.value,
            "count": count,
            "duration": {"lognormal": [arguments.median, SIGMA]},
            "failure_rate": FAILING,
            "eta": "noisy",
            "eta_error": ETA_ERROR,
        }
        for kind, count in counts_of(arguments).items()
        if count
    ]


def compare(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Run both clients and return their figures by name."""
    names = [[name] for name in CLIENTS] if arguments.in_turn else [list(CLIENTS)]
    figures: dict[str, dict[str, Any]] = {}
    for together in names:
        with ExitStack() as stack, progress() as show:
            lanes = list(_lanes(together, arguments, stack))
            for lane in lanes:
                lane.begin(plans_of(arguments), arguments.rate, arguments.burst)
            _wait(lanes, show)
            figures |= {lane.name: judge(lane) for lane in lanes}
    return figures


def _lanes(names: Sequence[str], arguments: argparse.Namespace, stack: ExitStack) -> Iterator[Lane]:
    for name in names:
        simulator = SimulatorProcess(
            seed=arguments.seed, rate=RATE_HEADROOM * arguments.rate, burst=BURST_HEADROOM * arguments.burst
        )
        stack.enter_context(simulator_at(simulator))
        yield Lane(name, simulator, stack.enter_context(Child(CLIENTS[name])))


def _wait(lanes: Sequence[Lane], show: Callable[[str], None]) -> None:
    began = time.monotonic()
    while any(lane.found is None for lane in lanes):
        for lane in lanes:
            lane.child.poll(REPORT_INTERVAL / len(lanes))
            lane.listen()
        done = ", ".join(f"{lane.name} {lane.done}" for lane in lanes)
        show(f"{time.monotonic() - began:4.0f} s, jobs done: {done}")


def judge(lane: Lane) -> dict[str, Any]:
    """Check a client's result against the simulator's truths."""
    assert lane.found is not None
    found, truths, stats = lane.found, lane.simulator.truths(), lane.simulator.stats()
    lags: dict[str, list[float]] = {}
    wrong = 0
    for job, truth in truths.items():
        state, at = found.ends.get(job, ("missing", found.ended_at))
        lag = at - truth["ends_at"]
        lags.setdefault(job.partition(":")[0], []).append(max(0.0, lag))
        wrong += state != truth["state"] or lag < EARLIEST
    return {
        "jobs": len(truths),
        "lag": spread([lag for of_kind in lags.values() for lag in of_kind]),
        "lag_by_kind": {kind: spread(of_kind) for kind, of_kind in lags.items()},
        "requests": stats["requests"],
        "requests_by_endpoint": stats["by_endpoint"],
        "requests_per_job": stats["requests"] / len(truths),
        "rate_limited": stats["rate_limited"],
        "wrong_outcomes": wrong,
        "cpu": found.cpu,
        "peak_memory": found.peak_memory,
        "own_memory": found.own_memory,
        "wall": found.ended_at - found.began_at,
    }


# -- command line -----------------------------------------------------------------------------------------------------


def rows_of(figures: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return the table: a row per figure, a column per client, and the ratio of the second to the first."""
    plain, ours = figures.values()
    lines: list[tuple[str, Callable[[dict[str, Any]], float], str]] = [
        *((f"detection lag, {name}, s", _lag(name), "{:.2f}") for name in ("mean", "p50", "p95", "p99", "max")),
        *((f"mean lag, {kind}, s", _lag_of(kind), "{:.2f}") for kind in plain["lag_by_kind"]),
        ("requests", lambda of: of["requests"], "{:,}"),
        ("requests per job", lambda of: of["requests_per_job"], "{:.2f}"),
        ("answered 429", lambda of: of["rate_limited"], "{:,}"),
        ("wrong outcomes", lambda of: of["wrong_outcomes"], "{:,}"),
        ("CPU, s", lambda of: of["cpu"], "{:.2f}"),
        ("peak memory, MiB", lambda of: of["peak_memory"] / 2**20, "{:.1f}"),
        ("  above its start, MiB", lambda of: of["own_memory"] / 2**20, "{:.1f}"),
        ("wall time, s", lambda of: of["wall"], "{:.1f}"),
    ]
    return [
        [
            name,
            text.format(read(plain)),
            text.format(read(ours)),
            f"{read(ours) / read(plain):.2f}x" if read(plain) else "–",
        ]
        for name, read, text in lines
    ]


def _lag(name: str) -> Callable[[dict[str, Any]], float]:
    return lambda of: float(of["lag"][name])


def _lag_of(kind: str) -> Callable[[dict[str, Any]], float]:
    return lambda of: float(of["lag_by_kind"][kind]["mean"])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--jobs", type=int, default=1000, help="90%% images, 6%% videos, the rest try-ons (default: %(default)s)")
    for kind, plural in ((JobKind.IMAGE, "images"), (JobKind.VIDEO, "videos"), (JobKind.TRY_ON, "try-ons")):
        add(f"--{plural}", type=int, metavar="N", help=f"{kind.value} jobs; any such option replaces --jobs")
    add("--median", type=float, default=12.0, help="median seconds of a job (default: %(default)s)")
    add("--rate", type=float, default=10.0, help="requests/s, each client's budget (default: %(default)s)")
    add("--burst", type=float, default=10.0, help="requests at once (default: %(default)s)")
    add("--seed", type=int, default=7, help="seed of ids, durations and luck (default: %(default)s)")
    add("--in-turn", action="store_true", help="one client after the other, for rates that keep a core busy")
    add("--json", action="store_true", help="print one line of JSON instead of the table")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    figures = compare(arguments)
    if arguments.json:
        print(json.dumps({"settings": vars(arguments), "clients": figures}))
        return
    counts = ", ".join(f"{count} {kind.value}" for kind, count in counts_of(arguments).items() if count)
    print(f"{counts} jobs of {arguments.median:g} s; {arguments.rate:g} requests/s, seed {arguments.seed}\n")
    print(table(["", *figures, "ratio"], rows_of(figures)))


if __name__ == "__main__":
    sys.exit(run_main(main))
