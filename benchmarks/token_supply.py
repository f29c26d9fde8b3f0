"""The tokens that a bucket gives, and the cheapest way to spend them: a linear program, with a price for each token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import attrs
import numpy as np
from best_plans import Floats
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack


@attrs.frozen
class Ways:
    """Ways to poll jobs, or steps of such ways: each is a column of a linear program."""

    lags: Floats
    tokens: Floats
    uses: Any
    """A sparse matrix: the tokens of each moment that each one spends."""
    sums: Any
    """A sparse matrix: what each one adds to sums whose values are given, such as the share of a group's jobs."""

    @classmethod
    def joined(cls, some: Sequence[Ways], join: Callable[[Sequence[Any]], Any] = hstack) -> Self:
        """Put ways side by side; ``join`` does so with their sums."""
        lags, tokens = (np.concatenate([getattr(one, name) for one in some]) for name in ("lags", "tokens"))
        return cls(lags, tokens, hstack([one.uses for one in some]), join([one.sums for one in some]))


@attrs.frozen
class Mix:
    """The cheapest mix of some ways, and the price of a token at each moment."""

    cost: float
    lag: float
    tokens: float
    uses: Floats
    """The tokens of each moment that it spends."""
    prices: Floats

    def as_one_way(self, shares: Floats) -> Ways:
        """Return it as a single way for all groups of jobs, of which ``shares`` says how large each is."""
        columns = (csr_array(one[:, None]) for one in (self.uses, shares))
        return Ways(np.asarray([self.lag]), np.asarray([self.tokens]), *columns)


@attrs.frozen
class Supply:
    """The tokens that a bucket gives, for one job."""

    moments: Floats
    """Seconds since the first submission. Prices are linear between them: a token counts for the two beside it."""
    tokens: Floats
    burst: float
    """Tokens of a full bucket."""

    @classmethod
    def of(cls, moments: Floats, rate: float, jobs: int) -> Self:
        """Share the tokens of a bucket among jobs; at first it is full, and holds the tokens of a second."""
        gaps = np.diff(moments) * rate / jobs
        return cls(moments, (np.append(gaps, 0.0) + np.append(0.0, gaps)) / 2.0, max(rate, 1.0) / jobs)

    def worth(self, prices: Floats) -> float:
        """Return the price of all tokens, if those of a full bucket are saved for each rise of the price."""
        rises = np.maximum(np.diff(prices, prepend=0.0), 0.0)
        return float(prices @ self.tokens + self.burst * np.sum(rises))

    def cheapest(self, ways: Ways, given: Floats, price: float) -> Mix:
        """Find the mix with the least lag plus price of requests whose sums are as given.

        Beside the ways, there is a column for what the bucket holds after each moment.
        """
        count, moments = len(ways.lags), len(self.moments)
        held = csr_array(np.eye(moments) - np.eye(moments, k=-1))
        found = linprog(
            np.append(ways.lags + price * ways.tokens, np.zeros(moments)),
            A_ub=hstack([ways.uses, held], format="csr"),
            b_ub=self.tokens + self.burst * np.eye(1, moments)[0],
            A_eq=hstack([ways.sums, csr_array((len(given), moments))], format="csr"),
            b_eq=given,
            bounds=np.repeat([[0.0, np.inf], [0.0, self.burst]], [count, moments], axis=0),
        )
        if not found.success:
            raise RuntimeError(found.message)
        taken, prices = found.x[:count], -found.ineqlin.marginals
        return Mix(found.fun, float(ways.lags @ taken), float(ways.tokens @ taken), ways.uses @ taken, prices)
