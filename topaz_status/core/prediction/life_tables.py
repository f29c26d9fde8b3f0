"""How long jobs last: life tables that learn from every poll, whether the job has ended or not.

A life table divides time into bins of a quarter octave. For each bin it stores the deaths ``d`` and the exposure ``e``:
how many jobs lived through it; a job that lived through part of a bin counts as that part. ``d / e`` is the maximum
likelihood estimate of the hazard spent in the bin. The sum over bins is the cumulative hazard ``H``, so a job alive at
``x0`` is still alive at ``x`` with probability ``exp(H(x0) - H(x))``.

Jobs that are still running count with what they have lived so far: right censoring, the insight of Kaplan & Meier (JASA
1958), in the actuarial form that goes back to Halley. Without them the early finishers of a burst would make every job
seem short.

The axis of a table is the age of a job in seconds. Where the end was predicted, the axis is the time since the
prediction, divided by the predicted time. Such a table learns how far its source of predictions can be trusted.

A few pseudo-jobs per bin supply the law before any observation; real jobs soon outweigh them. In a table of ages the
pseudo-jobs live by what the first real jobs make likely (see :mod:`.law_family`). Old observations fade, so a table
follows a service that changes its pace.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import accumulate
from typing import ClassVar, Final

import attrs

from ...models.job import JobKind
from .law_family import Alive, LawFamily, lognormal, mixed
from .sources import Source, class_bounds, size_class

BINS_AN_OCTAVE: Final = 4
FIRST_OCTAVE: Final = -6
OCTAVES: Final = 26
BINS: Final = OCTAVES * BINS_AN_OCTAVE + 1
EDGES: Final[tuple[float, ...]] = (0.0, *(2.0 ** (FIRST_OCTAVE + step / BINS_AN_OCTAVE) for step in range(BINS)))
"""Bin ``k`` reaches from ``EDGES[k]`` to ``EDGES[k + 1]``; the last one never ends and has its own hazard."""

FIRST_EDGE: Final = EDGES[1]
OFFSET: Final = 1 - FIRST_OCTAVE * BINS_AN_OCTAVE
LAST_BIN: Final = BINS - 1
_WIDTHS: Final = tuple(EDGES[k + 1] - EDGES[k] for k in range(BINS))

REBUILD_AFTER: Final = 8
"""Observations after which a curve is drawn anew, at least."""
REBUILD_SHARE: Final = 1.0 / 32.0
"""The share of all observations after which a curve is drawn anew. Jobs retain the curve that they were planned by, so
there should be few curves."""
MUCH_MORE: Final = 1.25
"""When a table has learned so many times what it had learned before, its curve may differ much from earlier ones."""
SETTLED_AT: Final = 500.0
"""Deaths after which the pseudo-jobs of a table change no more: its bins say more than they."""
FADE_AT: Final = 2_000.0
"""Deaths a table remembers at most: beyond this all its counts are halved."""
OVER_AT_FIRST: Final = 0.8, 4.0
"""The first belief: one job in five is over before its watch begins, with the weight of four polls."""
FIRST_POLLS: Final = 200.0
"""First polls that are remembered."""
DOUBT: Final = 8.0
"""A source may repeat "about so much longer" for this many times the predicted span; after that it is not believed."""


def bin_of(x: float) -> int:
    """Return the bin that holds ``x``. Only :meth:`.TrackedJob.change_worth_at` repeats this formula."""
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
        """Return the cumulative hazard ``H(x)``."""
        k = bin_of(x)
        return self.total[k] + (x - EDGES[k]) * self.slope[k]


class LifeTable:
    """Deaths and exposure by bin, and the curve drawn from them."""

    __slots__ = (
        "_deaths",
        "_died",
        "_expected",
        "_family",
        "_learned",
        "_observed",
        "_outgrown_at",
        "_partial",
        "_redraw_after",
        "_starts",
        "_weight",
        "curve",
        "is_outgrown",
        "least",
        "most",
        "undrawn",
    )  # fmt: skip

    def __init__(self, alive: Alive, weight: float, family: Callable[[], LawFamily] | None = None) -> None:
        """Begin with ``weight`` pseudo-jobs per bin that live by the law ``alive(x)``.

        Once something is learned, they live by the law that it makes likely among those of the ``family``.
        """
        self._family = family
        spent = [-math.log(alive(edge)) for edge in EDGES]
        self._expected = [weight * (spent[k + 1] - spent[k]) for k in range(BINS)]
        """Deaths of the pseudo-jobs. They never fade, so every bin retains some exposure."""
        self._weight = weight
        self._deaths = [0.0] * BINS
        self._partial = [0.0] * BINS
        self._starts = [0.0] * BINS
        """Differences between neighbouring bins of the number of jobs that lived a bin through; one poll changes two of
        them."""
        self._died = 0.0
        self.undrawn = 0
        self.least, self.most = math.inf, 0.0
        """The least and the greatest prediction that the table covers, in seconds; the range is empty without
        predictions."""
        self._observed = 0.0
        self._redraw_after = REBUILD_AFTER
        self._learned = 0.0
        """All observations so far, those that have faded too."""
        self._outgrown_at = 0.0
        self.is_outgrown = False
        """True once a curve was drawn from much more than the curves before, until the schedule clears it."""
        self.curve = self._draw()

    def lived(self, x0: float, x1: float) -> None:
        """Learn that a job alive at ``x0`` was alive at ``x1``."""
        if x1 < FIRST_EDGE:  # most jobs with a predicted end are polled again this soon
            self._partial[0] += (x1 - x0) / FIRST_EDGE
        else:
            self._spread(x0, x1)
        self.undrawn += 1
        if self.undrawn >= self._redraw_after:
            self._redraw()

    def _spread(self, x0: float, x1: float) -> None:
        """Count a life in the bins that it passed through."""
        first, last = bin_of(x0), bin_of(x1)
        if first == last:
            self._partial[first] += (x1 - x0) / _WIDTHS[first]
        else:
            self._partial[first] += (EDGES[first + 1] - x0) / _WIDTHS[first]
            self._partial[last] += (x1 - EDGES[last]) / _WIDTHS[last]
            self._starts[first + 1] += 1.0
            self._starts[last] -= 1.0

    def died(self, x0: float, x1: float) -> None:
        """Learn that a job alive at ``x0`` ended at ``x1``."""
        self._deaths[bin_of(x1)] += 1.0
        self._died += 1.0
        self.lived(x0, x1)

    @property
    def observed(self) -> float:
        """How many observations it remembers."""
        return self._observed + self.undrawn

    def counts(self) -> tuple[float, list[float], list[float], list[float]]:
        """Return what was learned: observations, deaths, partial exposure and differences of exposure, by bin."""
        return self.observed, self._deaths, self._partial, self._starts

    def adopt(self, observed: float, deaths: list[float], partial: list[float], starts: list[float]) -> None:
        """Replace what was learned by the counts of another table, one number for each bin."""
        self._deaths, self._partial, self._starts = deaths, partial, starts
        self._died, self._observed = sum(deaths), observed
        self._learned = max(self._learned, observed)
        self.undrawn = 0
        self._redraw()

    def _redraw(self) -> None:
        self._observed += self.undrawn
        self._learned += self.undrawn
        if self._learned >= self._outgrown_at:
            self.is_outgrown, self._outgrown_at = True, self._learned * MUCH_MORE
        self.undrawn = 0
        self._redraw_after = max(REBUILD_AFTER, int(self._observed * REBUILD_SHARE))
        if self._died > FADE_AT:
            self._died /= 2.0
            self._observed /= 2.0
            self._deaths = [count / 2.0 for count in self._deaths]
            self._partial = [count / 2.0 for count in self._partial]
            self._starts = [count / 2.0 for count in self._starts]
        self.curve = self._draw()

    def _draw(self) -> Curve:
        through = accumulate(self._starts)  # repeated halving leaves a residue that may be negative
        exposure = [e + max(t, 0.0) for e, t in zip(self._partial, through, strict=True)]
        if self._family is not None and self._died < SETTLED_AT:
            self._expected = [self._weight * h for h in self._family().expected(self._deaths, exposure)]
        observed = zip(self._expected, self._deaths, exposure, strict=True)
        spent = [(prior + d) / (self._weight + e) for prior, d, e in observed]
        return Curve(
            total=tuple(accumulate(spent, initial=0.0)),
            slope=tuple(h / width for h, width in zip(spent, _WIDTHS, strict=True)),
        )


def _ratio_law(x: float) -> float:
    """Give the first belief about a prediction: mostly right within a factor of 1.6, and one in twenty worthless."""
    right = 0.5 * math.erfc(math.log(x) / (0.5 * math.sqrt(2.0))) if x > 0.0 else 1.0
    return 0.95 * right + 0.05 / (1.0 + x)


def _overdue_law(x: float) -> float:
    """Give the first belief about overdue jobs: a late job is expected to be late by as much again."""
    return 1.0 / (1.0 + x)


def _age_law(x: float) -> float:
    """Give the first belief about any job: the longer it has lasted, the longer it will."""
    return math.pow(1.0 + x / 20.0, -0.8)


MEDIANS: Final = tuple(2.0 ** (step / 2.0) for step in range(25))
"""The medians of the laws of ages, from a second to more than an hour."""
SIGMAS: Final = 0.12, 0.25, 0.45, 0.7, 1.1
"""Standard deviations of the logarithms: jobs last about equally long by the first, very unequally by the last."""
USUAL_MEDIAN: Final = 25.0
"""The likeliest median, in seconds; one that is six times as long or as short is half as likely."""
STRAY: Final = 0.03
"""The share of jobs that follow no such law."""


@cache
def _age_family() -> LawFamily:
    """Return the laws of ages: one half of the weight is the first belief's, the other half that of the lognormals."""
    likely = {median: math.exp(-(math.log(median / USUAL_MEDIAN) ** 2) / 4.5) for median in MEDIANS}
    share = 0.5 / (len(SIGMAS) * sum(likely.values()))
    laws = (
        (share * likely[median], mixed(lognormal(median, sigma), _age_law, STRAY))
        for median in MEDIANS
        for sigma in SIGMAS
    )
    return LawFamily([(0.5, _age_law), *laws], EDGES)


