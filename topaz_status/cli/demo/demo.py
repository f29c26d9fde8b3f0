"""``demo``: watches simulated jobs, 2,000 by default, over real sockets; the simulator has a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from ...client import StatusClient
from ...outcome import Outcome
from ...session.timing.backoff_delays import pause
from ...session.timing.clock import Clock
from ...testing.process import SimulatorProcess
from ..exit_codes import UNKNOWN, CommandError
from ..formatting import json_line, plural
from ..pace import Pace
from ..progress_display import Progress
from ..screen import Screen, moving
from .fleet import burst_of, plans, shuffled, simulator_options
from .member import client_of
from .report import DemoSettings, Report, lag_of, make_report
from .view import DemoPicture, picture_of

if TYPE_CHECKING:
    from .processes import Processes

_SLOTS: Final = 32
_PACE_WINDOW: Final = 5.0
"""Seconds over which the pace of requests is measured."""


async def demo(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return its exit code."""
    simulator = SimulatorProcess(**simulator_options(arguments.rate, arguments.seed))
    try:
        async with simulator as url:
            settings = client_settings(url, arguments.rate)
            async with _others(arguments.processes - 1, settings) as others:
                run = await _prepare(arguments, simulator)
                report = await run.watch(settings, simulator, screen, others)
    except (RuntimeError, OSError) as problem:
        raise CommandError(f"the simulator is in trouble: {problem}", UNKNOWN) from None
    if arguments.json:
        screen.out(json_line(report.to_json()))
    else:
        _print(report, screen)
    for text in report.problems():
        screen.err(text)
    return report.code


def client_settings(url: str, rate: float) -> dict[str, Any]:
    """Return what every client of the demo is made of."""
    return {"url": url, "rate": rate, "burst": burst_of(rate), "max_in_flight": _SLOTS}


async def _prepare(arguments: argparse.Namespace, simulator: SimulatorProcess) -> Demo:
    """Submit the jobs, and get from the simulator how they will end; the client does not get this."""
    names = await asyncio.to_thread(simulator.add_jobs, plans(arguments.fleet, arguments.seconds))
    settings = DemoSettings(
        jobs=len(names),
        rate=arguments.rate,
        burst=burst_of(arguments.rate),
        max_in_flight=_SLOTS,
        seed=arguments.seed,
        processes=arguments.processes,
    )
    truths = await asyncio.to_thread(simulator.truths)
    return Demo(settings, shuffled(names, arguments.seed), truths, arguments.seconds)


@contextlib.asynccontextmanager
async def _others(count: int, settings: Mapping[str, Any]) -> AsyncIterator[Processes | None]:
    """Run the other processes, if there are to be any."""
    if not count:
        yield None
        return
    from .processes import Processes  # noqa: PLC0415  # loaded where it is wanted

    async with Processes.running(count, settings) as others:
        yield others


@attrs.define(eq=False)
class Demo:
    """One run of the demo."""

    settings: DemoSettings
    jobs: list[Any]
    truths: Mapping[str, Mapping[str, Any]]
    seconds: float
    """How long the last jobs live."""
    outcomes: list[Outcome] = attrs.field(factory=list)
    lags: list[float] = attrs.field(factory=list)
    pace: Pace = attrs.field(factory=lambda: Pace(_PACE_WINDOW))

    async def watch(
        self,
        settings: Mapping[str, Any],
        simulator: SimulatorProcess,
        screen: Screen,
        others: Processes | None = None,
    ) -> Report:
        """Watch all jobs to their ends, then ask the simulator what was true.

        With other processes, this one only follows, and the one that leads is killed halfway.
        """
        clock = Clock.of(asyncio.get_running_loop())
        began_at, began_unix = clock.now(), clock.wall()
        server = None if others is None else others.server
        async with (
            client_of({**settings, "server": server}, leads=False) as client,
            _killing(others, client, self.seconds / 2.0),
        ):
            progress = Progress(client)
            async with client.as_completed(self.jobs) as outcomes:
                try:
                    async with moving(screen, lambda: self._picture(progress, clock.now() - began_at)):
                        async for outcome in outcomes:
                            self._end(progress, outcome)
                except asyncio.CancelledError:
                    progress.report_open(screen)
                    raise
        took = clock.now() - began_at
        truths = await asyncio.to_thread(simulator.truths)
        counters = await asyncio.to_thread(simulator.stats)
        vacancy = None if others is None else others.vacancy
        return make_report(
            self.settings, self.outcomes, truths, counters, began_unix=began_unix, took=took, vacancy=vacancy
        )

    def _end(self, progress: Progress, outcome: Outcome) -> None:
        progress.end(outcome)
        self.outcomes.append(outcome)
        lag = lag_of(outcome, self.truths[str(outcome.job)])
        if lag is not None:
            self.lags.append(lag)

    def _picture(self, progress: Progress, elapsed: float) -> DemoPicture:
        return picture_of(
            progress,
            pace=self.pace,
            settings=self.settings,
            lags=self.lags,
            latest=self.outcomes[-1:],
            elapsed=elapsed,
        )


@contextlib.asynccontextmanager
async def _killing(others: Processes | None, client: StatusClient, delay: float) -> AsyncIterator[None]:
    """Kill the process that leads after some seconds, if there are others."""
    if others is None:
        yield
        return

    def leader() -> str | None:
        shared = client.stats().shared
        return None if shared is None or shared.role == "alone" else shared.leader

    async def kill() -> None:
        await pause(delay)
        await others.kill_leader(leader)

    task = asyncio.get_running_loop().create_task(kill())
    try:
        yield
    finally:
        task.cancel()


def _print(report: Report, screen: Screen) -> None:
    """Print the report: its tables, then its facts."""
    asked = report.settings
    lines = [f"{plural(asked.jobs, 'job')} at three simulated services, one limit of {asked.rate:g} requests/s"]
    for table in report.tables():
        lines += ["", *table.lines()]
    width = max(len(name) for name, _ in report.facts())
    lines += ["", *(f"{name:<{width}}  {text}" for name, text in report.facts())]
    screen.out("\n".join(lines))
