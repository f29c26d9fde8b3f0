"""What the schedule believes of one watched job."""

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
"""The value of ``progress0`` until a poll finds the job running and gives its progress."""
WHOLE_SECONDS: Final = 4.0
"""Up to this many seconds, a gap's middle estimates a job's end better than the service's whole seconds do."""
FARTHEST_PROMOTION: Final = 16.0
"""A promotion is planned at most this many present gaps ahead: the level being served may change by then."""
PROBABLY: Final = 0.5
DOUBTED: Final = frozenset({Source.ETA, Source.PACE, Source.OVERDUE})
"""Sources that can repeat themselves for ever: an ``eta`` that moves with the clock, progress that stalls at 99 %."""
LATE_SHARE: Final = 0.25
"""When a repeated prediction is not believed, the job is taken to be late by this share of the time of repetition."""
UNNOTICED: Final = 0.25
"""The chance that a job's next change comes without a notice, once a poll has confirmed a notice."""
LEAD: Final = 0.05
"""Seconds before a watch times out at which its last poll is due. The watch waits for the answer."""
TIMEOUT_COST: Final = 300.0
"""What it is worth, in seconds of waiting, not to report an end as a timeout: about the longest gap."""
UNREPEATED: Final = math.inf
NOTHING: Final = 0.0
"""One object shared by all jobs that need no number of their own."""
_ETA: Final = Source.ETA
_QUEUE: Final = Source.QUEUE


