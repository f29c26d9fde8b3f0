"""Helpers that the benchmarks share: child processes, a process's memory and CPU, quantiles, tables."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import attrs

from topaz_status import PollPolicy
from topaz_status.testing import SimulatorProcess

_SPAWN: Final = multiprocessing.get_context("spawn")
_KIBIBYTE: Final = 1024
_STOP_SECONDS: Final = 5.0
INTERRUPTED: Final = 130


# -- processes --------------------------------------------------------------------------------------------------------


class ChildFailedError(Exception):
    """A child process ended with an exception; this error carries its traceback."""


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Hide Ctrl-C from the processes started in this context: it ends their parent, and the parent ends them."""
    resource_tracker.ensure_running()  # otherwise it starts with the first child and removes the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def simulator_at(simulator: SimulatorProcess) -> Iterator[str]:
    """Run a simulator and give its URL."""
    with contextlib.ExitStack() as stack:
        with shielded():
            url = stack.enter_context(simulator)
        yield url


@attrs.frozen
class Failure:
    """The last message of a child that failed."""

    text: str


@attrs.define(eq=False)
class Child:
    """An async function that runs in a fresh interpreter. Messages go both ways; the child ends with its parent.

    ``work`` is a module-level function. The child calls it with its end of the pipe and ``arguments``.
    Its result is the last message that the parent receives.
    """

    work: Callable[..., Coroutine[Any, Any, Any]]
    arguments: tuple[Any, ...] = ()
    core: int | None = None
    """The core to which the child is bound; ``None`` for any."""
    uvloop: bool = False
    """Whether the child's event loop is uvloop's."""
    _pipe: Connection = attrs.field(init=False)
    _process: Any = attrs.field(init=False)

    def __enter__(self) -> Self:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_run,
            args=(theirs, self.core, self.uvloop, self.work, self.arguments),
            name=self.work.__name__,
            daemon=True,
        )
        with shielded():
            self._process.start()
        theirs.close()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(0 if _kind else _STOP_SECONDS)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def send(self, message: Any) -> None:
        """Send a message to the child.

        Raises:
            ChildFailedError: the child raised or has ended.
        """
        try:
            self._pipe.send(message)
        except BrokenPipeError:
            self.receive()  # the child's last message
            raise

    def kill(self) -> None:
        """Kill the child, as a system without memory does."""
        self._process.kill()
        self._process.join()

    def poll(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; return True when :meth:`receive` has a message at once."""
        return self._pipe.poll(timeout)

    def receive(self) -> Any:
        """Return the child's next message.

        Raises:
            ChildFailedError: the child raised or has ended.
        """
        try:
            message = self._pipe.recv()
        except EOFError:
            self._process.join(_STOP_SECONDS)
            raise ChildFailedError(f"{self.work.__name__} ended with code {self._process.exitcode}") from None
        if isinstance(message, Failure):
            raise ChildFailedError(message.text)
        return message


def in_child(
    work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, core: int | None = None, uvloop: bool = False
) -> Any:
    """Run ``work`` in a process of its own and return its result."""
    with Child(work, arguments, core, uvloop) as child:
        return child.receive()


def _run(
    pipe: Connection,
    core: int | None,
    fast: bool,  # noqa: FBT001  # the process passes its arguments by position
    work: Callable[..., Coroutine[Any, Any, Any]],
    arguments: tuple[Any, ...],
) -> None:
    """Run the child's side, without warnings: a budget that is too small is expected here."""
    logging.getLogger("topaz_status").addHandler(logging.NullHandler())
    if core is not None:
        os.sched_setaffinity(0, {core})
    message: Any
    try:
        with asyncio.Runner(loop_factory=_uvloop() if fast else None) as runner:
            message = runner.run(work(pipe, *arguments))
    except Exception:  # noqa: BLE001  # the parent raises it
        message = Failure(traceback.format_exc())
    with contextlib.suppress(OSError):
        pipe.send(message)


def has_uvloop() -> bool:
    """Return True where uvloop is installed."""
    return importlib.util.find_spec("uvloop") is not None


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop  # noqa: PLC0415  # optional

    return uvloop.new_event_loop


def two_cores() -> tuple[int | None, int | None]:
    """Return a core for the server and another for the client; ``None`` twice without two cores to choose from."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def run_main(main: Callable[[], None]) -> int:
    """Run a benchmark and return its exit code. Ctrl-C ends it with one line of output."""
    try:
        main()
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return INTERRUPTED
    except ChildFailedError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    return 0


# -- memory -----------------------------------------------------------------------------------------------------------


def peak_memory() -> int:
    """Return the most bytes of memory that this process has held.

    The figure is ``VmHWM`` where the system has it: ``ru_maxrss`` also counts the process that started this one.
    """
    for line in _proc_lines("status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIBIBYTE
    unit = 1 if sys.platform == "darwin" else _KIBIBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_memory() -> int:
    """Return the bytes of memory that this process holds now; the peak where the system does not report them."""
    for line in _proc_lines("statm"):
        return int(line.split()[1]) * resource.getpagesize()
    return peak_memory()


def _proc_lines(name: str) -> list[str]:
    try:
        return Path("/proc/self", name).read_text(encoding="ascii").splitlines()
    except OSError:
        return []


# -- figures ----------------------------------------------------------------------------------------------------------


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value at or below which ``share`` of a sorted sequence lies."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean, quantiles and maximum; an empty dict for no values."""
    ordered = sorted(values)
    if not ordered:
        return {}
    shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    return {
        "mean": sum(ordered) / len(ordered),
        **{name: quantile(ordered, share) for name, share in shares.items()},
        "max": ordered[-1],
    }


def median(values: Sequence[float]) -> float:
    """Return the middle value; for an even number of values, the upper of the two in the middle."""
    return quantile(sorted(values), 0.5)


def table(title: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table as plain text: the first column aligned left, figures aligned right."""
    lines = [list(title), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(title))]
    texts = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        ).rstrip()
        for line in lines
    ]
    return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])


def markdown(title: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table in Markdown: the first column aligned left, figures aligned right."""
    lines = [title, [":--", *["--:"] * (len(title) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def be_quiet() -> None:
    """Silence the client's warnings in this process: a benchmark causes them on purpose."""
    logging.getLogger("topaz_status").setLevel(logging.ERROR)


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give a function that overwrites one line on standard error; it does nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return

    def show(text: str) -> None:
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()

    try:
        yield show
    finally:
        show("")


def single_polls(**settings: Any) -> PollPolicy:
    """Make a policy that polls each image by itself, even where the library could read lists instead."""
    alone = {"sweep": False} if "sweep" in attrs.fields_dict(PollPolicy) else {}
    return PollPolicy(**settings, **alone)
