"""``demo``: watches simulated jobs, 2,000 by default, over real sockets; the simulator has a process of its own."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any, Final

import attrs

from ...client import StatusClient
from ...core.policy import PollPolicy
from ...outcome import Outcome
from ...session.timing.clock import Clock
from ...testing.process import SimulatorProcess
from ..exit_codes import UNKNOWN, CommandError
from ..formatting import json_line, plural
from ..progress_display import Progress
from ..screen import Screen, moving
from .fleet import CEILINGS, burst_of, plans, shuffled, simulator_options
from .report import DemoSettings, Report, lag_of, make_report
from .view import DemoPicture, picture_of

_KEY: Final = "demo"
_SLOTS: Final = 32
_GIVE_UP: Final = 20.0
"""Seconds without an answer after which the simulator counts as dead."""


async def demo(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return its exit code."""
    simulator = SimulatorProcess(**simulator_options(arguments.rate, arguments.seed))
    try:
        async with simulator as url:
            run = await _prepare(arguments, simulator)
            report = await run.watch(url, simulator, screen)
    except (RuntimeError, OSError) as problem:
        raise CommandError(f"the simulator is in trouble: {problem}", UNKNOWN) from None
    if arguments.json:
        screen.out(json_line(report.to_json()))
    else:
        _print(report, screen)
    for text in report.problems():
        screen.err(text)
    return report.code


async def _prepare(arguments: argparse.Namespace, simulator: SimulatorProcess) -> Demo:
    """Submit the jobs, and get from the simulator how they will end; the client does not get this."""
    names = await asyncio.to_thread(simulator.add_jobs, plans(arguments.fleet, arguments.seconds))
    settings = DemoSettings(
        jobs=len(names),
        rate=arguments.rate,
        burst=burst_of(arguments.rate),
        max_in_flight=_SLOTS,
        seed=arguments.seed,
    )
    truths = await asyncio.to_thread(simulator.truths)
    return Demo(settings, shuffled(names, arguments.seed), truths)


@attrs.define(eq=False)
class Demo:
    """One run of the demo."""

    settings: DemoSettings
    jobs: list[Any]
    truths: Mapping[str, Mapping[str, Any]]
    outcomes: list[Outcome] = attrs.field(factory=list)
    lags: list[float] = attrs.field(factory=list)

    async def watch(self, url: str, simulator: SimulatorProcess, screen: Screen) -> Report:
        """Watch all jobs to their ends, then ask the simulator what was true."""
        clock = Clock.of(asyncio.get_running_loop())
        began_at, began_unix = clock.now(), clock.wall()
        async with self._client(url) as client:
            progress = Progress(client)
            async with client.as_completed(self.jobs) as outcomes:
                progress.take(self.jobs)
                try:
                    async with moving(screen, lambda: self._picture(progress, clock.now() - began_at)):
                        async for outcome in outcomes:
                            self._end(progress, outcome)
                except asyncio.CancelledError:
                    progress.report_open(screen)
                    raise
        took = clock.now() - began_at
        truths = await asyncio.to_thread(simulator.truths)
        server = await asyncio.to_thread(simulator.stats)
        return make_report(self.settings, self.outcomes, truths, server, began_unix=began_unix, took=took)

    def _client(self, url: str) -> StatusClient:
        return StatusClient(
            topaz_url=url,
            pixelcut_url=url,
            topaz_api_key=_KEY,
            pixelcut_api_key=_KEY,
            rate=self.settings.rate,
            burst=self.settings.burst,
            service_rates={kind: share * self.settings.rate for kind, share in CEILINGS.items()},
            max_in_flight=self.settings.max_in_flight,
            policy=PollPolicy(give_up_after=_GIVE_UP),
        )

    def _end(self, progress: Progress, outcome: Outcome) -> None:
        progress.end(outcome)
        self.outcomes.append(outcome)
        lag = lag_of(outcome, self.truths[str(outcome.job)])
        if lag is not None:
            self.lags.append(lag)

    def _picture(self, progress: Progress, elapsed: float) -> DemoPicture:
        return picture_of(progress, self.settings, self.lags, self.outcomes[-1:], elapsed)


def _print(report: Report, screen: Screen) -> None:
    """Print the report: its tables, then its facts."""
    asked = report.settings
    lines = [f"{plural(asked.jobs, 'job')} at three simulated services, one limit of {asked.rate:g} requests/s"]
    for table in report.tables():
        lines += ["", *table.lines()]
    width = max(len(name) for name, _ in report.facts())
    lines += ["", *(f"{name:<{width}}  {text}" for name, text in report.facts())]
    screen.out("\n".join(lines))
