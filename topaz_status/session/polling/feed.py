"""The feed: spends tokens on the polls that the schedule picks, and passes their answers to :class:`PollResults`."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Collection
from typing import Final, TypeAlias

import attrs

from ...core.schedule.entry import JobPoll, PagePoll, Poll
from ...core.schedule.schedule import Schedule
from ...core.webhook_claim import WebhookClaim
from ...core.wire.requests import Request, get_status, image_page, video_history
from ...errors import TopazStatusError, TransportError
from ...models.job import JobKind, JobRef
from ..http.calls import Calls
from ..settings import Settings
from ..telemetry import Telemetry
from ..timing.clock import Clock
from .circuit_breakers import CircuitBreakers
from .gate import Gate
from .poll_results import PollResults
from .poller import Poller
from .registry import PollerRegistry

RESERVED_SHARE: Final = 8
"""One slot in this many is reserved for each other service that is watched."""
LAST_ANSWER: Final = 2.0
"""Shortest time, in seconds, that a watch waits after its timeout for the answer to its last poll."""
SLOW_ANSWER: Final = 3.0
"""The watch waits this many times the recent answer time, if that is longer than :data:`LAST_ANSWER`."""
_EXCEEDED: Final = (
    "the longest gap between two polls of one is exceeded by {:.0f} s; every job is still polled in its turn"
)


_Picked: TypeAlias = tuple[Poll, Poller | None, float]
"""A poll that has its slot and its token, the poller that it is for, and the time at which it was picked."""


@attrs.define(eq=False)
class _Worker:
    """The work of one task: it sends a poll and, once that is answered, the next one if it may go at once."""

    picked: _Picked | None
    """The poll at work; ``None`` between two polls, and after the last."""


@attrs.define(eq=False)
class Feed:
    """The gate's source of polls."""

    _clock: Clock
    _settings: Settings
    _gate: Gate
    _telemetry: Telemetry
    _schedule: Schedule
    _registry: PollerRegistry
    _circuits: CircuitBreakers
    _calls: Calls
    _results: PollResults
    _workers: dict[asyncio.Task[None], _Worker] = attrs.field(factory=dict, init=False)
    _picked: deque[_Picked] = attrs.field(factory=deque, init=False)
    """Polls that no worker has taken yet; it is empty again once the gate has granted all it can."""
    _on_the_wire: dict[JobKind, int] = attrs.field(factory=lambda: dict.fromkeys(JobKind, 0), init=False)
    """Polls on the wire, by kind."""
    _context: contextvars.Context = attrs.field(factory=contextvars.copy_context, init=False)
    """The context in which the client was opened: a poll serves all watches, so it runs in the trace of none."""
    _budget_checked_at: float = attrs.field(default=-math.inf, init=False)

    def notify(self, job: JobRef, word: str | None = None) -> None:
        """Poll a job as soon as possible: a change is reported, perhaps with the service's status ``word``."""
        if (poller := self._registry.find(job)) is not None:
            now = self._clock.now()
            if word is not None:
                poller.claim = WebhookClaim(word, now)
            self._schedule.nudge(poller.job, now)
            self._gate.wake()

    def waits_until(self, poller: Poller, deadline: float) -> float:
        """Return the time until which a watch that times out at ``deadline`` waits for its job's last poll.

        The watch waits for the job's first answer, and for the confirmation of an end, as long as the poll can be
        sent. For any other answer it waits a few times as long as answers take. No poll is sent while the service has
        asked for a pause. A service that is down is probed at once, because a watch is about to time out.
        """
        job, now = poller.job, self._clock.now()
        if self._gate.budget.held_for(job.kind, now) > 0.0:
            return deadline
        by = deadline + max(LAST_ANSWER, SLOW_ANSWER * self._telemetry.answer_times[job.kind])
        if job.kind in self._circuits.down:
            self._circuits.hurry(job.kind)
            self._gate.wake()
        elif poller.polls == 0 or self._schedule.is_over(job):
            by = now + self._settings.request_timeout
        return by if self._schedule.polls_by(job, by) else deadline

    def deleted(self, job: JobRef | None) -> None:
        """Note that a direct call has deleted the record of an image job, or all records (``None``)."""
        self._results.deleted(job)
        if job is not None:
            self.notify(job)

    async def close(self) -> None:
        """End every watch and every poll, and wait until their tasks have ended."""
        for task in self._workers:
            task.cancel()
        await self._registry.close()
        while self._workers:
            await asyncio.wait(self._workers)

    @property
    def kinds(self) -> Collection[JobKind]:
        """See :class:`~.gate.Polls`."""
        return self._registry.kinds

    def next_at(self, now: float, kind: JobKind) -> float:
        """See :class:`~.gate.Polls`."""
        if kind not in self._registry.kinds or not self._with_room((kind,)):
            return math.inf
        at = self._schedule.next_at(now, (kind,))
        if at <= now:
            at = self._spared_at(now, (kind,))
        elif (first_at := self._schedule.first_at(kind, now)) < at:
            at = min(at, max(first_at, self._gate.budget.idle_at(kind, now)))
        return max(at, self._circuits.pollable_at(kind)) if self._circuits.down else at

    def _spared_at(self, now: float, kinds: Collection[JobKind]) -> float:
        """Return the time from which the budget spares a token for the best due poll of some kinds.

        Due polls of a service that is down do not count: they want no token.
        """
        budget = self._gate.budget
        if not budget.is_short(2 * len(self._schedule), now):  # a job may be due by itself and by its page, but no more
            return now
        wanted = [kind for kind in self._registry.kinds if kind not in self._circuits.down]
        if not budget.is_short(self._schedule.due_now(now, wanted), now):
            return now
        return budget.spares_at(self._schedule.most_worth(now, kinds), now)

    def pick(self, now: float, kinds: Collection[JobKind]) -> JobKind | None:
        """See :class:`~.gate.Polls`."""
        if self._circuits.down:
            kinds = self._circuits.pollable(kinds, now)
        kinds = self._with_room(kinds)
        poll = None
        if self._spared_at(now, kinds) <= now:
            poll = self._schedule.pick(now, kinds)
        else:
            kinds = [kind for kind in kinds if self._schedule.next_at(now, (kind,)) > now]
        if poll is None:
            poll = self._schedule.pick_first(
                now, [kind for kind in kinds if self._gate.budget.idle_at(kind, now) <= now]
            )
            if poll is None:
                return None
        kind = poll.kind
        self._circuits.sent(poll, now)
        if now >= self._budget_checked_at + 1.0:
            self._check_budget(now)
        asked_by = self._registry.find(poll.job) if isinstance(poll, JobPoll) else None
        self._on_the_wire[kind] += 1
        self._picked.append((poll, asked_by, now))
        return kind

    def send_picked(self) -> None:
        """See :class:`~.gate.Polls`: each poll gets a worker of its own."""
        while self._picked:
            worker = _Worker(self._picked.popleft())
            task = self._clock.loop.create_task(self._work(worker), context=self._context.copy())
            self._workers[task] = worker
            task.add_done_callback(self._on_worker_done)

    def _with_room(self, kinds: Collection[JobKind]) -> Collection[JobKind]:
        """Return those of ``kinds`` that may take a slot: a kind whose polls hang must leave slots to other kinds."""
        watched = self._registry.kinds
        if len(watched) <= 1:
            return watched if watched and watched[0] in kinds else ()
        gate = self._gate
        reserved = gate.slots // RESERVED_SHARE or int(gate.slots >= len(watched))
        free = gate.slots - gate.in_flight
        if free > len(watched) * reserved:
            return kinds
        lacking = {kind: max(0, reserved - self._on_the_wire[kind]) for kind in watched}
        wanted = sum(lacking.values())
        found = [kind for kind in kinds if free > wanted - lacking.get(kind, 0)]
        gate.crowded = gate.crowded or len(found) < len(kinds)
        return found

    async def _work(self, worker: _Worker) -> None:
        """Send one poll after the other, act on its answer, and give the slot back.

        Anything that goes wrong with a poll counts as its result. The worker also sends the first poll that its freed
        slot admits, because a new task would cost as much as decoding an answer.
        """
        results, calls, waiting = self._results, self._calls, self._picked
        while (picked := worker.picked) is not None:
            poll, asked_by, sent_at = picked
            try:
                request = get_status(poll.job) if isinstance(poll, JobPoll) else _page(poll)
                results.saw(poll, asked_by, calls.checked(request, await calls.send(request), sent_at), sent_at)
            except TopazStatusError as error:
                self._missed(poll, asked_by, error, sent_at)
            except Exception as error:  # noqa: BLE001  # a bug must not hang the watch: it is reported, and polling goes on
                self._telemetry.bug(poll, error)
                self._missed(poll, asked_by, TransportError(f"internal error: {type(error).__name__}"), sent_at)
            kind = poll.kind
            worker.picked = None
            self._on_the_wire[kind] -= 1
            try:
                self._gate.pass_on(kind)
            finally:
                if waiting:
                    worker.picked = waiting.popleft()
                    self.send_picked()

    def _on_worker_done(self, task: asyncio.Task[None]) -> None:
        """Give back the slot of a poll that was canceled, perhaps before it began: it counts as never sent."""
        picked = self._workers.pop(task).picked
        if picked is None:
            return
        poll, asked_by, _ = picked
        self._on_the_wire[poll.kind] -= 1
        self._circuits.unsent(poll)
        if not isinstance(poll, JobPoll) or self._registry.is_watched(asked_by):
            now = self._clock.now()
            self._schedule.missed(poll, now, now)
        self._gate.release(poll.kind)

    def _check_budget(self, now: float) -> None:
        """Warn, once, when the budget is too small; this is checked once a second."""
        self._budget_checked_at = now
        up = [kind for kind in JobKind if kind not in self._circuits.down]
        late, kind = max(((self._schedule.overdue(now, (kind,)), kind) for kind in up), default=(0.0, None))
        if late <= 1.0 or kind is None:
            self._circuits.recovering = False
        elif not self._circuits.recovering:
            self._telemetry.warn_once("budget", f"{self._low_rate(kind)}: {_EXCEEDED.format(late)}")

    def _low_rate(self, kind: JobKind) -> str:
        """Say which rate is too low: the service's, if it is below the client's, else the client's."""
        rate = self._gate.budget.rate(kind)
        if rate < self._settings.rate:
            return f"{rate:g} requests/s are too few for {self._registry.count(kind)} {kind.value} jobs"
        return f"{self._settings.rate:g} requests/s are too few for {len(self._registry)} jobs"

    def _missed(self, poll: Poll, asked_by: Poller | None, error: TopazStatusError, sent_at: float) -> None:
        self._results.missed(poll, asked_by, error, sent_at)
        self._gate.wake()  # the failure may be a reason to poll another job


def _page(poll: PagePoll) -> Request:
    return image_page(poll.cursor, poll.limit) if poll.kind is JobKind.IMAGE else video_history(poll.cursor)
