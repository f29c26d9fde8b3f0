"""The server's own rate limit: token buckets, and every form of a "too many requests" answer."""

from __future__ import annotations

import math
from email.utils import formatdate
from typing import Final, TypeAlias

import attrs

_TOLERANCE: Final = 1e-6

RetryAfter: TypeAlias = str | float | None
"""The ``Retry-After`` of a 429.

``None`` sends no header. ``"auto"`` sends the whole seconds until a token is available, ``"date"`` the same time as an
HTTP date. A number is sent as that many seconds, any other text unchanged: ``"0"``, ``"-5"``, ``"soon"``."""


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
class RateLimits:
    """A bucket that all services share, and one for each service.

    Either bucket may be absent; a request needs a token from each that exists.
    """

    shared: Bucket | None = None
    of_service: dict[str, Bucket] = attrs.field(factory=dict)
    retry_after: RetryAfter = None

    def admit(self, service: str, now: float) -> float | None:
        """Spend a token of each bucket and return ``None``; if a token is missing, return the seconds until then."""
        buckets = [bucket for bucket in (self.shared, self.of_service.get(service)) if bucket is not None]
        if all(bucket.has_token(now) for bucket in buckets):
            for bucket in buckets:
                bucket.take()
            return None
        return max(bucket.token_delay(now) for bucket in buckets)

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
