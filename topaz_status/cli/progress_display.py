"""The progress of watched jobs: open jobs, ended jobs, and why jobs failed."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Final

import attrs

from ..client import StatusClient
from ..models.job import JobKind, JobRef, JobState
from ..outcome import Outcome
from ..overview import Fleet, View
from ..session.statistics import Stats
from .exit_codes import FAILED, code_of, reason
from .failures import FailureCounts
from .formatting import job_column, percent, plural
from .screen import Screen

_MOST_NAMED: Final = 10
NEW: Final = "new"
"""The word in place of a state before the first poll."""
LOST: Final = "lost"
"""The word in place of a state for a job that the service knows no more, or never knew."""
NOT_KNOWN: Final = "not known"
"""The word in place of a state for a job whose end could not be found out."""
END_WORDS: Final = (*(state.value for state in JobState if state.is_terminal), LOST, NOT_KNOWN)
END_STYLES: Final = {
    "completed": "green",
    "failed": "red",
    "canceled": "yellow",
    "expired": "yellow",
    LOST: "red",
    NOT_KNOWN: "red",
}
"""For rich."""


def end_word(outcome: Outcome) -> str:
    """Return the word for how a watch ended."""
    if outcome.state is not None:
        return outcome.state.value
    return LOST if code_of(outcome.error) == FAILED else NOT_KNOWN


def state_words() -> list[str]:
    """Return the words for states, in the order in which a job passes through them."""
    return [NEW, *(state.value for state in JobState if not state.is_terminal), *END_WORDS]


def by_state(counts: Mapping[tuple[JobKind, str], int]) -> Counter[str]:
    """Add up the jobs of all kinds."""
    sums: Counter[str] = Counter()
    for (_, word), count in counts.items():
        sums[word] += count
    return sums


def limited(stats: Stats) -> int:
    """Return how many requests were answered 429."""
    return sum(answers.get("429", 0) for answers in stats.requests.values())


@attrs.define(eq=False)
class Progress:
    """Follows all jobs of a client without watching them itself; the command counts their outcomes."""

    client: StatusClient
    ended: Counter[tuple[JobKind, str]] = attrs.field(factory=Counter, init=False)
    failures: FailureCounts = attrs.field(factory=FailureCounts, init=False)
    _fleet: Fleet = attrs.field(init=False)
    _open: dict[JobRef, View] = attrs.field(factory=dict, init=False)
    """Jobs whose outcomes were not counted; of some, the end is known."""

    def __attrs_post_init__(self) -> None:
        self._fleet = self.client.fleet(limit=sys.maxsize)

    def read(self) -> None:
        """Learn what has changed since the last call."""
        for view in self._fleet.changes():
            if not view.ended or view.job in self._open:  # else its outcome was counted before the end was read
                self._open[view.job] = view

    def end(self, outcome: Outcome) -> None:
        """Count a job as ended."""
        if outcome.job is None:
            return
        self._open.pop(outcome.job, None)
        word = end_word(outcome)
        self.ended[outcome.job.kind, word] += 1
        if outcome.error is not None:
            why = reason(outcome.error, outcome.job)
            self.failures.add(f"{word}: {why}" if why else word)

    @property
    def open(self) -> Collection[View]:
        """The jobs whose outcomes were not counted, as of the last :meth:`read`."""
        return self._open.values()

    def states(self) -> Counter[tuple[JobKind, str]]:
        """Return how many jobs of each kind are in each state, as of the last :meth:`read`."""
        counts = Counter((view.job.kind, _word(view)) for view in self._open.values())
        counts.update(self.ended)
        return counts

    def report_open(self, screen: Screen, note: str = "") -> None:
        """Print the jobs that are still open."""
        self.read()
        screen.err("\n".join(self._open_lines(note)))

    def _open_lines(self, note: str) -> Iterator[str]:
        ended = sum(self.ended.values())
        yield f"stopped: {plural(len(self._open), 'job')} still open, {ended:,} ended{note}"
        for job, view in itertools.islice(self._open.items(), _MOST_NAMED):
            seen = "not seen yet" if view.state is None else f"{view.state.value:<9}  {percent(view.progress):>5}"
            yield f"  {job_column(job)}  {seen}".rstrip()
        if len(self._open) > _MOST_NAMED:
            yield f"  … and {len(self._open) - _MOST_NAMED:,} more"


def _word(view: View) -> str:
    """Return the word for an open job, which may have ended: its outcome is on its way then."""
    if view.state is not None:
        return view.state.value
    return LOST if view.ended else NEW
