"""Which look is worth the next token, and when: the seam between what is known of the jobs and what is asked.

This schedule asks for every job by itself. Where nothing is known of how long a job lasts, the chance that it ends in
the next second falls as ``1 / age``; the gap that balances a second of waiting against ``price`` seconds a request then
grows as the square root of the age (Barlow, Hunter & Proschan 1963; Keller 1974). A prediction (``eta``, progress,
estimates) may draw the next look in, never push it out: hints are hints. What is due is served in the order of due
times.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Sequence
from typing import Final

import attrs

from ..models.state import JobKind, JobRef
from .policy import PollPolicy
from .sighting import Sighting

SHORTEST_LIFE: Final = 20.0
"""Seconds: jobs younger than this are treated as this old."""


@attrs.frozen
class JobLook:
    """Ask for one job by itself."""

    job: JobRef

    @property
    def kind(self) -> JobKind:
        """Whose budget it comes out of."""
        return self.job.kind


@attrs.frozen
class Explanation:
    """Why, and when, a job is looked at next. Times are seconds."""

    job: JobRef
    reason: str
    in_flight: bool
    due_in: float | None
    """Until the next look is due; negative when it is overdue, ``None`` while one is on the wire."""
    looked_ago: float | None
    """Since the last look, ``None`` before the first."""
    longest_gap: float
    """The longest gap allowed at this job's age."""
    predicted_end_in: float | None
    """Until the job's end, by what the service told last."""

    @classmethod
    def ended(cls, job: JobRef) -> Explanation:
        """There is no next look."""
        return cls(
            job=job,
            reason="the watch has ended",
            in_flight=False,
            due_in=None,
            looked_ago=None,
            longest_gap=0.0,
            predicted_end_in=None,
        )

    def __str__(self) -> str:
        when = "no look is planned" if self.due_in is None else f"next look in {max(0.0, self.due_in):.2f} s"
        return f"{self.job}: {when}: {self.reason}"


@attrs.define(eq=False)
class _Entry:
    job: JobRef
    born_at: float
    due_at: float
    looked_at: float = -math.inf
    predicted_at: float | None = None
    retrying: bool = False
    in_flight: bool = False
    urgent: bool = False


_Heap = list[tuple[float, int, _Entry]]


