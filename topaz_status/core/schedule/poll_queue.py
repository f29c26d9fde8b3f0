"""Who waits and who is due, so that the look most worth a token is found without asking everybody.

Entries wait in a :class:`~.timer_wheel.TimerWheel`. What is due stands on a *ladder*: a rung for each octave of worth,
served from the top, first come first served within a rung. An entry climbs when its worth has grown to the rung that is
being served, at a time that is worked out when it steps on, so a decision touches the head of one rung and an entry
moves once or twice between two looks, however long it waits. Serving by worth alone would starve the rest; therefore
those whose longest gap has ended stand in a line besides, in the order in which that was found: who came back into it
after a failed look does not go before everybody else again.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Final

from .entry import COVERED, WAITING, Entry
from .timer_wheel import TimerWheel

TOP: Final = 63
"""The rung of those that go before everybody else."""
ADMITTED: Final = 128
"""Entries that become due in one step at most: a burst is spread over the steps that follow."""
LEFT_OVER: Final = 4_096
"""Reminders beyond two for each entry that is due, after which those are looked for that are stale."""
REMINDED: Final = 256
"""Entries that climb, or are found late, in one step at most."""
DUE_GRAIN: Final = 0.005
"""Seconds: while something is due, what else has become so is looked into so often at most."""
_BELOW_TOP: Final = (1 << TOP) - 1
SOONEST_PROMOTION: Final = 0.05
"""Seconds until an entry climbs again, at least."""


class PollQueue:
    """The entries of one kind of job."""

    __slots__ = (
        "_admits_at",
        "_count",
        "_due",
        "_exact",
        "_filled",
        "_fresh",
        "_hurried",
        "_last_at",
        "_late",
        "_levels",
        "_levels_an_octave",
        "_price",
        "_reminded",
        "_reminders",
        "_waiting",
        "_worths",
    )

    def __init__(self, price: float, last_at: Callable[[Entry], float], *, exact: bool = False) -> None:
        """Begin rung 0 at ``price``.

        ``last_at`` gives the time by which an entry that is due should have been looked at. An ``exact`` agenda is for
        few entries of great worth: it has two rungs an octave, not one, and entries take each of them.
        """
        self._exact = exact
        self._levels_an_octave = 2.0 if exact else 1.0
        self._worths = [price * 2.0 ** (level / self._levels_an_octave) for level in range(TOP)]
        """From which worth on an entry belongs on a rung; on the lowest, whatever its worth."""
        self._price = price
        self._last_at = last_at
        self._waiting: TimerWheel[Entry] = TimerWheel(attrgetter("due_at"), _waits)
        self._hurried: list[tuple[float, int, Entry]] = []
        """The urgent ones that wait: nobody's burst is before them."""
        self._levels: list[OrderedDict[Entry, None]] = [OrderedDict() for _ in range(TOP + 1)]
        self._admits_at = -math.inf
        """Until then whatever is due is on the ladder, but for what has become so within a grain."""
        self._filled = 0
        """A bit for each rung that somebody stands on."""
        self._late: OrderedDict[Entry, float] = OrderedDict()
        """Those that are due and should have been looked at, and by when, in the order in which they were found."""
        self._reminders: TimerWheel[Entry] = TimerWheel(attrgetter("remind_at"), _is_due)
        """When those that are due will climb, or be late."""
        self._reminded = 0
        """How many were put in since it was rid of the stale ones."""
        self._fresh: list[Entry] = []
        self._count = 0
        self._due = 0

    def __len__(self) -> int:
        """Count what is due, but for what became so within the last grain."""
        return self._due

    def put(self, entry: Entry, at: float) -> None:
        """Have an entry become due at ``at``, whatever it was before."""
        if entry.level >= 0:
            self._leave_levels(entry)
        entry.level = WAITING
        entry.due_at = at
        if entry.urgent:
            self._count += 1
            heapq.heappush(self._hurried, (at, self._count, entry))
            self._admits_at = -math.inf
            return
        self._waiting.put(at, entry)

    def remove(self, entry: Entry, state: int = COVERED) -> None:
        """Take an entry out. What is left of it in the wheels goes when its tick comes."""
        if entry.level >= 0:
            self._leave_levels(entry)
        entry.level = state

    def next_at(self) -> float:
        """Give the time at which something is due, at the earliest; minus infinity when something is."""
        if self._due:
            return -math.inf
        return min(self._waiting.first_at(), _first_at(self._hurried))

    def due_by(self, now: float) -> bool:
        """Let what is due by ``now`` step on the ladder, climb, and be found late; tell whether anything is due."""
        if self._due and now < self._admits_at:
            return True
        if not (self._due or self._waiting or self._hurried):
            return False
        before = self._due
        for entry in islice(self._become_due(now), ADMITTED):
            self._due += 1
            self._step_on(entry, now)
            self._fresh.append(entry)
        is_burst = self._due - before == ADMITTED  # whose next part does not wait
        self._admits_at = -math.inf if is_burst else now + DUE_GRAIN
        if self._reminders:
            for entry in islice(self._reminders.due(now), REMINDED):
                self._promote(entry, now)
                self._remind(entry, now)
        return self._due > 0

    def _become_due(self, now: float) -> Iterator[Entry]:
        while self._hurried and _first_at(self._hurried) <= now:
            yield heapq.heappop(self._hurried)[2]
        yield from self._waiting.due(now)

    def settle(self, now: float) -> None:
        """Work out for those that stepped on, and were not taken at once, when they climb and when they are late."""
        if not self._fresh:
            return
        for entry in self._fresh:
            if entry.level >= 0:
                self._remind(entry, now)
        self._fresh.clear()
        if self._reminded > 2 * self._due + LEFT_OVER:
            self._reminded = 0
            self._reminders.sweep()

    def best(self) -> Entry:
        """Give the entry that has stood longest on the highest rung; something is due."""
        return next(iter(self._levels[self._filled.bit_length() - 1]))

    def first_late(self) -> tuple[float, Entry | None]:
        """Give what was first found late, and by when it should have been looked at; infinite where nothing is late."""
        for entry, last_at in self._late.items():
            return last_at, entry
        return math.inf, None

    def late_since(self) -> float:
        """Give the earliest time by which anything that is due should have been looked at; infinite for none."""
        return min(self._late.values(), default=math.inf)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _step_on(self, entry: Entry, now: float) -> None:
        self._stand_on(TOP if entry.urgent else self._level_of(entry, now), entry)

    def _level_of(self, entry: Entry, now: float) -> int:
        worth = entry.worth_at(now) / self._price
        if worth <= 1.0:
            return 0
        level = int(math.log2(worth) * self._levels_an_octave)
        return level if level < TOP else TOP - 1

    def _stand_on(self, level: int, entry: Entry) -> None:
        entry.level = level
        self._levels[level][entry] = None
        self._filled |= 1 << level

    def _leave_levels(self, entry: Entry) -> None:
        self._leave_level(entry)
        self._due -= 1
        if self._late.pop(entry, None) is not None and not self._late:
            self._late.clear()
        if self._reminded and not self._due:
            self._reminders.clear()
            self._reminded = 0

    def _leave_level(self, entry: Entry) -> None:
        level = self._levels[entry.level]
        del level[entry]
        if not level:
            level.clear()  # else it would keep the table of the most that ever stood on it
            self._filled &= ~(1 << entry.level)

    def _promote(self, entry: Entry, now: float) -> None:
        if entry.level < TOP - 1:
            level = self._level_of(entry, now)
            if level > entry.level:
                self._leave_level(entry)
                self._stand_on(level, entry)

    def _remind(self, entry: Entry, now: float) -> None:
        """Come back to an entry that is due when it climbs, or is late; it may be so now."""
        at, last_at = self._promoted_at(entry, now), self._last_at(entry)
        if last_at <= now:
            self._late[entry] = last_at
        elif last_at < at:
            at = last_at
        entry.remind_at = at
        if at < math.inf:
            self._reminders.put(at, entry)
            self._reminded += 1

    def _promoted_at(self, entry: Entry, now: float) -> float:
        """Give about the time at which an entry is worth the next rung, or the one that is served: it may be later."""
        level = entry.level + 1
        if level >= TOP:
            return math.inf
        if not self._exact:
            served = (self._filled & _BELOW_TOP).bit_length() - 1
            level = level if level > served else served
        at = entry.reaches_at(self._worths[level], now)
        soonest = now + SOONEST_PROMOTION
        return at if at > soonest else soonest


def _waits(at: float, entry: Entry) -> bool:
    return entry.level == WAITING and entry.due_at == at


def _is_due(at: float, entry: Entry) -> bool:
    return entry.level >= 0 and entry.remind_at == at


def _first_at(heap: list[tuple[float, int, Entry]]) -> float:
    """Give the time at which the first on a heap becomes due, rid of what no longer waits before it."""
    while heap:
        at, _, entry = heap[0]
        if entry.level == WAITING and entry.due_at == at:
            return at
        heapq.heappop(heap)
    return math.inf
