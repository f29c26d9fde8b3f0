"""Who leads, as one member sees it: beats and their answers in; a role, and the time of the next beat, out.

::

            another leads                    a beat took the lease
    open ───────────────────► FOLLOWER ◄──────────────────────────► LEADER
                               ▲    │     lost, or given up            │
              a member leads   │    │                                  │
                               │    ▼  no leader for a whole lease     │
                               └── ALONE ◄─────────────────────────────┘

A leader's lease counts from the moment before its beat was sent, by its own clock. So a member whose loop stood still
finds its lease ended before it sends anything. It then follows until a beat says more.

A member goes alone if it has known of no leader for a whole lease: no beat succeeds, or nobody stands. It goes alone at
once if the leader's mail is of another version than its own: it could neither register a job nor hear of one.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import attrs

from ...coordination import Beat, Lead, Member, Pulse, Role, Wants
from ...models.job import JobKind

QUICK_BEAT: Final = 0.3
"""Most seconds between two beats of a follower, which may find the leader dead."""
RENEWALS: Final = 3.0
"""Beats of a leader in the time of one lease."""
AFTER_LEASE: Final = 0.005
"""Seconds after the end of another's lease until this member stands."""
SPREAD: Final = 0.045
"""Most seconds that are added to that, so that members do not stand all at once."""
LATE: Final = 0.25
"""Seconds by which a leader's beat counts as late: its loop was blocked."""
LATE_BEATS: Final = 3
"""So many late beats within :data:`LATE_WITHIN`, and the leader gives way."""
LATE_WITHIN: Final = 30.0
AWAY: Final = 60.0
"""Seconds for which a member that gave way does not stand; they double each time."""
LONGEST_AWAY: Final = 960.0


@attrs.frozen
class Change:
    """What a beat, or the time, has changed."""

    before: Role
    after: Role
    register: bool = False
    """True if the leader has to hear of all that this member watches: it is new, or may have forgotten it."""


