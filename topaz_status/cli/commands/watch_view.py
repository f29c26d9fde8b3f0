"""The picture of ``watch``: a bar for each of the jobs that end soonest, and all jobs in one line."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs

from ...models.redact import shown
from ..formatting import clock, percent, plural
from ..progress_display import Progress, state_words

_MOST_BARS: Final = 8
_CANDIDATES: Final = 64
"""Jobs that are searched for those that end soonest, at most: a picture must stay cheap for any number of jobs."""
_BAR: Final = 24
_WORD: Final = 40
"""Characters of a service's status word, at most."""


@attrs.frozen
class Bar:
    """One job that has not ended."""

    job: str
    word: str
    progress: float | None
    left: float | None
    """Seconds until its predicted end; below 0 once it is late."""


@attrs.frozen
class WatchPicture:
    """The state of ``watch`` at one moment."""

    bars: Sequence[Bar]
    hidden: int
    states: Counter[str]
    pace: float
    elapsed: float
    reading: bool

    def line(self) -> str:
        """See :class:`.Picture`."""
        states = " · ".join(f"{self.states[word]:,} {word}" for word in state_words() if self.states[word])
        more = "+" if self.reading else ""
        return f"{clock(self.elapsed)}  {sum(self.states.values()):,}{more} jobs: {states} · {self.pace:.1f} requests/s"

    def drawing(self) -> Any:
        """See :class:`.Picture`."""
        from rich.console import Group  # noqa: PLC0415  # an extra
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=None)
        grid.add_column(no_wrap=True)
        grid.add_column(width=_BAR)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        for bar in self.bars:
            known = bar.progress is not None
            drawn = ProgressBar(completed=bar.progress or 0.0, width=_BAR) if known else Text("")
            grid.add_row(Text(bar.job), Text(bar.word), drawn, percent(bar.progress), _eta(bar.left))
        more = [Text(f"… and {plural(self.hidden, 'more job')}", style="dim")] if self.hidden and self.bars else []
        return Group(grid, *more, Text(self.line(), style="dim", no_wrap=True, overflow="ellipsis"))


def _eta(left: float | None) -> str:
    if left is None:
        return ""
    return f"ETA {clock(left)}" if left >= 1 else "any moment"


def picture_of(progress: Progress, now: float, began_at: float, *, reading: bool) -> WatchPicture:
    """Return the picture of the present progress."""
    states: Counter[str] = Counter()
    for (_, word), count in progress.states().items():
        states[word] += count
    bars = sorted(_bars(progress), key=lambda bar: (bar.left is None, bar.left or 0.0))[:_MOST_BARS]
    return WatchPicture(bars, len(progress.open) - len(bars), states, progress.pace(now), now - began_at, reading)


def _bars(progress: Progress) -> Iterator[Bar]:
    seen = ((job, watch, watch.status) for job, watch in progress.open.items() if watch.status is not None)
    for job, watch, status in itertools.islice(seen, _CANDIDATES):
        yield Bar(str(job), shown(status.status)[:_WORD], status.progress, watch.explain().predicted_end_in)
