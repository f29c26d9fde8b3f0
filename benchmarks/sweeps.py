"""Policies for :mod:`model` that read whole lists, page by page and in turn, as people write them by hand."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs
from loops import INTERVAL, Loop, fixed
from model import Observation, Poll

from topaz_status import JobKind, JobRef
from topaz_status.testing.simulator.job_life import Life

CADENCE: Final = 1.0
"""Seconds between two sweeps of the video history: on the traces no other interval is sooner by more than 3 %."""
PAUSE: Final = 1.0
"""Seconds after a 429 until the page is asked for again."""
PATIENCE: Final = {JobKind.IMAGE: 0.0, JobKind.VIDEO: 60.0}
"""Seconds for which a job may be missing from its list. A video is not on it while it is only requested."""


@attrs.define
class Reader:
    """Reads the pages of one list one after the other, every ``interval`` seconds, until each job was found."""

    kind: JobKind
    interval: float = INTERVAL
    _expected: dict[JobRef, tuple[Life, float]] = attrs.field(factory=dict)
    """Jobs expected on some page, and since when."""
    _missing: set[JobRef] = attrs.field(factory=set)
    """The expected jobs that the current sweep has not found yet."""
    _began_at: float = -math.inf
    _next_at: float = 0.0
    _cursor: str | None = None
    _in_flight: bool = False

    def add(self, life: Life, now: float) -> None:
        """Expect a job on the list."""
        self._expected[life.ref] = life, now

    @property
    def wants_at(self) -> float:
        """When the next page is due; infinite for never."""
        return self._next_at if self._expected and not self._in_flight else math.inf

    def pick(self, now: float) -> Poll:
        """Return the request for the next page."""
        if self._cursor is None:
            self._began_at, self._missing = now, set(self._expected)
        self._in_flight = True
        return Poll(cursor=self._cursor, kind=self.kind)

    def saw(self, seen: Sequence[Observation], cursor: str | None, now: float) -> tuple[list[Life], list[Life]]:
        """Process a page; return the jobs that have ended, and those missing for too long, which are expected no more.

        A job that is expected no more may appear on a page all the same.
        """
        self._in_flight = False
        ended, lost = [], []
        for one in seen:
            self._missing.discard(one.life.ref)
            if one.ended and one.life.ref in self._expected:
                del self._expected[one.life.ref]
                ended.append(one.life)
        self._cursor = cursor if self._missing else None
        if self._cursor is None:
            self._next_at = max(self._began_at + self.interval, now)
            for ref in self._missing & self._expected.keys():
                life, since = self._expected[ref]
                if now - since >= PATIENCE[self.kind]:
                    del self._expected[ref]
                    lost.append(life)
        return ended, lost

    def refused(self, now: float) -> None:
        """Process a 429: ask for the same page again, after a pause."""
        self._in_flight, self._next_at = False, now + PAUSE


@attrs.define
class SweepAll:
    """Reads all pages of some lists in turn, GETs the videos that have ended, and polls all other jobs in loops.

    A video that a page shows as ended gets the next token, because the history has no result URL. Lists and loops that
    want a token take turns.
    """

    lists: tuple[Reader, ...]
    _loop: Loop = attrs.field(factory=lambda: Loop(fixed))
    _ended: deque[Life] = attrs.field(factory=deque)
    _turn: int = 0
    """The list that is first in turn for a token; the loops come after the last list."""

    def add(self, life: Life, now: float) -> None:
        """See :class:`Policy`."""
        reader = self._reader(life.ref.kind)
        if reader is None:
            self._loop.add(life, now)
        else:
            reader.add(life, now)

    def _reader(self, kind: JobKind) -> Reader | None:
        return next((reader for reader in self.lists if reader.kind is kind), None)

    def next_at(self, now: float) -> float:
        """See :class:`Policy`."""
        if self._ended:
            return now
        return max(now, min(self._loop.first_at, *(reader.wants_at for reader in self.lists)))

    def pick(self, now: float) -> Poll | None:
        """See :class:`Policy`."""
        if self._ended:
            return Poll((self._ended.popleft(),))
        turns = len(self.lists) + 1
        for turn in range(self._turn, self._turn + turns):
            place = turn % turns
            self._turn = (turn + 1) % turns
            if place == len(self.lists):
                if self._loop.first_at <= now:
                    return self._loop.pick(now)
            elif self.lists[place].wants_at <= now:
                return self.lists[place].pick(now)
        return None

    def saw(self, poll: Poll, seen: Sequence[Observation], cursor: str | None, now: float) -> None:
        """See :class:`Policy`."""
        reader = None if poll.jobs else self._reader(poll.kind)
        if reader is None:
            self._loop.saw(poll, seen, cursor, now)
            return
        ended, lost = reader.saw(seen, cursor, now)
        if not poll.settles:
            self._ended += ended
        for life in lost:
            self._loop.add(life, now)

    def refused(self, poll: Poll, now: float) -> None:
        """See :class:`Policy`."""
        reader = None if poll.jobs else self._reader(poll.kind)
        if reader is None:
            self._loop.refused(poll, now)
        else:
            reader.refused(now)
