"""Reads the jobs of a command from its arguments, from standard input, or from both."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

import attrs

from ..errors import ConfigurationError
from ..models.job import JobRef
from .decoding import LineDecoder
from .exit_codes import USAGE, CommandError

STDIN: Final = "-"
_CHUNK: Final = 1 << 16
_NO_TEXT: Final = "this is no text in UTF-8: save the list as UTF-8, or as UTF-16 with a byte order mark"


@attrs.frozen
class BadLine:
    """A line of standard input that names no job."""

    number: int
    problem: str

    def __str__(self) -> str:
        return f"standard input, line {self.number}: {self.problem}"


def wants_stdin(jobs: Sequence[JobRef | str]) -> bool:
    """Return whether to read jobs from standard input: ``-`` asks for it, or no job is named and input is piped in.

    Raises:
        CommandError: no job is named and nothing is piped in, or standard input is closed.
    """
    if STDIN in jobs and sys.stdin is None:
        raise CommandError("there is no standard input to read jobs from: it is closed", USAGE)
    if jobs:
        return STDIN in jobs
    if sys.stdin is None or sys.stdin.isatty():
        raise CommandError("name at least one JOB such as image:ID, or pipe jobs in, one a line", USAGE)
    return True


def named(jobs: Sequence[JobRef | str]) -> list[JobRef]:
    """Return the jobs among the arguments, each once."""
    return list(dict.fromkeys(job for job in jobs if isinstance(job, JobRef)))


def all_jobs(jobs: Sequence[JobRef | str]) -> list[JobRef]:
    """Return the jobs among the arguments and, if wanted, all jobs on standard input; each once.

    Raises:
        CommandError: a line names no job, or there is no input to read jobs from.
    """
    found = named(jobs)
    if wants_stdin(jobs):
        for job in parse_lines(enumerate(_lines(sys.stdin.fileno()), 1)):
            if isinstance(job, BadLine):
                raise CommandError(str(job), USAGE)
            found.append(job)
    return list(dict.fromkeys(found))


def _lines(descriptor: int) -> Iterator[str]:
    decoder, piece = LineDecoder(), b"-"
    while piece:
        try:
            piece = os.read(descriptor, _CHUNK)
        except OSError as problem:
            raise CommandError(f"cannot read standard input: {problem.strerror}", USAGE) from None
        yield from decoder.feed(piece)


def parse_lines(lines: Iterator[tuple[int, str]]) -> Iterator[JobRef | BadLine]:
    """Read numbered lines; skip blank lines and ``#`` comments."""
    for number, line in lines:
        job = parse_line(number, line)
        if job is not None:
            yield job


def parse_line(number: int, line: str) -> JobRef | BadLine | None:
    """Read one line; return ``None`` for no job. Joined lists may have a byte order mark at the start of any line."""
    text = line.strip().lstrip("\N{ZERO WIDTH NO-BREAK SPACE}").lstrip()
    if not text or text.startswith("#"):
        return None
    if "\0" in text or "\N{REPLACEMENT CHARACTER}" in text:
        return BadLine(number, _NO_TEXT)
    try:
        return JobRef.parse(text)
    except ConfigurationError as error:
        return BadLine(number, str(error))


class Lines:
    """Yields the lines of standard input as they come, and never blocks the event loop or the process's exit.

    A daemon thread reads the bare descriptor, one chunk ahead of the reader. It does not use ``sys.stdin``, because the
    interpreter could not end while the thread holds that object's lock.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._wanted = threading.Semaphore(1)
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="topaz-status-stdin", daemon=True).start()
        decoder, piece = LineDecoder(), b"-"
        while piece:
            piece = await self._pieces.get()
            self._wanted.release()
            for line in decoder.feed(piece):
                yield line

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        piece = b"-"
        while piece:
            self._wanted.acquire()
            try:
                piece = os.read(self._descriptor, _CHUNK)
            except OSError:
                piece = b""
            try:
                loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
            except RuntimeError:  # the loop is closed: there is no reader any more
                return
