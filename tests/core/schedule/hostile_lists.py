"""Lists that keep no promise: their cursors loop and jump, their pages lie, and their order turns between two reads."""

from __future__ import annotations

import heapq
import math
import random
from typing import Final

from world import KINDS, World, alive, job

from topaz_status.core.observation import Observation
from topaz_status.core.schedule.entry import JobPoll, PagePoll, Poll
from topaz_status.models.job import JobKind, JobRef

SIZE: Final = 5
SLOWEST: Final = 1.5
"""The longest time of an answer, in times of the mean."""
VICES: Final = (
    "ages lie",
    "ages stand still",
    "cursor jumps",
    "cursor leads back",
    "cursor renewed",
    "empty pages",
    "endless",
    "fails",
    "hides jobs",
    "no ages",
    "order turns",
    "refuses cursors",
    "repeats items",
    "reports wrong states",
    "shuffles",
)
"""What a list may do wrong, at some of its answers or at all."""
LIES: Final = (0.0, 0.5, 7.0, 3600.0, 604_800.0, 1e18, -1e9, -0.5, math.nan, math.inf, -math.inf)

Item = tuple[float, JobRef | None]
"""A time of birth and a watched job, or ``None`` for a job of others."""


class HostileList(World):
    """Jobs of one kind, whose list has some of the vices; answers take time, and several polls are in flight."""

    def __init__(self, kind: JobKind, vices: frozenset[str], seed: int, *, often: float, flight: float) -> None:
        super().__init__(10.0, {kind: SIZE})
        self.kind = kind
        self.vices = vices
        self.often = often
        self.flight = flight
        self.seed = seed
        self.dice = random.Random(seed)
        self.order = self.dice.choice(("newest", "oldest", "none"))
        self.others = [-self.dice.uniform(0.0, 300.0) for _ in range(self.dice.choice((0, 3, 40, 120)))]
        self.born: dict[JobRef, float] = {}
        self.pages = 0
        self.vain_pages = 0
        self.most_in_flight = 0
        """The most polls of the same job or page that were in flight at a time."""
        self.hides_all = False
        """Whether the list never shows a watched job."""
        self._flights: list[tuple[float, int, Poll]] = []
        self._cursors = 0

    def __repr__(self) -> str:
        return f"<{self.kind} list, seed {self.seed}: {sorted(self.vices)}, {self.often}, {self.flight}, {len(self.ends)} jobs>"

    def watch(self, count: int, *, lasts: float, age: float = 0.0) -> None:
        """Begin to watch jobs that were born ``age`` seconds ago and end ``lasts`` seconds from now."""
        for _ in range(count):
            ref = job(len(self.ends), self.kind)
            self.ends[ref], self.polled[ref] = self.now + lasts, [self.now]
            self.born[ref] = self.now - age
            self.schedule.add(ref, self.now, age=age)

    def run(self, until: float) -> None:
        """Send what is due, one poll for each token, and land the answers."""
        while True:
            sends_at = max(self.schedule.next_at(self.now, KINDS), self.now)
            lands_at = self._flights[0][0] if self._flights else math.inf
            at = min(sends_at, lands_at)
            if at > until:
                self.now = until
                return
            self.now = max(self.now, at)
            if lands_at <= sends_at:
                self.answer(heapq.heappop(self._flights)[2])
                continue
            poll = self.schedule.pick(self.now, KINDS)
            assert poll is not None, "next_at named a time at which nothing was due"
            self.log.append((self.now, poll))
            self._count_flights(poll)
            takes = self.dice.uniform(0.5, SLOWEST) * self.flight
            heapq.heappush(self._flights, (self.now + takes, len(self.log), poll))
            self.now += 1.0 / self.rate

    @property
    def slowest_flight(self) -> float:
        """The longest time that an answer takes, in seconds."""
        return SLOWEST * self.flight

    def land_all(self) -> None:
        """Land all answers at once."""
        while self._flights:
            self.answer(heapq.heappop(self._flights)[2])

    def _count_flights(self, poll: Poll) -> None:
        same = 1 + sum(_target(poll) == _target(other) for _, _, other in self._flights)
        self.most_in_flight = max(self.most_in_flight, same)

    def answer(self, poll: object) -> None:
        """Answer a poll as the vices have it."""
        if isinstance(poll, JobPoll):
            self.note(poll.job)
            self.schedule.saw(poll, self.now, [self.observation(poll.job)])
            return
        assert isinstance(poll, PagePoll)
        self.pages += 1
        if self._does("fails"):
            self.schedule.missed(poll, self.now, self.now + self.dice.choice((0.0, 3.0)))
        elif poll.cursor is not None and self._does("refuses cursors"):
            self.schedule.refused(poll, self.now)
        else:
            self._show(poll)

    def _show(self, poll: PagePoll) -> None:
        items = self._items()
        begin = int(poll.cursor.partition("/")[0]) if poll.cursor else 0
        shown = [] if self._does("empty pages") else items[begin : begin + SIZE]
        if self._does("repeats items"):
            shown = shown + shown
        refs = [ref for _, ref in shown if ref is not None]
        self.vain_pages += not refs
        for ref in refs:
            self.note(ref)
        seen = [self._state(ref) for ref in refs]
        self.schedule.saw(
            poll, self.now, seen, next_cursor=self._next_cursor(begin, len(items)), ages=self._ages(shown)
        )

    def _state(self, ref: JobRef) -> Observation:
        if self._does("reports wrong states") and self.now < self.ends[ref]:
            return alive(ref, estimate=self.dice.choice((0.1, 30.0, 1e5)), ran=self.dice.choice((0.0, 1e5)))
        return self.observation(ref)

    def _items(self) -> list[Item]:
        own: list[Item] = [(self.born[ref], ref) for ref in self.ends if not self._does("hides jobs")]
        own = [] if self.hides_all else own
        items = sorted([*own, *((born_at, None) for born_at in self.others)], key=lambda item: item[0])
        if self._does("order turns"):
            self.order = self.dice.choice(("newest", "oldest", "none"))
        if self.order == "newest":
            items.reverse()
        if self.order == "none":
            random.Random(1).shuffle(items)
        if self._does("shuffles"):
            self.dice.shuffle(items)
        return items

    def _ages(self, shown: list[Item]) -> list[float]:
        if self._does("no ages"):
            return []
        if self._does("ages lie"):
            return [self.dice.choice(LIES) for _ in range(self.dice.randrange(12))]
        if self._does("ages stand still"):
            return [0.25 * place for place in range(SIZE)]
        return [max(self.now - born_at, 0.0) for born_at, _ in shown]

    def _next_cursor(self, begin: int, count: int) -> str | None:
        end = begin + SIZE
        if self._does("cursor leads back"):
            end = self.dice.choice((begin, 0, max(begin - SIZE, 0)))
        elif self._does("cursor jumps"):
            end = self.dice.randrange(2 * count + 2)
        elif end >= count and not self._does("endless"):
            return None
        if "endless" in self.vices or self._does("cursor renewed"):
            self._cursors += 1
            return f"{end}/{self._cursors}"
        return str(end)

    def _does(self, vice: str) -> bool:
        return vice in self.vices and self.dice.random() < self.often


