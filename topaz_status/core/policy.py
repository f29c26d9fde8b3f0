"""How eagerly to poll and how long to go on: the settings a user may change."""

from __future__ import annotations

import math
from typing import Any, Final, TypeGuard

import attrs

from ..errors import ConfigurationError

DAY: Final = 86_400.0
WEEK: Final = 7 * DAY
"""No service stores a job for more than these seconds: a watch ends by then, and a longer span counts as missing."""
FIRST_LONGEST_GAP: Final = 15.0
"""Seconds of the longest gap between two polls of a new job."""


def is_number(value: object) -> TypeGuard[float]:
    """Return True for a number that is finite, also as a float."""
    try:
        return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def seconds(name: str, value: object, *, positive: bool = True) -> float:
    """Read a span of seconds given by a caller.

    Raises:
        ConfigurationError: it is not a finite number, or it is negative (or zero where ``positive``).
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name} is a number of seconds, not {value!r}")
    if not is_number(value) or value < 0 or (positive and value == 0):
        raise ConfigurationError(f"{name} must be finite and {'above 0' if positive else 'at least 0'}, not {value!r}")
    return float(value)


def optional_seconds(name: str, value: object) -> float | None:
    """Read a timeout given by a caller; ``None`` means no limit."""
    return None if value is None else seconds(name, value)


def _span(*, positive: bool = True, optional: bool = False) -> Any:
    """Make a validator that names the field in its error."""

    def check(_instance: object, field: attrs.Attribute[Any], value: object) -> None:
        if not (optional and value is None):
            seconds(field.name, value, positive=positive)

    return check


@attrs.frozen(kw_only=True)
class PollPolicy:
    """When to poll again. All times are seconds.

    Raises:
        ConfigurationError: a value is not a finite number in its range, or ``min_interval`` exceeds ``max_interval``.

    Example:
        >>> frugal = PollPolicy(price=1.0, timeout=3600.0)
        >>> StatusClient(policy=frugal, rate=2)
        <StatusClient new rate=2/s burst=10>
    """

    price: float = attrs.field(default=0.1, validator=_span())
    """Seconds of waiting that one request is worth: 0.02 is eager, 1 frugal. Most users need only this setting."""
    min_interval: float = attrs.field(default=0.25, validator=_span())
    """Two polls of one job are never closer together than this."""
    max_interval: float = attrs.field(default=300.0, validator=_span())
    """The longest gap between two polls of one job. Below this limit, the longest gap grows with the job's age."""
    sweep: bool = attrs.field(default=True, validator=attrs.validators.instance_of(bool))
    """Poll pages of the account's lists where one page answers for many jobs."""
    timeout: float | None = attrs.field(default=WEEK, validator=_span(optional=True))
    """How long a watch goes on by default; ``None`` is no limit. The services store nothing longer than 7 days."""
    not_found_grace: float = attrs.field(default=10.0, validator=_span(positive=False))
    """How long, from its start, a watch accepts a 404 for a record that is not written yet."""
    give_up_after: float = attrs.field(default=600.0, validator=_span())
    """How long a watch goes on without any usable answer. Polls that could not be sent do not count."""

    def __attrs_post_init__(self) -> None:
        if self.min_interval > self.max_interval:
            raise ConfigurationError(
                f"min_interval ({self.min_interval:g} s) must not exceed max_interval ({self.max_interval:g} s)"
            )

    def longest_gap(self, age: float) -> float:
        """Return the longest gap allowed between two polls of a job that is ``age`` seconds old."""
        gap = age / 4.0 if age > FIRST_LONGEST_GAP * 4.0 else FIRST_LONGEST_GAP
        return gap if gap < self.max_interval else self.max_interval