@attrs.define(init=False)
class Schedule:
    """Jobs and their next looks. A heap entry is live only while its time is its job's ``due_at``."""

    _policy: PollPolicy
    _entries: dict[JobRef, _Entry]
    _heaps: dict[JobKind, _Heap]
    _urgent: dict[JobKind, _Heap]
    _count: int

    def __init__(self, policy: PollPolicy) -> None:
        self._policy = policy
        self._entries = {}
        self._heaps = {kind: [] for kind in JobKind}
        self._urgent = {kind: [] for kind in JobKind}
        self._count = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, job: JobRef, now: float, *, age: float = 0.0, remaining: float | None = None) -> None:
        """A watch starts: its first look is due at once. ``remaining`` is what the answer to the submit told."""
        predicted_at = None if remaining is None else now + remaining
        entry = _Entry(job, born_at=now - age, due_at=now, predicted_at=predicted_at)
        self._entries[job] = entry
        self._push(entry)

    def drop(self, job: JobRef) -> None:
        """The watch is over."""
        self._entries.pop(job, None)

    def nudge(self, job: JobRef, now: float) -> None:
        """There is a reason to look now: the job goes before all others, no sooner than ``min_interval`` allows."""
        entry = self._entries.get(job)
        if entry is None or entry.urgent:
            return
        entry.urgent = True
        if not entry.in_flight:
            self._plan(entry, now)

    def pick(self, now: float, kinds: Collection[JobKind]) -> JobLook | None:
        """The look most worth a token of one of ``kinds``; it counts as sent. ``None`` when nothing is due."""
        for heaps in (self._urgent, self._heaps):
            heads = [head for kind in kinds if (head := self._head(heaps[kind])) and head[0] <= now]
            if heads:
                entry = min(heads)[2]
                heapq.heappop(heaps[entry.job.kind])
                entry.in_flight, entry.urgent, entry.looked_at = True, False, now
                return JobLook(entry.job)
        return None

    def next_at(self, kind: JobKind) -> float:
        """The time at which :meth:`pick` finds a look of that kind; infinite when there is none."""
        heads = (self._head(heaps[kind]) for heaps in (self._urgent, self._heaps))
        return min((head[0] for head in heads if head), default=math.inf)

    def saw(self, now: float, sightings: Sequence[Sighting]) -> None:
        """A usable answer came: plan the next look at each job it named, and forget those that ended."""
        for sighting in sightings:
            entry = self._entries.get(sighting.job)
            if entry is None:
                continue
            if sighting.terminal:
                del self._entries[sighting.job]
                continue
            entry.in_flight = entry.retrying = False
            if sighting.age is not None:
                entry.born_at = min(entry.born_at, now - sighting.age)
            self._learn(entry, sighting, now)
            self._plan(entry, entry.looked_at + self._interval(entry, now))

    def missed(self, look: JobLook, retry_at: float) -> None:
        """No usable answer came: look again at ``retry_at``."""
        entry = self._entries.get(look.job)
        if entry is not None:
            entry.in_flight, entry.retrying = False, True
            self._plan(entry, retry_at)

    def overdue(self, now: float) -> float:
        """Seconds by which the longest gap of the job that waits longest is exceeded; 0 when none is."""
        heads = [head for kind in JobKind if (head := self._head(self._heaps[kind]))]
        return max((self._lateness(head[2], now) for head in heads), default=0.0)

    def explain(self, job: JobRef, now: float) -> Explanation | None:
        """What is known of a job's next look; ``None`` when the job is not watched."""
        entry = self._entries.get(job)
        if entry is None:
            return None
        return Explanation(
            job=job,
            reason=self._reason(entry, now),
            in_flight=entry.in_flight,
            due_in=None if entry.in_flight else entry.due_at - now,
            looked_ago=None if entry.looked_at == -math.inf else now - entry.looked_at,
            longest_gap=self._policy.longest_gap(now - entry.born_at),
            predicted_end_in=None if entry.predicted_at is None else entry.predicted_at - now,
        )

    def _learn(self, entry: _Entry, sighting: Sighting, now: float) -> None:
        """Keep the best prediction this answer gives of the job's end."""
        age = now - entry.born_at
        if sighting.remaining is not None:
            entry.predicted_at = now + sighting.remaining
        elif sighting.estimate is not None:
            entry.predicted_at = now + sighting.estimate * (1.0 - (sighting.progress or 0.0))
        elif sighting.progress:
            entry.predicted_at = now + age * (1.0 - sighting.progress) / sighting.progress

    def _interval(self, entry: _Entry, now: float) -> float:
        age = now - entry.born_at
        interval = min(self._gap(max(age, SHORTEST_LIFE)), self._policy.longest_gap(age))
        if entry.predicted_at is not None:
            ahead = entry.predicted_at - now
            interval = min(interval, ahead if ahead > 0 else self._gap(-ahead))
        return max(interval, self._policy.min_interval)

    def _gap(self, scale: float) -> float:
        """The gap that balances ``price`` where jobs end at a rate of ``1 / scale`` a second."""
        return math.sqrt(2.0 * self._policy.price * scale)

    def _lateness(self, entry: _Entry, now: float) -> float:
        """Seconds past both the longest gap and the time the look was due: what a retry waits is no lateness."""
        since = entry.looked_at if entry.looked_at > -math.inf else entry.due_at
        return max(0.0, now - max(entry.due_at, since + self._policy.longest_gap(now - entry.born_at)))

    def _reason(self, entry: _Entry, now: float) -> str:
        if entry.in_flight:
            return "a look is on the wire"
        if entry.urgent:
            return "a notice asked for it"
        if entry.due_at <= now:
            return "it is due and waits for the budget"
        if entry.retrying:
            return "the last look got no usable answer"
        if entry.predicted_at is not None:
            return f"its end is expected in {entry.predicted_at - now:.1f} s"
        return "nothing is known of its end; gaps grow with its age"

    def _plan(self, entry: _Entry, at: float) -> None:
        """Set the next look; a notice's is as soon as ``min_interval`` allows."""
        soonest = entry.looked_at + self._policy.min_interval
        entry.due_at = soonest if entry.urgent and entry.looked_at > -math.inf else max(at, soonest)
        self._push(entry)

    def _push(self, entry: _Entry) -> None:
        heaps = self._urgent if entry.urgent else self._heaps
        self._count += 1
        heapq.heappush(heaps[entry.job.kind], (entry.due_at, self._count, entry))

    def _head(self, heap: _Heap) -> tuple[float, int, _Entry] | None:
        """The first live item; dead ones on top are thrown away."""
        while heap:
            due_at, _, entry = heap[0]
            if due_at == entry.due_at and not entry.in_flight and self._entries.get(entry.job) is entry:
                return heap[0]
            heapq.heappop(heap)
        return None
