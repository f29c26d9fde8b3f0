"""What users write, for type checkers: mypy and pyright read it beside the installed wheel, both as strict as they are.

Nothing here runs. ``assert_type`` says what a checker must find; an ignored line is one that a checker must refuse.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_type

from topaz_status import (
    Completions,
    Download,
    Explanation,
    ImagePage,
    ImageStatus,
    JobFailedError,
    JobKind,
    JobRef,
    JobState,
    JobStatus,
    MemoryStore,
    Outcome,
    PollPolicy,
    SQLiteStore,
    Stats,
    StatusClient,
    TopazStatusError,
    TryOnStatus,
    VideoRecord,
    VideoStatus,
    Watch,
    WatchTimeoutError,
)


async def one_job_of_each_kind(client: StatusClient) -> None:
    """A kind's own endpoint gives that kind's status."""
    assert_type(await client.image.watch("a"), ImageStatus)
    assert_type(await client.video.watch("a", timeout=600), VideoStatus)
    assert_type(await client.try_on.watch("a", timeout=None, tag=7), TryOnStatus)
    assert_type(client.image.watch("a"), Watch[ImageStatus])
    assert_type(await client.image.watch("a").outcome(), Outcome)
    assert_type(client.image.watch("a").status, ImageStatus | None)
    async for status in client.video.watch("a").updates():
        assert_type(status, VideoStatus)


async def many_jobs(client: StatusClient, jobs: list[JobRef | str], more: AsyncIterator[str]) -> None:
    """Jobs of several kinds give the union of the statuses."""
    assert_type(client.as_completed(jobs), Completions)
    async for outcome in client.as_completed(more, timeout=60.0):
        assert_type(outcome.job, JobRef | None)
        assert_type(outcome.state, JobState | None)
        assert_type(outcome.status, JobStatus | None)
        assert_type(outcome.error, TopazStatusError | None)
    assert_type(await client.gather(jobs), list[JobStatus])
    assert_type(await client.gather(jobs, return_exceptions=True), list[JobStatus | Exception])
    assert_type(await client.outcomes(["image:a", JobRef(JobKind.VIDEO, "b")]), list[Outcome])


async def calls(client: StatusClient) -> None:
    """Each call says what it gives."""
    assert_type(await client.image.get("a"), ImageStatus)
    assert_type(await client.image.page(limit=10), ImagePage)
    assert_type(await client.image.delete_all(), int | None)
    assert_type([one async for one in client.image.list()], list[ImageStatus])
    assert_type([one async for one in client.video.history()], list[VideoRecord])
    assert_type(await client.get("image:a"), JobStatus)
    assert_type(await client.result("video:a"), Download)
    assert_type(await client.save("video:a", Path(), max_bytes=10), Path)
    assert_type(client.stats(), Stats)
    assert_type(client.watch("image:a").explain(), Explanation)
    assert_type(client.notify(b"{}"), JobRef | None)


async def settings_and_errors() -> None:
    """Settings are checked by their types, and an error has its facts."""
    policy = PollPolicy(price=0.02, timeout=None)
    async with StatusClient(service_rates={"try-on": 2.0, JobKind.IMAGE: None}, policy=policy) as client:
        assert_type(client, StatusClient)
        try:
            await client.watch("image:a")
        except JobFailedError as error:
            assert_type(error.status, JobStatus | None)
            assert_type(error.job, JobRef)
            assert_type(error.reason, str | None)
        except WatchTimeoutError as error:
            assert_type(error.last_error, TopazStatusError | None)
    StatusClient(store=MemoryStore())
    StatusClient(store=SQLiteStore(Path("watches.db")))


def what_a_checker_refuses(client: StatusClient, status: ImageStatus) -> None:
    """A misspelt field, a frozen one, and a number that is a text are found before the program runs."""
    client.image.watch("a", timeout="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    status.progress = 1.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    StatusClient(rates=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
