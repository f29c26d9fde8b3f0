"""The sharing of one client: its place among the members of its account, and the tasks that keep it.

Every change of the role passes through :meth:`Sharing._changed`, in one synchronous step.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self, cast

import attrs

from ...coordination import CALL_TIMEOUT, CONNECT_TIMEOUT, Bus, BusError, Coordinator, Pulse, Role, Shared
from ...core.schedule.explanation import Explanation
from ...core.schedule.schedule import Schedule
from ...core.sharing.membership import Change, Membership
from ...errors import CoordinatorError
from ...models.job import JobKind, JobRef
from ...models.redact import without_urls
from ..kit import Parts
from ..polling.poller import Poller
from ..telemetry import Telemetry, logger
from ..timing.backoff_delays import Backoff, pause
from ..timing.clock import Clock
from .desk import Desk
from .heartbeat import Heartbeat, percentiles
from .heritage import Heritage
from .own_jobs import OwnJobs
from .post import Post
from .reservations import Reservations
from .shared_feed import SharedCircuits, SharedFeed
from .shared_gate import SharedGate
from .shared_registry import SharedRegistry
from .shared_results import SharedResults

FIRST_AGAIN: Final = 0.1
"""Seconds until the first beat is tried again."""
SILENT: Final = 2.0
"""Leases without mail from the leader after which a follower registers everything anew."""


@attrs.define(eq=False)
class Sharing:
    """What an opened client has beside its own polling if it has a coordinator."""

    _clock: Clock
    _coordinator: Coordinator
    _bus: Bus
    _membership: Membership
    _schedule: Schedule
    _telemetry: Telemetry
    _parts: Parts
    _gate: SharedGate = attrs.field(init=False)
    _registry: SharedRegistry = attrs.field(init=False)
    _results: SharedResults = attrs.field(init=False)
    _feed: SharedFeed = attrs.field(init=False)
    _circuits: SharedCircuits = attrs.field(init=False)
    own_jobs: OwnJobs = attrs.field(init=False)
    desk: Desk = attrs.field(init=False)
    heartbeat: Heartbeat = attrs.field(init=False)
    post: Post = attrs.field(init=False)
    reservations: Reservations = attrs.field(init=False)
    heritage: Heritage = attrs.field(init=False)
    _tasks: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _budget_epoch: int = attrs.field(default=0, init=False)
    """The epoch in which this member last took tokens as the leader."""
    _beats: int = attrs.field(default=0, init=False)
    _leading: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    """Set while this member leads."""
    _is_closed: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._gate = cast("SharedGate", self._parts.gate)
        self._registry = cast("SharedRegistry", self._parts.registry)
        self._results = cast("SharedResults", self._parts.results)
        self._feed = cast("SharedFeed", self._parts.feed)
        self._circuits = cast("SharedCircuits", self._parts.circuits)
        self.own_jobs = OwnJobs(self._clock, self._results, lambda: self.post.wake())  # noqa: PLW0108  # made below
        self.desk = Desk(self._clock, self._registry, self, self._coordinator.links, lambda: self.post.wake())  # noqa: PLW0108  # the same
        self.heartbeat = Heartbeat(self._clock, self._bus, self._membership, Backoff(), self._changed)
        self.post = Post(
            self._clock,
            self._bus,
            self._membership,
            self.heartbeat,
            self.desk,
            self.own_jobs,
            self._telemetry,
            self._leading,
        )
        self.heritage = Heritage(self._bus, self._membership, self._schedule.lifetimes, self._leading)
        self.reservations = Reservations(
            self._clock, self._bus, self._gate.shared_budget, self._gate.wake, self._on_deposed
        )

    # -- opening and closing ------------------------------------------------------------------------------------------

    async def open(self) -> Self:
        """Learn who leads, and begin to share.

        Raises:
            CoordinatorError: the server answers no beat.
        """
        self._registry.watchlist = self.own_jobs
        self._results.listener = self
        self._feed.station = self._circuits.station = self
        self._gate.schedule, self._gate.on_wants = self._schedule, self.reservations.wake
        await self._first_beat()
        post = self.post
        tokens = self.reservations
        mail = (post.send, post.read_own_box, post.read_desk)
        for work in (self.heartbeat.run, *mail, tokens.reserve, tokens.report, self.heritage.keep):
            self._tasks.add(self._clock.loop.create_task(self._go_on(work), name="topaz_status sharing"))
        return self

    async def _first_beat(self) -> None:
        """Send the first beat; try again for a while if it fails."""
        give_up_at = self._clock.now() + CONNECT_TIMEOUT - CALL_TIMEOUT
        while True:
            try:
                await self.heartbeat.first()
            except BusError as error:
                if self._clock.now() > give_up_at:
                    raise CoordinatorError(f"the shared server does not answer: {error}") from error
                await pause(FIRST_AGAIN)
            else:
                return

    async def _go_on(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do some work until canceled; a bug in it must not end it."""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  # it is reported, and the work goes on
                text = "".join(traceback.format_exception(error))
                self._telemetry.warn_once(f"sharing {type(error)}", f"a bug in the sharing: {without_urls(text)}")
                await pause(1.0)

    def abandon(self) -> None:
        """Stop sharing without a word, as a process that dies does; :meth:`close` must still be called."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Report the known ends, give up the lease, and leave the account; no failure of the server matters."""
        self._is_closed = True
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        while pending := {task for task in tasks if not task.done()}:
            await asyncio.wait(pending)
        try:
            with contextlib.suppress(Exception):  # the client is closed all the same
                led = self._membership.leads(self._clock.now())
                if led:
                    await self.post.flush()
                pulse = await self._bus.beat(self._membership.parting())
                if led and pulse.holder is None:
                    self.post.call_for_leader(each.id for each in pulse.members)
                    await self.post.flush()
        finally:
            with contextlib.suppress(Exception):
                await self._bus.close()

    # -- the role -----------------------------------------------------------------------------------------------------

    def _changed(self, change: Change, pulse: Pulse | None) -> None:
        """Act on what a beat, or the time, has changed."""
        if self._is_closed:
            return
        if change.before != change.after:
            self._turn(change)
        elif change.after == "leader" and self._budget_epoch != self._membership.epoch:
            self._turn_budget(change)  # the server has lost its data, and this member leads again
        if change.register:
            self.own_jobs.follow()
            self.post.was_lost = False
        if pulse is not None:
            if change.before == "leader" and pulse.holder is None:
                self.post.call_for_leader(each.id for each in pulse.members)
            self._heard(pulse)

    def _turn(self, change: Change) -> None:
        leads = change.after == "leader"
        if change.before == "leader":
            self.desk.close()
        if change.after != "follower":
            self.own_jobs.stop()
        self._turn_budget(change)
        (self._leading.set if leads else self._leading.clear)()
        self._log(change)
        self._gate.wake()

    def _turn_budget(self, change: Change) -> None:
        """Take tokens as the leader, as a follower or as one that goes alone."""
        budget, membership, now = self._gate.shared_budget, self._membership, self._clock.now()
        if change.after == "leader":
            self._budget_epoch = membership.epoch
            budget.lead(membership.epoch, now)
        elif change.after == "alone":
            budget.go_alone(len(membership.members), now)
        else:
            budget.follow()
        self.reservations.wake()

    def _on_deposed(self) -> None:
        """Give up the lead, because the bucket says that another epoch is in force."""
        self._changed(self._membership.deposed(self._clock.now()), None)
        self.heartbeat.wake()

    def _log(self, change: Change) -> None:
        if change.after == "alone":
            share = max(1, len(self._membership.members))
            logger.warning("%s: polling alone, with 1/%d of the budget", self._why_alone(), share)
        elif change.before == "alone":
            logger.info("this member is no longer alone: it is a %s", change.after)
        elif change.after == "leader":
            logger.info("this member leads %d members of the account", len(self._membership.members))

    def _why_alone(self) -> str:
        if not self._membership.hears_server:
            return "the shared server does not answer"
        if not self._membership.understands_leader:
            return "the leader runs a version of the library whose mail differs"
        return "nobody leads"

    def _heard(self, pulse: Pulse) -> None:
        """Act on the answer to a beat."""
        now, member = self._clock.now(), self._membership.member
        self._beats += 1
        self._warn_of_differing_settings(pulse)
        if self._membership.leads(now):
            self.desk.keep({each.id for each in pulse.members if each.id != member.id})
            if self._beats % 2 == 0:
                self.desk.repeat_ends()
            self.desk.summarize({kind: self._circuits.down_for(kind, now) for kind in self._circuits.down})
        elif self.own_jobs.is_following and (
            self.post.was_lost or now - self.own_jobs.heard_at > SILENT * self._coordinator.lease
        ):
            self.post.was_lost = False
            self.own_jobs.heard_at = now
            self.own_jobs.resync()

    def _warn_of_differing_settings(self, pulse: Pulse) -> None:
        if any(map(self._membership.member.differs_from, pulse.members)):
            self._telemetry.warn_once(
                "differing settings",
                "members of the account differ in rate, burst, service_rates, policy or URLs: the leader's hold",
            )

    # -- what the feed, the results and the desk ask ------------------------------------------------------------------

    def may_poll(self, now: float) -> bool:
        """See :class:`.shared_feed.Station`."""
        return self._membership.leads(now) or self._membership.role == "alone"

    @property
    def down(self) -> dict[JobKind, float]:
        """See :class:`.shared_feed.Station`."""
        return dict(self.own_jobs.down)

    def forward(self, job: JobRef, word: str | None) -> None:
        """See :class:`.shared_feed.Station`."""
        self.own_jobs.notify(job, word)

    def forward_deleted(self, job: JobRef | None) -> None:
        """See :class:`.shared_feed.Station`."""
        self.own_jobs.deleted(job)

    def answered(self, poller: Poller) -> None:
        """See :class:`.shared_results.AnswerListener`."""
        self.desk.answered(poller)

    def gives_way(self, reason: str) -> bool:
        """See :class:`.shared_results.AnswerListener`."""
        kinds = frozenset(self._registry.kinds)
        if not self._membership.leads(self._clock.now()) or not self._membership.give_way(self._clock.now(), kinds):
            return False
        logger.warning("this member lets another one lead: %s", reason)
        self.heartbeat.wake()
        return True

    def key_gives_way(self, reason: str) -> bool:
        """See :class:`.shared_results.AnswerListener`; without an account's name, all members have the same keys."""
        return self._coordinator.account is not None and self.gives_way(reason)

    def service_now(self, kind: JobKind) -> float:
        """See :class:`.desk.DeskActions`."""
        return self._results.service_now(kind)

    def notify(self, job: JobRef, word: str | None) -> None:
        """See :class:`.desk.DeskActions`."""
        self._feed.notify(job, word)

    def deleted(self, job: JobRef | None) -> None:
        """See :class:`.desk.DeskActions`."""
        self._feed.deleted(job)

    def replan(self) -> None:
        """See :class:`.desk.DeskActions`."""
        self._gate.wake()

    def has_key(self, kind: JobKind) -> bool:
        """See :class:`.desk.DeskActions`."""
        return kind in self._membership.member.kinds

    def lacks_key(self, kind: JobKind) -> None:
        """See :class:`.desk.DeskActions`."""
        now = self._clock.now()
        if self._membership.leads(now) and self._membership.give_way(now, frozenset({kind})):
            logger.info("this member has no API key for %s jobs: it lets another one lead", kind.value)
            self.heartbeat.wake()

    # -- what is shown ------------------------------------------------------------------------------------------------

    @property
    def role(self) -> Role:
        """What this member is, as of its last beat; any thread may read it."""
        return self._membership.role

    def explain(self, known: Explanation) -> Explanation:
        """Say who polls a job, if this member does not."""
        now, membership = self._clock.now(), self._membership
        if self.may_poll(now):
            return known
        leader = f"member {membership.leader[:6]}" if membership.leader else "nobody for the moment"
        seen = "not seen yet" if known.looked_ago is None else f"last seen {known.looked_ago:.1f} s ago"
        return attrs.evolve(known, reason=f"polled by {leader}; {seen}; {known.reason}")

    def shared(self) -> Shared:
        """Return the numbers of this member."""
        now, membership = self._clock.now(), self._membership
        leads = membership.leads(now)
        since = membership.alone_since
        return Shared(
            role=self.role,
            member=membership.member.id,
            leader=membership.leader,
            epoch=membership.epoch,
            members=len(membership.members),
            jobs=len(self._registry) if leads else None,
            latency=percentiles(self.heartbeat.latencies),
            news_lag=None if leads else percentiles(self.post.mail_lags),
            grants=self._gate.shared_budget.grants,
            grants_expired=self._gate.shared_budget.expired,
            alone_for=0.0 if since is None else now - since,
            outages=membership.outages,
            resyncs=self.own_jobs.resyncs,
            bad_mail=self.post.bad_mail + self.own_jobs.bad_mail,
            differs=tuple(each.id for each in membership.members if membership.member.differs_from(each)),
        )
