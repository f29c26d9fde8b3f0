"""The three standard streams, made fit for any console, file or pipe before a command uses them.

Text leaves through standard output and standard error in the encoding that the console has (cp437, cp1252, ASCII).
What that encoding lacks leaves in ASCII: the signs of this command line by their look-alikes, everything else escaped.
A reader that has gone, a full disk and a stream that was closed from the start are no tracebacks either.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from .exit_codes import BROKEN_PIPE, OK, UNKNOWN

_STAND_IN: Final = "topaz_status.stand_in"
_LOOK_ALIKES: Final = {
    "…": "...",
    "–": "-",
    "—": "--",
    "─": "-",
    "·": "|",
    "×": "x",
    "\N{REPLACEMENT CHARACTER}": "?",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{NO-BREAK SPACE}": " ",
}


def guarded(work: Callable[[], int]) -> int:
    """Do a command's work with streams that are fit for it; gives its exit code.

    The code is 141 where the reader of the output has gone, as a shell reports it of any command that SIGPIPE ended.
    """
    with _opened(), _lenient():
        code = UNKNOWN
        try:
            code = work()
            sys.stdout.flush()
            sys.stderr.flush()
        except BrokenPipeError:
            _let_go()
            return BROKEN_PIPE
        except OSError as problem:  # of the flushing: the work has its own
            _let_go()
            return code if code != OK else _complain(problem)
        return code


def can_show(text: str, stream: TextIO) -> bool:
    """True where a stream's encoding has every character of ``text``."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def wants_color(stream: TextIO) -> bool:
    """True where output to a stream is to be colored: on a terminal, unless NO_COLOR, or anywhere with FORCE_COLOR.

    Each counts when it is not empty, and NO_COLOR wins (https://no-color.org, https://force-color.org).
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or moves(stream)


def moves(stream: TextIO) -> bool:
    """True for a terminal that can do more than print."""
    return stream.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}


@contextlib.contextmanager
def _opened() -> Iterator[None]:
    """Put the null device where a stream was closed from the start.

    Else ``print`` would take one stream for the other, and a socket or a store could be opened as number 1 or 2.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    with contextlib.ExitStack() as stack:
        if sys.stdout is None:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(_nowhere())))
        if sys.stderr is None:
            stack.enter_context(contextlib.redirect_stderr(stack.enter_context(_nowhere())))
        yield


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # entered by the caller


@contextlib.contextmanager
def _lenient() -> Iterator[None]:
    """Let no character end the command, in or out."""
    codecs.register_error(_STAND_IN, _stand_in)
    wanted = ((sys.stdin, "replace"), (sys.stdout, _STAND_IN), (sys.stderr, _STAND_IN))
    before = [(stream, getattr(stream, "errors", None)) for stream, _ in wanted]
    for stream, errors in wanted:
        _handle(stream, errors)
    try:
        yield
    finally:
        for stream, previous in before:
            _handle(stream, previous)


def _handle(stream: Any, errors: str | None) -> None:
    """Set what a stream does with characters that its encoding lacks; a caller's own, in memory, stays as it is."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        stream.reconfigure(errors=errors)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Give what stands for characters that an encoding lacks: an error handler of :mod:`codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_LOOK_ALIKES.get(one) or _escaped(one) for one in lacking), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


def _let_go() -> None:
    """Have the null device take what a stream still holds: the interpreter must not complain of it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)


def _complain(problem: OSError) -> int:
    with contextlib.suppress(OSError):
        print(f"topaz-status: {unwritable(problem)}", file=sys.stderr, flush=True)
    return UNKNOWN


def unwritable(problem: OSError) -> str:
    """What to say where standard output takes no more."""
    return f"cannot write to standard output: {problem.strerror or problem}"
