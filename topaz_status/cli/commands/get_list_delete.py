"""``get``, ``list`` and ``delete``: commands that call the services once and end."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from ...client import StatusClient
from ...errors import TopazStatusError
from ...models.job import JobKind, JobRef, JobState
from ..exit_codes import FAILED, OK, UNKNOWN, USAGE, CommandError, code_of, explain, require_keys, worst
from ..formatting import job_column, json_line, moment, painted, percent, plural
from ..job_arguments import all_jobs
from ..screen import Screen
from ..status_output import AnyStatus, as_lines, as_object
from .watch import new_client

_MOST_PER_PAGE: Final = 100
_BAD_ENDS: Final = frozenset({JobState.FAILED, JobState.CANCELED, JobState.EXPIRED})

One = Callable[[StatusClient, JobRef], Awaitable[int]]


async def get(arguments: argparse.Namespace, screen: Screen) -> int:
    """Print the status of each job."""
    jobs = all_jobs(arguments.jobs)
    require_keys(jobs)

    async def one(client: StatusClient, job: JobRef) -> int:
        status = await client.get(job)
        if arguments.json:
            screen.out(json_line(as_object(status, urls=arguments.urls)))
        else:
            screen.out("\n".join(as_lines(status, urls=arguments.urls)))
        return FAILED if status.state in _BAD_ENDS else OK

    return await each(arguments, jobs, one, screen)


async def each(
    arguments: argparse.Namespace,
    jobs: Sequence[JobRef],
    one: One,
    screen: Screen,
    *,
    at_once: int = 1,
    conflict: str | None = None,
) -> int:
    """Call ``one`` for each job, in the given order, and return the worst exit code.

    Each error is printed on a line of its own. ``conflict`` is the advice when a job's state does not allow the call.
    """
    slots, codes = asyncio.Semaphore(at_once), []

    async def attempt(client: StatusClient, job: JobRef) -> None:
        async with slots:
            try:
                codes.append(await one(client, job))
            except TopazStatusError as error:
                screen.err(_about(job, explain(error, job.kind, conflict=conflict)))
                codes.append(code_of(error))

    try:
        async with new_client(arguments) as client, asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(attempt(client, job))
    except asyncio.CancelledError:
        screen.err(f"stopped: {len(jobs) - len(codes):,} of {plural(len(jobs), 'job')} not done")
        raise
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    return worst(codes)


def _about(job: JobRef, text: str) -> str:
    return text if str(job) in text else f"{job}: {text}"


async def list_(arguments: argparse.Namespace, screen: Screen) -> int:
    """Print the account's jobs of one kind, in the service's order, newest first."""
    kind = JobKind(arguments.kind)
    require_keys([JobRef(kind, "any")])
    left = arguments.limit
    async with new_client(arguments) as client:
        jobs: AsyncIterator[AnyStatus] = client.video.history()
        if kind is JobKind.IMAGE:
            jobs = client.image.list(min(left or _MOST_PER_PAGE, _MOST_PER_PAGE))
        try:
            async for status in jobs:
                line = json_line(as_object(status, urls=arguments.urls)) if arguments.json else _row(status)
                screen.out(line)
                left = None if left is None else left - 1
                if left == 0:
                    break
        except TopazStatusError as error:
            raise CommandError(explain(error, kind), UNKNOWN) from None
    return OK


def _row(status: AnyStatus) -> str:
    """Return one line of a list: the job, its state and progress, the time of its last change, why it failed."""
    at = getattr(status, "modification_time", None) or getattr(status, "last_event_at", None)
    when = "" if at is None else moment(at)
    state = painted(f"{status.state.value:<9}", status.state)
    progress = percent(getattr(status, "progress", None))
    return f"{job_column(status.job)}  {state}  {progress:>5}  {when}  {status.reason or ''}".rstrip()


async def delete(arguments: argparse.Namespace, screen: Screen) -> int:
    """Remove the records of image jobs; :func:`prepare_delete` has asked the user before."""
    if arguments.all:
        return await _delete_all(arguments, screen)

    async def one(client: StatusClient, job: JobRef) -> int:
        await client.image.delete(job)
        screen.out(json_line({"job": str(job), "deleted": True}) if arguments.json else f"{job_column(job)}  deleted")
        return OK

    conflict = "'topaz-status watch JOB' waits for its end"  # the service refuses to delete jobs that have not ended
    return await each(arguments, arguments.jobs, one, screen, conflict=conflict)


async def _delete_all(arguments: argparse.Namespace, screen: Screen) -> int:
    async with new_client(arguments) as client:
        try:
            count = await client.image.delete_all()
        except TopazStatusError as error:
            raise CommandError(explain(error, JobKind.IMAGE), UNKNOWN) from None
    deleted = "all records" if count is None else plural(count, "record")
    screen.out(json_line({"deleted_count": count}) if arguments.json else f"{deleted} deleted")
    return OK


def prepare_delete(arguments: argparse.Namespace) -> bool:
    """Check the arguments of ``delete`` and ask the user; return False if the user declines.

    Raises:
        CommandError: the arguments are unusable, or there is no terminal to ask at.
    """
    if arguments.all and arguments.jobs:
        raise CommandError("name jobs or say --all, not both", USAGE)
    if not arguments.all:
        arguments.jobs = all_jobs(arguments.jobs)
        for job in arguments.jobs:
            if job.kind is not JobKind.IMAGE:
                raise CommandError(f"{job} cannot be deleted: only the image service deletes records", USAGE)
    require_keys([JobRef(JobKind.IMAGE, "any")])
    if arguments.yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError("delete asks first, and standard input is no terminal: add --yes if you mean it", USAGE)
    what = "ALL image jobs of the account, however many they are" if arguments.all else _these(arguments.jobs)
    sys.stderr.write(f"Delete the records of {what}? This cannot be undone. [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _these(jobs: Sequence[JobRef]) -> str:
    return str(jobs[0]) if len(jobs) == 1 else plural(len(jobs), "image job")