@attrs.define
class Membership:
    """One member's part in the election. Times are seconds of its own clock."""

    member: Member
    lead: Lead
    lease: float
    """Seconds for which the lease is taken."""
    opened_at: float
    role: Role = attrs.field(default="follower", init=False)
    leader: str | None = attrs.field(default=None, init=False)
    """The leader as of the last beat; ``None`` if nobody leads, or nobody knows."""
    epoch: int = attrs.field(default=0, init=False)
    """The highest epoch so far: the leader's, if there is one."""
    members: tuple[Member, ...] = attrs.field(default=(), init=False)
    """Who was there at the last beat that succeeded."""
    leads_until: float = attrs.field(default=-math.inf, init=False)
    """The end of this member's own lease; in the past for others."""
    beats_at: float = attrs.field(init=False)
    """When the next beat is due."""
    alone_since: float | None = attrs.field(default=None, init=False)
    outages: int = attrs.field(default=0, init=False)
    """How often this member has gone alone."""
    _failed: bool = attrs.field(default=False, init=False)
    """True if the last beat failed."""
    _led_until: float = attrs.field(init=False)
    """Until then a member is known to have led, or may still be found."""
    _registered: int | None = attrs.field(default=None, init=False)
    """The epoch whose leader has heard what this member watches."""
    _away_until: float = attrs.field(default=-math.inf, init=False)
    _away: float = attrs.field(default=AWAY, init=False)
    _late_at: deque[float] = attrs.field(factory=lambda: deque(maxlen=LATE_BEATS), init=False)

    def __attrs_post_init__(self) -> None:
        self.beats_at = self._led_until = self.opened_at

    # -- questions ----------------------------------------------------------------------------------------------------

    def leads(self, now: float) -> bool:
        """Return whether this member may poll for everybody now."""
        return now < self.leads_until

    def replaceable(self, kinds: frozenset[JobKind] = frozenset()) -> bool:
        """Return whether another member stands for election, one that can poll ``kinds``."""
        return any(
            each.stands and each.priority and kinds <= each.kinds and each.id != self.member.id for each in self.members
        )

    @property
    def hears_server(self) -> bool:
        """True unless the last beat failed."""
        return not self._failed

    @property
    def understands_leader(self) -> bool:
        """False while a member leads whose mail is of another version."""
        return not any(each.id == self.leader and each.mail != self.member.mail for each in self.members)

    @property
    def wakes_at(self) -> float:
        """Return when a beat is due, or when the time alone changes something; :meth:`pass_time` is called then."""
        if self.role == "leader":
            return min(self.beats_at, self.leads_until)
        if self.role == "follower" and self._failed:
            return min(self.beats_at, self._alone_at)
        return self.beats_at

    # -- beats --------------------------------------------------------------------------------------------------------

    def beat(self, now: float, latency: float = 0.0) -> Beat:
        """Return the beat to send now. ``latency`` is how long beats take, for the others to see."""
        late = max(0.0, now - self.beats_at)
        self._note_lateness(now, late)
        wants = self._wants(now)
        self.member = attrs.evolve(self.member, stands=wants == "stand", loop_lag=late, latency=latency)
        self.beats_at = math.inf  # until it is answered
        return Beat(member=self.member, ttl=self.lease, wants=wants, epoch=self.epoch)

    def parting(self) -> Beat:
        """Return the last beat, with which a member leaves."""
        self.leads_until = -math.inf
        return Beat(member=self.member, ttl=self.lease, wants="leave", epoch=self.epoch)

    def heard(self, pulse: Pulse, sent_at: float, now: float, jitter: float = 0.0) -> Change:
        """Learn from the answer to the beat that was sent at ``sent_at``; ``jitter`` is from 0 to 1."""
        self._failed = False
        self.epoch = max(self.epoch, pulse.epoch)
        self.members = pulse.members
        self.leader = pulse.holder
        mine = pulse.holder == self.member.id
        self.leads_until = sent_at + self.lease if mine else -math.inf
        if pulse.holder is not None:
            self._led_until = now
        at = now + (self.lease / RENEWALS if self.leads(now) else self._quick)
        if pulse.holder is not None and not mine and self._wants(now) == "stand":
            at = min(at, now + pulse.lease_left + AFTER_LEASE + SPREAD * jitter)
        self.hurry(at)
        return self._become(now)

    def failed(self, now: float) -> Change:
        """Learn that a beat failed: it may have been carried out, or not."""
        self._failed = True
        self.hurry(now + self._quick)
        return self._become(now)

    def pass_time(self, now: float) -> Change:
        """Let the time alone change what it changes: a lease ends, or a member has waited long enough for a leader."""
        return self._become(now)

    def hurry(self, at: float) -> None:
        """Make the next beat due at ``at`` if it would be later: the leader has left, or something is in doubt."""
        self.beats_at = min(self.beats_at, at)

    def deposed(self, now: float) -> Change:
        """Learn that this member's epoch is no longer in force: the bucket refused it."""
        self.leads_until = -math.inf
        self.hurry(now)
        return self._become(now)

    def give_way(self, now: float, kinds: frozenset[JobKind] = frozenset()) -> bool:
        """Stop standing for a while, if another member stands that can poll ``kinds``; return whether that is so.

        The next beat is due at once, and gives up the lease. Until then this member still leads.
        """
        if not self.replaceable(kinds):
            return False
        if now > self._away_until + LONGEST_AWAY:
            self._away = AWAY
        self._away_until = now + self._away
        self._away = min(2.0 * self._away, LONGEST_AWAY)
        self.hurry(now)
        return True

    # -- inside -------------------------------------------------------------------------------------------------------

    @property
    def _quick(self) -> float:
        return min(QUICK_BEAT, self.lease / RENEWALS)

    @property
    def _alone_at(self) -> float:
        return self._led_until + self.lease

    def _note_lateness(self, now: float, late: float) -> None:
        """Count a leader's late beats. One whose loop is often blocked gives way."""
        if self.role == "leader" and late > LATE:
            self._late_at.append(now)
            if len(self._late_at) == LATE_BEATS and now - self._late_at[0] < LATE_WITHIN and self.give_way(now):
                self._late_at.clear()

    def _wants(self, now: float) -> Wants:
        """Stand, unless this member never leads, or has given way to others who stand."""
        if self.lead == "never" or (now < self._away_until and self.replaceable()):
            return "follow"
        return "stand"

    def _become(self, now: float) -> Change:
        """Take the role that follows from what is known."""
        before = self.role
        if self.leads(now):
            self.role = "leader"
        elif self.leader not in {None, self.member.id} and not self._failed:
            self.role = "follower" if self.understands_leader else "alone"
        elif before == "alone" or (now >= self._alone_at and (self._failed or self.leader is None)):
            self.role = "alone"
        else:
            self.role = "follower"
        if self.role == "alone" and self._failed:
            self.leader = None
        if self.role != before:
            self._turned(now)
        return Change(before, self.role, self._registers())

    def _turned(self, now: float) -> None:
        if self.role == "alone":
            self.alone_since = now
            self.outages += 1
        else:
            self.alone_since = None

    def _registers(self) -> bool:
        """Return whether a leader is to hear what is watched, once for each epoch and each return to it."""
        if self.role != "follower" or self.leader in {None, self.member.id}:
            self._registered = None
            return False
        reported, self._registered = self._registered, self.epoch
        return reported != self.epoch