def _target(poll: Poll) -> object:
    return poll.job if isinstance(poll, JobPoll) else (poll.kind, poll.cursor)


class EmptyForUs(World):
    """A list whose cursors never end, and that shows a hundred items of others a page: never a watched job.

    Until ``shows_until`` it is another list: one in no order, which has all the jobs and ends.
    """

    def __init__(self, kind: JobKind, count: int, ages: str, *, shows_until: float = 0.0) -> None:
        super().__init__(10.0, {kind: 100})
        self.ages = ages
        self.shows_until = shows_until
        self.pages = 0
        self.vain_pages = 0
        for number in range(count):
            ref = job(number, kind)
            self.ends[ref], self.polled[ref] = 1e9, [0.0]
            self.schedule.add(ref, 0.0, age=5_000.0)

    def answer(self, poll: object) -> None:
        """Answer a poll."""
        if isinstance(poll, JobPoll):
            super().answer(poll)
            return
        assert isinstance(poll, PagePoll)
        self.pages += 1
        place = int(poll.cursor or 0)
        refs: list[JobRef] = []
        ends = False
        if self.now < self.shows_until:
            refs = list(self.ends)[10 * place : 10 * place + 10]
            ends = 10 * place + 10 >= len(self.ends)
        self.vain_pages += not refs
        cursor = None if ends else str(place + 1)
        seen = [self.observation(ref) for ref in refs]
        self.schedule.saw(poll, self.now, seen, next_cursor=cursor, ages=self._ages(place))

    def _ages(self, place: int) -> list[float]:
        match self.ages:
            case "same page":
                return [self.now + 5.0 * number for number in range(12)]
            case "step of one item":
                return [self.now + 0.5 * place + 5.0 * number for number in range(12)]
            case "younger each time":
                return [0.1 * number for number in range(12)]
            case "same second":
                return [self.now + 5.0] * 12
            case "shuffled":
                dice = random.Random(place)
                return [self.now + dice.uniform(0.0, 100.0) for _ in range(12)]
            case _:
                return []
