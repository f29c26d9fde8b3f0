"""What the schedule keeps of one watched job."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from ...models.job import JobKind, JobRef
from ..observation import Observation
from ..prediction.life_tables import (
    BINS_AN_OCTAVE,
    EDGES,
    FIRST_EDGE,
    LAST_BIN,
    OFFSET,
    Curve,
    LifeTable,
    Lifetimes,
    bin_of,
)
from ..prediction.sources import Source, predict
from ..prediction.worth import gap_worth
from ..prediction.worth import worth as worth_of
from .entry import COVERED, IN_FLIGHT, Entry, JobPoll
from .poll_queue import SOONEST_PROMOTION

if TYPE_CHECKING:
    from .page import PageMembers

NO_PROGRESS: Final = 2.0
"""Stands for the progress at the first running look while there was none."""
WHOLE_SECONDS: Final = 4.0
"""Up to this gap the middle of it tells a job's end better than the service's whole seconds do."""
FARTHEST_PROMOTION: Final = 16.0
"""How many times the present gap ahead an entry climbs, at most: the rung that is served may be another by then."""
PROBABLY: Final = 0.5
DOUBTED: Final = frozenset({Source.ETA, Source.PACE, Source.OVERDUE})
"""Sources that can repeat themselves for ever: an ``eta`` that moves with the clock, progress that stalls at 99 %."""
LATE: Final = 0.25
"""The share of the time for which it has repeated itself that a job is taken to be late by."""
UNNOTICED: Final = 0.25
"""Where a look has borne out a notice, the chance that the job's next change comes without one."""
LEAD: Final = 0.05
"""Seconds before a watch times out at which its last poll is due. The watch waits for the answer."""
STAKE: Final = 300.0
"""Seconds of waiting that it is worth not to tell an end as a timeout: about the longest gap."""
UNSAID: Final = math.inf
NOTHING: Final = 0.0
"""One object for all jobs that need no number of their own."""
_ETA: Final = Source.ETA
_QUEUE: Final = Source.QUEUE


