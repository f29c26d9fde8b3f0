"""Running the command line as people and programs do: in this process, as a child, on a terminal."""

from __future__ import annotations

import codecs
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import pyte

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
class Display:
    """A terminal's display, as an emulator shows it."""

    columns: int
    rows: int
    _screen: Any = attrs.field(init=False)
    _stream: Any = attrs.field(init=False)
    _fed: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._screen = pyte.Screen(self.columns, self.rows)
        self._stream = pyte.Stream(self._screen)

    def lines(self, shown: str) -> list[str]:
        """The lines of the display, after all that was shown; those below the last text are left out."""
        self._stream.feed(shown[self._fed :])
        self._fed = len(shown)
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")

    def narrowed(self, shown: str, columns: int) -> Display:
        """A display of fewer columns with the same text: as most terminals do, it wraps the lines."""
        lines = self.lines(shown)
        display = Display(columns, self.rows)
        display.lines("\r\n".join(lines[: self._screen.cursor.y + 1]))
        display._fed = self._fed
        return display


@attrs.define
class Terminal:
    """The other end of a child's terminal."""

    process: subprocess.Popen[bytes]
    descriptor: int
    shown: str = ""
    _decoder: codecs.IncrementalDecoder = attrs.field(factory=codecs.getincrementaldecoder("utf-8"), init=False)
    """What is read may end within a character."""

    def until(self, text: str) -> str:
        """Read until the text has been shown; gives all that was shown so far."""
        while text not in self.shown:
            assert self._read(), f"{text!r} never came: {self.shown!r}"
        return self.shown

    def until_screen(self, display: Display, condition: Callable[[list[str]], bool]) -> list[str]:
        """Read until what a person sees on the display fulfils a condition; gives its lines."""
        while not condition(lines := display.lines(self.shown)):
            assert self._read(), f"it never came: {lines}"
        return lines

    def pause(self, display: Display, condition: Callable[[list[str]], bool]) -> None:
        """Stop the child when all that it has written fulfils a condition; else it may be in the midst of a picture."""
        while True:
            self.until_screen(display, condition)
            self.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
            while select.select([self.descriptor], [], [], 0.0)[0]:
                self._read()
            if condition(display.lines(self.shown)) and not re.search(r"\x1b[^A-Za-z]*$", self.shown):
                return
            self.process.send_signal(signal.SIGCONT)
            self._read()

    def resume(self, columns: int, rows: int) -> None:
        """Let the child go on, in a terminal of another size."""
        termios.tcsetwinsize(self.descriptor, (rows, columns))
        self.process.send_signal(signal.SIGCONT)

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
        self.shown += self._decoder.decode(piece)
        return bool(piece)


@contextmanager
def terminal(
    words: Sequence[object],
    environment: Mapping[str, str],
    *,
    rich: bool = True,
    out: int | None = None,
    term: str = "xterm-256color",
    columns: int = 100,
    rows: int = 40,
) -> Iterator[Terminal]:
    """A child on a terminal of its own; ``out`` is where its standard output goes instead."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (rows, columns))
    inherited = {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(  # noqa: S603  # our own command
        command(*words, rich=rich),
        stdin=theirs,
        stdout=theirs if out is None else out,
        stderr=theirs,
        env={**inherited, "TERM": term},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
