"""Members of one account in scripted time: their budgets, the server's bucket, and messages that are late or lost."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Mapping

import attrs

from topaz_status.core.budget.granted_budget import GrantedBudget
from topaz_status.models.job import JobKind
from topaz_status.testing.sharing.shared_bucket import SharedBucket, micros

EPOCH = 7


@attrs.define(eq=False)
class Member:
    """One member, whose clock is ``ahead`` of the server's, and which always or sometimes has something to send."""

    budget: GrantedBudget
    ahead: float
    kinds: tuple[JobKind, ...]
    period: float
    """Seconds between two requests of a kind that it would like to send; 0 for as fast as it may."""
    stalls: float = 0.0
    """Most seconds for which its loop stands still between two steps; what it may send piles up meanwhile."""
    turns: int = 0
    wanted_at: dict[JobKind, float] = attrs.field(factory=dict)
    sent: list[tuple[float, JobKind]] = attrs.field(factory=list)
    """The server's time of each request, and its kind."""

    def step(self, now: float) -> float:
        """Send all that may go at this time of the server, and return when something may go or be asked next."""
        local = now + self.ahead
        for kind in self.kinds:
            self.wanted_at.setdefault(kind, local)
        while waiting := [kind for kind in self.budget.ready(local) if self.wanted_at.get(kind, math.inf) <= local]:
            kind = min(waiting, key=lambda kind: self.wanted_at[kind])
            self.budget.take(kind, local)
            self.budget.confirmed(kind, local)
            self.sent.append((now, kind))
            self.wanted_at[kind] = max(local - 1.0, self.wanted_at[kind] + self.period)
        for kind in self.kinds:
            self.budget.want(kind, self.wanted_at[kind], 0)
        times = [max(self.budget.ready_at(kind), self.wanted_at[kind]) for kind in self.kinds]
        return max(now, min(*times, self.budget.reserves_at(local)) - self.ahead)


@attrs.define
class Account:
    """The members and their server. ``reply`` of a lost message is ``None``."""

    members: list[Member]
    dice: random.Random
    delay: tuple[float, float] = (0.001, 0.01)
    """The least and the greatest time that a message takes, one way."""
    loss: float = 0.0
    """The share of messages that are lost, questions and answers alike."""
    bucket: SharedBucket = attrs.field(factory=SharedBucket)
    now: float = 1000.0
    slowest: float = 0.0
    """The longest round trip so far."""
    _events: list[tuple[float, int, object]] = attrs.field(factory=list)
    _order: itertools.count[int] = attrs.field(factory=itertools.count)

    @classmethod
    def of(
        cls,
        count: int,
        rate: float,
        burst: float,
        service_rates: Mapping[JobKind, float | None],
        *,
        kinds: tuple[JobKind, ...] = (JobKind.IMAGE,),
        seed: int = 0,
        periods: tuple[float, ...] = (0.01,),
        delay: tuple[float, float] = (0.001, 0.01),
        loss: float = 0.0,
        stalls: float = 0.0,
    ) -> Account:
        """Make members with equal settings; the first one leads."""
        dice = random.Random(seed)
        members = [
            Member(GrantedBudget(rate, burst, service_rates), dice.uniform(-5.0, 5.0), kinds, dice.choice(periods))
            for _ in range(count)
        ]
        for member in members:
            member.stalls = stalls
        account = cls(members, dice, delay, loss)
        members[0].budget.lead(EPOCH, account.now + members[0].ahead)
        return account

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        for member in self.members:
            self._turn(member)
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            assert callable(event)
            event()
        self.now = until

    @property
    def sent(self) -> list[float]:
        """When requests were sent, in order."""
        return sorted(at for member in self.members for at, _ in member.sent)

    def sent_of(self, kind: JobKind) -> list[float]:
        """When requests of one kind were sent, in order."""
        return sorted(at for member in self.members for at, one in member.sent if one is kind)

    def _at(self, when: float, event: object) -> None:
        heapq.heappush(self._events, (when, next(self._order), event))

    def _turn(self, member: Member) -> None:
        """Let a member act, and come back when it has something to do, unless something else wakes it before."""
        member.turns += 1
        turn, wakes_at = member.turns, member.step(self.now)
        self._ask(member)

        def again() -> None:
            if member.turns == turn:
                self._turn(member)

        stall = self.dice.uniform(0.0, member.stalls)
        self._at(min(max(wakes_at, self.now + 0.001), self.now + 0.5) + stall, again)

    def _ask(self, member: Member) -> None:
        want = member.budget.reserve(self.now + member.ahead)
        if want is None:
            return
        asked_at, out, back = self.now, self.dice.uniform(*self.delay), self.dice.uniform(*self.delay)
        asks_in_vain, is_lost = self.dice.random() < self.loss, self.dice.random() < self.loss

        def reach() -> None:
            if asks_in_vain:
                self._at(asked_at + 1.0, fail)
                return
            grants = self.bucket.reserve(want, micros(self.now), self.now, leads=want.epoch is not None)

            def arrive() -> None:
                self.slowest = max(self.slowest, self.now - asked_at)
                member.budget.granted(grants, self.now + member.ahead)
                if not member.stalls:
                    self._turn(member)

            self._at(self.now + back, arrive) if not is_lost else self._at(asked_at + 1.0, fail)

        def fail() -> None:
            member.budget.failed(self.now + member.ahead)

        self._at(self.now + out, reach)
