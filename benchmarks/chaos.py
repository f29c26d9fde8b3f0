"""Watches under every fault, on real sockets, against a simulator in a process of its own.

Each run plays one fault on a share of the requests of a small fleet (images, videos, try-ons). Another run plays all
faults together. Further runs take the service down; in one its process is killed and starts again on the same port.
A gateway's pages (404, 403, 502) are played on a share of the requests, then on all of them for 5 s. The service's own
404 is played on all requests for 5 s.

In each run these promises must hold. Every watch ends once, in its job's state, not before the job and not long after.
No watch gives up because of temporary faults. No request exceeds the budget. The exit code is 1 if a promise fails.

Examples::

    python benchmarks/chaos.py
    python benchmarks/chaos.py --quick --fault hang reset all-at-once
    python benchmarks/chaos.py --quick --fault 404-html 404-html-for-5-s own-404-for-5-s
    python benchmarks/chaos.py --share 0.3 --seed 5
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import attrs
from common import be_quiet, progress, run_main, shielded
from invariants import Tally, Truth, beyond_budget, judge

from topaz_status import JobRef, PollPolicy, StatusClient
from topaz_status.testing import SimulatorProcess

RATE: Final = 20.0
BURST: Final = 20.0
LANES: Final = 8
"""Fleets that run at once, each with a simulator of its own."""
EARLY: Final = 0.05
"""Seconds by which two processes' clocks may differ."""
PAGES: Final = tuple((code, name) for code in (404, 403, 502) for name in ("html", "text"))
"""The pages that a gateway sends in the service's place."""
FOR_A_WHILE: Final = 5.0
"""Seconds for which a gateway answers all requests."""
SOON_MISSED: Final = PollPolicy(not_found_grace=0.5)
"""A policy with a short grace: after half a second each 404 from the service itself counts."""
LATE: Final = 1.0
"""Most seconds, on a busy machine, between the grant of a token and the record of its request."""
SINGLE: Final[dict[str, dict[str, Any]]] = {
    "reset": {}, "reset_body": {}, "truncated": {}, "slow": {"seconds": 20.0}, "hang": {"seconds": 20.0},
    "short_length": {}, "long_length": {}, "double_length": {}, "malformed": {}, "empty": {}, "html": {},
    "not_utf8": {}, "huge": {"size": 100_000_000, "count": 20}, "gzip_bomb": {"size": 100_000_000}, "deep": {},
    "wrong_types": {}, "nan": {}, "huge_numbers": {}, "unknown_word": {}, "null_status": {}, "empty_status": {},
    "missing_status": {}, "other_id": {}, "stale": {}, "redirect": {}, "delay": {"seconds": 1.0}, "no_cursor": {},
    "same_cursor": {}, "empty_page": {}, "endless": {}, "408": {}, "429": {"retry_after": "2"}, "500": {}, "503": {},
}  # fmt: skip


@attrs.frozen(kw_only=True)
class Scene:
    """The faults of one run."""

    name: str
    faults: tuple[dict[str, Any], ...]
    killed: bool = False
    policy: PollPolicy = attrs.field(factory=PollPolicy)
    duration: float | None = None
    """Seconds that a job takes, for runs in which all jobs must be polled before most of them end."""


@attrs.frozen(kw_only=True)
class Size:
    """The size and length of a run; times are in seconds."""

    jobs: int
    duration: float
    request_timeout: float
    outage: float
    latest: float

    def plans(self, elapsed: float = 0.0) -> list[dict[str, Any]]:
        """Return the plans of the fleet, submitted ``elapsed`` seconds ago."""
        shares = {"image": 0.5, "video": 0.25, "try-on": 0.25}
        law = {"lognormal": [self.duration, 0.5]}
        return [
            {
                "kind": kind,
                "count": round(self.jobs * share),
                "duration": law,
                "failure_rate": 0.1,
                "after": -elapsed,
            }
            for kind, share in shares.items()
        ]


