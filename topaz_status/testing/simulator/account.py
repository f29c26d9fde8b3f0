"""The jobs of one account at all three services, and the lists that show them."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import uuid
from collections.abc import Iterable
from typing import Any, Final

import attrs

from ...models.job import JobKind, JobRef, JobState
from .job_life import Life, lay_down
from .job_plan import JobPlan
from .list_pages import Listing
from .simulated_clock import SimulatedClock

RECORDS_LAST: Final = 7 * 86_400.0


@attrs.frozen
class Truth:
    """What is true of one job, whatever the services answer.

    Args:
        job: the job's name.
        state: the state in which the job ends or ended; ``None`` for a job that never ends.
        ends_at: when the job ends, in seconds of the event loop's clock; infinite if never.
        ends_unix: when the job ends, in true Unix seconds; infinite if never.
        submitted_at: when the job was submitted, in seconds of the event loop's clock.
        ended: whether the job has ended.
        foreign: whether the job belongs to another user of the account.
        looks: how many answers have contained the job's state, list pages included.
    """

    job: JobRef
    state: JobState | None
    ends_at: float
    ends_unix: float
    submitted_at: float
    ended: bool
    foreign: bool
    looks: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields for ``GET /_sim/truth``; a time that never comes is null."""
        fields = attrs.asdict(self, recurse=False) | {"job": str(self.job)}
        return {name: None if value == math.inf else value for name, value in fields.items()}


@attrs.define
class SimulatedAccount:
    """The jobs by name, the sorted lists, and the events that add jobs to lists and remove them.

    Args:
        clock: the simulator's clock.
        seed: the seed of everything that is drawn.
        order: the order of the image list: ``"newest"`` first, ``"oldest"`` first, by ``"uuid"``, or ``"random"``.
        history_order: the order of the video history, in the same words.
        retention: seconds after submission at which a record is removed.
    """

    clock: SimulatedClock
    seed: int = 0
    order: str = "newest"
    history_order: str = "newest"
    retention: float = RECORDS_LAST
    lives: dict[JobKind, dict[str, Life]] = attrs.field(factory=lambda: {kind: {} for kind in JobKind})
    lists: dict[JobKind, Listing] = attrs.field(init=False)
    _events: list[tuple[float, int, bool, Life]] = attrs.field(factory=list)
    _sequence: itertools.count[int] = attrs.field(factory=itertools.count)
    _dice: random.Random = attrs.field(default=attrs.Factory(lambda self: random.Random(self.seed), takes_self=True))

    @lists.default
    def _lists(self) -> dict[JobKind, Listing]:
        return {JobKind.IMAGE: Listing(self.order), JobKind.VIDEO: Listing(self.history_order)}

    def __len__(self) -> int:
        return sum(len(lives) for lives in self.lives.values())

    def add(self, plans: Iterable[JobPlan]) -> list[JobRef]:
        """Submit the jobs of some plans and return those that are not foreign, in order.

        Raises:
            ValueError: an id already exists.
        """
        return [life.ref for life in self._take_up(plans) if not life.plan.foreign]

    def add_one(self, plan: JobPlan) -> JobRef:
        """Submit the single job of a plan, foreign or not.

        Raises:
            ValueError: the job's id already exists.
        """
        (life,) = self._take_up([plan])
        return life.ref

    def _take_up(self, plans: Iterable[JobPlan]) -> list[Life]:
        now = self.clock.now()
        born = [life for plan in plans for life in self._births(plan, now)]
        for kind, listing in self.lists.items():
            listing.extend(life for life in born if life.ref.kind is kind and life.listed_at <= now)
        for life in born:
            self._expect(life, now)
        return born

    def _births(self, plan: JobPlan, now: float) -> list[Life]:
        lives, submitted_at = [], now + plan.after
        for index in range(plan.count):
            ref = JobRef(plan.kind, plan.id or str(uuid.UUID(int=self._dice.getrandbits(128), version=4)))
            if ref.id in self.lives[ref.kind]:
                raise ValueError(f"there is a job {ref} already")
            life = lay_down(plan, ref, submitted_at, index, self._dice)
            self.lives[ref.kind][ref.id] = life
            lives.append(life)
            submitted_at += plan.every.draw(self._dice, index)
        return lives

    def _expect(self, life: Life, now: float) -> None:
        """Schedule when a job appears on its list and when it is removed from it."""
        if life.ref.kind not in self.lists or life.listed_at == math.inf:
            return
        if life.listed_at > now:
            heapq.heappush(self._events, (life.listed_at, next(self._sequence), True, life))
        heapq.heappush(self._events, (self._removed_at(life), next(self._sequence), False, life))

    def _removed_at(self, life: Life) -> float:
        return min(life.deleted_at, life.submitted_at + self.retention)

    def listing(self, kind: JobKind) -> Listing:
        """Return a kind's list as it is now."""
        now = self.clock.now()
        while self._events and self._events[0][0] <= now:
            _, _, appears, life = heapq.heappop(self._events)
            if not appears:
                self.lists[life.ref.kind].remove(life)
            elif not life.removed:
                self.lists[life.ref.kind].add(life)
        return self.lists[kind]

    def find(self, kind: JobKind, job_id: str) -> Life | None:
        """Return a job if the service knows it now: the job is visible already and its record is not removed."""
        life = self.lives[kind].get(job_id)
        if life is None or life.removed or not life.visible_at <= self.clock.now() < self._removed_at(life):
            return None
        return life

    def remove(self, life: Life) -> None:
        """Remove a job's record; the job's truth stays."""
        life.removed = True
        if life.ref.kind in self.lists:
            self.lists[life.ref.kind].remove(life)

    def remove_images(self) -> int:
        """Remove the records of all images that the service knows now, and return their number."""
        known = [life for job_id in self.lives[JobKind.IMAGE] if (life := self.find(JobKind.IMAGE, job_id))]
        for life in known:
            life.removed = True
        self.lists[JobKind.IMAGE].clear()
        return len(known)

    def truth(self, life: Life) -> Truth:
        """Return the truth of a job."""
        return Truth(
            job=life.ref,
            state=life.outcome if math.isfinite(life.ends_at) else None,
            ends_at=self.clock.loop_time(life.ends_at),
            ends_unix=self.clock.true_unix(life.ends_at),
            submitted_at=self.clock.loop_time(life.submitted_at),
            ended=self.clock.now() >= life.ends_at,
            foreign=life.plan.foreign,
            looks=life.looks,
        )
