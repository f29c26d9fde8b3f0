"""The server's own rate limit: buckets or windows, and every form of a "too many requests" answer."""

from __future__ import annotations

import math
from collections import deque
from email.utils import formatdate
from typing import Final, Protocol, TypeAlias

import attrs

_TOLERANCE: Final = 1e-6

RetryAfter: TypeAlias = str | float | None
"""The ``Retry-After`` of a 429.

``None`` sends no header. ``"auto"`` sends the whole seconds until a token is available, ``"date"`` the same time as an
HTTP date. A number is sent as that many seconds, any other text unchanged: ``"0"``, ``"-5"``, ``"soon"``."""


class Limiter(Protocol):
    """Admits requests. Times are seconds, and never fall."""

    def has_token(self, now: float) -> bool:
        """Return True when a request may pass now."""

    def take(self) -> None:
        """Count a request that passes, at the time of the last question."""

    def token_delay(self, now: float) -> float:
        """Return the seconds until a request may pass."""


@attrs.define
class Bucket:
    """A token bucket. It is full at first; a refused request takes no token.

    Args:
        rate: tokens added per second.
        burst: most tokens in the bucket.
    """

    rate: float = attrs.field(validator=attrs.validators.gt(0.0))
    burst: float = attrs.field(validator=attrs.validators.ge(1.0))
    level: float = attrs.field(default=math.inf)
    updated_at: float = -math.inf

    def fill(self, now: float) -> None:
        """Add the tokens of the time since the last update."""
        if now > self.updated_at:
            grown = self.level + (now - self.updated_at) * self.rate if math.isfinite(self.updated_at) else math.inf
            self.level = min(self.burst, grown)
            self.updated_at = now

    def has_token(self, now: float) -> bool:
        """Return True when a request may pass now."""
        self.fill(now)
        return self.level >= 1.0 - _TOLERANCE

    def take(self) -> None:
        """Spend one token."""
        self.level -= 1.0

    def token_delay(self, now: float) -> float:
        """Return the seconds until a token is available."""
        self.fill(now)
        return max(0.0, (1.0 - self.level) / self.rate)


@attrs.define
class FixedWindow:
    """Lets ``most`` requests pass in each window of ``window`` seconds; the windows follow the clock."""

    most: float = attrs.field(validator=attrs.validators.ge(1.0))
    window: float = attrs.field(validator=attrs.validators.gt(0.0))
    _number: float = -math.inf
    """Which window it is, counted from time 0."""
    _passed: int = 0

    def has_token(self, now: float) -> bool:
        """See :class:`Limiter`."""
        if (number := (now + _TOLERANCE) // self.window) > self._number:
            self._number, self._passed = number, 0
        return self._passed + 1 <= self.most + _TOLERANCE

    def take(self) -> None:
        """See :class:`Limiter`."""
        self._passed += 1

    def token_delay(self, now: float) -> float:
        """See :class:`Limiter`."""
        return 0.0 if self.has_token(now) else max(0.0, (self._number + 1.0) * self.window - now)


@attrs.define
class SlidingWindow:
    """Lets a request pass if fewer than ``most`` have passed in the ``window`` seconds before it."""

    most: float = attrs.field(validator=attrs.validators.ge(1.0))
    window: float = attrs.field(validator=attrs.validators.gt(0.0))
    _now: float = -math.inf
    _passed_at: deque[float] = attrs.field(factory=deque)

    def has_token(self, now: float) -> bool:
        """See :class:`Limiter`."""
        self._now = now
        while self._passed_at and self._passed_at[0] <= now - self.window + _TOLERANCE:
            self._passed_at.popleft()
        return len(self._passed_at) + 1 <= self.most + _TOLERANCE

    def take(self) -> None:
        """See :class:`Limiter`."""
        self._passed_at.append(self._now)

    def token_delay(self, now: float) -> float:
        """See :class:`Limiter`."""
        return 0.0 if self.has_token(now) else max(0.0, self._passed_at[0] + self.window - now)


def limiter(
    rate: float | None, burst: float | None = None, *, window: float | None = None, sliding: bool = False
) -> Limiter | None:
    """Make the limiter of ``rate`` requests per second; ``None`` for no limit.

    Without a ``window`` it is a token bucket. With one, it counts requests in windows of so many seconds, which are
    fixed or ``sliding``, and has no ``burst``.
    """
    if rate is None:
        return None
    if window is None:
        return Bucket(rate, max(1.0, rate) if burst is None else burst)
    return SlidingWindow(rate * window, window) if sliding else FixedWindow(rate * window, window)


@attrs.define
class RateLimits:
    """A limiter that all services share, and one for each service.

    Either limiter may be absent; a request needs a token from each that exists.
    """

    shared: Limiter | None = None
    of_service: dict[str, Limiter] = attrs.field(factory=dict)
    retry_after: RetryAfter = None

    def admit(self, service: str, now: float) -> float | None:
        """Spend a token of each limiter and return ``None``; if a token is missing, return the seconds until then."""
        limiters = [limiter for limiter in (self.shared, self.of_service.get(service)) if limiter is not None]
        if all(limiter.has_token(now) for limiter in limiters):
            for limiter in limiters:
                limiter.take()
            return None
        return max(limiter.token_delay(now) for limiter in limiters)

    def header(self, delay: float, unix: float) -> str | None:
        """Return the ``Retry-After`` header of a 429; ``None`` for no header.

        Args:
            delay: seconds until a token is available.
            unix: the Unix time now, by the server's own clock.
        """
        form = self.retry_after
        if form is None:
            return None
        if form == "auto":
            return str(math.ceil(delay))
        if form == "date":
            return formatdate(math.ceil(unix + delay), usegmt=True)
        return f"{form:g}" if isinstance(form, int | float) else form
