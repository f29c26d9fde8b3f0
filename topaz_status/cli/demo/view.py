"""The picture of ``demo``: bars by kind, states, pace and budget, and the lag so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from ...models.job import JobKind
from ...outcome import Outcome
from ...session.statistics import Lag
from ..formatting import clock, plural, span
from ..pace import Pace
from ..progress_display import END_STYLES, END_WORDS, LOST, Progress, by_state, limited, state_words
from .report import DemoSettings

_NEVER_SHRINKS: Final = 7


@attrs.frozen(kw_only=True)
class DemoPicture:
    """The state of the demo at one moment."""

    settings: DemoSettings
    elapsed: float
    states: Mapping[tuple[JobKind, str], int]
    pace: float
    requests: int
    rate_limited: int
    in_flight: int
    lag: Lag | None
    latest: Outcome | None

    @property
    def budget_used(self) -> float:
        """The share of the allowed requests so far that were sent."""
        return self.requests / (self.settings.burst + self.settings.rate * self.elapsed)

    def line(self) -> str:
        """See :class:`.Picture`."""
        counts = by_state(self.states)
        ended = sum(counts[word] for word in END_WORDS)
        lag = f" · lag p50 {span(self.lag.p50)}, p95 {span(self.lag.p95)}" if self.lag else ""
        return f"{clock(self.elapsed)}  {ended:,} of {self.settings.jobs:,} ended · {self.pace:.0f} requests/s{lag}"

    def drawing(self, width: int, height: int) -> Any:  # noqa: ARG002  # its lines are few
        """See :class:`.Picture`."""
        from rich.console import Group  # noqa: PLC0415  # an extra
        from rich.text import Text  # noqa: PLC0415

        asked = self.settings
        title = Text.assemble(
            ("topaz-status demo", "bold"),
            f"  {plural(asked.jobs, 'job')}, three simulated services, one limit",
            (f"  {clock(self.elapsed)}", "bold cyan"),
        )
        return Group(Text(), title, Text(), self._bars(), Text(), self._facts(), Text())

    def _bars(self) -> Any:
        from rich.progress_bar import ProgressBar  # noqa: PLC0415  # an extra
        from rich.table import Table  # noqa: PLC0415

        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(no_wrap=True, width=_NEVER_SHRINKS)
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        for kind in JobKind:
            total = sum(count for (of, _), count in self.states.items() if of is kind)
            ended = sum(self.states.get((kind, word), 0) for word in END_WORDS)
            if total:
                bar = ProgressBar(total=total, completed=ended, complete_style="green", finished_style="green")
                grid.add_row(kind.value, bar, f"{ended:,} of {total:,}")
        return grid

    def _facts(self) -> Any:
        from rich.table import Table  # noqa: PLC0415  # an extra
        from rich.text import Text  # noqa: PLC0415

        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, style="dim", width=_NEVER_SHRINKS)
        grid.add_column(overflow="ellipsis")
        grid.add_row("open", self._states([word for word in state_words() if word not in END_WORDS]))
        grid.add_row("ended", self._states(END_WORDS))
        grid.add_row(
            "pace",
            Text(
                f"{self.pace:.1f} requests/s of {self.settings.rate:g}, budget used {self.budget_used:.0%}, "
                f"in flight {self.in_flight}, 429s {self.rate_limited}"
            ),
        )
        grid.add_row("lag", Text(self._lag()))
        grid.add_row("latest", self._latest())
        return grid

    def _lag(self) -> str:
        if self.lag is None:
            return "–"
        return f"p50 {span(self.lag.p50)}, p95 {span(self.lag.p95)}, p99 {span(self.lag.p99)} since the true end"

    def _states(self, words: Sequence[str]) -> Any:
        from rich.text import Text  # noqa: PLC0415  # an extra

        text, counts = Text(), by_state(self.states)
        for word in words:
            if counts[word]:
                text.append("   " if text else "")
                text.append(f"{counts[word]:,} {word}", style=END_STYLES.get(word, ""))
        return text or Text("–")

    def _latest(self) -> Any:
        from rich.text import Text  # noqa: PLC0415  # an extra

        if self.latest is None:
            return Text("–")
        word = self.latest.state.value if self.latest.state else LOST
        polls = plural(self.latest.polls, "poll")
        text = f"{self.latest.job} {word} after {span(self.latest.waited)}, {polls}"
        return Text(text, no_wrap=True, overflow="ellipsis")


def picture_of(
    progress: Progress,
    *,
    pace: Pace,
    settings: DemoSettings,
    lags: Sequence[float],
    latest: Sequence[Outcome],
    elapsed: float,
) -> DemoPicture:
    """Return the picture of the present progress."""
    progress.read()
    stats = progress.client.stats()
    return DemoPicture(
        settings=settings,
        elapsed=elapsed,
        states=progress.states(),
        pace=pace.measure(elapsed, stats.total_requests),
        requests=stats.total_requests,
        rate_limited=limited(stats),
        in_flight=stats.in_flight,
        lag=Lag.of(lags),
        latest=latest[0] if latest else None,
    )
