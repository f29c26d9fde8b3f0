"""The feed: spends tokens on the looks the schedule asks for, and deals the statuses out to the pollers."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Collection
from typing import Final

import attrs

from ..core.decode import decode_status, parse_json
from ..core.schedule import JobLook, Schedule
from ..core.sight import sight
from ..core.verdict import GONE_TWICE_APART, Case, KeyTrust, proves_key
from ..core.wire import Response, get_status, service_time
from ..errors import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    NotFoundError,
    TopazStatusError,
    TransportError,
)
from ..models import JobStatus
from ..models.state import JobKind, JobRef
from .clock import Clock
from .exchange import Exchange
from .gate import Gate
from .journal import Journal, logger
from .poller import Ending, Handle, Poller
from .retry import Jitter
from .settings import ACCOUNTS, Account, Settings

LONGEST_DOUBT: Final = 4.0
"""Seconds until a 404 or 401 is looked into again, at most: it may be a passing one."""


@attrs.define(eq=False)
class Feed:
    """All pollers of one client. It is the gate's source of polls."""

    clock: Clock
    settings: Settings
    gate: Gate
    journal: Journal
    schedule: Schedule
    _exchange: Exchange
    _jitter: Jitter
    pollers: dict[JobRef, Poller] = attrs.field(factory=dict, init=False)
    _trust: dict[Account, KeyTrust] = attrs.field(init=False)
    _looks: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _tasks: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _guests: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._trust = {account: KeyTrust() for account in Account}

    # -- watches come and go ------------------------------------------------------------------------------------------

    def join(self, job: JobRef, handle: Handle, *, age: float = 0.0, remaining: float | None = None) -> Poller:
        """Give a handle the poller of its job: the one at work, or a new one with a fresh look."""
        poller = self.pollers.get(job)
        if poller is None or poller.ending is not None:
            poller = self._start_poller(job, age, remaining)
        poller.handles[handle] = None
        return poller

    def leave(self, poller: Poller, handle: Handle) -> None:
        """A handle wants no more; the last one to leave ends the polling."""
        poller.handles.pop(handle, None)
        if not poller.handles and poller.ending is None:
            self._end(poller, Ending(poller.status, None, self.clock.now(), self.clock.wall()))

    def notify(self, job: JobRef) -> bool:
        """There is a reason to look at a job now: False when nobody watches it."""
        if job not in self.pollers:
            return False
        self.schedule.nudge(job, self.clock.now())
        self.gate.wake()
        return True

    def adopt(self, task: asyncio.Task[None]) -> None:
        """A task that feeds watches is to end with the client, too."""
        self._guests.add(task)
        task.add_done_callback(self._guests.discard)

    async def close(self) -> None:
        """End every watch and every look, and wait until their tasks are gone."""
        now, wall = self.clock.now(), self.clock.wall()
        for poller in list(self.pollers.values()):
            error = ClientClosedError(
                f"the client was closed while {poller.job} was watched", job=poller.job, last_status=poller.status
            )
            self._end(poller, Ending(poller.status, error, now, wall))
        for task in (*self._looks, *self._guests):
            task.cancel()
        while pending := [*self._looks, *self._tasks, *self._guests]:
            await asyncio.wait(pending)

    def _start_poller(self, job: JobRef, age: float, remaining: float | None) -> Poller:
        now = self.clock.now()
        poller = self.pollers[job] = Poller(job, Case(now))
        poller.task = self.clock.loop.create_task(poller.run())
        poller.task.add_done_callback(functools.partial(self._poller_done, poller))
        self._tasks.add(poller.task)
        self.schedule.drop(job)
        self.schedule.add(job, now, age=age, remaining=remaining)
        self.gate.wake()
        return poller

    def _poller_done(self, poller: Poller, task: asyncio.Task[None]) -> None:
        """A poller's coroutine is over; where somebody canceled it from outside, nobody is left waiting for it."""
        self._tasks.discard(task)
        if poller.ending is None:
            error = ClientClosedError(
                f"the watch of {poller.job} was torn down", job=poller.job, last_status=poller.status
            )
            self._end(poller, Ending(poller.status, error, self.clock.now(), self.clock.wall()))
            poller.settle()

    def _end(self, poller: Poller, ending: Ending) -> None:
        """The one way out: the schedule forgets the job, the poller's coroutine finishes."""
        if self.pollers.get(poller.job) is poller:
            del self.pollers[poller.job]
            self.schedule.drop(poller.job)
        poller.end(ending)

    # -- looks --------------------------------------------------------------------------------------------------------

    def next_at(self, kind: JobKind) -> float:
        """See :class:`~.gate.Polls`."""
        return self.schedule.next_at(kind)

    def start(self, now: float, kinds: Collection[JobKind]) -> JobKind | None:
        """See :class:`~.gate.Polls`."""
        look = self.schedule.pick(now, kinds)
        if look is None:
            return None
        self._mind_the_budget(now)
        task = self.clock.loop.create_task(self._look(look, self.pollers.get(look.job), now))
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)
        return look.kind

    def _mind_the_budget(self, now: float) -> None:
        late = self.schedule.overdue(now)
        if late > 1.0:
            self.journal.warn_once(
                "budget",
                f"{self.settings.rate:g} requests/s are too few for {len(self.pollers)} jobs: the longest gap between "
                f"two looks at one is exceeded by {late:.0f} s; every job is still looked at in its turn",
            )

    async def _look(self, look: JobLook, asked_by: Poller | None, sent_at: float) -> None:
        """Make one look and act on what it saw. Whatever goes wrong is an observation.

        What was asked for a watch that is over tells a later watch of the same job nothing: that has its own looks.
        """
        answer: JobStatus | TopazStatusError
        service_now = 0.0
        try:
            response = await self._exchange.once(get_status(look.job))
            service_now = service_time(response.headers, wall=self.clock.wall())
            answer = _status(look.job, response)
        except asyncio.CancelledError:
            if self.pollers.get(look.job) is asked_by:
                self.schedule.missed(look, sent_at)
            raise
        except TopazStatusError as error:
            answer = error
        except Exception as error:  # noqa: BLE001  # a bug must not hang the watch: it is reported, and looked past
            logger.exception("a look at %s failed in a way that is a bug", look.job)
            answer = TransportError(f"internal error: {error!r}", job=look.job)
        finally:
            self.gate.release()
        if self.pollers.get(look.job) is asked_by:
            self._observe(look, answer, service_now, sent_at)

    def _observe(self, look: JobLook, answer: JobStatus | TopazStatusError, service_now: float, sent_at: float) -> None:
        """Let schedule, key and poller know what a look saw."""
        now = self.clock.now()
        self.journal.looked(look.job, answer, now - sent_at)
        if isinstance(answer, TopazStatusError):
            self._missed(look, answer, sent_at, now)
        else:
            self._saw(look, answer, service_now, sent_at, now)

    def _saw(self, look: JobLook, status: JobStatus, service_now: float, sent_at: float, now: float) -> None:
        self._trust[ACCOUNTS[look.kind]].accepted()
        self.schedule.saw(now, [sight(status, service_now=service_now)])
        poller = self.pollers.get(look.job)
        if poller is None:
            return
        self.journal.told(poller.status, status)
        lag = None if poller.looked_at is None else sent_at - poller.looked_at
        poller.tell(status, sent_at=sent_at, now=now, wall=self.clock.wall())
        if poller.ending is not None:
            self.journal.ended(look.job, poller.ending.error, lag)
            self._end(poller, poller.ending)

    def _missed(self, look: JobLook, error: TopazStatusError, sent_at: float, now: float) -> None:
        if isinstance(error, AuthenticationError):
            if self._key_refused(look.job, error, now):
                return
        elif proves_key(error):
            self._trust[ACCOUNTS[look.kind]].accepted()
        poller = self.pollers.get(look.job)
        if poller is None:
            return
        final = error
        if not isinstance(error, ConfigurationError):
            verdict = poller.fail(error, self.settings.policy, sent_at=sent_at, now=now)
            if verdict is None:
                self._retry(look, poller, error, now)
                return
            final = verdict
        self._give_up(poller, final, now)

    def _retry(self, look: JobLook, poller: Poller, error: TopazStatusError, now: float) -> None:
        """Space the next look at a job whose last one failed."""
        delay = self._jitter.look_delay(poller.case.failures)
        if isinstance(error, NotFoundError | AuthenticationError):
            delay = max(GONE_TWICE_APART, min(delay, LONGEST_DOUBT))
        poller.case.retry_at(now + delay)
        self.schedule.missed(look, now + delay)

    def _key_refused(self, job: JobRef, error: AuthenticationError, now: float) -> bool:
        """A 401 came: have another job of that key confirm it; True when this was the confirmation."""
        account = ACCOUNTS[job.kind]
        other = next((ref for ref in self.pollers if ref != job and ACCOUNTS[ref.kind] is account), None)
        if not self._trust[account].refused(job, now, alone=other is None):
            if other is not None:
                self.schedule.nudge(other, now)
            return False
        self.journal.warn_once(f"key {account}", f"the {account.value} API key is refused: {error.message}")
        for poller in [poller for ref, poller in self.pollers.items() if ACCOUNTS[ref.kind] is account]:
            refusal = AuthenticationError(error.status_code, error.message, code=error.code, job=poller.job)
            self._give_up(poller, refusal, now)
        return True

    def _give_up(self, poller: Poller, error: TopazStatusError, now: float) -> None:
        self.journal.ended(poller.job, error, None)
        self._end(poller, Ending(poller.status, error, now, self.clock.wall()))


def _status(job: JobRef, response: Response) -> JobStatus:
    return decode_status(job, parse_json(response.body))
