"""What waits and what is due, ordered so that the poll most worth a token is found without checking every entry.

Entries wait in a :class:`~.timer_wheel.TimerWheel`. Due entries are held in *levels*, one for each octave of worth. The
highest level is served first, and within a level the first to arrive. An entry is promoted when its worth has grown to
the level that is being served. The time of its promotion is computed when it enters a level. So a decision touches the
head of one level, and an entry moves once or twice between two polls, however long it waits.

Serving by worth alone would starve the rest. Therefore entries whose longest gap has ended also wait in a late queue,
in the order in which they were found late. An entry that returns there after a failed poll goes to its end.
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
"""The level of urgent entries, which are served before all others."""
ADMITTED: Final = 128
"""Entries that become due in one step, at most: a burst is spread over the steps that follow."""
STALE_ALLOWED: Final = 4_096
"""Stale reminders are removed once there are this many reminders beyond two for each due entry."""
STALE_PAGES_ALLOWED: Final = 64
"""The same for an exact queue. It also removes what removed entries left in the wheel, once this many were removed."""
REMINDED: Final = 256
"""Entries that are promoted, or found late, in one step at most."""
DUE_GRAIN: Final = 0.005
"""While something is due, checks for newly due entries are at least this many seconds apart."""
_BELOW_TOP: Final = (1 << TOP) - 1
SOONEST_PROMOTION: Final = 0.05
"""Two promotions of one entry are at least this many seconds apart."""


class PollQueue:
    """The entries of one kind of job."""

    __slots__ = (
        "_admits_at",
        "_count",
        "_due",
        "_exact",
        "_filled",
        "_last_at",
        "_late",
        "_levels",
        "_levels_an_octave",
        "_newly_due",
        "_price",
        "_reminded",
        "_reminders",
        "_removed",
        "_stale_allowed",
        "_urgent",
        "_waiting",
        "_worths",
    )

    def __init__(self, price: float, last_at: Callable[[Entry], float], *, exact: bool = False) -> None:
        """Begin level 0 at ``price``.

        ``last_at`` gives the time by which a due entry should have been polled. An ``exact`` queue is for few entries
        of great worth: it has two levels per octave, not one, and entries are promoted through each of them.
        """
        self._exact = exact
        self._levels_an_octave = 2.0 if exact else 1.0
        self._worths = [price * 2.0 ** (level / self._levels_an_octave) for level in range(TOP)]
        """The least worth of each level; the lowest level takes any worth."""
        self._price = price
        self._last_at = last_at
        self._waiting: TimerWheel[Entry] = TimerWheel(attrgetter("due_at"), _waits)
        self._urgent: list[tuple[float, int, Entry]] = []
        """The urgent entries that wait; no burst of other entries delays them."""
        self._levels: list[OrderedDict[Entry, None]] = [OrderedDict() for _ in range(TOP + 1)]
        self._admits_at = -math.inf
        """While something is due, the next check for newly due entries comes at this time."""
        self._filled = 0
        """A bit for each level that has an entry."""
        self._late: OrderedDict[Entry, float] = OrderedDict()
        """The due entries that should have been polled, and by when, in the order in which they were found."""
        self._reminders: TimerWheel[Entry] = TimerWheel(attrgetter("remind_at"), _is_due)
        """When due entries will be promoted, or be late."""
        self._reminded = 0
        """How many reminders were added since stale ones were removed."""
        self._removed = 0
        """How many waiting entries were removed since their remains were."""
        self._stale_allowed = STALE_PAGES_ALLOWED if exact else STALE_ALLOWED
        self._newly_due: list[Entry] = []
        self._count = 0
        self._due = 0

    def __len__(self) -> int:
        """Count the due entries, except those that became due within the last ``DUE_GRAIN`` seconds."""
        return self._due

    def put(self, entry: Entry, at: float) -> None:
        """Make an entry due at ``at``, whatever its state was before."""
        if entry.level >= 0:
            self._leave_levels(entry)
        entry.level = WAITING
        entry.due_at = at
        if entry.urgent:
            self._count += 1
            heapq.heappush(self._urgent, (at, self._count, entry))
            self._admits_at = -math.inf
            return
        self._waiting.put(at, entry)

    def remove(self, entry: Entry, state: int = COVERED) -> None:
        """Remove an entry. Its remains in the wheels are dropped when their tick comes, or before if pages are many."""
        waited = entry.level == WAITING
        if entry.level >= 0:
            self._leave_levels(entry)
        entry.level = state
        if waited and self._exact:
            self._removed += 1
            if self._removed > self._stale_allowed:
                self._removed = 0
                self._waiting.sweep()

    def next_at(self) -> float:
        """Return the earliest time at which something is due; minus infinity when something is due now."""
        if self._due:
            return -math.inf
        return min(self._waiting.first_at(), _first_at(self._urgent))

    def due_by(self, now: float) -> bool:
        """Bring due entries into the levels, promote them, and find late ones; return whether anything is due."""
        if self._due and now < self._admits_at:
            return True
        if not (self._due or self._waiting or self._urgent):
            return False
        before = self._due
        for entry in islice(self._become_due(now), ADMITTED):
            self._due += 1
            self._enter_levels(entry, now)
            self._newly_due.append(entry)
        is_burst = self._due - before == ADMITTED  # the rest of a burst does not wait
        self._admits_at = -math.inf if is_burst else now + DUE_GRAIN
        if self._reminders:
            for entry in islice(self._reminders.due(now), REMINDED):
                self._promote(entry, now)
                self._remind(entry, now)
        return self._due > 0

    def _become_due(self, now: float) -> Iterator[Entry]:
        while self._urgent and _first_at(self._urgent) <= now:
            yield heapq.heappop(self._urgent)[2]
        yield from self._waiting.due(now)

    def settle(self, now: float) -> None:
        """Compute the promotion and lateness of entries that became due and were not taken at once."""
        if not self._newly_due:
            return
        for entry in self._newly_due:
            if entry.level >= 0:
                self._remind(entry, now)
        self._newly_due.clear()
        if self._reminded > 2 * self._due + self._stale_allowed:
            self._reminded = 0
            self._reminders.sweep()

    def best(self) -> Entry:
        """Return the oldest entry of the highest level; something must be due."""
        return next(iter(self._levels[self._filled.bit_length() - 1]))

    def first_late(self) -> tuple[float, Entry | None]:
        """Return the entry first found late, after the time by which it was to be polled; infinite without one."""
        for entry, last_at in self._late.items():
            return last_at, entry
        return math.inf, None

    def late_since(self) -> float:
        """Return the earliest time by which a due entry should have been polled; infinite if nothing is late."""
        return min(self._late.values(), default=math.inf)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _enter_levels(self, entry: Entry, now: float) -> None:
        self._enter_level(TOP if entry.urgent else self._level_of(entry, now), entry)

    def _level_of(self, entry: Entry, now: float) -> int:
        worth = entry.worth_at(now) / self._price
        if worth <= 1.0:
            return 0
        level = int(math.log2(worth) * self._levels_an_octave)
        return level if level < TOP else TOP - 1

    def _enter_level(self, level: int, entry: Entry) -> None:
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
            level.clear()  # else the dict stays as large as it ever was
            self._filled &= ~(1 << entry.level)

    def _promote(self, entry: Entry, now: float) -> None:
        if entry.level < TOP - 1:
            level = self._level_of(entry, now)
            if level > entry.level:
                self._leave_level(entry)
                self._enter_level(level, entry)

    def _remind(self, entry: Entry, now: float) -> None:
        """Set when to reconsider a due entry, for promotion or lateness; it may be late now."""
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
        """Return about when an entry reaches the next level, or a higher one being served; never right after now."""
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
    """Return the due time of the first live entry on a heap; stale entries before it are removed."""
    while heap:
        at, _, entry = heap[0]
        if entry.level == WAITING and entry.due_at == at:
            return at
        heapq.heappop(heap)
    return math.inf
