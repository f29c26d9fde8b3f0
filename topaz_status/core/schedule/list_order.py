"""The order of a list, learned from the times of creation that its items report.

No service documents an order that can be relied on, and nothing that a list says is trusted. So each page votes with
pairs of its items: the second is older than the first, or younger. Votes are forgotten slowly. A few lying items change
no majority, and a service that changes its order is believed after some pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import pairwise
from typing import Final

MAJORITY: Final = 0.85
"""The share of all pairs that makes an order."""
ENOUGH_PAIRS: Final = 6.0
"""Pairs without which no order is learned. Items that were made in the same second are no pair."""
REMEMBERED: Final = 0.9
"""The weight of earlier votes, each time a page votes."""


class AgeOrder(Enum):
    """The order of the items of a list, by their times of creation."""

    UNKNOWN = "unknown"
    NEWEST = "newest first"
    OLDEST = "oldest first"
    NONE = "none"


class ListOrder:
    """What is known of the order of one list."""

    __slots__ = ("_older", "_younger")

    def __init__(self) -> None:
        self._older = 0.0
        """Pairs of which the second item is older than the first."""
        self._younger = 0.0

    def learn(self, ages: Sequence[float]) -> None:
        """Learn from the ages of items of one page, in the order of the list. The ages are seconds."""
        older = younger = 0
        for first, second in pairwise(ages):
            if second > first:
                older += 1
            elif second < first:
                younger += 1
        if older or younger:
            self._older = self._older * REMEMBERED + older
            self._younger = self._younger * REMEMBERED + younger

    @property
    def order(self) -> AgeOrder:
        """Return the order that most pairs have."""
        pairs = self._older + self._younger
        if pairs < ENOUGH_PAIRS:
            return AgeOrder.UNKNOWN
        if self._older >= MAJORITY * pairs:
            return AgeOrder.NEWEST
        return AgeOrder.OLDEST if self._younger >= MAJORITY * pairs else AgeOrder.NONE
