"""Which kind may send, and when: one bucket that every endpoint shares, and below it a limit for each kind.

:class:`Budget` is the interface for anything that grants tokens. :class:`LocalBudget` grants them within one process. A
budget that shares an account among processes answers the same questions from grants it has fetched.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Final, Protocol

import attrs

from ...models.job import JobKind
from .adaptive_limit import AdaptiveLimit
from .last_tokens import SAVED_SECONDS, tokens_for
from .load import Load
from .token_bucket import TokenBucket

_ALL: Final = tuple(JobKind)
LONGEST_HOLD: Final = 300.0
"""Seconds for which a service gets no request, at most, whatever its ``Retry-After`` says."""


class Budget(Protocol):
    """Grants tokens. Times are seconds of the loop's clock."""

    def ready_at(self, kind: JobKind) -> float:
        """Return the time from which a request of that kind may go; :meth:`take` at that time succeeds."""

    def ready(self, now: float) -> Collection[JobKind]:
        """Return the kinds of which a request may go now."""

    def idle_at(self, kind: JobKind, now: float) -> float:
        """Return the time from which tokens of a kind are idle; infinite while 429s hold its rate down."""

    def is_short(self, due: int, now: float) -> bool:
        """Return whether so many polls are more than can be sent within a second."""

    def spares_at(self, worth: float, now: float) -> float:
        """Return the time from which a token may go to a poll, while tokens are short (see :mod:`.last_tokens`).

        ``worth`` is that of the poll, divided by the price of a request.
        """

    def slack(self, kind: JobKind) -> float:
        """Return how many seconds late a request may be sent without lowering the rate: the burst makes up for it."""

    def take(self, kind: JobKind, now: float) -> None:
        """Spend a token: the request goes out now."""

    def give_back(self, kind: JobKind) -> None:
        """Undo a :meth:`take` whose request never went out."""

    def confirmed(self, kind: JobKind, sent_at: float) -> None:
        """Learn that the service admitted a request that was sent at ``sent_at``, whatever its answer was."""

    def limited(self, kind: JobKind, *, sent_at: float, now: float) -> None:
        """Learn that the service answered 429 to a request that was sent at ``sent_at``."""

    def hold(self, kind: JobKind, now: float, delay: float) -> None:
        """Send nothing of that kind for ``delay`` seconds: the service asked for it."""

    def tokens(self, now: float) -> float:
        """Return the tokens of the shared bucket, for statistics."""

    def rate(self, kind: JobKind) -> float:
        """Return the requests per second of that kind that are allowed now, for statistics."""

    def held_for(self, kind: JobKind, now: float) -> float:
        """Return the seconds for which no request of that kind may go, for statistics."""


@attrs.define(init=False)
class LocalBudget:
    """The budget of one client: exact, adaptive for each kind, and fixed for the shared bucket."""

    _shared: TokenBucket
    _limits: dict[JobKind, AdaptiveLimit]
    _all_ready_at: float
    """From this time on no kind's own limit delays a request."""
    _load: Load
    _loads: dict[JobKind, Load]
    """The loads of the kinds with a ceiling of their own below the shared rate."""

    def __init__(self, rate: float, burst: float, service_rates: Mapping[JobKind, float | None]) -> None:
        self._shared = TokenBucket(rate, burst)
        self._limits = {kind: limit_of(service_rates.get(kind), rate, burst) for kind in JobKind}
        self._all_ready_at = -math.inf
        self._load = Load(rate, burst)
        limits = self._limits.items()
        self._loads = {kind: Load(limit.ceiling, limit.burst) for kind, limit in limits if limit.ceiling < rate}

    def ready_at(self, kind: JobKind) -> float:
        """See :class:`Budget`."""
        shared, own = self._shared.ready_at, self._limits[kind].bucket.ready_at
        return shared if shared > own else own

    def ready(self, now: float) -> Collection[JobKind]:
        """See :class:`Budget`."""
        if self._shared.ready_at > now:
            return ()
        if self._all_ready_at <= now:
            return _ALL
        return [kind for kind, limit in self._limits.items() if limit.bucket.ready_at <= now]

    def idle_at(self, kind: JobKind, now: float) -> float:
        """See :class:`Budget`."""
        limit = self._limits[kind]
        if limit.holds_down(now):
            return math.inf
        own = self._loads.get(kind)
        return max(self.ready_at(kind), self._load.idle_at, -math.inf if own is None else own.idle_at)

    def is_short(self, due: int, now: float) -> bool:
        """See :class:`Budget`."""
        bucket = self._shared
        return due > bucket.level(now) + bucket.rate * SAVED_SECONDS

    def spares_at(self, worth: float, now: float) -> float:
        """See :class:`Budget`."""
        bucket = self._shared
        return max(bucket.holds_at(tokens_for(worth, bucket.rate, bucket.burst)), now)

    def slack(self, kind: JobKind) -> float:
        """See :class:`Budget`."""
        return min(self._shared.slack, self._limits[kind].bucket.slack)

    def take(self, kind: JobKind, now: float) -> None:
        """See :class:`Budget`."""
        bucket = self._limits[kind].bucket
        bucket.take(now)
        self._shared.take(now)
        self._load.sent(now)
        if (own := self._loads.get(kind)) is not None:
            own.sent(now)
        self._all_ready_at = max(self._all_ready_at, bucket.ready_at)

    def give_back(self, kind: JobKind) -> None:
        """See :class:`Budget`."""
        self._limits[kind].bucket.give_back()
        self._shared.give_back()

    def confirmed(self, kind: JobKind, sent_at: float) -> None:
        """See :class:`Budget`."""
        limit = self._limits[kind]
        if limit.confirmed(sent_at):
            self._note(limit)

    def limited(self, kind: JobKind, *, sent_at: float, now: float) -> None:
        """See :class:`Budget`."""
        self._limits[kind].too_many(sent_at=sent_at, now=now)
        self._note(self._limits[kind])

    def hold(self, kind: JobKind, now: float, delay: float) -> None:
        """See :class:`Budget`. ``delay`` is cut to 300 s."""
        self._limits[kind].bucket.hold(now + min(max(0.0, delay), LONGEST_HOLD))
        self._note(self._limits[kind])

    def drain(self, now: float) -> None:
        """Spend all tokens that are there, so that the next one has to be waited for."""
        while self._shared.ready_at <= now:
            self._shared.take(now)

    def _note(self, limit: AdaptiveLimit) -> None:
        self._all_ready_at = max(self._all_ready_at, limit.bucket.ready_at)

    def tokens(self, now: float) -> float:
        """See :class:`Budget`."""
        return max(0.0, self._shared.level(now))

    def rate(self, kind: JobKind) -> float:
        """See :class:`Budget`."""
        return self._limits[kind].rate

    def held_for(self, kind: JobKind, now: float) -> float:
        """See :class:`Budget`."""
        return max(0.0, self._limits[kind].bucket.held_until - now)


def limit_of(ceiling: float | None, rate: float, burst: float) -> AdaptiveLimit:
    """Make the limit of one kind. Without a ceiling of its own it has the shared rate, and binds only after a 429."""
    if ceiling is None or ceiling >= rate:
        return AdaptiveLimit(rate, burst)
    return AdaptiveLimit(ceiling, 1.0)