class TrackedJob(Entry):
    """One job: when it was observed, what is predicted of it, and which group of a page it is in."""

    __slots__ = (
        "asked_at",
        "basis_at",
        "before",
        "born_at",
        "curve",
        "group",
        "job",
        "known",
        "last_at",
        "lifetime_known",
        "misses",
        "not_before",
        "over",
        "progress0",
        "repeated",
        "repeated_since",
        "running_at",
        "seen_at",
        "source",
        "table",
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
        """When it was last known to be alive; before the first poll, when the watch began."""
        self.asked_at = now
        """When a poll of the job itself last found it alive; before the first, when the watch began."""
        self.known = False
        """True once a poll has observed it."""
        self.lifetime_known = True
        """False if its end may have come long before its watch began, so that its lifetime is not known."""
        self.last_at = math.inf
        """When the last poll before its watch times out is due; infinite once that poll is sent."""
        self.not_before = NOTHING
        """After a failed poll, the time before which no further poll goes, whatever asks for it."""
        self.over = False
        """True once its end was reported; if a list reported it, a poll of the job must confirm it."""
        self.running_at = NOTHING
        self.progress0 = NO_PROGRESS
        self.repeated = UNREPEATED
        """The seconds that predictions have repeated, more or less, since ``repeated_since``."""
        self.repeated_since = NOTHING
        self.group: PageMembers | None = None
        self.misses = 0
        """How often in a row it was expected on a list and not found."""
        self.weight = 1.0
        """The chance that its next change comes without a notice, which scales the worth of its polls."""

    def believe(self, source: Source, remaining: float, basis_at: float, lifetimes: Lifetimes) -> None:
        """Take a prediction made at ``basis_at``, and the law of its table."""
        self.source = source
        self.table: LifeTable = lifetimes.table(self.job.kind, source, remaining)
        self.basis_at = basis_at
        self.unit = remaining
        self.refresh()

    def refresh(self) -> None:
        """Use what the table knows now."""
        curve: Curve = self.table.curve
        self.curve = curve
        if self.seen_at == self.basis_at:
            self.before = NOTHING
            return
        x = (self.seen_at - self.basis_at) / self.unit
        k = bin_of(x)
        self.before = curve.total[k] + (x - EDGES[k]) * curve.slope[k]

    @property
    def is_outdated(self) -> bool:
        """Return whether it is planned by its age alone, and by an earlier curve than its table has now.

        It is false for two sorts of jobs. A job whose last poll failed waits for its retry. A job that nobody has
        polled, and that a list should show, is about to get a better prediction than its age.
        """
        is_by_age = self.source >= _QUEUE and self.curve is not self.table.curve
        is_open = self.level > IN_FLIGHT and self.not_before <= self.seen_at
        return is_by_age and is_open and (self.known or self.group is None)

    def renew(self, lifetimes: Lifetimes) -> None:
        """Use what the table knows now, between two polls."""
        self.refresh()
        if not self.known:
            self.before -= lifetimes.over_at_first(self.job.kind)

    @property
    def kind(self) -> JobKind:
        """The kind whose budget pays for a poll."""
        return self.job.kind

    def send(self) -> JobPoll:
        """See :meth:`Entry.send`."""
        self.urgent = False
        return JobPoll(self.job, self)

    @property
    def is_unpolled(self) -> bool:
        """Return whether no poll has been sent for it, neither of the job itself nor of a page that showed it."""
        return not self.known and self.level > IN_FLIGHT and self.not_before == NOTHING

    @property
    def predicted_end_at(self) -> float:
        """Return when it should end, by the prediction in use."""
        return self.basis_at + self.unit

    # -- what a poll is worth -----------------------------------------------------------------------------------------

    def spent_by(self, now: float) -> float:
        """Return the hazard spent since the job was last observed."""
        return self.curve.hazard_before((now - self.basis_at) / self.unit) - self.before

    def worth_at(self, now: float) -> float:
        """See :meth:`Entry.worth_at`. From ``last_at`` on a poll also prevents reporting an end as a timeout."""
        worth = self.change_worth_at(now)
        return worth if now < self.last_at else worth - TIMEOUT_COST * math.expm1(-self.spent_by(now))

    def change_worth_at(self, now: float) -> float:
        """Return the seconds of waiting that learning of a change saves.

        A page adds these up and has its own ``last_at``. The code of :meth:`spent_by` is repeated here, because no
        other method is called as often.
        """
        x = (now - self.basis_at) / self.unit
        k = 0 if x < FIRST_EDGE else int(math.log2(x) * BINS_AN_OCTAVE + OFFSET)
        k = k if k < LAST_BIN else LAST_BIN
        curve = self.curve
        spent = curve.total[k] + (x - EDGES[k]) * curve.slope[k] - self.before
        return worth_of(now - self.seen_at, spent) * self.weight

    def reaches_at(self, worth: float, now: float) -> float:
        """See :meth:`Entry.reaches_at`: no farther than a few times the present gap, and no later than ``last_at``."""
        seen_at, basis_at, unit = self.seen_at, self.basis_at, self.unit
        gap = now - seen_at
        most = (gap if gap > SOONEST_PROMOTION else SOONEST_PROMOTION) * FARTHEST_PROMOTION
        start = (seen_at - basis_at) / unit
        at = seen_at + gap_worth(worth / self.weight, self.curve, start, self.before, unit, most=most)
        return self.last_at if now < self.last_at < at else at

    def gap_worth(self, worth: float, most: float) -> float:
        """Return the gap after which a poll is worth ``worth``, ``most`` at most."""
        start = (self.seen_at - self.basis_at) / self.unit
        return gap_worth(worth / self.weight, self.curve, start, self.before, self.unit, most=most)

    def renewed_at(self, worth: float, most: float) -> float:
        """Return when a poll would be worth ``worth``, had no list shown the job alive since its last own poll.

        That is ``most`` seconds after that poll at the latest.
        """
        start = (self.asked_at - self.basis_at) / self.unit
        before = self.curve.hazard_before(start)
        return self.asked_at + gap_worth(worth / self.weight, self.curve, start, before, self.unit, most=most)

    # -- what a poll shows --------------------------------------------------------------------------------------------

    def saw_alive(self, seen: Observation, now: float, lifetimes: Lifetimes) -> None:
        """Learn from a poll that found the job alive, and predict anew.

        A job's life before its watch began says nothing: a job that ended there would not have been counted.
        """
        self.over = False
        basis_at, table = self.basis_at, self.table
        since = self.seen_at if self.known else max(self.seen_at, self.asked_at)
        table.lived((since - basis_at) / self.unit, (now - basis_at) / self.unit)
        if not self.known:
            self.known = True
            lifetimes.first_poll(self.job.kind, 0.0)
            self.born_at = _birth(self.born_at, seen, now)
        self.seen_at = now
        if seen.progress is not None and seen.running and not self.progress0 <= seen.progress:
            self.running_at, self.progress0 = now, seen.progress
        eta, repeated = seen.remaining, self.repeated
        if (
            eta is not None
            and self.source is _ETA
            and table.least <= eta < table.most
            and repeated / 2.0 <= eta <= repeated * 2.0
            and now - self.repeated_since <= lifetimes.doubt * eta
        ):  # the common case: :meth:`_predict` would give about the same
            self.basis_at, self.unit = now, eta
            self.curve, self.before = table.curve, NOTHING
        else:
            self._predict(seen, now, lifetimes)

    def _predict(self, seen: Observation, now: float, lifetimes: Lifetimes) -> None:
        """Predict anew, by the best source there is."""
        age = now - self.born_at
        source, remaining = predict(seen, age, now - self.running_at, self.progress0)
        if seen.ran is not None and self.source < _QUEUE:  # a list predicts worse than any earlier poll of the job
            self.refresh()
        elif source < _QUEUE:
            if source in DOUBTED:
                stuck = self._stuck_for(remaining, now)
                if stuck > lifetimes.doubt * remaining:
                    source, remaining = Source.OVERDUE, LATE_SHARE * stuck
            self.believe(source, remaining, now, lifetimes)
        elif self.source >= _QUEUE:
            self.believe(source, 1.0, self.born_at, lifetimes)
        else:
            self.refresh()

    def _stuck_for(self, remaining: float, now: float) -> float:
        """Return how long predictions have given about the same number of seconds.

        A prediction that counts down halves within the time it predicts. An ``eta`` that moves with the clock never
        does.
        """
        repeated, stuck = self.repeated, now - self.repeated_since
        if not repeated / 2.0 <= remaining <= repeated * 2.0 and not repeated < remaining < stuck:
            self.repeated, self.repeated_since = remaining, now
            return 0.0
        return stuck

    def saw_end(self, seen: Observation, now: float, lifetimes: Lifetimes) -> None:
        """Learn, once, from a poll that found the job over."""
        if self.over:
            return
        self.over = True
        if not self.known:
            chance = self._over_before(seen, now, lifetimes)
            lifetimes.first_poll(self.job.kind, chance)
            if chance > PROBABLY or not (self.lifetime_known or seen.ended_ago is not None):
                return
        gap = now - self.seen_at
        end_at = now - gap / 2.0
        if seen.ended_ago is not None and gap > WHOLE_SECONDS:
            end_at = min(max(now - seen.ended_ago, self.seen_at), now)
        basis_at = self.basis_at
        self.table.died((self.seen_at - basis_at) / self.unit, (end_at - basis_at) / self.unit)

    def _over_before(self, seen: Observation, now: float, lifetimes: Lifetimes) -> float:
        """Return the chance that a job, found over by its first poll, was over when its watch began."""
        gap = now - self.seen_at
        if seen.ended_ago is not None and abs(seen.ended_ago - gap) > 1.0:
            return 1.0 if seen.ended_ago > gap else 0.0
        before = -math.expm1(-lifetimes.over_at_first(self.job.kind))
        return before / max(-math.expm1(-self.spent_by(now)), before)


def _birth(born_at: float, seen: Observation, now: float) -> float:
    """Return a job's time of birth, corrected by its age in the service's whole seconds."""
    if seen.age is None or abs(now - seen.age - born_at) <= 1.0:
        return born_at
    return now - seen.age
