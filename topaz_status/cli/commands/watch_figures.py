"""What ``watch`` and ``resume`` show at one moment, as a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Self

import attrs

from ...models.job import JobKind
from ...models.redact import shown
from ...overview import View
from ...session.statistics import Stats
from ..failures import Failure
from ..forecast import Forecast
from ..formatting import clock, plural
from ..progress_display import END_WORDS, by_state, limited, state_words

MOST_BARS: Final = 8
"""Jobs that have a bar, at most; with more jobs than these, the picture also shows counts and figures."""
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

    @classmethod
    def of(cls, view: View, wall: float) -> Self:
        """Describe a job at the Unix time ``wall``."""
        left = None if view.expected_end is None else view.expected_end - wall
        return cls(str(view.job), shown(view.status or "")[:_WORD], view.progress, left)


@attrs.frozen(kw_only=True)
class WatchFigures:
    """The state of ``watch`` at one moment. Times are seconds."""

    states: Mapping[tuple[JobKind, str], int]
    """Jobs by kind and by word for their state."""
    bars: Sequence[Bar]
    """The jobs that end soonest."""
    forecast: Forecast
    failures: Sequence[Failure]
    stats: Stats
    notes: Sequence[str]
    pace: float
    """Requests/s lately."""
    limit: float
    """Requests/s of all kinds together that are allowed, while no 429 lowers it."""
    elapsed: float
    reading: bool
    """True while more jobs may come from standard input."""

    @property
    def total(self) -> int:
        """All jobs so far."""
        return sum(self.states.values())

    @property
    def ended(self) -> int:
        """Jobs that have ended."""
        return sum(count for (_, word), count in self.states.items() if word in END_WORDS)

    @property
    def has_figures(self) -> bool:
        """True with more jobs than there are bars: then counts and figures are shown as well."""
        return self.total > MOST_BARS

    def line(self) -> str:
        """See :class:`.Picture`."""
        counts = by_state(self.states)
        states = " · ".join(f"{counts[word]:,} {word}" for word in state_words() if counts[word])
        more = "+" if self.reading else ""
        return f"{clock(self.elapsed)}  {self.total:,}{more} jobs: {states} · {self.pace:.1f} requests/s"

    def closing_lines(self) -> Iterator[str]:
        """Yield the summary of all jobs that ended, which stays when the picture is removed."""
        counts, stats = by_state(self.states), self.stats
        ends = " · ".join(f"{counts[word]:,} {word}" for word in END_WORDS if counts[word])
        yield f"{plural(self.ended, 'job')} ended in {clock(self.elapsed)}" + (f": {ends}" if ends else "")
        yield from (f"  {failure.count:,} × {failure.text}" for failure in self.failures)
        lag = "" if stats.lag is None else f"; {lag_text(stats)}"
        yield f"  {plural(stats.total_requests, 'request')}, {limited(stats):,} answered 429{lag}"


def lag_text(stats: Stats) -> str:
    """Return the detection lag so far, in words."""
    return "–" if stats.lag is None else f"lag p50 {stats.lag.p50:.1f} s, p95 {stats.lag.p95:.1f} s, at most"
