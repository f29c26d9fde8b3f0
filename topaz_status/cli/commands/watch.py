"""``watch`` and ``resume``: wait for any number of jobs, and print one line for each as it ends."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any, Final, Self

import attrs

from ...client import StatusClient
from ...completions import Completions
from ...coordination import Lead
from ...core.policy import PollPolicy
from ...errors import ConfigurationError
from ...models.job import JobRef
from ...models.redact import scrubbed
from ...outcome import Outcome
from ...session.timing.clock import Clock
from ..coordinators import coordinator_of
from ..exit_codes import OK, UNKNOWN, USAGE, CommandError, code_of, explain, message, reason, require_keys, worst
from ..formatting import job_column, json_line, painted, span
from ..job_arguments import BadLine, Lines, named, parse_line, wants_stdin
from ..network_arguments import network_of
from ..progress_display import Progress, end_word
from ..screen import Screen, moving
from ..stores import require_store, store_of
from .watch_view import WatchPainter, WatchPicture

_GO_ON: Final = "; the jobs themselves go on"
_RESUMABLE: Final = "; 'resume' goes on with them"


def new_client(arguments: argparse.Namespace, lead: Lead = "auto") -> StatusClient:
    """Return a client with the settings of the arguments and the environment; ``lead`` counts where it shares.

    Raises:
        CommandError: a setting in the environment, or a named file, is unusable.
    """
    store = store_of(arguments)
    policy = PollPolicy() if arguments.price is None else PollPolicy(price=arguments.price)
    settings = {name: getattr(arguments, name, None) for name in ("rate", "burst", "max_in_flight", "max_downloads")}
    given = {name: value for name, value in settings.items() if value is not None}
    coordinator = coordinator_of(arguments, lead)
    try:
        return StatusClient(policy=policy, store=store, coordinator=coordinator, **given, **network_of(arguments))
    except ConfigurationError as error:
        raise CommandError(explain(error), UNKNOWN) from None


async def watch(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return its exit code."""
    piped = wants_stdin(arguments.jobs)
    jobs = named(arguments.jobs)
    require_keys(jobs)
    timeout = {} if arguments.timeout is None else {"timeout": arguments.timeout}
    async with new_client(arguments) as client:
        watching = Watching.of(client, arguments, screen)
        source = watching.stream(jobs, sys.stdin.fileno()) if piped else jobs
        async with client.as_completed(source, **timeout) as outcomes:
            await watching.watch(outcomes, _RESUMABLE if arguments.store else _GO_ON)
    return worst(watching.codes)


async def resume(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return its exit code."""
    require_store(arguments)
    timeout = {} if arguments.timeout is None else {"timeout": arguments.timeout}
    async with new_client(arguments) as client:
        watching = Watching.of(client, arguments, screen, resumes=True)
        async with client.resume(follow=arguments.follow, **timeout) as outcomes:
            await watching.watch(outcomes, _RESUMABLE)
    return worst(watching.codes)


@attrs.define(eq=False)
class Watching:
    """One run of the command."""

    progress: Progress
    screen: Screen
    as_json: bool
    urls: bool
    resumes: bool
    """True for ``resume``: an outcome has a tag, and may have been delivered before."""
    clock: Clock
    painter: WatchPainter
    codes: set[int] = attrs.field(factory=lambda: {OK}, init=False)
    reading: bool = attrs.field(default=False, init=False)

    @classmethod
    def of(cls, client: StatusClient, arguments: argparse.Namespace, screen: Screen, *, resumes: bool = False) -> Self:
        """Begin to count what the client watches."""
        progress, clock = Progress(client), Clock.of(asyncio.get_running_loop())
        painter = WatchPainter(progress, clock.now())
        return cls(progress, screen, arguments.json, arguments.urls, resumes, clock, painter)

    async def watch(self, outcomes: Completions, note: str) -> None:
        """Print each outcome as it comes; if this is canceled, print what is still open, and ``note``."""
        try:
            async with moving(self.screen, self.picture):
                async for outcome in outcomes:
                    self.end(outcome)
        except asyncio.CancelledError:
            self.progress.report_open(self.screen, note)
            self.sum_up()
            raise
        self.sum_up()

    def sum_up(self) -> None:
        """Print a summary on a terminal where the picture had figures, and is removed now."""
        if self.screen.moves and (picture := self.picture()).has_figures:
            self.screen.err("\n".join(picture.closing_lines()))

    async def stream(self, jobs: list[JobRef], descriptor: int) -> AsyncIterator[JobRef]:
        """Yield the named jobs, then the jobs from standard input as they come."""
        self.reading = True
        for job in jobs:
            yield job
        number = 0
        async for line in Lines(descriptor):
            number += 1
            job_or_problem = parse_line(number, line)
            if isinstance(job_or_problem, BadLine):
                self.codes.add(USAGE)
                self.screen.err(str(job_or_problem))
            elif job_or_problem is not None:
                yield job_or_problem
        self.reading = False

    def end(self, outcome: Outcome) -> None:
        """Count a job as ended, and print its outcome."""
        self.progress.end(outcome)
        self.codes.add(code_of(outcome.error))
        fields = as_object(outcome, urls=self.urls)
        if self.resumes:
            fields |= {"tag": outcome.tag, "redelivered": outcome.redelivered}
        self.screen.out(json_line(fields) if self.as_json else as_line(outcome))

    def picture(self) -> WatchPicture:
        """Return the picture of the present state."""
        return self.painter.picture(self.clock.now(), self.clock.wall(), reading=self.reading)


def as_line(outcome: Outcome) -> str:
    """Return an outcome for people: job, state, time waited, why it failed."""
    why = "" if outcome.error is None else f"  {reason(outcome.error, outcome.job)}"
    state = painted(f"{end_word(outcome):<9}", outcome.state)
    again = "  (delivered before)" if outcome.redelivered else ""
    return f"{job_column(outcome.job)}  {state}  {span(outcome.waited):>12}{why}{again}".rstrip()


def as_object(outcome: Outcome, *, urls: bool) -> dict[str, Any]:
    """Return an outcome for programs. It has a signed URL only with ``urls``: anyone who has the URL has the file."""
    status, error = outcome.status, outcome.error
    fields: dict[str, Any] = {
        "job": None if outcome.job is None else str(outcome.job),
        "state": None if outcome.state is None else outcome.state.value,
        "status": None if status is None else scrubbed(status.status),
        "progress": None if status is None else status.progress,
        "error": None if error is None else {"type": type(error).__name__, "message": message(error, _kind(outcome))},
        "waited": round(outcome.waited, 3),
        "polls": outcome.polls,
        "detected_at": round(outcome.detected_at, 3),
    }
    return fields | ({"result_url": None if status is None else status.result_url} if urls else {})


def _kind(outcome: Outcome) -> Any:
    return None if outcome.job is None else outcome.job.kind
