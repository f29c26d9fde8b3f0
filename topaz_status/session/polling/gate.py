"""Admission: a slot, then a token. This is the only place where requests wait for permission to send.

Direct calls wait in line here. The feed's polls do not wait: the gate picks one only when it may be sent. A direct call
goes first, but direct calls take at most every second token while polls are due. They never take the last quarter of
the slots, so even many long answers, such as whole lists, leave room for polls. One timer waits for the earliest time
at which anything may be sent. All else happens in one synchronous step, :meth:`Gate._pump`, which first decides
everything and then sends the picked polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Final, Protocol

import attrs

from ...core.budget.budget import Budget
from ...errors import ClientClosedError
from ...models.job import JobKind
from ..timing.clock import Clock

EARLY: Final = 0.001
"""A timer that fired early is set again, for at least this many seconds: uvloop's may be early by up to this."""


PUMP_GRAIN: Final = 0.005
"""Shortest time, in seconds, between two checks of what may go; polls due in between go together, from the burst."""


class Polls(Protocol):
    """The feed, as the gate sees it."""

    @property
    def kinds(self) -> Collection[JobKind]:
        """Kinds of which there may be polls."""

    def next_at(self, now: float, kind: JobKind) -> float:
        """Return when the next poll of that kind is due."""

    def pick(self, now: float, kinds: Collection[JobKind]) -> JobKind | None:
        """Pick the best due poll of one of ``kinds`` and return its kind; ``None`` when no poll is due."""

    def send_picked(self) -> None:
        """Send every poll that was picked."""


