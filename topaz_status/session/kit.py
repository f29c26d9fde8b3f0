"""The kit of a client: the classes of the parts that differ if processes share an account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import attrs

from ..core.budget.budget import Budget, LocalBudget
from ..models.job import JobKind
from .polling.circuit_breakers import CircuitBreakers
from .polling.feed import Feed
from .polling.gate import Gate
from .polling.poll_results import PollResults
from .polling.registry import PollerRegistry


@attrs.frozen
class Kit:
    """Which classes to build a client of."""

    budget: Callable[[float, float, Mapping[JobKind, float | None]], Budget]
    gate: type[Gate]
    registry: type[PollerRegistry]
    results: type[PollResults]
    feed: type[Feed]
    circuits: type[CircuitBreakers]


@attrs.frozen(eq=False)
class Parts:
    """The parts of one client that were built of a kit."""

    gate: Gate
    registry: PollerRegistry
    results: PollResults
    feed: Feed
    circuits: CircuitBreakers


PLAIN_KIT: Final = Kit(LocalBudget, Gate, PollerRegistry, PollResults, Feed, CircuitBreakers)
"""The kit of a client that shares nothing."""
