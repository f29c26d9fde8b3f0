"""Running the command line as people and programs do: in this process, as a child, on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from topaz_status.testing import SimulatorProcess

PATIENCE = 120.0
"""Seconds after which a child is taken to hang."""
EAGER = ("--rate", "200", "--burst", "50", "--price", "0.001")
"""Options that make a watch of short jobs short."""
WITHOUT_RICH = "import sys; sys.modules['rich'] = None; from topaz_status.cli import main; sys.exit(main())"


@attrs.frozen
class Result:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output as JSON, an object a line."""
        return [json.loads(line) for line in self.lines]


Cli = Callable[..., Result]


def command(*words: object, rich: bool = True) -> list[str]:
    head = [sys.executable, "-m", "topaz_status"] if rich else [sys.executable, "-c", WITHOUT_RICH]
    return [*head, *map(str, words)]


def run(words: Sequence[object], environment: Mapping[str, str], *, feed: str = "", rich: bool = True) -> Result:
    """Run a child to its end."""
    done = subprocess.run(  # noqa: S603  # our own command
        command(*words, rich=rich),
        input=feed,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@contextmanager
def child(words: Sequence[object], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A child to talk to; it does not outlive the block."""
    with subprocess.Popen(  # noqa: S603  # our own command
        command(*words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def while_running(process: subprocess.Popen[str], condition: Callable[[], object]) -> None:
    """Wait for what must come before the child ends."""
    while not condition():
        assert process.poll() is None, ended(process)
        os.sched_yield()


def ended(process: subprocess.Popen[str]) -> Result:
    out, err = process.communicate(timeout=PATIENCE)
    return Result(process.returncode, out, err)


def end(simulator: SimulatorProcess, *jobs: str, **plan: object) -> None:
    """Let jobs that were stuck have ended; however long a child takes to start, it finds them running before."""
    assert simulator.stats()["leaked_keys"] == 0
    simulator.reset()
    named = (job.split(":", 1) for job in jobs)
    simulator.add_jobs({"kind": kind, "id": name, "after": -60.0, "duration": 1.0, **plan} for kind, name in named)


def line_of(stream: Any) -> str:
    """The next line, which must come."""
    ready, _, _ = select.select([stream], [], [], PATIENCE)
    assert ready, "no line came"
    return str(stream.readline())


@attrs.define
class Terminal:
    """The other end of a child's terminal."""

    process: subprocess.Popen[bytes]
    descriptor: int
    shown: str = ""

    def until(self, text: str) -> str:
        """Read until the text has been shown; gives all that was shown so far."""
        while text not in self.shown:
            assert self._read(), f"{text!r} never came: {self.shown!r}"
        return self.shown

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Read to the end; gives the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], PATIENCE)
        assert ready, f"nothing more was shown: {self.shown!r}"
        try:
            piece = os.read(self.descriptor, 65_536)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self.shown += piece.decode(errors="replace")
        return bool(piece)


@contextmanager
def terminal(
    words: Sequence[object],
    environment: Mapping[str, str],
    *,
    rich: bool = True,
    out: int | None = None,
    term: str = "xterm-256color",
) -> Iterator[Terminal]:
    """A child on a terminal of its own; ``out`` is where its standard output goes instead."""
    ours, theirs = pty.openpty()
    settings = {"TERM": term, "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(  # noqa: S603  # our own command
        command(*words, rich=rich),
        stdin=theirs,
        stdout=theirs if out is None else out,
        stderr=theirs,
        env={**environment, **settings},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
