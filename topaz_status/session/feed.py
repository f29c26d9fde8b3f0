"""The feed: spends tokens on the looks the schedule asks for, and hands what they bring to :class:`Findings`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection
from typing import Final

import attrs

from ..core.looks import JobLook, Look
from ..core.schedule import Schedule
from ..core.wire import Request, get_status, image_page, video_history
from ..errors import TopazStatusError, TransportError
from ..models.state import JobKind, JobRef
from .circuits import Circuits
from .clock import Clock
from .exchange import Exchange
from .findings import Findings
from .gate import Gate
from .journal import Journal
from .poller import Poller
from .roster import Roster
from .settings import Settings

KEPT: Final = 8
"""One slot in so many is kept for each other service that is watched."""


@attrs.define(eq=False)
class Feed:
    """The gate's source of polls."""

    clock: Clock
    settings: Settings
    gate: Gate
    journal: Journal
    schedule: Schedule
    roster: Roster
    circuits: Circuits
    _exchange: Exchange
    _findings: Findings
    _looks: dict[asyncio.Task[None], tuple[Look, Poller | None]] = attrs.field(factory=dict, init=False)
    _flying: dict[JobKind, int] = attrs.field(factory=lambda: dict.fromkeys(JobKind, 0), init=False)
    """Looks on the wire."""
    _minded_at: float = attrs.field(default=-math.inf, init=False)

    def notify(self, job: JobRef) -> None:
        """There is a reason to look at a job now."""
        if (poller := self.roster.find(job)) is not None:
            self.schedule.nudge(poller.job, self.clock.now())
            self.gate.wake()

    async def close(self) -> None:
        """End every watch and every look, and wait until their tasks are gone."""
        for task in self._looks:
            task.cancel()
        await self.roster.close()
        while self._looks:
            await asyncio.wait(self._looks)

    def next_at(self, now: float, kind: JobKind) -> float:
        """See :class:`~.gate.Polls`."""
        if not self._with_room((kind,)):
            return math.inf
        at = self.schedule.next_at(now, (kind,))
        return max(at, self.circuits.opens_at(kind)) if self.circuits.down else at

    def start(self, now: float, kinds: Collection[JobKind]) -> JobKind | None:
        """See :class:`~.gate.Polls`."""
        look = self.schedule.pick(now, self._with_room(self.circuits.open_to(kinds, now)))
        if look is None:
            return None
        self.circuits.sent(look, now)
        self._mind_the_budget(now)
        asked_by = self.roster.find(look.job) if isinstance(look, JobLook) else None
        task = self.clock.loop.create_task(self._look(look, asked_by, now))
        self._looks[task] = look, asked_by
        self._flying[look.kind] += 1
        task.add_done_callback(self._landed)
        return look.kind

    def _with_room(self, kinds: Collection[JobKind]) -> Collection[JobKind]:
        """Those of ``kinds`` that may take a slot: one whose looks hang must leave some to the other services."""
        gate, flying, roster = self.gate, self._flying, self.roster
        kept = gate.slots // KEPT
        free = gate.slots - gate.in_flight
        if free > len(flying) * kept:
            return kinds
        lacking = {kind: max(0, kept - flying[kind]) if roster.count(kind) else 0 for kind in flying}
        wanted = sum(lacking.values())
        found = [kind for kind in kinds if free > wanted - lacking[kind]]
        gate.crowded = gate.crowded or len(found) < len(kinds)
        return found

    def _landed(self, task: asyncio.Task[None]) -> None:
        """Give the slot back; a look that was canceled, perhaps before it began, is as good as never sent."""
        look, asked_by = self._looks.pop(task)
        self._flying[look.kind] -= 1
        if task.cancelled():
            self.circuits.unsent(look)
            if not isinstance(look, JobLook) or self.roster.is_watched(asked_by):
                now = self.clock.now()
                self.schedule.missed(look, now, now)
        self.gate.release(look.kind)

    def _mind_the_budget(self, now: float) -> None:
        """Say so, once, when the budget is too small; how it stands is looked into once a second."""
        if now < self._minded_at + 1.0:
            return
        self._minded_at = now
        late = self.schedule.overdue(now, set(JobKind) - self.circuits.down)
        if late <= 1.0:
            self.circuits.recovering = False
        elif not self.circuits.recovering:
            self.journal.warn_once(
                "budget",
                f"{self.settings.rate:g} requests/s are too few for {len(self.roster)} jobs: the longest gap between "
                f"two looks at one is exceeded by {late:.0f} s; every job is still looked at in its turn",
            )

    async def _look(self, look: Look, asked_by: Poller | None, sent_at: float) -> None:
        """Make one look and act on what it saw. Whatever goes wrong is an observation."""
        try:
            response = await self._exchange.once(_request(look))
            self._findings.saw(look, asked_by, response, sent_at)
        except TopazStatusError as error:
            self._missed(look, asked_by, error, sent_at)
        except Exception as error:  # noqa: BLE001  # a bug must not hang the watch: it is reported, and looked past
            self.journal.bug(look, error)
            self._missed(look, asked_by, TransportError(f"internal error: {type(error).__name__}"), sent_at)

    def _missed(self, look: Look, asked_by: Poller | None, error: TopazStatusError, sent_at: float) -> None:
        self._findings.missed(look, asked_by, error, sent_at)
        self.gate.wake()  # it may have been a reason to look elsewhere


def _request(look: Look) -> Request:
    if isinstance(look, JobLook):
        return get_status(look.job)
    return image_page(look.cursor, look.limit) if look.kind is JobKind.IMAGE else video_history(look.cursor)
