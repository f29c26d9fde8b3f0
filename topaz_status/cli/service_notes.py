"""What is wrong at the moment, in sentences: services that are down, pauses, limits, a budget that is too small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from ..models.job import JobKind
from ..session.statistics import Stats
from .formatting import span

_LOWERED: Final = 0.95
"""A rate below this share of the highest one was lowered, and has not grown again."""


@attrs.define(eq=False)
class ServiceNotes:
    """Makes the sentences; it remembers the highest rate of each kind, to see one that 429s have lowered."""

    _highest: dict[JobKind, float] = attrs.field(factory=dict, init=False)

    def of(self, stats: Stats) -> list[str]:
        """Return the sentences, those of most weight first."""
        for kind, rate in stats.rates.items():
            self._highest[kind] = max(rate, self._highest.get(kind, 0.0))
        return [*self._services(stats), *_client(stats)]

    @property
    def limit(self) -> float:
        """The requests/s of all kinds together, as far as rates have shown: the highest rate of any kind so far."""
        return max(self._highest.values(), default=0.0)

    def _services(self, stats: Stats) -> Iterator[str]:
        for kind, seconds in stats.down.items():
            if seconds > 0.0:
                yield f"the {kind.value} service has been down for {span(seconds)}"
        for kind, seconds in stats.held.items():
            if seconds > 0.0:
                yield f"the {kind.value} service asked for a pause of another {span(seconds)}"
        lowered = [kind for kind, rate in stats.rates.items() if rate < _LOWERED * self._highest[kind]]
        if lowered and not _is_alone(stats):  # else it has its share of the rate, whatever the services say
            rates = (f"{kind.value} to {stats.rates[kind]:.1f} of {self._highest[kind]:g}/s" for kind in lowered)
            yield f"429s have lowered rates: {', '.join(rates)}"


def _client(stats: Stats) -> Iterator[str]:
    if stats.store is not None and stats.store.down > 0.0:
        yield f"the store has failed for {span(stats.store.down)}; outcomes wait for it"
    if stats.overdue > 1.0:
        yield f"the budget is too small for these jobs: polls are late by {span(stats.overdue)}"
    if stats.shared is not None and _is_alone(stats):
        yield f"this process polls alone: the shared server has been out of reach for {span(stats.shared.alone_for)}"


def _is_alone(stats: Stats) -> bool:
    return stats.shared is not None and stats.shared.role == "alone"
