"""A moving picture on a terminal while a command works, and lines of output that must not damage it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..session.timing.backoff_delays import pause
from .exit_codes import UNKNOWN, CommandError, in_options
from .streams import moves, unwritable

if TYPE_CHECKING:
    from rich.live import Live

_REFRESH: Final = 0.2
"""Seconds between two drawings of the picture, at least."""
_SHARE: Final = 20.0
"""The pause after a drawing, as a multiple of its duration: drawing takes at most about a 20th of the time."""
_CLEAR: Final = "\r\x1b[K"


class Picture(Protocol):
    """The state of a command's work at one moment."""

    def line(self) -> str:
        """Return the picture as one line of plain text."""

    def drawing(self) -> Any:
        """Return the picture as an object that rich draws."""


class Screen:
    """Output without a terminal: it prints lines and shows no picture."""

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

    _shown = ""

    def show(self, picture: Picture) -> None:
        """See :class:`Screen`."""
        self._shown = picture.line()[: shutil.get_terminal_size().columns - 1]
        self._write(_CLEAR + self._shown)

    def out(self, text: str) -> None:
        """See :class:`Screen`."""
        self._write(_CLEAR)
        super().out(text)
        self._write(self._shown)

    def err(self, text: str) -> None:
        """See :class:`Screen`."""
        self._write(_CLEAR)
        super().err(text)
        self._write(self._shown)

    def close(self) -> None:
        """See :class:`Screen`."""
        self._shown = ""
        self._write(_CLEAR)

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class RichScreen(Screen):
    """Output on a terminal with rich: the picture is below the lines, on standard error, and removed at the end."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  # an extra
        from rich.live import Live  # noqa: PLC0415

        self._live: Live = Live(
            console=Console(stderr=True, force_terminal=True),  # overrides an empty FORCE_COLOR
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=True,
        )
        self._live.start()

    def show(self, picture: Picture) -> None:
        """See :class:`Screen`."""
        self._live.update(picture.drawing(), refresh=True)

    def out(self, text: str) -> None:
        """See :class:`Screen`. Results for the same terminal are printed above the picture."""
        if sys.stdout.isatty() and self._live.is_started:
            self._above(text)
        else:
            super().out(text)

    def err(self, text: str) -> None:
        """See :class:`Screen`."""
        if self._live.is_started:
            self._above(f"topaz-status: {text}")
        else:
            super().err(text)

    def _above(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415  # an extra

        self._live.console.print(Text.from_ansi(text), soft_wrap=True)

    def close(self) -> None:
        """See :class:`Screen`."""
        self._live.stop()


def open_screen(*, moving: bool) -> Screen:
    """Return the best screen for standard error; ``moving`` is false for a command without a picture.

    In an encoding other than UTF, one character may be written as several. Then rich would underestimate the width of
    its picture, so the picture is one line.
    """
    if not moving or not moves(sys.stderr):
        return Screen()
    drawable = importlib.util.find_spec("rich") is not None and sys.stderr.encoding.lower().startswith("utf")
    return RichScreen() if drawable else LineScreen()


@contextlib.asynccontextmanager
async def moving(screen: Screen, picture: Callable[[], Picture]) -> AsyncIterator[None]:
    """Redraw the picture again and again while inside."""
    if type(screen) is Screen:
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
