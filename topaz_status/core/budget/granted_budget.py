"""A budget of tokens that a server grants to the members of one account.

While the server keeps its data, all members together send at most ``burst + rate × t`` requests in any ``t`` seconds. A
token may be used for a short time after its slot, and the burst that members name to the server is smaller by what that
lateness can add. If the server answers more slowly, its delay adds ``rate × delay`` at most.

Tokens are untyped, so each goes to the best poll of any kind. A kind with a limit of its own, set or learned, needs one
of its own tokens as well. An own token waits for a shared one, and no burst makes up for that. So all members send at
most ``1 + own_rate × (t + max(LATENESS, delay + 1 / rate + LEAST_LATENESS))`` requests of such a kind in ``t`` seconds
(see :mod:`.stock`). The leader learns the limits for all members, and names the rates to the server.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Final

import attrs

from ...coordination import Grants, Terms, Want
from ...models.job import JobKind
from .adaptive_limit import AdaptiveLimit
from .budget import LONGEST_HOLD, limit_of
from .demand import Demand
from .load import Load
from .stock import LATENESS, LEAST_LATENESS, Stock, lateness_of, own_least_lateness_of

_SLACK: Final = LEAST_LATENESS / 2.0


@attrs.frozen
class AnswerReport:
    """What the other members have to know of an answer: the arguments of :meth:`.coordination.Bus.slow_down`."""

    kind: JobKind
    limited: bool = False
    """True for a 429 that the leader has to learn from."""
    hold: float = 0.0
    """Seconds for which the service wants no request of that kind."""


@attrs.define(init=False)
class GrantedBudget:
    """See :class:`.budget.Budget`. It begins as a follower's.

    The shell asks the server for what :meth:`reserve` returns at the time :meth:`reserves_at`, one question at a time,
    and hands the answer to :meth:`granted` or :meth:`failed`. It posts what :meth:`reports` returns.
    """

    _rate: float
    _burst: float
    _service_rates: dict[JobKind, float | None]
    _stock: Stock
    _own: dict[JobKind, Stock]
    """The own tokens of kinds that have a limit."""
    _rates: dict[JobKind, float]
    """The limits of kinds that are in force for all members, as the server named them last."""
    _limits: dict[JobKind, AdaptiveLimit]
    """What the leader has learned; these limits also space the leader's requests."""
    _loads: dict[JobKind | None, Load]
    """How busy this member is: of all kinds, under ``None``, and of each kind with a limit that was set."""
    _demand: Demand
    _held_until: dict[JobKind, float]
    _limited: dict[JobKind, int] | None
    """The 429s of followers, as the server has counted them; ``None`` if the leader has yet to learn the number."""
    _reports: list[AnswerReport]
    _asked: tuple[Want, float] | None
    """The question on its way, and when it was sent."""
    _epoch: int | None
    grants: int
    """Shared tokens that were granted so far."""

    def __init__(self, rate: float, burst: float, service_rates: Mapping[JobKind, float | None]) -> None:
        self._rate, self._burst, self._service_rates = rate, burst, dict(service_rates)
        self._stock = Stock(lateness_of(rate, burst))
        self._own = {kind: Stock(LATENESS, own_least_lateness_of(rate)) for kind in JobKind}
        self._limits = {kind: self._new_limit(kind) for kind in JobKind}
        self._rates = {kind: limit.ceiling for kind, limit in self._limits.items() if limit.ceiling < rate}
        self._loads = {None: Load(rate, burst)} | {kind: Load(own, 1.0) for kind, own in self._rates.items()}
        self._demand = Demand()
        self._held_until = dict.fromkeys(JobKind, -math.inf)
        self._limited, self._reports, self._asked = None, [], None
        self._epoch = None
        self.grants = 0

    @property
    def expired(self) -> int:
        """Shared tokens that were granted and not used in time."""
        return self._stock.expired

    @property
    def terms(self) -> Terms:
        """What the account may send, as this member sees it."""
        kinds = {kind: rate for kind in JobKind if (rate := self._own_rate(kind)) is not None}
        burst = max(1.0, self._burst - self._rate * self._stock.lateness)
        return Terms(rate=self._rate, burst=burst, kinds=kinds)

    def _own_rate(self, kind: JobKind) -> float | None:
        """Return the limit of a kind, if it has one of its own: the leader's is what it has learned."""
        if self._epoch is None:
            return self._rates.get(kind)
        limit = self._limits[kind]
        return limit.rate if limit.learned or limit.ceiling < self._rate else None

    # -- the role -----------------------------------------------------------------------------------------------------

    def lead(self, epoch: int, now: float) -> None:
        """Reserve as the leader of ``epoch``, and learn for all; begin with the limits that the last leader named."""
        if self._epoch is None:
            self._limited = None
            for kind, limit in self._limits.items():
                if (rate := self._rates.get(kind, math.inf)) < limit.ceiling:
                    limit.adopt(rate, now)
                elif limit.learned:
                    self._limits[kind] = self._new_limit(kind)
        self._epoch = epoch

    def follow(self) -> None:
        """Reserve as one that makes direct calls alone."""
        self._epoch = None

    def _new_limit(self, kind: JobKind) -> AdaptiveLimit:
        return limit_of(self._service_rates.get(kind), self._rate, self._burst)

    # -- the server ---------------------------------------------------------------------------------------------------

    def want(self, kind: JobKind, at: float, count: int) -> None:
        """Note that ``count`` requests of a kind are wanted from ``at`` on; infinite for never."""
        self._demand.want(kind, at, count)

    def reserves_at(self, now: float) -> float:
        """Return when to call :meth:`reserve`; infinite while a question is on its way, or nothing is lacking."""
        if self._asked is not None:
            return math.inf
        self._purge(now)
        return self._demand.asks_at(self._lacks_at(now))

    def reserve(self, now: float) -> Want | None:
        """Return what to ask the server for, if it is time to."""
        if self.reserves_at(now) > now:
            return None
        terms = self.terms
        most = math.floor(self._rate * self._demand.horizon) + math.floor(terms.burst)
        self._demand.resize(most, now)
        soon = {kind: at for kind, at in self._goes_at().items() if self._demand.asks_at(at) <= now}
        counts = {kind: min(most, self._demand.count(kind, at, now)) for kind, at in soon.items()}
        own = {kind: self._own_count(kind, counts[kind]) - len(self._own[kind]) for kind in counts}
        want = Want(
            terms=terms,
            shared=max(0, min(most, sum(counts.values())) - len(self._stock)),
            kinds={kind: count for kind, count in own.items() if count > 0},
            horizon=self._demand.horizon,
            epoch=self._epoch,
        )
        if not want.shared and not want.kinds:
            return None
        self._asked = (want, now)
        return want

    def granted(self, grants: Grants, now: float) -> None:
        """Take the answer to the last question."""
        if self._asked is None:
            return
        (want, asked_at), self._asked = self._asked, None
        if not grants.epoch_ok:
            self._demand.failed(now)
            return
        self.grants += len(grants.shared)
        self._stock.add(grants.shared, sent_at=asked_at, now=now)
        for kind, slots in grants.kinds.items():
            self._own[kind].add(slots, sent_at=asked_at, now=now)
        self._rates = dict(grants.rates)
        for kind, delay in grants.held.items():
            self._hold(kind, now + delay)
        self._learn(grants.limited, asked_at, now)
        self._demand.answered(asked_at, now, next_at=now + _next_in(want, grants))

    def failed(self, now: float) -> None:
        """Note that the last question has no answer; what it asked for is not counted on."""
        self._asked = None
        self._demand.failed(now)

    def reports(self) -> list[AnswerReport]:
        """Return what the other members have to know, each once."""
        reports, self._reports = self._reports, []
        return reports

    def _learn(self, limited: Mapping[JobKind, int], asked_at: float, now: float) -> None:
        """Learn from the 429s of followers: their requests were sent before the question that brought the number."""
        if self._epoch is not None and self._limited is not None:
            for kind, count in limited.items():
                if count > self._limited.get(kind, 0):
                    self._limits[kind].too_many(sent_at=asked_at, now=now)
        self._limited = dict(limited)

    def _goes_at(self) -> dict[JobKind, float]:
        """Return for each kind of which something is wanted when it may go, given its tokens."""
        times = {kind: max(self._demand.wanted_at(kind), self._free_at(kind)) for kind in JobKind}
        return {kind: at for kind, at in times.items() if at < math.inf}

    def _free_at(self, kind: JobKind) -> float:
        """Return from when on a kind is not held, and spaced as the leader spaces it."""
        spaced = -math.inf if self._epoch is None else self._limits[kind].bucket.ready_at
        return max(self._held_until[kind], spaced)

    def _lacks_at(self, now: float) -> float:
        """Return when the first request may go for which a token is lacking."""
        left = len(self._stock)
        for at, kind in sorted((at, kind) for kind, at in self._goes_at().items()):
            count = self._demand.count(kind, at, now)
            if left < count or len(self._own[kind]) < self._own_count(kind, count):
                return at
            left -= count
        return math.inf

    def _own_count(self, kind: JobKind, count: int) -> int:
        """Return how many own tokens go with ``count`` shared ones; no more than the kind's limit brings in time."""
        rate = self._own_rate(kind)
        return 0 if rate is None else min(count, math.floor(rate * self._demand.horizon) + 1)

    def _purge(self, now: float) -> None:
        self._stock.purge(now)
        for stock in self._own.values():
            stock.purge(now)

    # -- the gate -----------------------------------------------------------------------------------------------------

    def ready_at(self, kind: JobKind) -> float:
        """See :class:`.budget.Budget`; infinite while no token is at hand."""
        at, needs_own = self._free_at(kind), self._own_rate(kind) is not None
        while True:
            later = self._stock.ready_at(at)
            if needs_own and later < math.inf:
                later = self._own[kind].ready_at(later)
            if later in {at, math.inf}:
                return later
            at = later

    def ready(self, now: float) -> Collection[JobKind]:
        """See :class:`.budget.Budget`."""
        self._purge(now)
        return [kind for kind in JobKind if self.ready_at(kind) <= now]

    def take(self, kind: JobKind, now: float) -> None:
        """See :class:`.budget.Budget`."""
        self._purge(now)
        if (ready_at := self.ready_at(kind)) > now:
            raise ValueError(f"no token before {ready_at}, and it is {now}")
        self._stock.take(now)
        if self._own_rate(kind) is not None:
            self._own[kind].take(now)
        if self._epoch is not None:
            self._limits[kind].bucket.take(now)
        for load in (self._loads[None], self._loads.get(kind)):
            if load is not None:
                load.sent(now)

    def give_back(self, kind: JobKind) -> None:
        """See :class:`.budget.Budget`. A granted token is lost: it was only good for a moment."""
        if self._epoch is not None:
            self._limits[kind].bucket.give_back()

    def idle_at(self, kind: JobKind, now: float) -> float:
        """See :class:`.budget.Budget`."""
        if self._epoch is not None and self._limits[kind].holds_down(now):
            return math.inf
        own = self._loads.get(kind)
        return max(self._free_at(kind), self._loads[None].idle_at, -math.inf if own is None else own.idle_at)

    def is_short(self, due: int, now: float) -> bool:  # noqa: ARG002  # a token that is not used now is lost
        """See :class:`.budget.Budget`."""
        return False

    def spares_at(self, worth: float, now: float) -> float:  # noqa: ARG002
        """See :class:`.budget.Budget`."""
        return now

    def slack(self, kind: JobKind) -> float:  # noqa: ARG002  # every token is good for a while
        """See :class:`.budget.Budget`."""
        return _SLACK

    # -- answers ------------------------------------------------------------------------------------------------------

    def confirmed(self, kind: JobKind, sent_at: float) -> None:
        """See :class:`.budget.Budget`; a follower leaves the learning to the leader."""
        if self._epoch is not None:
            self._limits[kind].confirmed(sent_at)

    def limited(self, kind: JobKind, *, sent_at: float, now: float) -> None:
        """See :class:`.budget.Budget`; a follower reports it to the leader."""
        if self._epoch is not None:
            self._limits[kind].too_many(sent_at=sent_at, now=now)
        else:
            self._reports.append(AnswerReport(kind, limited=True))

    def hold(self, kind: JobKind, now: float, delay: float) -> None:
        """See :class:`.budget.Budget`; all members hold."""
        delay = min(max(0.0, delay), LONGEST_HOLD)
        self._hold(kind, now + delay)
        self._reports.append(AnswerReport(kind, hold=delay))

    def _hold(self, kind: JobKind, until: float) -> None:
        self._held_until[kind] = max(self._held_until[kind], until)

    # -- statistics ---------------------------------------------------------------------------------------------------

    def tokens(self, now: float) -> float:
        """See :class:`.budget.Budget`: here the tokens at hand."""
        self._purge(now)
        return float(len(self._stock))

    def rate(self, kind: JobKind) -> float:
        """See :class:`.budget.Budget`."""
        return self._own_rate(kind) or self._rate

    def held_for(self, kind: JobKind, now: float) -> float:
        """See :class:`.budget.Budget`."""
        return max(0.0, self._held_until[kind] - now)


def _next_in(want: Want, grants: Grants) -> float:
    """Return the seconds until the next slot of what was asked for and not granted; past if nothing is missing."""
    if len(grants.shared) < want.shared:
        return grants.next_in
    missing = [kind for kind, count in want.kinds.items() if len(grants.kinds.get(kind, ())) < count]
    return min((grants.kinds_next_in.get(kind, 0.0) for kind in missing), default=-math.inf)
