"""The screen on a terminal with rich: lines of output above, and below them a picture that is drawn again and again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text

from .screen import Picture, Screen, rows_of

_ABOVE: Final = 4
"""Rows of the terminal that are left to lines of output above the picture."""


@attrs.frozen(eq=False)
class Frame:
    """A picture that is drawn already. Each line of output prints it again, so that must cost little."""

    lines: Sequence[list[Segment]] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the lines; rich itself cuts them to the terminal."""
        for line in self.lines:
            yield from line
            yield Segment.line()


class RichScreen(Screen):
    """The picture is on standard error, and removed at the end. It follows the size of the terminal."""

    moves = True

    def __init__(self) -> None:
        self._console = Console(stderr=True, force_terminal=True)  # overrides an empty FORCE_COLOR
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=True,
        )
        self._lengths: list[int] = []
        self._columns = self._console.width
        self._live.start()

    def show(self, picture: Picture) -> None:
        """See :class:`Screen`."""
        self._erase_wrapped()
        width, height = max(1, self._console.width - 1), max(1, self._console.height - _ABOVE)
        options = self._console.options.update(width=width, height=None)
        lines = self._console.render_lines(picture.drawing(width, height), options, pad=False)
        self._lengths = [Segment.get_line_length(line) for line in lines[:height]]
        self._live.update(Frame(lines[:height]), refresh=True)

    def out(self, text: str) -> None:
        """See :class:`Screen`. Results for the same terminal are printed above the picture."""
        if sys.stdout.isatty() and self._live.is_started:
            self._print_above(text)
        else:
            super().out(text)

    def err(self, text: str) -> None:
        """See :class:`Screen`."""
        if self._live.is_started:
            self._print_above(f"topaz-status: {text}")
        else:
            super().err(text)

    def _print_above(self, text: str) -> None:
        self._erase_wrapped()
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def _erase_wrapped(self) -> None:
        """Erase rows that rich does not know of: a terminal that has become narrower has wrapped the lines."""
        columns = self._console.width
        if columns < self._columns:
            extra = sum(rows_of(length, columns) - 1 for length in self._lengths)
            up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)) * extra
            self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up))
            self._lengths = [min(length, columns) for length in self._lengths]
        self._columns = columns

    def close(self) -> None:
        """See :class:`Screen`."""
        if self._live.is_started:
            self._erase_wrapped()
        self._live.stop()
