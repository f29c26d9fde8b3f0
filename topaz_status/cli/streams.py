"""Prepares the three standard streams for any console, file or pipe before a command uses them.

Standard output and standard error use the encoding of the console (cp437, cp1252, ASCII). Characters that the encoding
lacks are written in ASCII: those of this command line by similar characters, all others escaped. A closed pipe, a full
disk and a stream that was closed from the start cause no traceback either.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from .exit_codes import BROKEN_PIPE, OK, UNKNOWN

_ERROR_HANDLER: Final = "topaz_status.stand_in"
_SIMILAR: Final = {
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
    """Do a command's work with prepared streams, and return its exit code.

    The code is 141 if the reader of the output has closed it, as shells report for a command that SIGPIPE ended.
    """
    with _opened(), _lenient():
        code = UNKNOWN
        try:
            code = work()
            sys.stdout.flush()
            sys.stderr.flush()
        except BrokenPipeError:
            _discard_unwritten()
            return BROKEN_PIPE
        except OSError as problem:  # raised by the flush: the work handles its own errors
            _discard_unwritten()
            return code if code != OK else _report_unwritable(problem)
        return code


def can_show(text: str, stream: TextIO) -> bool:
    """Return whether a stream's encoding has every character of ``text``."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def wants_color(stream: TextIO) -> bool:
    """Return whether to color output to a stream: on a terminal unless NO_COLOR is set, or anywhere with FORCE_COLOR.

    Each variable counts if it is not empty, and NO_COLOR wins (https://no-color.org, https://force-color.org).
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or moves(stream)


def moves(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that can overwrite what it shows."""
    return stream.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}


@contextlib.contextmanager
def _opened() -> Iterator[None]:
    """Open the null device for each stream that was closed from the start.

    Without this, ``print`` could confuse the streams, and a socket or a store could be opened as descriptor 1 or 2.
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
    """Replace characters that cannot be decoded or encoded, while inside, so that none of them ends the command."""
    codecs.register_error(_ERROR_HANDLER, _replace)
    wanted = ((sys.stdin, "replace"), (sys.stdout, _ERROR_HANDLER), (sys.stderr, _ERROR_HANDLER))
    before = [(stream, getattr(stream, "errors", None)) for stream, _ in wanted]
    for stream, errors in wanted:
        _set_errors(stream, errors)
    try:
        yield
    finally:
        for stream, previous in before:
            _set_errors(stream, previous)


def _set_errors(stream: Any, errors: str | None) -> None:
    """Set how a stream handles characters that its encoding lacks; a caller's stream in memory stays unchanged."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        stream.reconfigure(errors=errors)


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII text for characters that an encoding lacks: an error handler of :mod:`codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIMILAR.get(one) or _escaped(one) for one in lacking), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


def _discard_unwritten() -> None:
    """Send unwritten text to the null device, so that the interpreter reports no error for it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)


def _report_unwritable(problem: OSError) -> int:
    with contextlib.suppress(OSError):
        print(f"topaz-status: {unwritable(problem)}", file=sys.stderr, flush=True)
    return UNKNOWN


def unwritable(problem: OSError) -> str:
    """Return the error text for a failed write to standard output."""
    return f"cannot write to standard output: {problem.strerror or problem}"
