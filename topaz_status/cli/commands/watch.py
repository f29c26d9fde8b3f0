"""``watch`` and ``resume``: wait for any number of jobs, and print one line for each as it ends."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import attrs

from ...client import StatusClient
from ...completions import Completions
from ...coordination import Lead
from ...core.policy import PollPolicy
from ...errors import ConfigurationError
from ...models.job import JobRef
from ...models.redact import scrubbed
from ...outcome import Outcome
from ..coordinators import coordinator_of
from ..exit_codes import OK, UNKNOWN, USAGE, CommandError, code_of, explain, message, reason, require_keys, worst
from ..formatting import job_column, json_line, painted, span
from ..job_arguments import BadLine, Lines, named, parse_line, wants_stdin
from ..network_arguments import network_of
from ..progress_display import Progress
from ..screen import Screen, moving
from ..stores import require_store, store_of
from .watch_view import WatchPicture, picture_of

_GO_ON: Final = "; the jobs themselves go on"


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
        progress = Progress(client, timeout)
        watching = Watching(progress, screen, as_json=arguments.json, urls=arguments.urls)
        source = watching.stream(jobs, sys.stdin.fileno()) if piped else jobs
        async with client.as_completed(source, **timeout) as outcomes:
            if not piped:
                progress.take(jobs)
            try:
                async with moving(screen, watching.picture):
                    async for outcome in outcomes:
                        watching.end(outcome)
            except asyncio.CancelledError:
                progress.report_open(screen, "; 'resume' goes on with them" if arguments.store else _GO_ON)
                raise
    return worst(watching.codes)


async def resume(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return its exit code."""
    require_store(arguments)
    timeout = {} if arguments.timeout is None else {"timeout": arguments.timeout}
    async with new_client(arguments) as client:
        progress = Progress(client)
        watching = Watching(progress, screen, as_json=arguments.json, urls=arguments.urls)
        async with client.resume(follow=arguments.follow, **timeout) as outcomes:
            watching.resumed = outcomes
            try:
                async with moving(screen, watching.picture):
                    async for outcome in outcomes:
                        watching.end(outcome)
            except asyncio.CancelledError:
                progress.adopt(outcomes.watches)
                progress.report_open(screen, "; 'resume' goes on with them")
                raise
    return worst(watching.codes)


@attrs.define(eq=False)
class Watching:
    """One run of the command."""

    progress: Progress
    screen: Screen
    as_json: bool
    urls: bool
    codes: set[int] = attrs.field(factory=lambda: {OK})
    reading: bool = False
    resumed: Completions | None = None
    """The outcomes of ``resume``; ``None`` for ``watch``."""
    began_at: float = attrs.field(factory=lambda: asyncio.get_running_loop().time())

    async def stream(self, jobs: list[JobRef], descriptor: int) -> AsyncIterator[JobRef]:
        """Yield the named jobs, then the jobs from standard input as they come."""
        self.reading = True
        for job in jobs:
            self.progress.take([job])
            yield job
        number = 0
        async for line in Lines(descriptor):
            number += 1
            job_or_problem = parse_line(number, line)
            if isinstance(job_or_problem, BadLine):
                self.codes.add(USAGE)
                self.screen.err(str(job_or_problem))
            elif job_or_problem is not None:
                self.progress.take([job_or_problem])
                yield job_or_problem
        self.reading = False

    def end(self, outcome: Outcome) -> None:
        """Count a job as ended, and print its outcome."""
        self.progress.end(outcome)
        self.codes.add(code_of(outcome.error))
        fields = as_object(outcome, urls=self.urls)
        if self.resumed is not None:
            fields |= {"tag": outcome.tag, "redelivered": outcome.redelivered}
        self.screen.out(json_line(fields) if self.as_json else as_line(outcome))

    def picture(self) -> WatchPicture:
        """Return the picture of the present state."""
        if self.resumed is not None:
            self.progress.adopt(self.resumed.watches)
        return picture_of(self.progress, asyncio.get_running_loop().time(), self.began_at, reading=self.reading)


def as_line(outcome: Outcome) -> str:
    """Return an outcome for people: job, state, time waited, why it failed."""
    word = outcome.state.value if outcome.state else "lost" if code_of(outcome.error) == 1 else "not known"
    why = "" if outcome.error is None else f"  {reason(outcome.error, outcome.job)}"
    state = painted(f"{word:<9}", outcome.state)
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