class TrackedJob(Entry):
    """One job: when it was seen, what is predicted of it, and in which group of a page it is."""

    __slots__ = (
        "basis_at",
        "before",
        "born_at",
        "curve",
        "group",
        "job",
        "known",
        "last_at",
        "misses",
        "not_before",
        "over",
        "progress0",
        "running_at",
        "said",
        "said_at",
        "seen_at",
        "source",
        "table",
        "teaches",
        "unit",
        "weight",
    )

    def __init__(self, job: JobRef, born_at: float, now: float) -> None:
        self.due_at = now
        self.remind_at = NOTHING
        self.level = COVERED
        self.urgent = False
        self.job = job
        self.born_at = born_at
        self.seen_at = now
        """When it was last known to be alive; before the first look, when the watch began."""
        self.known = False
        """True once a look has seen it."""
        self.teaches = True
        """False where its end may long have come when its watch began, so that its lifetime is not known."""
        self.last_at = math.inf
        """When the last poll before its watch times out is due; infinite once that is sent."""
        self.not_before = NOTHING
        """After a look that failed: no further one before this, whoever asks for it."""
        self.over = False
        """True once its end was told; where a list did, a look at the job is to confirm it."""
        self.running_at = NOTHING
        self.progress0 = NO_PROGRESS
        self.said = UNSAID
        """The seconds about which predictions have spoken since ``said_at``."""
        self.said_at = NOTHING
        self.group: PageMembers | None = None
        self.misses = 0
        """How often in a row it was looked for in a list and not found."""
        self.weight = 1.0
        """The chance that its next change comes without a notice: looks at it are worth so much."""

    def believe(self, source: Source, remaining: float, basis_at: float, lifetimes: Lifetimes) -> None:
        """Take a prediction made at ``basis_at``, and the law that goes with it."""
        self.source = source
        self.table: LifeTable = lifetimes.table(self.job.kind, source, remaining)
        self.basis_at = basis_at
        self.unit = remaining
        self.refresh()

    def refresh(self) -> None:
        """Go by what the table knows now."""
        curve: Curve = self.table.curve
        self.curve = curve
        if self.seen_at == self.basis_at:
            self.before = NOTHING
            return
        x = (self.seen_at - self.basis_at) / self.unit
        k = bin_of(x)
        self.before = curve.total[k] + (x - EDGES[k]) * curve.slope[k]

    @property
    def kind(self) -> JobKind:
        """Whose budget a look comes out of."""
        return self.job.kind

    def send(self) -> JobPoll:
        """See :meth:`Entry.send`."""
        self.urgent = False
        return JobPoll(self.job, self)

    @property
    def is_unpolled(self) -> bool:
        """True until its first poll is sent: by itself, or as one of a page that showed it."""
        return not self.known and self.level > IN_FLIGHT and self.not_before == NOTHING

    @property
    def predicted_end_at(self) -> float:
        """When it should end, by the prediction gone by."""
        return self.basis_at + self.unit

    # -- what a look is worth -----------------------------------------------------------------------------------------

    def spent_by(self, now: float) -> float:
        """Give the hazard run through since the job was last seen."""
        return self.curve.hazard_before((now - self.basis_at) / self.unit) - self.before

    def worth_at(self, now: float) -> float:
        """See :meth:`Entry.worth_at`. From ``last_at`` on a poll also saves an end from being told as a timeout."""
        worth = self.news_worth_at(now)
        return worth if now < self.last_at else worth - STAKE * math.expm1(-self.spent_by(now))

    def news_worth_at(self, now: float) -> float:
        """Give the seconds of waiting that news of the job saves; a page sums them, having a ``last_at`` of its own.

        :meth:`spent_by` is written out: nothing is asked for as often.
        """
        x = (now - self.basis_at) / self.unit
        k = 0 if x < FIRST_EDGE else int(math.log2(x) * BINS_AN_OCTAVE + OFFSET)
        k = k if k < LAST_BIN else LAST_BIN
        curve = self.curve
        spent = curve.total[k] + (x - EDGES[k]) * curve.slope[k] - self.before
        return worth_of(now - self.seen_at, spent) * self.weight

    def reaches_at(self, worth: float, now: float) -> float:
        """See :meth:`Entry.reaches_at`: no farther than a few times the present gap, and than ``last_at``."""
        seen_at, basis_at, unit = self.seen_at, self.basis_at, self.unit
        gap = now - seen_at
        most = (gap if gap > SOONEST_PROMOTION else SOONEST_PROMOTION) * FARTHEST_PROMOTION
        start = (seen_at - basis_at) / unit
        at = seen_at + gap_worth(worth / self.weight, self.curve, start, self.before, unit, most=most)
        return self.last_at if now < self.last_at < at else at

    def gap_worth(self, worth: float, most: float) -> float:
        """Give the gap after which a look is worth that much, ``most`` at most."""
        start = (self.seen_at - self.basis_at) / self.unit
        return gap_worth(worth / self.weight, self.curve, start, self.before, self.unit, most=most)

    # -- what a look tells --------------------------------------------------------------------------------------------

    def saw_alive(self, seen: Observation, now: float, lifetimes: Lifetimes) -> None:
        """Learn from a look that found the job alive, and predict anew."""
        self.over = False
        basis_at, table = self.basis_at, self.table
        table.lived((self.seen_at - basis_at) / self.unit, (now - basis_at) / self.unit)
        if not self.known:
            self.known = True
            lifetimes.first_poll(self.job.kind, 0.0)
            self.born_at = _birth(self.born_at, seen, now)
        self.seen_at = now
        if seen.progress is not None and seen.running and not self.progress0 <= seen.progress:
            self.running_at, self.progress0 = now, seen.progress
        eta, said = seen.remaining, self.said
        if (
            eta is not None
            and self.source is _ETA
            and table.least <= eta < table.most
            and said / 2.0 <= eta <= said * 2.0
            and now - self.said_at <= lifetimes.doubt * eta
        ):  # as most of the time: :meth:`_predict` would come to about the same
            self.basis_at, self.unit = now, eta
            self.curve, self.before = table.curve, NOTHING
        else:
            self._predict(seen, now, lifetimes)

    def _predict(self, seen: Observation, now: float, lifetimes: Lifetimes) -> None:
        """Predict anew, by the best source there is."""
        age = now - self.born_at
        source, remaining = predict(seen, age, now - self.running_at, self.progress0)
        if source < _QUEUE:
            if source in DOUBTED:
                stuck = self._stuck_for(remaining, now)
                if stuck > lifetimes.doubt * remaining:
                    source, remaining = Source.OVERDUE, LATE * stuck
            self.believe(source, remaining, now, lifetimes)
        elif self.source >= _QUEUE:
            self.believe(source, 1.0, self.born_at, lifetimes)
        else:
            self.refresh()

    def _stuck_for(self, remaining: float, now: float) -> float:
        """Give for how long predictions have said about the same.

        One that counts down halves in the time it tells. An ``eta`` that moves with the clock never does.
        """
        said, stuck = self.said, now - self.said_at
        if not said / 2.0 <= remaining <= said * 2.0 and not said < remaining < stuck:
            self.said, self.said_at = remaining, now
            return 0.0
        return stuck

    def saw_end(self, seen: Observation, now: float, lifetimes: Lifetimes) -> None:
        """Learn, once, from a look that found the job over."""
        if self.over:
            return
        self.over = True
        if not self.known:
            chance = self._over_before(seen, now, lifetimes)
            lifetimes.first_poll(self.job.kind, chance)
            if chance > PROBABLY or not (self.teaches or seen.ended_ago is not None):
                return
        gap = now - self.seen_at
        end_at = now - gap / 2.0
        if seen.ended_ago is not None and gap > WHOLE_SECONDS:
            end_at = min(max(now - seen.ended_ago, self.seen_at), now)
        basis_at = self.basis_at
        self.table.died((self.seen_at - basis_at) / self.unit, (end_at - basis_at) / self.unit)

    def _over_before(self, seen: Observation, now: float, lifetimes: Lifetimes) -> float:
        """Give the chance that a job which its first look found over was so when its watch began."""
        gap = now - self.seen_at
        if seen.ended_ago is not None and abs(seen.ended_ago - gap) > 1.0:
            return 1.0 if seen.ended_ago > gap else 0.0
        before = -math.expm1(-lifetimes.over_at_first(self.job.kind))
        return before / max(-math.expm1(-self.spent_by(now)), before)


def _birth(born_at: float, seen: Observation, now: float) -> float:
    """Correct what was thought of a job's birth by what the service tells in whole seconds."""
    if seen.age is None or abs(now - seen.age - born_at) <= 1.0:
        return born_at
    return now - seen.age
