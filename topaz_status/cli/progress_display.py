"""The progress of watched jobs: open jobs, ended jobs, and the pace of requests."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs

from ..client import StatusClient
from ..errors import ConfigurationError
from ..models.job import JobKind, JobRef, JobState
from ..outcome import Outcome
from ..watch import Watch
from .formatting import job_column, percent, plural
from .screen import Screen

_WINDOW: Final = 5.0
"""Seconds over which the pace of requests is measured."""
_MOST_NAMED: Final = 10
LOST: Final = "lost"
"""The word in place of a state for a job whose end could not be found out."""


@attrs.define(eq=False)
class Progress:
    """Holds a watch on each open job, beside the watches that collect the outcomes; they share the same polls."""

    client: StatusClient
    timeout: dict[str, Any] = attrs.field(factory=dict)
    open: dict[JobRef, Watch[Any]] = attrs.field(factory=dict)
    ended: Counter[tuple[JobKind, str]] = attrs.field(factory=Counter)
    _seen: set[JobRef] = attrs.field(factory=set)
    _pace: deque[tuple[float, int]] = attrs.field(factory=deque)

    def take(self, jobs: Iterable[JobRef]) -> None:
        """Follow jobs that are about to be watched, each once."""
        for job in jobs:
            if job not in self._seen:
                self._seen.add(job)
                with contextlib.suppress(ConfigurationError):  # no key: the job's outcome reports it
                    self.open[job] = self.client.watch(job, **self.timeout)

    def adopt(self, watches: Iterable[Watch[Any]]) -> None:
        """Follow jobs through watches that others opened."""
        for watch in watches:
            if watch.job not in self._seen:
                self._seen.add(watch.job)
                self.open[watch.job] = watch

    def end(self, outcome: Outcome) -> None:
        """Count a job as ended, and drop its watch."""
        if outcome.job is not None:
            self.ended[outcome.job.kind, outcome.state.value if outcome.state else LOST] += 1
            watch = self.open.pop(outcome.job, None)
            if watch is not None:
                watch.drop()

    def states(self) -> Counter[tuple[JobKind, str]]:
        """Return how many jobs of each kind are in each state; ``new`` before the first poll."""
        counts = Counter(self.ended)
        for job, watch in self.open.items():
            counts[job.kind, watch.status.state.value if watch.status else "new"] += 1
        return counts

    def pace(self, now: float) -> float:
        """Return the requests/s over the last 5 seconds."""
        self._pace.append((now, self.client.stats().total_requests))
        while len(self._pace) > 2 and self._pace[1][0] <= now - _WINDOW:  # noqa: PLR2004  # one sample older than the window stays
            self._pace.popleft()
        (since, before), (until, after) = self._pace[0], self._pace[-1]
        return (after - before) / (until - since) if until > since else 0.0

    def report_open(self, screen: Screen, note: str = "") -> None:
        """Print the jobs that are still open."""
        screen.err("\n".join(self._open_lines(note)))

    def _open_lines(self, note: str) -> Iterator[str]:
        ended = sum(self.ended.values())
        yield f"stopped: {plural(len(self.open), 'job')} still open, {ended:,} ended{note}"
        for job, watch in itertools.islice(self.open.items(), _MOST_NAMED):
            status = watch.status
            seen = "not seen yet" if status is None else f"{status.state.value:<9}  {percent(status.progress):>5}"
            yield f"  {job_column(job)}  {seen}".rstrip()
        if len(self.open) > _MOST_NAMED:
            yield f"  … and {len(self.open) - _MOST_NAMED:,} more"


def state_words() -> list[str]:
    """Return the words for states, in the order in which a job passes through them."""
    return ["new", *(state.value for state in JobState if state is not JobState.UNKNOWN), "unknown", LOST]
