"""The bucket of an account, by the server's clock: the reference for ``reserve.lua``, in the same arithmetic.

Times are whole microseconds, so no float residue arises, and Lua computes the same numbers. The bucket is stored as one
time, as in :mod:`topaz_status.core.budget.token_bucket`: when it would be full again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import attrs

from ...coordination import LONGEST_HORIZON, MOST_HOLD, Grants, Terms, Want
from ...models.job import JobKind

SECOND: Final = 1_000_000
"""Microseconds in a second."""
MOST_TOKENS: Final = 1_000
"""Most tokens of one sort that one call grants."""


def micros(seconds: float) -> int:
    """Return whole microseconds, rounded down."""
    return math.floor(seconds * SECOND)


def interval_of(rate: float) -> int:
    """Return the microseconds from one token to the next, rounded up: never more tokens than the rate allows."""
    return max(1, math.ceil(SECOND / rate))


@attrs.define
class SharedBucket:
    """What may be sent by all members together."""

    full_at: int | None = None
    """When the shared bucket would be full again; ``None`` before its first use."""
    terms: Terms | None = None
    """The leader's terms."""
    kinds_free_at: dict[JobKind, int] = attrs.field(factory=dict)
    """When each kind's next own token is there."""
    held_until: dict[JobKind, int] = attrs.field(factory=dict)
    limited: dict[JobKind, int] = attrs.field(factory=dict)

    def reserve(self, want: Want, now: int, seconds: float, *, leads: bool) -> Grants:
        """Grant tokens at ``now``; ``seconds`` is the server's Unix time for the answer."""
        if leads:
            self.terms = want.terms
        terms = self.terms or want.terms
        until = now + micros(min(max(0.0, want.horizon), LONGEST_HORIZON))
        shared, next_at = self._take_shared(terms, now, until, want.shared)
        kinds = {kind: self._take(kind, terms, now, until, count) for kind, count in want.kinds.items()}
        return Grants(
            now=seconds,
            shared=shared,
            kinds=kinds,
            next_in=(next_at - now) / SECOND,
            kinds_next_in={kind: (self._free_at(kind, now, rate) - now) / SECOND for kind, rate in terms.kinds.items()},
            rates=dict(terms.kinds),
            held=self._held(now),
            limited=dict(self.limited),
        )

    def slow_down(self, kind: JobKind, now: int, *, limited: bool, hold: float) -> None:
        """Count a 429, and hold a kind."""
        if limited:
            self.limited[kind] = self.limited.get(kind, 0) + 1
        if hold > 0.0:
            until = now + micros(min(hold, MOST_HOLD))
            self.held_until[kind] = max(self.held_until.get(kind, 0), until)

    def _take_shared(self, terms: Terms, now: int, until: int, count: int) -> tuple[tuple[float, ...], int]:
        """Return the slots and the time of the next one."""
        interval = interval_of(terms.rate)
        saved = math.floor((terms.burst - 1.0) * SECOND / terms.rate)
        latest = now + saved + interval + micros(LONGEST_HORIZON)
        full_at = min(now + saved if self.full_at is None else self.full_at, latest)
        slots: list[float] = []
        while len(slots) < min(count, MOST_TOKENS) and (slot := max(now, full_at - saved)) <= until:
            slots.append((slot - now) / SECOND)
            full_at = max(full_at, slot) + interval
        self.full_at = full_at
        return tuple(slots), max(now, full_at - saved)

    def _take(self, kind: JobKind, terms: Terms, now: int, until: int, count: int) -> tuple[float, ...]:
        """Return the slots of a kind's own tokens; a kind without a limit has as many as are wanted."""
        rate = terms.kinds.get(kind)
        slots: list[float] = []
        while len(slots) < min(count, MOST_TOKENS) and (slot := self._free_at(kind, now, rate)) <= until:
            slots.append((slot - now) / SECOND)
            if rate is not None:
                self.kinds_free_at[kind] = slot + interval_of(rate)
        return tuple(slots)

    def _free_at(self, kind: JobKind, now: int, rate: float | None) -> int:
        free_at = 0
        if rate is not None:
            free_at = min(self.kinds_free_at.get(kind, 0), now + interval_of(rate) + micros(LONGEST_HORIZON))
        return max(now, free_at, self.held_until.get(kind, 0))

    def _held(self, now: int) -> Mapping[JobKind, float]:
        return {kind: (until - now) / SECOND for kind, until in self.held_until.items() if until > now}
