"""A folder of images: submit all, wait, save the results: ``python -m topaz_status.examples.bulk_folder FROM TO``.

Run it again after a crash or Ctrl-C: files whose result is there are left out, and jobs that were submitted are only
waited for. ``TO/submitted.txt`` says which they are.

Watch out:

- A job costs credits as soon as it is submitted, so its name is written down before anything else happens. A crash
  between the service's answer and that line still submits one file twice.
- Submitting is your own call, with its own limits. Here one submit follows the other while earlier jobs are waited for.
- A name that came from elsewhere is no file name: results are named after the files here.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from topaz_status import JobRef, Outcome, StatusClient, TopazStatusError
from topaz_status.examples.submitting import submit


def files_without_result(source: Path, target: Path) -> dict[str, JobRef | None]:
    """Return the files to do by name, each with its job if an earlier run has submitted one."""
    target.mkdir(parents=True, exist_ok=True)
    (book := target / "submitted.txt").touch()
    lines = (line.split("\t") for line in book.read_text(encoding="utf-8").splitlines())
    known = {name: JobRef.parse(job) for job, name in lines}
    return {file.name: known.get(file.name) for file in sorted(source.iterdir()) if not (target / file.name).exists()}


def write_down(target: Path, job: JobRef, name: str) -> None:
    """Add a job to the book of those that are submitted."""
    with (target / "submitted.txt").open("a", encoding="utf-8") as book:
        book.write(f"{job}\t{name}\n")


async def jobs_of(source: Path, target: Path, names: dict[JobRef, str]) -> AsyncIterator[JobRef]:
    """Yield the job of each file without a result; submit it if no earlier run has."""
    for name, known in files_without_result(source, target).items():
        job = known or await submit(duration=2.0)
        if known is None:
            write_down(target, job, name)
        names[job] = name
        yield job


async def save(client: StatusClient, outcome: Outcome, name: str, target: Path) -> None:
    """Save a result under its file's name, or say why there is none."""
    try:
        if outcome.error is not None or outcome.job is None:
            raise outcome.error or TopazStatusError(name)
        await client.save(outcome.job, target, name=name)
        print(f"{name}: saved")
    except TopazStatusError as error:
        print(f"{name}: {error}")


async def main(source: Path, target: Path) -> None:
    """Bring the results of all files of ``source`` to ``target``."""
    names: dict[JobRef, str] = {}
    async with StatusClient(rate=20) as client, asyncio.TaskGroup() as downloads:
        async for outcome in client.as_completed(jobs_of(source, target, names)):
            if outcome.job is not None:  # at most ``max_downloads`` of these are fetched at a time
                downloads.create_task(save(client, outcome, names[outcome.job], target))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
