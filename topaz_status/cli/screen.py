"""What moves on a terminal while a command works, and lines that must not tear it."""

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
"""Seconds between two pictures."""
_SHARE: Final = 20.0
"""A picture that takes long is drawn less often: pictures take a 20th of the time at most."""
_CLEAR: Final = "\r\x1b[K"


class Picture(Protocol):
    """A moment of a command's work."""

    def line(self) -> str:
        """It in one line of plain text."""

    def drawing(self) -> Any:
        """It as something that rich draws."""


class Screen:
    """No terminal: nothing moves, lines are lines."""

    def show(self, picture: Picture) -> None:
        """Put a picture in place of the last one."""

    def out(self, text: str) -> None:
        """Print a line of result, at once.

        Raises:
            BrokenPipeError: nobody reads it any more.
            CommandError: it cannot be written.
        """
        try:
            print(text, flush=True)
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise CommandError(unwritable(problem), UNKNOWN) from None

    def err(self, text: str) -> None:
        """Print a line that is no result."""
        print(f"topaz-status: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the picture away."""


class LineScreen(Screen):
    """A terminal without rich: one line that is written over."""

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
    """A terminal with rich: a picture below the lines, on standard error, gone when the work is done."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  # an extra
        from rich.live import Live  # noqa: PLC0415

        self._live: Live = Live(
            console=Console(stderr=True, force_terminal=True),  # an empty FORCE_COLOR says nothing against it
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
        """See :class:`Screen`. Where results go to the same terminal, they go above the picture."""
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
    """The best screen there is; ``moving`` is false for a command that is to be quiet.

    Where a character may have to be written as several, rich's picture would be wider than it thinks: a line must do.
    """
    if not moving or not moves(sys.stderr):
        return Screen()
    drawable = importlib.util.find_spec("rich") is not None and sys.stderr.encoding.lower().startswith("utf")
    return RichScreen() if drawable else LineScreen()


@contextlib.asynccontextmanager
async def moving(screen: Screen, picture: Callable[[], Picture]) -> AsyncIterator[None]:
    """Show how things stand, again and again, while the body runs."""
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
            drawing.result()  # raises what stopped it


async def _draw(screen: Screen, picture: Callable[[], Picture]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        screen.show(picture())
        await pause(max(_REFRESH, _SHARE * (loop.time() - began)))


class LogHandler(logging.Handler):
    """The library's log on standard error, through the screen."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record; that nobody reads it must not hurt the work it tells of."""
        with contextlib.suppress(OSError):
            self._screen.err(in_options(self.format(record)))


@contextlib.contextmanager
def logged(screen: Screen, verbose: int) -> Iterator[None]:
    """Show the log: warnings, with ``verbose`` 1 changes of state, with 2 every look."""
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
