"""The picture of ``watch`` and ``resume``, made anew for each drawing."""

from __future__ import annotations

import heapq
from typing import Any, Final

import attrs

from ...overview import View
from ..forecast import Forecast
from ..pace import Pace
from ..progress_display import Progress
from ..service_notes import ServiceNotes
from .watch_figures import MOST_BARS, Bar, WatchFigures

_REASONS: Final = 5
_REQUESTS_WINDOW: Final = 5.0
_ENDS_WINDOW: Final = 30.0
"""Seconds over which paces are measured."""


@attrs.frozen(kw_only=True)
class WatchPicture(WatchFigures):
    """The figures as a picture."""

    def drawing(self, width: int, height: int) -> Any:
        """See :class:`.Picture`."""
        from .watch_lines import lines_of  # noqa: PLC0415  # loads rich, an extra

        return lines_of(self, width, height)


@attrs.define(eq=False)
class WatchPainter:
    """Makes the pictures of one run of the command."""

    progress: Progress
    began_at: float
    """By the loop's clock."""
    _requests: Pace = attrs.field(factory=lambda: Pace(_REQUESTS_WINDOW), init=False)
    _ends: Pace = attrs.field(factory=lambda: Pace(_ENDS_WINDOW), init=False)
    _notes: ServiceNotes = attrs.field(factory=ServiceNotes, init=False)

    def picture(self, now: float, wall: float, *, reading: bool) -> WatchPicture:
        """Return the picture of the present: ``now`` by the loop's clock, ``wall`` in Unix seconds."""
        progress = self.progress
        progress.read()
        stats, going = progress.client.stats(), [view for view in progress.open if not view.ended]
        ends = sorted(view.expected_end for view in going if view.expected_end is not None)
        per_second = self._ends.measure(now, sum(progress.ended.values()))
        return WatchPicture(
            states=progress.states(),
            bars=[Bar.of(view, wall) for view in heapq.nsmallest(MOST_BARS, going, key=_order)],
            forecast=Forecast.of([end - wall for end in ends], len(progress.open), per_second),
            failures=progress.failures.top(_REASONS),
            stats=stats,
            notes=self._notes.of(stats),
            pace=self._requests.measure(now, stats.total_requests),
            limit=self._notes.limit,
            elapsed=now - self.began_at,
            reading=reading,
        )


def _order(view: View) -> tuple[bool, float, bool]:
    """Sort jobs by the end that is expected; those without come last, and those that were never seen behind them."""
    end = view.expected_end
    return end is None, 0.0 if end is None else end, view.state is None
