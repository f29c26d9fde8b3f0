"""``download``: fetches result files, a few at a time, with a bar for each on a terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Final

import attrs

from ...client import StatusClient
from ...download.files import file_name
from ...errors import ConfigurationError
from ...models.job import JobRef
from ..exit_codes import OK, UNKNOWN, USAGE, CommandError, require_keys
from ..formatting import job_column, json_line, plural, size
from ..job_arguments import all_jobs
from ..screen import Screen, moving
from .get_list_delete import each

_BAR: Final = 24


async def download(arguments: argparse.Namespace, screen: Screen) -> int:
    """Fetch the result files of finished jobs, a few at a time."""
    jobs = all_jobs(arguments.jobs)
    require_keys(jobs)
    _check_name(arguments.name, jobs)
    transfers = Transfers(len(jobs))

    async def one(client: StatusClient, job: JobRef) -> int:
        try:
            path = await client.save(
                job,
                arguments.folder,
                name=arguments.name,
                max_bytes=arguments.max_size,
                progress=lambda at, total: transfers.note(job, at, total),
            )
        except OSError as error:
            screen.err(f"{job}: cannot write to {arguments.folder}: {error.strerror or error}")
            return UNKNOWN
        finally:
            transfers.end(job)
        saved: dict[str, Any] = {"job": str(job), "path": str(path), "bytes": path.stat().st_size}
        line = f"{job_column(job)}  {path}  ({plural(saved['bytes'], 'byte')})"
        screen.out(json_line(saved) if arguments.json else line)
        return OK

    async with moving(screen, transfers.picture):
        return await each(arguments, jobs, one, screen, at_once=arguments.max_downloads)


def _check_name(name: str | None, jobs: Sequence[JobRef]) -> None:
    if name is None:
        return
    if len(jobs) > 1:
        raise CommandError("--name is for one job: several files cannot share a name", USAGE)
    try:
        file_name(name)
    except ConfigurationError as error:
        raise CommandError(str(error), USAGE) from None


@attrs.define(eq=False)
class Transfers:
    """The files that are being fetched: bytes fetched of each, and its total bytes where known."""

    jobs: int
    ended: int = 0
    open: dict[JobRef, tuple[int, int | None]] = attrs.field(factory=dict)

    def note(self, job: JobRef, at: int, total: int | None) -> None:
        """Record how much of a file is fetched."""
        self.open[job] = at, total

    def end(self, job: JobRef) -> None:
        """Count a file as done, whether it was fetched or failed."""
        self.open.pop(job, None)
        self.ended += 1

    def picture(self) -> TransfersPicture:
        """Return the picture of the present state."""
        return TransfersPicture(self.jobs, self.ended, dict(self.open))


@attrs.frozen
class TransfersPicture:
    """The state of ``download`` at one moment."""

    jobs: int
    ended: int
    open: dict[JobRef, tuple[int, int | None]]

    def line(self) -> str:
        """See :class:`.Picture`."""
        files = " · ".join(_amount(at, total) for at, total in self.open.values())
        return f"{self.ended:,} of {plural(self.jobs, 'file')}" + (f": {files}" if files else "")

    def drawing(self, width: int, height: int) -> Any:  # noqa: ARG002  # there are few files at a time
        """See :class:`.Picture`."""
        from rich.console import Group  # noqa: PLC0415  # an extra
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_column(width=_BAR)
        grid.add_column(justify="right", no_wrap=True)
        for job, (at, total) in self.open.items():
            drawn = ProgressBar(total=total, completed=at, width=_BAR) if total else Text("")
            grid.add_row(Text(str(job)), drawn, _amount(at, total))
        return Group(grid, Text(f"{self.ended:,} of {plural(self.jobs, 'file')}", style="dim"))


def _amount(at: int, total: int | None) -> str:
    return size(at) if total is None else f"{size(at)} of {size(total)}"