_BELIEFS: Final[dict[Source, tuple[Alive, float, Callable[[], LawFamily] | None]]] = {
    Source.OVERDUE: (_overdue_law, 4.0, None),
    Source.QUEUE: (_age_law, 6.0, _age_family),
    Source.AGE: (_age_law, 6.0, _age_family),
}


class Lifetimes:
    """One life table for each kind of job, source of prediction and size of what was predicted."""

    __slots__ = ("_ages", "_over", "_tables")

    doubt: ClassVar[float] = DOUBT
    """How long a source may repeat itself, in predicted spans (see :data:`DOUBT`)."""
    table_type: ClassVar[type[LifeTable]] = LifeTable

    def __init__(self) -> None:
        self._tables: dict[tuple[JobKind, Source, int], LifeTable] = {}
        self._ages: list[LifeTable] = []
        """The tables of ``QUEUE`` and ``AGE``, two for each kind at most."""
        self._over = dict.fromkeys(JobKind, OVER_AT_FIRST)
        """For each kind, the jobs that were over before they were watched, and the number of first polls."""

    def table(self, kind: JobKind, source: Source, remaining: float) -> LifeTable:
        """Return the table for a prediction; ``QUEUE`` and ``AGE`` have one table for each kind."""
        key = kind, source, 0 if source >= Source.QUEUE else size_class(remaining)
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = self.table_type(*_BELIEFS.get(source, (_ratio_law, 4.0, None)))
            if source < Source.QUEUE:
                table.least, table.most = class_bounds(key[2])
            else:
                self._ages.append(table)
        return table

    def outgrown(self) -> bool:
        """Return, once, whether a table of ages has a curve drawn from much more than those before."""
        grown = False
        for table in self._ages:
            grown, table.is_outgrown = grown or table.is_outgrown, False
        return grown

    def learned(self) -> Iterator[tuple[tuple[JobKind, Source, int], LifeTable]]:
        """Yield each table that has learned anything, with its kind, source and size class."""
        return ((key, table) for key, table in self._tables.items() if table.observed)

    def first_polls(self) -> dict[JobKind, tuple[float, float]]:
        """Return, for each kind, how many jobs were over before they were watched, and of how many first polls."""
        return dict(self._over)

    def adopt_first_polls(self, kind: JobKind, over: float, polls: float) -> None:
        """Replace what was learned of one kind's first polls."""
        self._over[kind] = over, polls

    def over_at_first(self, kind: JobKind) -> float:
        """Return the hazard that stands for the chance that a job is over before its watch begins."""
        over, polls = self._over[kind]
        return -math.log(1.0 - over / (polls + 0.1))

    def first_poll(self, kind: JobKind, over: float) -> None:
        """Learn from a first poll the chance that the job was over from the start."""
        so_far, polls = self._over[kind]
        fading = 1.0 if polls < FIRST_POLLS else 1.0 - 1.0 / FIRST_POLLS
        self._over[kind] = so_far * fading + over, polls * fading + 1.0
