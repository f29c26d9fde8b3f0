"""How long jobs last: life tables that learn from every look, finished job or not.

A life table divides time into bins of a quarter octave and keeps, for each, the deaths ``d`` seen in it and the
exposure ``e``: how many jobs lived through it, a part of the bin counting as that part. ``d / e`` is the maximum
likelihood estimate of the hazard spent in the bin, and the sum over bins is the cumulative hazard ``H``, so that a job
alive at ``x0`` is still alive at ``x`` with probability ``exp(H(x0) - H(x))``. Jobs that are still running count with
what they have lived so far (right censoring, the insight of Kaplan & Meier, JASA 1958, in the actuarial form that goes
back to Halley): without them the early finishers of a burst would make every job look short.

The axis of a table is either the age of a job in seconds or, where the end was predicted, the time since the
prediction as a multiple of what was predicted: then the table learns how far that source of prediction can be trusted.
Before anything was seen, a few pseudo-jobs a bin speak; they are outvoted as soon as real ones arrive. Old
observations fade, so a service that changes its pace is followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import ClassVar, Final

import attrs

from ...models.job import JobKind
from .sources import Source, class_bounds, size_class

BINS_AN_OCTAVE: Final = 4
FIRST_OCTAVE: Final = -6
OCTAVES: Final = 26
BINS: Final = OCTAVES * BINS_AN_OCTAVE + 1
EDGES: Final[tuple[float, ...]] = (0.0, *(2.0 ** (FIRST_OCTAVE + step / BINS_AN_OCTAVE) for step in range(BINS)))
"""Bin ``k`` reaches from ``EDGES[k]`` to ``EDGES[k + 1]``; the last one goes on for ever at its own hazard."""

FIRST_EDGE: Final = EDGES[1]
OFFSET: Final = 1 - FIRST_OCTAVE * BINS_AN_OCTAVE
LAST_BIN: Final = BINS - 1
_WIDTHS: Final = tuple(EDGES[k + 1] - EDGES[k] for k in range(BINS))

REBUILD_AFTER: Final = 64
"""Observations after which a curve is drawn anew, at least."""
REBUILD_SHARE: Final = 1.0 / 32.0
"""The share of all observations after which it is; jobs keep the curve they were planned by, so let there be few."""
FADE_AT: Final = 2_000.0
"""Deaths a table remembers at most: beyond, everything it knows is halved."""
OVER_AT_FIRST: Final = 0.8, 4.0
"""At first, one job in five is held to be over before its watch begins, on the strength of four."""
FIRST_POLLS: Final = 200.0
"""First looks that are remembered."""
DOUBT: Final = 8.0
"""When a source has said "about so much longer" for so many times as long, it is not believed."""


def bin_of(x: float) -> int:
    """Give the bin that holds ``x``; :meth:`.TrackedJob.news_worth_at` has it written out, the only other place."""
    if x < FIRST_EDGE:
        return 0
    k = int(math.log2(x) * BINS_AN_OCTAVE + OFFSET)
    return k if k < LAST_BIN else LAST_BIN


@attrs.frozen(eq=False)
class Curve:
    """One drawing of a table: the cumulative hazard, linear within each bin. It never changes once drawn."""

    total: tuple[float, ...]
    """The hazard spent before each bin."""
    slope: tuple[float, ...]
    """The hazard per unit of time within each bin."""

    def hazard_before(self, x: float) -> float:
        """Give the cumulative hazard ``H(x)``."""
        k = bin_of(x)
        return self.total[k] + (x - EDGES[k]) * self.slope[k]


class LifeTable:
    """Deaths and exposure by bin, and the curve drawn from them."""

    __slots__ = (
        "_deaths", "_died", "_expected", "_partly", "_patience", "_seen", "_starts", "_weight",
        "curve", "least", "most", "unread",
    )  # fmt: skip

    def __init__(self, alive: Callable[[float], float], weight: float) -> None:
        """Begin with ``weight`` pseudo-jobs a bin that live by the law ``alive(x)``."""
        spent = [-math.log(alive(edge)) for edge in EDGES]
        self._expected = [weight * (spent[k + 1] - spent[k]) for k in range(BINS)]
        """Deaths of the pseudo-jobs. They never fade, so every bin keeps some exposure."""
        self._weight = weight
        self._deaths = [0.0] * BINS
        self._partly = [0.0] * BINS
        self._starts = [0.0] * BINS
        """Differences between neighbours of the number of jobs that lived a bin through: one look changes two."""
        self._died = 0.0
        self.unread = 0
        self.least, self.most = math.inf, 0.0
        """The predictions that it speaks for, from the least up to the most, in seconds; none where nothing is."""
        self._seen = 0.0
        self._patience = REBUILD_AFTER
        self.curve = self._drawn()

    def lived(self, x0: float, x1: float) -> None:
        """Learn that a job alive at ``x0`` was alive at ``x1``."""
        if x1 < FIRST_EDGE:  # most of those whose end is predicted are seen again this soon
            self._partly[0] += (x1 - x0) / FIRST_EDGE
        else:
            self._spread(x0, x1)
        self.unread += 1
        if self.unread >= self._patience:
            self._redraw()

    def _spread(self, x0: float, x1: float) -> None:
        """Count a life for the bins that it went through."""
        first, last = bin_of(x0), bin_of(x1)
        if first == last:
            self._partly[first] += (x1 - x0) / _WIDTHS[first]
        else:
            self._partly[first] += (EDGES[first + 1] - x0) / _WIDTHS[first]
            self._partly[last] += (x1 - EDGES[last]) / _WIDTHS[last]
            self._starts[first + 1] += 1.0
            self._starts[last] -= 1.0

    def died(self, x0: float, x1: float) -> None:
        """Learn that a job alive at ``x0`` ended at ``x1``."""
        self._deaths[bin_of(x1)] += 1.0
        self._died += 1.0
        self.lived(x0, x1)

    def _redraw(self) -> None:
        self._seen += self.unread
        self.unread = 0
        self._patience = max(REBUILD_AFTER, int(self._seen * REBUILD_SHARE))
        if self._died > FADE_AT:
            self._died /= 2.0
            self._seen /= 2.0
            self._deaths = [count / 2.0 for count in self._deaths]
            self._partly = [count / 2.0 for count in self._partly]
            self._starts = [count / 2.0 for count in self._starts]
        self.curve = self._drawn()

    def _drawn(self) -> Curve:
        through = accumulate(self._starts)  # halved often enough, it leaves a residue that may be negative
        observed = zip(self._expected, self._deaths, self._partly, through, strict=True)
        spent = [(prior + d) / (self._weight + e + max(t, 0.0)) for prior, d, e, t in observed]
        return Curve(
            total=tuple(accumulate(spent, initial=0.0)),
            slope=tuple(h / width for h, width in zip(spent, _WIDTHS, strict=True)),
        )


def _ratios(x: float) -> float:
    """Believe of any prediction, at first: mostly right within a factor of 1.6, and one in twenty worthless."""
    right = 0.5 * math.erfc(math.log(x) / (0.5 * math.sqrt(2.0))) if x > 0.0 else 1.0
    return 0.95 * right + 0.05 / (1.0 + x)


def _late(x: float) -> float:
    """Believe of the overdue, at first: what is late is expected to be late by as much again."""
    return 1.0 / (1.0 + x)


def _ages(x: float) -> float:
    """Believe of any job, at first: the longer it has lasted, the longer it will."""
    return math.pow(1.0 + x / 20.0, -0.8)


_BELIEFS: Final[dict[Source, tuple[Callable[[float], float], float]]] = {
    Source.OVERDUE: (_late, 4.0),
    Source.QUEUE: (_ages, 2.0),
    Source.AGE: (_ages, 2.0),
}


class Lifetimes:
    """One life table for each kind of job, source of prediction and size of what was predicted."""

    __slots__ = ("_over", "_tables")

    doubt: ClassVar[float] = DOUBT
    """How many times a source may repeat itself (see :data:`DOUBT`)."""
    table_type: ClassVar[type[LifeTable]] = LifeTable

    def __init__(self) -> None:
        self._tables: dict[tuple[JobKind, Source, int], LifeTable] = {}
        self._over = dict.fromkeys(JobKind, OVER_AT_FIRST)
        """For each kind, how many first looks there were, and how many jobs were over before they were watched."""

    def table(self, kind: JobKind, source: Source, remaining: float) -> LifeTable:
        """Give the table that speaks for a prediction; for ``QUEUE`` and ``AGE`` there is one a kind."""
        key = kind, source, 0 if source >= Source.QUEUE else size_class(remaining)
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = self.table_type(*_BELIEFS.get(source, (_ratios, 4.0)))
            if source < Source.QUEUE:
                table.least, table.most = class_bounds(key[2])
        return table

    def over_at_first(self, kind: JobKind) -> float:
        """Give the hazard that stands for the chance that a job is over before its watch begins."""
        over, polls = self._over[kind]
        return -math.log(1.0 - over / (polls + 0.1))

    def first_poll(self, kind: JobKind, over: float) -> None:
        """Learn from a first look the chance that the job was over from the start."""
        so_far, polls = self._over[kind]
        fading = 1.0 if polls < FIRST_POLLS else 1.0 - 1.0 / FIRST_POLLS
        self._over[kind] = so_far * fading + over, polls * fading + 1.0