FULL: Final = Size(jobs=60, duration=8.0, request_timeout=3.0, outage=20.0, latest=90.0)
QUICK: Final = Size(jobs=20, duration=2.0, request_timeout=1.0, outage=5.0, latest=60.0)


def scenes(share: float, size: Size) -> list[Scene]:
    """Return all runs, the long ones first."""
    outage = {"since": size.duration / 2, "until": size.duration / 2 + size.outage}
    everything = tuple(_fault(name, fields, share / len(SINGLE)) for name, fields in SINGLE.items())
    return [
        Scene(name="server killed, back on its port", faults=(), killed=True),
        Scene(name="outage: 503", faults=({"name": "503", **outage},)),
        Scene(name="outage: resets", faults=({"name": "reset", **outage},)),
        Scene(name="outage: hangs", faults=({"name": "hang", "seconds": 20.0, **outage},)),
        Scene(name="all at once", faults=everything),
        *gateways(share, size),
        *(Scene(name=name, faults=(_fault(name, fields, share),)) for name, fields in SINGLE.items()),
    ]


def gateways(share: float, size: Size) -> list[Scene]:
    """Return the runs with a gateway's pages, for a share of the requests and for all, and with the service's 404s."""
    while_ = {"since": size.duration / 2, "until": size.duration / 2 + FOR_A_WHILE}
    played = [(f"{code} {name}", {"name": name, "status": code}) for code, name in PAGES]
    own = {"name": "404", "since": FOR_A_WHILE, "until": 2 * FOR_A_WHILE}
    return [
        *(Scene(name=title, faults=({**page, "probability": share},), policy=SOON_MISSED) for title, page in played),
        *(Scene(name=f"{title} for 5 s", faults=({**page, **while_},), policy=SOON_MISSED) for title, page in played),
        Scene(name="own 404 for 5 s", faults=(own,), policy=SOON_MISSED, duration=3 * FOR_A_WHILE),
    ]


def _fault(name: str, fields: dict[str, Any], probability: float) -> dict[str, Any]:
    return {"name": name, "probability": probability, **fields}


# -- one run ----------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Server:
    """A simulator's process, which can be killed and started again on the same port."""

    size: Size
    seed: int
    began_at: float = 0.0
    _process: SimulatorProcess = attrs.field(init=False)

    @property
    def url(self) -> str:
        """The simulator's base URL."""
        return self._process.url

    def start(self, **options: Any) -> list[str]:
        """Start the process, submit the jobs as of the first start, and return their names."""
        self._process = SimulatorProcess(seed=self.seed, **options)
        with shielded():
            self._process.start()
        now = time.monotonic()
        self.began_at = self.began_at or now
        return self._process.add_jobs(self.size.plans(now - self.began_at))

    def put_in_force(self, faults: Sequence[dict[str, Any]]) -> None:
        """Add faults to the simulator."""
        self._process.add_faults(faults)

    def kill(self) -> str:
        """End the process like a crash and return its port."""
        port = self.url.rpartition(":")[2]
        child = self._process._process  # noqa: SLF001  # the public method ends the process in order
        assert child is not None
        child.kill()
        self._process.stop()
        return port

    def stop(self) -> None:
        """End the process."""
        self._process.stop()

    def seen(self) -> tuple[int, dict[JobRef, Truth]]:
        """Return the number of requests that met a fault, and how the jobs ended."""
        truths = {
            JobRef.parse(name): Truth(state=true["state"], ends_at=true["ends_unix"])
            for name, true in self._process.truths().items()
        }
        return sum(self._process.stats()["faults"].values()), truths


def traced(sends: list[float]) -> aiohttp.ClientSession:
    """Make a session that records when each request is sent."""

    async def note(*_: object) -> None:
        sends.append(time.monotonic())

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trace_configs=[trace])


