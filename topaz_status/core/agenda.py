"""Who waits and who is due, so that the look most worth a token is found without asking everybody.

Entries wait in a timer wheel: a list a tick, sorted when it comes to hand, and a heap for what is put into ticks that
are. A hundred thousand parked entries cost nothing until their tick comes, and a pointer each. What is due stands on a
*ladder*: a rung for each octave of worth, served from the top, first come first served within a rung. An entry climbs
when its worth has grown to the rung that is being served, at a time that is worked out when it steps on, so a decision
touches the head of one rung and an entry moves once or twice between two looks, however long it waits. Serving by worth
alone would starve the rest; therefore the order in which their longest gaps end is kept beside it.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ..models.state import JobKind
from .looks import Look

TICKS: Final = 16.0
"""Ticks of the wheel in a second."""
TOP: Final = 63
"""The rung of those that go before everybody else."""
ADMITTED: Final = 128
"""Entries that become due in one step at most: a burst is spread over the steps that follow."""
LEFT_OVER: Final = 4_096
"""Items of entries long gone that are put up with."""
CLIMBERS: Final = 256
"""Entries that climb in one step at most."""
GRAIN: Final = 0.005
"""Seconds: while something is due, what else has become so is looked into so often at most."""
_BELOW_TOP: Final = (1 << TOP) - 1

WAITING: Final = -1
"""In the wheel."""
SOONEST_CLIMB: Final = 0.05
"""Seconds until an entry climbs again, at least."""

PARKED: Final = -2
"""Not in the agenda: a page answers for it."""
FLYING: Final = -3
"""Not in the agenda: a look is on the wire."""


class Entry:
    """Something that can be looked at: a job, or a page of them."""

    __slots__ = ("due_at", "rung", "urgent")

    due_at: float
    rung: int
    urgent: bool

    @property
    def kind(self) -> JobKind:
        """Whose budget a look comes out of."""
        raise NotImplementedError

    def send(self) -> Look:
        """Give the look; it is on the wire from now on."""
        raise NotImplementedError

    def worth_at(self, now: float) -> float:
        """Give the worth of a look at ``now``, in seconds of waiting."""
        raise NotImplementedError

    def reaches_at(self, worth: float, now: float) -> float:
        """Give about the time, after ``now``, at which a look will have that worth."""
        raise NotImplementedError


class Agenda:
    """The entries of one kind of job."""

    __slots__ = (
        "_admits_at",
        "_climbs",
        "_count",
        "_due",
        "_early",
        "_exact",
        "_filled",
        "_fresh",
        "_hurried",
        "_last_at",
        "_lates",
        "_near",
        "_near_tick",
        "_price",
        "_rungs",
        "_rungs_an_octave",
        "_ticks",
        "_wheel",
        "_worths",
    )

    def __init__(self, price: float, last_at: Callable[[Entry], float], *, exact: bool = False) -> None:
        """Begin rung 0 at ``price``.

        ``last_at`` gives the time by which an entry that is due should have been looked at. An ``exact`` agenda is for
        few entries of great worth: it has two rungs an octave, not one, and entries take each of them.
        """
        self._exact = exact
        self._rungs_an_octave = 2.0 if exact else 1.0
        self._worths = [price * 2.0 ** (rung / self._rungs_an_octave) for rung in range(TOP)]
        """From which worth on an entry belongs on a rung; on the lowest, whatever its worth."""
        self._price = price
        self._last_at = last_at
        self._wheel: dict[int, list[Entry]] = {}
        self._ticks: list[int] = []
        self._near: list[tuple[float, Entry]] = []
        """The tick at hand, from the last to become due to the first: who came first goes first."""
        self._near_tick = -math.inf
        self._early: list[tuple[float, int, Entry]] = []
        """What was put into this tick, or an earlier one, since."""
        self._hurried: list[tuple[float, int, Entry]] = []
        """The urgent ones that wait: nobody's burst is before them."""
        self._rungs: list[OrderedDict[Entry, None]] = [OrderedDict() for _ in range(TOP + 1)]
        self._admits_at = -math.inf
        """Until then whatever is due is on the ladder, but for what has become so within a grain."""
        self._filled = 0
        """A bit for each rung that somebody stands on."""
        self._climbs: list[tuple[float, int, Entry, float]] = []
        self._fresh: list[Entry] = []
        self._lates: list[tuple[float, int, Entry, float]] = []
        self._count = 0
        self._due = 0

    def __len__(self) -> int:
        """Count what is due."""
        return self._due

    def put(self, entry: Entry, at: float) -> None:
        """Have an entry become due at ``at``, whatever it was before."""
        if entry.rung >= 0:
            self._leave_rung(entry)
            self._due -= 1
        entry.due_at = at
        entry.rung = WAITING
        if entry.urgent:
            self._count += 1
            heapq.heappush(self._hurried, (at, self._count, entry))
            self._admits_at = -math.inf
            return
        tick = int(at * TICKS)
        if tick <= self._near_tick:
            self._count += 1
            heapq.heappush(self._early, (at, self._count, entry))
            return
        waiting = self._wheel.get(tick)
        if waiting is None:
            self._wheel[tick] = [entry]
            heapq.heappush(self._ticks, tick)
        else:
            waiting.append(entry)

    def remove(self, entry: Entry, state: int = PARKED) -> None:
        """Take an entry out. What is left of it in the wheel goes when its tick comes."""
        if entry.rung >= 0:
            self._leave_rung(entry)
            self._due -= 1
        entry.rung = state

    def next_at(self) -> float:
        """Give the time at which something is due, at the earliest; minus infinity when something is."""
        if self._due:
            return -math.inf
        return min(self._first_near_at(math.inf), _first_at(self._hurried))

    def due_by(self, now: float) -> bool:
        """Let what is due by ``now`` step on the ladder, and climb; tell whether anything is."""
        if self._due and now < self._admits_at:
            return True
        if not (self._due or self._near or self._ticks or self._early or self._hurried):
            return False
        for _ in range(ADMITTED):
            if self._hurried and _first_at(self._hurried) <= now:
                entry = heapq.heappop(self._hurried)[2]
            elif self._first_near_at(now) <= now:
                entry = self._take_near()
            else:
                self._admits_at = now + GRAIN
                break
            self._due += 1
            self._step_on(entry, now)
            self._fresh.append(entry)
        if self._climbs:
            self._climb(now)
        return self._due > 0

    def _climb(self, now: float) -> None:
        climbs = self._climbs
        for _ in range(CLIMBERS):
            if not climbs or climbs[0][0] > now:
                break
            _, _, entry, due_at = heapq.heappop(climbs)
            if 0 <= entry.rung < TOP and entry.due_at == due_at:
                self._leave_rung(entry)
                self._step_on(entry, now)
                self._plan_climb(entry, now)

    def settle(self, now: float) -> None:
        """Work out for those that stepped on, and were not taken at once, when they climb and when they are late."""
        if not self._fresh:
            return
        for entry in self._fresh:
            if entry.rung >= 0:
                self._count += 1
                heapq.heappush(self._lates, (self._last_at(entry), self._count, entry, entry.due_at))
                self._plan_climb(entry, now)
        self._fresh.clear()
        if len(self._lates) + len(self._climbs) > 4 * self._due + LEFT_OVER:
            self._lates = _live(self._lates)
            self._climbs = _live(self._climbs)

    def best(self) -> Entry:
        """Give the entry that has stood longest on the highest rung; something is due."""
        return next(iter(self._rungs[self._filled.bit_length() - 1]))

    def first_late_at(self) -> float:
        """Give the time by which, first of all that is due, something should have been looked at."""
        lates = self._lates
        while lates:
            at, _, entry, due_at = lates[0]
            if entry.rung >= 0 and entry.due_at == due_at:
                return at
            heapq.heappop(lates)
        return math.inf

    def first_late(self) -> Entry:
        """Give that entry, after :meth:`first_late_at` found one."""
        return self._lates[0][2]

    # -- inside -----------------------------------------------------------------------------------------------------

    def _first_near_at(self, by: float) -> float:
        """Give the time at which the first in the wheel becomes due, if that is ``by`` then; else any later one."""
        early_at = _first_at(self._early) if self._early else math.inf
        near = self._near
        while True:
            while near:
                at, entry = near[-1]
                if entry.rung == WAITING and entry.due_at == at:
                    return at if at < early_at else early_at
                near.pop()
            if not self._ticks or self._ticks[0] > TICKS * (by if by < early_at else early_at):
                return early_at
            self._turn()
            near = self._near

    def _take_near(self) -> Entry:
        """Take the one that :meth:`_first_near_at` found."""
        near, early = self._near, self._early
        if early and not (near and near[-1][0] <= early[0][0]):
            return heapq.heappop(early)[2]
        return near.pop()[1]

    def _turn(self) -> None:
        """Bring the next tick of the wheel at hand, where nothing is left of those before."""
        tick = heapq.heappop(self._ticks)
        waiting = self._wheel.pop(tick)
        near = [(e.due_at, e) for e in waiting if e.rung == WAITING and int(e.due_at * TICKS) == tick]
        near.sort(key=_at)
        near.reverse()
        self._near = near
        self._near_tick = tick

    def _step_on(self, entry: Entry, now: float) -> None:
        if entry.urgent:
            rung = TOP
        else:
            worth = entry.worth_at(now) / self._price
            rung = 0
            if worth > 1.0:
                rung = int(math.log2(worth) * self._rungs_an_octave)
                rung = rung if rung < TOP else TOP - 1
        entry.rung = rung
        self._rungs[rung][entry] = None
        self._filled |= 1 << rung

    def _leave_rung(self, entry: Entry) -> None:
        rung = self._rungs[entry.rung]
        del rung[entry]
        if not rung:
            rung.clear()  # else it would keep the table of the most that ever stood on it
            self._filled &= ~(1 << entry.rung)

    def _plan_climb(self, entry: Entry, now: float) -> None:
        rung = entry.rung + 1
        if rung >= TOP:
            return
        if not self._exact:
            served = (self._filled & _BELOW_TOP).bit_length() - 1
            rung = rung if rung > served else served
        at = entry.reaches_at(self._worths[rung], now)
        soonest = now + SOONEST_CLIMB
        self._count += 1
        heapq.heappush(self._climbs, (at if at > soonest else soonest, self._count, entry, entry.due_at))


def _at(item: tuple[float, Entry]) -> float:
    return item[0]


def _first_at(heap: list[tuple[float, int, Entry]]) -> float:
    """Give the time at which the first on a heap becomes due, rid of what no longer waits before it."""
    while heap:
        at, _, entry = heap[0]
        if entry.rung == WAITING and entry.due_at == at:
            return at
        heapq.heappop(heap)
    return math.inf


def _live(heap: list[tuple[float, int, Entry, float]]) -> list[tuple[float, int, Entry, float]]:
    """Rid a heap of all that is no longer due."""
    live = [item for item in heap if item[2].rung >= 0 and item[2].due_at == item[3]]
    heapq.heapify(live)
    return live