@attrs.define(eq=False)
class Gate:
    """Grants slots and tokens. Every change that could let a request go calls :meth:`wake`."""

    clock: Clock
    budget: Budget
    slots: int
    _polls: Polls | None = None
    in_flight: int = attrs.field(default=0, init=False)
    peak_in_flight: int = attrs.field(default=0, init=False)
    crowded: bool = attrs.field(default=False, init=False)
    """True once polls were refused a free slot: the next slot given back may be for them."""
    _lines: dict[JobKind, deque[tuple[int, asyncio.Future[None]]]] = attrs.field(init=False)
    _calls: int = attrs.field(default=0, init=False)
    """Slots that direct calls hold."""
    _arrivals: int = attrs.field(default=0, init=False)
    _in_line: int = attrs.field(default=0, init=False)
    """Calls in the lines, including those that no longer wait."""
    _direct_last: bool = attrs.field(default=False, init=False)
    _soon: bool = attrs.field(default=False, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)
    _armed_for: float = attrs.field(default=math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        self._lines = {kind: deque() for kind in JobKind}

    @property
    def call_slots(self) -> int:
        """Slots that direct calls may hold: all but a quarter, and at least one; all of them without a feed."""
        return self.slots if self._polls is None else max(1, self.slots - max(1, self.slots // 4))

    def serve(self, polls: Polls) -> None:
        """Set the source of polls, which get what direct calls leave."""
        self._polls = polls

    @contextlib.asynccontextmanager
    async def admit(self, kind: JobKind) -> AsyncIterator[None]:
        """Wait in line for a slot and a token; give the slot back on leaving.

        Raises:
            ClientClosedError: the client was closed meanwhile.
        """
        await self._wait(kind)
        try:
            yield
        finally:
            self._release_call(kind)

    async def _wait(self, kind: JobKind) -> None:
        if self._closed:
            raise ClientClosedError("the client is closed")
        turn: asyncio.Future[None] = self.clock.loop.create_future()
        self._arrivals += 1
        self._in_line += 1
        self._lines[kind].append((self._arrivals, turn))
        self.wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:  # granted, never used
                self.budget.give_back(kind)
                self._release_call(kind)
            raise

    def _release_call(self, kind: JobKind) -> None:
        """Give a direct call's slot back; calls of any kind may have waited for it."""
        held_back = self._in_line and not self._may_call()
        self._calls -= 1
        self.release(kind)
        if held_back:
            self.wake()

    def _may_call(self) -> bool:
        return self._calls < self.call_slots

    def release(self, kind: JobKind) -> None:
        """Give a slot back after a request of that kind."""
        if self._take_back(kind):
            self.wake()

    def pass_on(self, kind: JobKind) -> None:
        """Give a slot back as :meth:`release` does, and grant it at once; the caller sends the picked polls."""
        if self._take_back(kind):
            self._grant_all()

    def _take_back(self, kind: JobKind) -> bool:
        """Take a slot back, and return whether another request may go: no slot was free, or one of the kind is due."""
        full = self.crowded or self.in_flight >= self.slots
        self.in_flight -= 1
        return not self._soon and (full or self._goes_at(kind, self.clock.now()) < self._armed_for)

    def wake(self) -> None:
        """Check once what may be sent, as soon as the current step of the loop is over."""
        if not self._soon and not self._closed:
            self._soon = True
            self.clock.loop.call_soon(self._pump)

    def close(self) -> None:
        """Refuse every call that waits, and grant nothing any more."""
        self._closed = True
        self._disarm()
        for line in self._lines.values():
            for _, turn in line:
                if not turn.done():
                    turn.set_exception(ClientClosedError("the client was closed while a call waited for its turn"))
            line.clear()
        self._in_line = 0

    def _pump(self) -> None:
        """Grant all that may go now, and send the picked polls."""
        try:
            self._grant_all()
        finally:
            if self._polls is not None:
                self._polls.send_picked()

    def _grant_all(self) -> None:
        """Grant all that may go now, and set the timer for what may go next."""
        self._soon = self.crowded = False
        if self._closed:
            return
        now = self.clock.now()
        try:
            while self.in_flight < self.slots and self._grant(now):
                self.in_flight += 1
                self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        finally:
            self._arm(now)

    def _grant(self, now: float) -> bool:
        """Spend one token on the best request that may go now; return False when there is nothing to send."""
        kinds = self.budget.ready(now)
        if not kinds:
            return False
        direct = self._first(kinds) if self._in_line and self._may_call() else None
        if direct is not None and not self._direct_last:
            return self._call(direct, now)
        if self._polls is not None and (polled := self._polls.pick(now, kinds)) is not None:
            self._direct_last = False
            self.budget.take(polled, now)
            return True
        return direct is not None and self._call(direct, now)

    def _first(self, kinds: Collection[JobKind]) -> JobKind | None:
        """Return the kind whose direct call has waited longest."""
        heads = [(line[0][0], kind) for kind in kinds if (line := self._waiting(kind))]
        return min(heads)[1] if heads else None

    def _waiting(self, kind: JobKind) -> deque[tuple[int, asyncio.Future[None]]]:
        """Return a kind's line, after removing calls at its head that no longer wait."""
        line = self._lines[kind]
        while line and line[0][1].done():
            line.popleft()
            self._in_line -= 1
        return line

    def _call(self, kind: JobKind, now: float) -> bool:
        _, turn = self._lines[kind].popleft()
        self._in_line -= 1
        self._calls += 1
        self.budget.take(kind, now)
        self._direct_last = True
        turn.set_result(None)
        return True

    def _arm(self, now: float) -> None:
        """Set the timer for the first time at which a request may go, given a free slot."""
        at, kind = math.inf, None
        if self.in_flight < self.slots:
            kinds: Iterable[JobKind] = JobKind if self._in_line or self._polls is None else self._polls.kinds
            at, kind = min(((self._goes_at(kind, now), kind) for kind in kinds), default=(at, kind))
        if at == self._armed_for:
            return
        self._disarm()
        if kind is not None and at < math.inf:
            self._armed_for = at
            grain = min(PUMP_GRAIN, max(EARLY, self.budget.slack(kind)))
            self._timer = self.clock.loop.call_at(max(at, now + grain), self._on_timer)

    def _on_timer(self) -> None:
        self._disarm()
        self._pump()

    def _goes_at(self, kind: JobKind, now: float) -> float:
        """Return when a request of that kind is wanted and has its token, given a free slot."""
        ready_at = self.budget.ready_at(kind)
        if self._in_line and self._may_call() and self._waiting(kind):
            return max(ready_at, now)
        return math.inf if self._polls is None else max(ready_at, self._polls.next_at(now, kind))

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._armed_for = math.inf
