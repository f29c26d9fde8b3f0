"""A family of laws for a lifetime, and the law that is expected once some lives are known.

A life table counts deaths and exposure in each bin, and needs dozens of lives before its bins say much. Most lifetimes
follow one of a few shapes: the logarithm has about a normal distribution, narrow or wide, around some median. So a
dozen lives show which of a hundred laws are likely. The family starts with a weight for each law. Each law's weight is
then multiplied by the likelihood of what was counted (Bayes), and the expected law is the mean of all laws by their
weights.

Where lives follow none of these laws, for example in two groups, the bins soon outweigh what is expected.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

Alive = Callable[[float], float]
"""Gives the chance to be alive at each place of an axis."""

NEGLIGIBLE: Final = 12.0
"""A law does not count if it is e to this power less likely than the best one."""
LEAST_SHARE: Final = 1e-300
"""The least share of jobs alive: its logarithm is finite."""
LEAST_SPENT: Final = 1e-12
"""The least hazard spent in a bin: a life in it is then possible by every law."""


class LawFamily:
    """Laws on the bins of a life table."""

    __slots__ = ("_alive", "_log_spent", "_log_weights", "_spent")

    def __init__(self, laws: Iterable[tuple[float, Alive]], edges: Sequence[float]) -> None:
        """Begin with pairs of a weight and a law. ``edges`` are the beginnings of the bins, and the end of the last."""
        weights = array("d")
        self._alive: list[array[float]] = []
        self._spent: list[array[float]] = []
        self._log_spent: list[array[float]] = []
        for weight, law in laws:
            alive = array("d", (max(law(edge), LEAST_SHARE) for edge in edges))
            spent = array("d", _spent_between(alive, LEAST_SPENT))
            weights.append(weight)
            self._alive.append(alive)
            self._spent.append(spent)
            self._log_spent.append(array("d", map(math.log, spent)))
        self._log_weights = array("d", map(math.log, weights))

    def expected(self, deaths: Sequence[float], exposure: Sequence[float]) -> list[float]:
        """Return the hazard that a new job is expected to spend in each bin, given deaths and exposure by bin."""
        counted = [(k, d, e) for k, (d, e) in enumerate(zip(deaths, exposure, strict=True)) if d > 0.0 or e > 0.0]
        logs = [self._log_likelihood(law, counted) for law in range(len(self._spent))]
        best = max(logs)
        mean = [0.0] * len(self._alive[0])
        for alive, log in zip(self._alive, logs, strict=True):
            if log > best - NEGLIGIBLE:
                weight = math.exp(log - best)
                mean = [so_far + weight * share for so_far, share in zip(mean, alive, strict=True)]
        return _spent_between([max(share / mean[0], LEAST_SHARE) for share in mean], LEAST_SPENT)

    def _log_likelihood(self, law: int, counted: Iterable[tuple[int, float, float]]) -> float:
        """Return the logarithm of a law's weight: of its first weight, and of the likelihood of what was counted."""
        spent, log_spent = self._spent[law], self._log_spent[law]
        return math.fsum((self._log_weights[law], *(d * log_spent[k] - e * spent[k] for k, d, e in counted)))


def _spent_between(alive: Sequence[float], least: float) -> list[float]:
    """Return the hazard spent between each two shares of jobs alive."""
    total = [-math.log(share) for share in alive]
    return [max(after - before, least) for before, after in pairwise(total)]


def lognormal(median: float, sigma: float) -> Alive:
    """Return the law of a time whose logarithm has a normal distribution with standard deviation ``sigma``."""
    scale = sigma * math.sqrt(2.0)
    return lambda x: 0.5 * math.erfc(math.log(x / median) / scale) if x > 0.0 else 1.0


def mixed(law: Alive, other: Alive, share: float) -> Alive:
    """Return a law that a ``share`` of the jobs leaves for the other law."""
    return lambda x: (1.0 - share) * law(x) + share * other(x)
