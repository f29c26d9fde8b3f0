"""Which screen a command gets: one with a picture, one with a moving line, or one without either."""

from __future__ import annotations

import importlib.util
import sys

from .screen import LineScreen, Screen
from .streams import moves


def open_screen(*, moving: bool) -> Screen:
    """Return the best screen for standard error; ``moving`` is false for a command without a picture.

    In an encoding other than UTF, one character may be written as several. Then rich would underestimate the width of
    its picture, so the picture is one line.
    """
    if not moving or not moves(sys.stderr):
        return Screen()
    if importlib.util.find_spec("rich") is None or not sys.stderr.encoding.lower().startswith("utf"):
        return LineScreen()
    from .rich_screen import RichScreen  # noqa: PLC0415  # an extra

    return RichScreen()
