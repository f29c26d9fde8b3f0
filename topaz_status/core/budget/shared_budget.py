"""The budget of a client whose account is shared among processes: tokens of a server or, without it, a share.

A member that goes alone spends its share, ``rate / members``, without a burst, and begins without a token. So all
members together keep to the rate, even if none of them reaches the server.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from ...models.job import JobKind
from .budget import LocalBudget
from .granted_budget import GrantedBudget


@attrs.define(init=False)
class SharedBudget:
    """See :class:`.budget.Budget`. It begins as a follower's."""

    granted: GrantedBudget
    """The tokens of the server, and what the shell has to ask it for."""
    _rate: float
    _spent: GrantedBudget | LocalBudget
    """The budget that requests are sent from."""

    def __init__(self, rate: float, burst: float, service_rates: Mapping[JobKind, float | None]) -> None:
        self._rate = rate
        self.granted = self._spent = GrantedBudget(rate, burst, service_rates)

    # -- the role -----------------------------------------------------------------------------------------------------

    @property
    def is_alone(self) -> bool:
        """True while this member does without the server."""
        return self._spent is not self.granted

    def lead(self, epoch: int, now: float) -> None:
        """Ask for tokens as the leader of ``epoch`` from now on, and learn the services' limits for all members."""
        self._spent = self.granted
        self.granted.lead(epoch, now)

    def follow(self) -> None:
        """Ask for tokens for direct calls alone."""
        self._spent = self.granted
        self.granted.follow()

    def go_alone(self, members: int, now: float) -> None:
        """Spend a share without the server. ``members`` is how many there were when it answered last."""
        share = 1.0 / max(1, members)
        rates = {kind: rate * share for kind, rate in self.granted.terms.kinds.items()}
        alone = LocalBudget(self._rate * share, 1.0, rates)
        alone.drain(now)
        for kind in JobKind:
            if (held_for := self.granted.held_for(kind, now)) > 0.0:
                alone.hold(kind, now, held_for)
        self.granted.follow()
        self._spent = alone

    # -- the budget in force ------------------------------------------------------------------------------------------

    def ready_at(self, kind: JobKind) -> float:
        """See :class:`.budget.Budget`; infinite while no token is at hand."""
        return self._spent.ready_at(kind)

    def ready(self, now: float) -> Collection[JobKind]:
        """See :class:`.budget.Budget`."""
        return self._spent.ready(now)

    def idle_at(self, kind: JobKind, now: float) -> float:
        """See :class:`.budget.Budget`."""
        return self._spent.idle_at(kind, now)

    def slack(self, kind: JobKind) -> float:
        """See :class:`.budget.Budget`."""
        return self._spent.slack(kind)

    def take(self, kind: JobKind, now: float) -> None:
        """See :class:`.budget.Budget`."""
        self._spent.take(kind, now)

    def give_back(self, kind: JobKind) -> None:
        """See :class:`.budget.Budget`. A granted token is lost: it was only good for a moment."""
        self._spent.give_back(kind)

    def confirmed(self, kind: JobKind, sent_at: float) -> None:
        """See :class:`.budget.Budget`; a follower leaves the learning to the leader."""
        self._spent.confirmed(kind, sent_at)

    def limited(self, kind: JobKind, *, sent_at: float, now: float) -> None:
        """See :class:`.budget.Budget`; a follower reports it to the leader."""
        self._spent.limited(kind, sent_at=sent_at, now=now)

    def hold(self, kind: JobKind, now: float, delay: float) -> None:
        """See :class:`.budget.Budget`; all members hold."""
        self.granted.hold(kind, now, delay)
        if self.is_alone:
            self._spent.hold(kind, now, delay)

    def tokens(self, now: float) -> float:
        """See :class:`.budget.Budget`; of the server's, those at hand."""
        return self._spent.tokens(now)

    def rate(self, kind: JobKind) -> float:
        """See :class:`.budget.Budget`."""
        return self._spent.rate(kind)

    def held_for(self, kind: JobKind, now: float) -> float:
        """See :class:`.budget.Budget`."""
        return self.granted.held_for(kind, now)
