"""What the figures of one world, or of many, say of the library beside simple policies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Final, Self

import attrs
from checks import Check
from common import markdown
from model import Run
from rivals import USUAL

MARGIN: Final = 1.05
"""A lag this many times as long counts as later."""
LATER: Final = 0.01
"""The share of worlds in which the library may be later than the best usual policy."""
RATIO: Final = 0.2
"""The median lag of the library, divided by that of the best usual policy, to stay below."""
SATURATED: Final = 1.0
"""Seconds of mean lag of a clairvoyant policy above which a world counts as saturated."""


@attrs.frozen
class Figures:
    """The figures of one policy on one world. Lags are in seconds."""

    mean: float
    p95: float
    worst: float
    per_job: float
    """Requests for each job watched."""
    pages: int

    @classmethod
    def of(cls, run: Run) -> Self:
        """Take the figures of a run."""
        return cls(run.mean, run.quantile(0.95), run.lags[-1], run.per_job, run.pages)

    @classmethod
    def averaged(cls, playings: Sequence[Self]) -> Self:
        """Average the figures of one policy over some playings of a world."""
        columns = zip(*map(attrs.astuple, playings), strict=True)
        mean, p95, worst, per_job, pages = (sum(column) / len(playings) for column in columns)
        return cls(mean, p95, worst, per_job, round(pages))

    def cost(self, price: float) -> float:
        """Return the mean lag plus the price of the requests, for one job, in seconds of waiting."""
        return self.mean + price * self.per_job


@attrs.frozen
class Verdict:
    """The figures of all policies on one world."""

    seed: int
    world: str
    kinds: str
    """The kind of its jobs, or ``mixed``."""
    price: float
    library: Figures
    bound: Figures
    simple: Mapping[str, Figures]
    law: float | None = None
    """The least cost of a policy that knows the law of durations; ``None`` where it is not computed."""

    @property
    def usual(self) -> tuple[str, Figures]:
        """The usual policy with the least mean lag, by name."""
        return min(((name, self.simple[name]) for name in USUAL), key=lambda item: item[1].mean)

    @property
    def lag_ratio(self) -> float:
        """The library's mean lag, divided by that of the best usual policy."""
        return self.library.mean / self.usual[1].mean

    @property
    def request_ratio(self) -> float:
        """The library's requests, divided by those of the best usual policy."""
        return self.library.per_job / self.usual[1].per_job

    @property
    def cost_ratio(self) -> float:
        """The library's cost, divided by the least cost of all simple policies, eager ones too."""
        return self.library.cost(self.price) / self.cheapest

    @property
    def cheapest(self) -> float:
        """The least cost of all simple policies."""
        return min(of.cost(self.price) for of in self.simple.values())

    @property
    def law_ratio(self) -> float | None:
        """The library's cost, divided by the least one of a policy that knows the law."""
        return None if self.law is None else self.library.cost(self.price) / self.law

    @property
    def cheapest_law_ratio(self) -> float | None:
        """The least cost of all simple policies, divided by the least one of a policy that knows the law."""
        return None if self.law is None else self.cheapest / self.law

    @property
    def winners(self) -> list[str]:
        """The simple policies that are sooner by more than the margin and not dearer: the cheapest one first."""
        costs = {
            name: of.cost(self.price)
            for name, of in self.simple.items()
            if of.mean * MARGIN < self.library.mean and of.cost(self.price) <= self.library.cost(self.price)
        }
        return sorted(costs, key=costs.__getitem__)

    @property
    def later(self) -> bool:
        """Whether one of those winners is a usual policy."""
        return any(name in USUAL for name in self.winners)

    @property
    def later_at_any_cost(self) -> bool:
        """Whether the best usual policy is sooner by more than the margin."""
        return self.lag_ratio > MARGIN

    @property
    def rival(self) -> tuple[str, Figures]:
        """The simple policy to beat: the cheapest winner, otherwise the best usual one."""
        return (self.winners[0], self.simple[self.winners[0]]) if self.winners else self.usual

    @property
    def bound_ratio(self) -> float | None:
        """The library's mean lag, divided by that of the clairvoyant policy; ``None`` unless the world is saturated."""
        return self.library.mean / self.bound.mean if self.bound.mean >= SATURATED else None


def _share(verdicts: Sequence[Verdict], holds: Callable[[Verdict], bool]) -> float:
    return sum(map(holds, verdicts)) / len(verdicts)


def _median(values: Iterator[float | None]) -> float:
    return median([value for value in values if value is not None] or [math.nan])


def _median_ratio(verdicts: Sequence[Verdict]) -> str:
    return f"{_median(one.lag_ratio for one in verdicts):.2f}"


def _by_kinds(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, list[Verdict]]]:
    """Group worlds by the kind of their jobs: no policy gains much where services report nothing, as of try-ons."""
    for kinds in sorted({one.kinds for one in verdicts}):
        yield kinds, [one for one in verdicts if one.kinds == kinds]


def summary(verdicts: Sequence[Verdict]) -> str:
    """Format the figures of many worlds as a table in Markdown."""
    saturated = sum(one.bound_ratio is not None for one in verdicts)
    lawful = sum(one.law is not None for one in verdicts)
    rows = [
        ["later than a usual policy by more than 5 %", f"{_share(verdicts, lambda one: one.later):.1%}"],
        ["the same, eager policies too", f"{_share(verdicts, lambda one: bool(one.winners)):.1%}"],
        ["the same, usual policies, dearer ones too", f"{_share(verdicts, lambda one: one.later_at_any_cost):.1%}"],
        ["mean lag to the best usual policy, median", _median_ratio(verdicts)],
        ["requests to the best usual policy, median", f"{_median(one.request_ratio for one in verdicts):.2f}"],
        ["cost to the cheapest simple policy, median", f"{_median(one.cost_ratio for one in verdicts):.2f}"],
        *(
            [f"mean lag to the best usual policy, median of {len(some)} worlds of kind {kinds}", _median_ratio(some)]
            for kinds, some in _by_kinds(verdicts)
        ),
        [
            f"mean lag to the clairvoyant policy, median of {saturated} saturated worlds",
            f"{_median(one.bound_ratio for one in verdicts):.2f}",
        ],
        [
            f"cost to the least one of who knows the law, median of {lawful} worlds of try-ons",
            f"{_median(one.law_ratio for one in verdicts):.2f}",
        ],
        [
            "the same of the cheapest simple policy, for comparison",
            f"{_median(one.cheapest_law_ratio for one in verdicts):.2f}",
        ],
    ]
    return markdown([f"{len(verdicts)} worlds", "topaz_status"], rows)


def claims(verdicts: Sequence[Verdict]) -> Iterator[Check]:
    """Check the targets of the worlds."""
    later, ratio = _share(verdicts, lambda one: one.later), _median(one.lag_ratio for one in verdicts)
    figures = f"{later:.1%} of {len(verdicts)} worlds, of {LATER:.0%}"
    yield Check("worlds in which a usual policy is sooner by more than 5 %", later <= LATER, figures)
    yield Check("median lag to the best usual policy", ratio <= RATIO, f"{ratio:.2f}, of {RATIO}")
