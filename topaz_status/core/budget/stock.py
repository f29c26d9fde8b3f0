"""A stock of tokens that a shared server has granted: each may be used from its slot on, and only shortly after it.

A slot is a span from the moment at which the server answered. That moment lies between the departure of the question
and the arrival of the answer. So "not before" counts from the arrival, and "not after" from the departure. A member
that is late uses a part of the burst, which is reserved for that. If the answer took ``delay`` seconds, a token is used
at most ``max(lateness, delay + least)`` seconds after its slot.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable
from typing import Final

import attrs

LATENESS: Final = 0.25
"""Most seconds after its slot for which a token may be used, if the server answers within that time."""
LEAST_LATENESS: Final = 0.02
"""Seconds for which a token may be used at least, however late it came: timers and loops are not exact."""


def lateness_of(rate: float, burst: float) -> float:
    """Return the seconds after its slot for which a token may be used: at most half of what the burst makes up for."""
    return min(LATENESS, max(LEAST_LATENESS, (burst - 1.0) / (2.0 * rate)))


def own_least_lateness_of(rate: float) -> float:
    """Return the least lateness of a kind's own tokens: one must outlast the wait for a shared token of ``rate``."""
    return 1.0 / rate + LEAST_LATENESS


@attrs.frozen(order=True)
class Token:
    """One token, and when it may be used."""

    not_before: float
    not_after: float


@attrs.define
class Stock:
    """The tokens at hand, those that may be used soonest first. Times are seconds of the loop's clock."""

    lateness: float
    """Seconds after its slot for which a token may be used."""
    least: float = LEAST_LATENESS
    """The same at least, counted from the arrival of the answer."""
    expired: int = attrs.field(default=0, init=False)
    """Tokens that were not used in time."""
    _tokens: list[Token] = attrs.field(factory=list, init=False)

    def __len__(self) -> int:
        """Return the number of tokens; :meth:`purge` first."""
        return len(self._tokens)

    def add(self, slots: Iterable[float], *, sent_at: float, now: float) -> None:
        """Add the tokens of an answer that arrived ``now`` to a question that was sent at ``sent_at``."""
        last = sent_at + max(self.lateness, now - sent_at + self.least)
        for slot in slots:
            insort(self._tokens, Token(now + slot, last + slot))

    def purge(self, now: float) -> None:
        """Drop the tokens whose time is over."""
        if any(token.not_after < now for token in self._tokens):
            left = [token for token in self._tokens if token.not_after >= now]
            self.expired += len(self._tokens) - len(left)
            self._tokens = left

    def ready_at(self, at: float) -> float:
        """Return when the first token may be used, not before ``at``; infinite if there is none."""
        for token in self._tokens:
            if at <= token.not_after:
                return max(at, token.not_before)
        return math.inf

    def take(self, now: float) -> None:
        """Take the token with the earliest slot of those that may be used now.

        Raises:
            ValueError: no token may be used now.
        """
        for index, token in enumerate(self._tokens):
            if token.not_before <= now <= token.not_after:
                del self._tokens[index]
                return
        raise ValueError(f"no token at {now}")