async def play(scene: Scene, size: Size, seed: int) -> Tally:
    """Watch one fleet through one scene."""
    size = attrs.evolve(size, duration=scene.duration or size.duration)
    server, sends = Server(size, seed), list[float]()
    names = await asyncio.to_thread(server.start)
    try:
        await asyncio.to_thread(server.put_in_force, scene.faults)
        async with (
            traced(sends) as session,
            StatusClient(
                session=session,
                topaz_api_key="chaos-key-1",
                pixelcut_api_key="chaos-key-2",
                topaz_url=server.url,
                pixelcut_url=server.url,
                rate=RATE,
                burst=BURST,
                request_timeout=size.request_timeout,
                policy=scene.policy,
            ) as client,
        ):
            killing = asyncio.create_task(_kill(server) if scene.killed else asyncio.sleep(0))
            outcomes = [outcome async for outcome in client.as_completed(names, timeout=10 * size.latest)]
            await killing
            unanswered = sum(answers.get("none", 0) for answers in client.stats().requests.values())
        met, truths = await asyncio.to_thread(server.seen)
        requests = unanswered if scene.killed else met
        over = beyond_budget(sends, RATE, BURST, slack=LATE * RATE)
        return judge(outcomes, truths, latest=size.latest, requests=requests, over=over, early=EARLY)
    finally:
        await asyncio.to_thread(server.stop)


async def _kill(server: Server) -> None:
    """Kill the server in the middle of the run, and start it again on the same port after the outage."""
    await asyncio.sleep(server.size.duration / 2)
    port = await asyncio.to_thread(server.kill)
    await asyncio.sleep(server.size.outage)
    await asyncio.to_thread(server.start, port=port)


# -- all of them ------------------------------------------------------------------------------------------------------


async def play_all(todo: Sequence[Scene], size: Size, seed: int) -> dict[str, Tally]:
    """Play all scenes, several at a time."""
    tallies: dict[str, Tally] = {}
    lanes = asyncio.Semaphore(LANES)

    with progress() as show:

        async def one(scene: Scene, number: int) -> None:
            async with lanes:
                tallies[scene.name] = await play(scene, size, seed + number)
                show(f"{len(tallies)}/{len(todo)} {scene.name}")

        async with asyncio.TaskGroup() as group:
            for number, scene in enumerate(todo):
                group.create_task(one(scene, number))
    return {scene.name: tallies[scene.name] for scene in todo}


def table(tallies: dict[str, Tally]) -> str:
    """Format the tallies as a table in Markdown."""
    lines = [
        "| fault | requests under it | watches | wrong | lost | hung | over budget |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    for name, tally in {**tallies, "**together**": sum(tallies.values(), Tally())}.items():
        figures = (tally.requests, tally.watches, tally.wrong, tally.lost, tally.hung, tally.over)
        lines.append(f"| {name} | " + " | ".join(f"{figure:,}" for figure in figures) + " |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, play the scenes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small fleet of short jobs for each fault")
    parser.add_argument("--fault", nargs="+", metavar="NAME", help="only these rows of the table")
    parser.add_argument("--share", type=float, default=0.2, help="share of requests that meet a fault (default: 0.2)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    be_quiet()
    size = QUICK if arguments.quick else FULL
    todo = scenes(arguments.share, size)
    if arguments.fault:
        wanted = {name.replace("-", " ") for name in arguments.fault} | set(arguments.fault)
        todo = [scene for scene in todo if scene.name in wanted]
        if not todo:
            parser.error(f"no such fault among {', '.join(scene.name for scene in scenes(arguments.share, size))}")
    began = time.monotonic()
    tallies = asyncio.run(play_all(todo, size, arguments.seed))
    print(table(tallies))
    total = sum(tallies.values(), Tally())
    print(f"\n{time.monotonic() - began:.0f} s, {arguments.share:.0%} of requests; every figure from the third on: 0")
    for note in total.notes:
        print(note, file=sys.stderr)
    if not total.holds:
        raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(run_main(main))
