"""The knobs refuse what makes no sense."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from topaz_status import ConfigurationError, PollPolicy


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "1", None, True])
@pytest.mark.parametrize("name", ["price", "min_interval", "max_interval", "give_up_after"])
def test_a_span_is_a_finite_positive_number(name: str, value: Any) -> None:
    """The complaint names the knob."""
    with pytest.raises(ConfigurationError, match=name):
        PollPolicy(**{name: value})


def test_a_timeout_may_be_none_and_a_grace_may_be_zero() -> None:
    """No limit and no grace are choices, zero seconds to wait is not."""
    assert PollPolicy(timeout=None, not_found_grace=0).timeout is None
    with pytest.raises(ConfigurationError, match="timeout"):
        PollPolicy(timeout=0)


def test_the_intervals_are_in_order() -> None:
    """A shortest gap above the longest one is a mistake."""
    with pytest.raises(ConfigurationError, match="min_interval"):
        PollPolicy(min_interval=2, max_interval=1)


def test_it_is_frozen() -> None:
    """A policy is a fact."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        PollPolicy().price = 1  # type: ignore[misc]


def test_the_longest_gap_grows_with_age_up_to_max_interval() -> None:
    """Young jobs are never forgotten for long."""
    policy = PollPolicy(max_interval=100)
    assert [policy.longest_gap(age) for age in (0, 60, 200, 10_000)] == [15, 15, 50, 100]
    assert PollPolicy(max_interval=2).longest_gap(0) == 2
