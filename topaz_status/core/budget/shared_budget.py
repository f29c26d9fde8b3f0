"""The budget of a client whose account is shared among processes: tokens of a server or, without it, a share.

A member that goes alone spends its share, ``rate / members``, without a burst, and begins without a token. So all
members together keep to the rate, even if none of them reaches the server.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import attrs

from ...coordination import Grants, Want
from ...models.job import JobKind
from .budget import LocalBudget
from .granted_budget import AnswerReport, GrantedBudget


@attrs.define(init=False)
class SharedBudget:
    """See :class:`.budget.Budget`. It begins as a follower's.

    The shell asks the server for what :meth:`reserve` returns at the time :meth:`reserves_at`, one question at a time,
    and hands the answer to :meth:`granted` or :meth:`failed`. It posts what :meth:`reports` returns.
    """

    _rate: float
    _granted: GrantedBudget
    """The tokens of the server."""
    _spent: GrantedBudget | LocalBudget
    """The budget that requests are sent from."""

    def __init__(self, rate: float, burst: float, service_rates: Mapping[JobKind, float | None]) -> None:
        self._rate = rate
        self._granted = self._spent = GrantedBudget(rate, burst, service_rates)

    # -- the role -----------------------------------------------------------------------------------------------------

    @property
    def is_alone(self) -> bool:
        """True while this member does without the server."""
        return self._spent is not self._granted

    def lead(self, epoch: int, now: float) -> None:
        """Ask for tokens as the leader of ``epoch`` from now on, and learn the services' limits for all members."""
        self._spent = self._granted
        self._granted.lead(epoch, now)

    def follow(self) -> None:
        """Ask for tokens for direct calls alone."""
        self._spent = self._granted
        self._granted.follow()

    def go_alone(self, members: int, now: float) -> None:
        """Spend a share without the server. ``members`` is how many there were when it answered last."""
        share = 1.0 / max(1, members)
        rates = {kind: rate * share for kind, rate in self._granted.terms.kinds.items()}
        alone = LocalBudget(self._rate * share, 1.0, rates)
        alone.drain(now)
        for kind in JobKind:
            if (held_for := self._granted.held_for(kind, now)) > 0.0:
                alone.hold(kind, now, held_for)
        self._granted.follow()
        self._spent = alone

    # -- the server ---------------------------------------------------------------------------------------------------

    def want(self, kind: JobKind, at: float, count: int) -> None:
        """Note that ``count`` requests of a kind are wanted from ``at`` on; infinite for never."""
        self._granted.want(kind, at, count)

    def reserves_at(self, now: float) -> float:
        """Return when to call :meth:`reserve`; infinite while a question is on its way, or nothing is lacking."""
        return math.inf if self.is_alone else self._granted.reserves_at(now)

    def reserve(self, now: float) -> Want | None:
        """Return what to ask the server for, if it is time to."""
        return None if self.is_alone else self._granted.reserve(now)

    def granted(self, grants: Grants, now: float) -> None:
        """Take the answer to the last question."""
        self._granted.granted(grants, now)

    def failed(self, now: float) -> None:
        """Note that the last question has no answer; what it asked for is not counted on."""
        self._granted.failed(now)

    def reports(self) -> list[AnswerReport]:
        """Return what the other members have to know, each once."""
        return self._granted.reports()

    @property
    def grants(self) -> int:
        """Shared tokens that were granted so far."""
        return self._granted.grants

    @property
    def expired(self) -> int:
        """Shared tokens that were granted and not used in time."""
        return self._granted.expired

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

    def is_short(self, due: int, now: float) -> bool:
        """See :class:`.budget.Budget`."""
        return self._spent.is_short(due, now)

    def spares_at(self, worth: float, now: float) -> float:
        """See :class:`.budget.Budget`."""
        return self._spent.spares_at(worth, now)

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
        self._granted.hold(kind, now, delay)
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
        return self._granted.held_for(kind, now)
