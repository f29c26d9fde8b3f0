"""Numbers, times and tables as people read them."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
import orjson

from ..models.job import JobRef, JobState
from .streams import can_show, wants_color

JOB_WIDTH: Final = 43
"""Columns of the longest usual name of a job: ``try-on:`` and a UUID."""
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_THOUSAND: Final = 1000.0
_COLORS: Final = {JobState.COMPLETED: 32, JobState.FAILED: 31, JobState.CANCELED: 33, JobState.EXPIRED: 33}


def span(seconds: float) -> str:
    """Format a time in seconds: ``0.42 s``, ``12.3 s``, ``3 min 20 s``, ``2 h 05 min``, ``1 d 4 h``."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def clock(seconds: float) -> str:
    """Format a time in seconds in a steady width: ``0:07``, ``12:30``, ``1:02:03``."""
    whole = max(0, round(seconds))
    minutes = f"{whole // _MINUTE % _MINUTE}:{whole % _MINUTE:02}"
    return minutes if whole < _HOUR else f"{whole // _HOUR}:{whole // _MINUTE % _MINUTE:02}:{whole % _MINUTE:02}"


def moment(unix: float) -> str:
    """Format a Unix time in local time; a number beyond the calendar stays a number."""
    try:
        return dt.datetime.fromtimestamp(unix, tz=dt.UTC).astimezone().isoformat(sep=" ", timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{unix:g}"


def size(count: int) -> str:
    """Format a number of bytes: ``512 B``, ``2.5 MB``, ``1.2 GB``."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < _THOUSAND:
            break
        value, unit = value / _THOUSAND, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def plural(count: int, word: str) -> str:
    """Format a count with its word: ``1 job``, ``2,000 jobs``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def percent(progress: float | None) -> str:
    """Format a progress: ``62 %``, or an empty text for ``None``."""
    return "" if progress is None else f"{progress:.0f} %"


def job_column(job: JobRef | None) -> str:
    """Return a job's name, padded to :data:`JOB_WIDTH` columns."""
    return f"{'?' if job is None else str(job):<{JOB_WIDTH}}"


def json_line(value: Any) -> str:
    """Return one line of JSON; characters that are not printable, or not in standard output's encoding, are escaped."""
    text = _json(value)
    if text.isprintable() and can_show(text, sys.stdout):
        return text
    return "".join(one if one.isprintable() and can_show(one, sys.stdout) else json.dumps(one)[1:-1] for one in text)


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # a file's name may hold bytes that are no text: lone surrogates stand for them
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def painted(text: str, state: JobState | None) -> str:
    """Return the text in its state's color, if standard output should have colors."""
    if not wants_color(sys.stdout):
        return text
    color = 31 if state is None else _COLORS.get(state)
    return text if color is None else f"\x1b[{color}m{text}\x1b[0m"


@attrs.frozen
class Table:
    """Columns of text: the first is aligned left, the others right. With ``total`` the last row holds totals."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: bool = False

    def lines(self) -> Iterable[str]:
        """Yield the lines of the table in plain text."""
        columns = list(zip(self.headers, *self.rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        rule = "  ".join("─" * width for width in widths)
        yield _row(self.headers, widths)
        yield rule
        for place, row in enumerate(self.rows):
            if self.total and place == len(self.rows) - 1:
                yield rule
            yield _row(row, widths)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)]
    return "  ".join(padded).rstrip()
