"""The server's own rate limit: token buckets, and every way a service may say "too many"."""

from __future__ import annotations

import math
from email.utils import formatdate
from typing import Final, TypeAlias

import attrs

_TOLERANCE: Final = 1e-6

RetryAfter: TypeAlias = str | float | None
"""What a 429 says in ``Retry-After``: ``None`` nothing; ``"auto"`` whole seconds until a token is there; ``"date"`` the
same as an HTTP date; a number that many seconds; any other text as it is: ``"0"``, ``"-5"``, ``"soon"``."""


@attrs.define
class Bucket:
    """A token bucket. It is full at first; a refused request takes nothing.

    Args:
        rate: tokens a second.
        burst: tokens it holds.
    """

    rate: float = attrs.field(validator=attrs.validators.gt(0.0))
    burst: float = attrs.field(validator=attrs.validators.ge(1.0))
    level: float = attrs.field(default=math.inf)
    updated_at: float = -math.inf

    def fill(self, now: float) -> None:
        """Bring the level up to date."""
        if now > self.updated_at:
            grown = self.level + (now - self.updated_at) * self.rate if math.isfinite(self.updated_at) else math.inf
            self.level = min(self.burst, grown)
            self.updated_at = now

    def has_token(self, now: float) -> bool:
        """True when a request may pass now."""
        self.fill(now)
        return self.level >= 1.0 - _TOLERANCE

    def take(self) -> None:
        """Spend one token."""
        self.level -= 1.0

    def token_delay(self, now: float) -> float:
        """Seconds until there is a token."""
        self.fill(now)
        return max(0.0, (1.0 - self.level) / self.rate)


@attrs.define
class RateLimits:
    """A bucket that all services share and one for each service; a request needs a token of both that exist."""

    shared: Bucket | None = None
    of_service: dict[str, Bucket] = attrs.field(factory=dict)
    retry_after: RetryAfter = None

    def admit(self, service: str, now: float) -> float | None:
        """Spend a token of each bucket; ``None`` when that worked, else the seconds until it would."""
        buckets = [bucket for bucket in (self.shared, self.of_service.get(service)) if bucket is not None]
        if all(bucket.has_token(now) for bucket in buckets):
            for bucket in buckets:
                bucket.take()
            return None
        return max(bucket.token_delay(now) for bucket in buckets)

    def header(self, delay: float, unix: float) -> str | None:
        """The ``Retry-After`` to send with a 429.

        Args:
            delay: seconds until a token is there.
            unix: Unix time now, as the server's own clock has it.
        """
        said = self.retry_after
        if said is None:
            return None
        if said == "auto":
            return str(math.ceil(delay))
        if said == "date":
            return formatdate(math.ceil(unix + delay), usegmt=True)
        return f"{said:g}" if isinstance(said, int | float) else said
