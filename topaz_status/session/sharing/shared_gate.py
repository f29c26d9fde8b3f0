"""The gate of a client with a coordinator: it says to the budget what is wanted next, because tokens come from afar."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import attrs

from ...core.budget.shared_budget import SharedBudget
from ...core.schedule.schedule import Schedule
from ...models.job import JobKind
from ..polling.gate import Gate


@attrs.define(eq=False)
class SharedGate(Gate):
    """Grants slots and tokens; after each step it says of each kind when a request is wanted, and how many."""

    schedule: Schedule | None = attrs.field(default=None, init=False)
    on_wants: Callable[[], object] | None = attrs.field(default=None, init=False)
    """Called when the budget knows what is wanted."""

    @property
    def shared_budget(self) -> SharedBudget:
        """The budget, as the one that a client with a coordinator has."""
        return cast("SharedBudget", self.budget)

    def _take_back(self, kind: JobKind) -> bool:
        """Take a slot back. The answer may have changed what is wanted, though no token is at hand for it yet."""
        return super()._take_back(kind) or not self._soon

    def _arm(self, now: float) -> None:
        super()._arm(now)
        free = self.slots - self.in_flight
        for kind in JobKind:
            at, count = self._wanted(kind, now) if free > 0 else (math.inf, 0)
            self.shared_budget.want(kind, at, min(count, free))
        if self.on_wants is not None:
            self.on_wants()

    def _wanted(self, kind: JobKind, now: float) -> tuple[float, int]:
        """Return when a request of a kind is wanted, whatever the tokens, and how many are wanted by then."""
        calls = len(self._lines[kind]) if self._in_line and self._may_call() and self._waiting(kind) else 0
        at = math.inf if self._polls is None else self._polls.next_at(now, kind)
        due = self.schedule.due_now(now, (kind,)) if at <= now and self.schedule is not None else 0
        return (now, calls + due) if calls else (at, max(1, due))
