"""A moving picture on a terminal while a command works, and lines of output that must not damage it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Protocol

from ..session.timing.backoff_delays import pause
from .exit_codes import UNKNOWN, CommandError, in_options
from .streams import unwritable

_REFRESH: Final = 0.2
"""Seconds between two drawings of the picture, at least."""
_SHARE: Final = 20.0
"""The pause after a drawing, as a multiple of its duration: drawing takes at most about a 20th of the time."""
_USUAL_COLUMNS: Final = 80
_CLEAR: Final = "\r\x1b[K"
_CLEAR_ABOVE: Final = "\x1b[A\x1b[K"


class Picture(Protocol):
    """The state of a command's work at one moment."""

    def line(self) -> str:
        """Return the picture as one line of plain text."""

    def drawing(self, width: int, height: int) -> Any:
        """Return the picture as an object that rich draws, in at most so many columns and lines."""


class Screen:
    """Output without a terminal: it prints lines and shows no picture."""

    moves = False
    """True if the screen shows pictures."""

    def show(self, picture: Picture) -> None:
        """Replace the last picture by this one."""

    def out(self, text: str) -> None:
        """Print a line of the result, and flush it.

        Raises:
            BrokenPipeError: the reader of standard output has closed it.
            CommandError: the line cannot be written.
        """
        try:
            print(text, flush=True)
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise CommandError(unwritable(problem), UNKNOWN) from None

    def err(self, text: str) -> None:
        """Print a line that is no result to standard error."""
        print(f"topaz-status: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the picture."""


class LineScreen(Screen):
    """Output on a terminal without rich: the picture is one line that is overwritten."""

    moves = True
    _shown = ""

    def show(self, picture: Picture) -> None:
        """See :class:`Screen`."""
        self._clear()
        self._shown = picture.line()[: _columns() - 1]
        self._write(self._shown)

    def out(self, text: str) -> None:
        """See :class:`Screen`."""
        self._clear()
        super().out(text)
        self._write(self._shown)

    def err(self, text: str) -> None:
        """See :class:`Screen`."""
        self._clear()
        super().err(text)
        self._write(self._shown)

    def close(self) -> None:
        """See :class:`Screen`."""
        self._clear()
        self._shown = ""

    def _clear(self) -> None:
        """Remove the line, also where a terminal that has become narrower shows it in several rows."""
        rows = rows_of(len(self._shown), _columns())
        self._write(_CLEAR + _CLEAR_ABOVE * (rows - 1))

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _columns() -> int:
    """Return the columns of standard error's terminal; 80 if it does not know them."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    with contextlib.suppress(OSError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS
    return _USUAL_COLUMNS


def rows_of(length: int, columns: int) -> int:
    """Return how many rows a terminal needs for a line of so many columns."""
    return max(1, -(-length // max(1, columns)))


@contextlib.asynccontextmanager
async def moving(screen: Screen, picture: Callable[[], Picture]) -> AsyncIterator[None]:
    """Redraw the picture again and again while inside."""
    if not screen.moves:
        yield
        return
    drawing = asyncio.create_task(_draw(screen, picture))
    try:
        yield
    finally:
        drawing.cancel()
        await asyncio.wait([drawing])
        screen.close()
        if not drawing.cancelled():
            drawing.result()  # raises the error that stopped the drawing


async def _draw(screen: Screen, picture: Callable[[], Picture]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        screen.show(picture())
        await pause(max(_REFRESH, _SHARE * (loop.time() - began)))


class LogHandler(logging.Handler):
    """Writes the library's log to standard error, through the screen."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record; a failure to write it does not disturb the command."""
        with contextlib.suppress(OSError):
            self._screen.err(in_options(self.format(record)))


@contextlib.contextmanager
def logged(screen: Screen, verbose: int) -> Iterator[None]:
    """Show the log: warnings; from ``verbose`` 1 on also changes of state; from 2 on also every poll."""
    logger = logging.getLogger("topaz_status")
    handler = LogHandler(screen)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
