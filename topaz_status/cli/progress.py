"""What is known of a fleet of jobs while it is watched: the open ones, the ended ones, the pace of requests."""

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
"""Stands, among the states, for a job whose end could not be found out."""


@attrs.define(eq=False)
class Progress:
    """Handles on all open jobs, beside those of whoever collects their outcomes: same jobs, same looks."""

    client: StatusClient
    timeout: dict[str, Any] = attrs.field(factory=dict)
    open: dict[JobRef, Watch[Any]] = attrs.field(factory=dict)
    ended: Counter[tuple[JobKind, str]] = attrs.field(factory=Counter)
    _seen: set[JobRef] = attrs.field(factory=set)
    _pace: deque[tuple[float, int]] = attrs.field(factory=deque)

    def take(self, jobs: Iterable[JobRef]) -> None:
        """Keep an eye on jobs that are about to be watched, each once."""
        for job in jobs:
            if job not in self._seen:
                self._seen.add(job)
                with contextlib.suppress(ConfigurationError):  # no key: its outcome will say so
                    self.open[job] = self.client.watch(job, **self.timeout)

    def adopt(self, watches: Iterable[Watch[Any]]) -> None:
        """Keep an eye on jobs by somebody else's handles."""
        for watch in watches:
            if watch.job not in self._seen:
                self._seen.add(watch.job)
                self.open[watch.job] = watch

    def end(self, outcome: Outcome) -> None:
        """A job has ended."""
        if outcome.job is not None:
            self.ended[outcome.job.kind, outcome.state.value if outcome.state else LOST] += 1
            watch = self.open.pop(outcome.job, None)
            if watch is not None:
                watch.drop()

    def states(self) -> Counter[tuple[JobKind, str]]:
        """How many jobs of each kind are in each state; ``new`` before the first look."""
        counts = Counter(self.ended)
        for job, watch in self.open.items():
            counts[job.kind, watch.status.state.value if watch.status else "new"] += 1
        return counts

    def pace(self, now: float) -> float:
        """Requests/s over the last seconds."""
        self._pace.append((now, self.client.stats().total_requests))
        while len(self._pace) > 2 and self._pace[1][0] <= now - _WINDOW:  # noqa: PLR2004  # one older than the window
            self._pace.popleft()
        (since, before), (until, after) = self._pace[0], self._pace[-1]
        return (after - before) / (until - since) if until > since else 0.0

    def report_open(self, screen: Screen, note: str = "") -> None:
        """Say what is left undone."""
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
    """The states in the order in which a job goes through them."""
    return ["new", *(state.value for state in JobState if state is not JobState.UNKNOWN), "unknown", LOST]
