"""Lists that are deep, reversed or shuffled, in virtual time: a sweep finds jobs anywhere, if there are enough."""

from __future__ import annotations

import random
from typing import Final

import pytest
from world import POLICY, World, job

from topaz_status.core.schedule.entry import JobPoll, PagePoll
from topaz_status.models.job import JobKind, JobRef

OWN: Final = 150
OTHERS: Final = 1_000


class DeepWorld(World):
    """A list with a thousand items of others, made within 20 s, that reports the ages of its items."""

    def __init__(self, order: str, *, own_are_newest: bool) -> None:
        super().__init__(10.0, {JobKind.IMAGE: 100}, POLICY)
        others: list[tuple[float, JobRef | None]] = [(-1.0 - number / 50.0, None) for number in range(OTHERS)]
        own_born_at = 0.0 if own_are_newest else -25.0
        own: list[tuple[float, JobRef | None]] = [(own_born_at, job(number, JobKind.IMAGE)) for number in range(OWN)]
        self.items = sorted(others + own, key=lambda item: item[0], reverse=order == "newest")
        if order == "none":
            random.Random(1).shuffle(self.items)
        for born_at, ref in own:
            assert ref is not None
            self.ends[ref], self.polled[ref] = 60.0, [0.0]
            self.schedule.add(ref, 0.0, age=-born_at)

    def answer(self, poll: object) -> None:
        if isinstance(poll, JobPoll):
            super().answer(poll)
            return
        assert isinstance(poll, PagePoll)
        begin = int(poll.cursor or 0)
        shown = self.items[begin : begin + poll.limit]
        refs = [ref for _, ref in shown if ref is not None]
        for ref in refs:
            self.note(ref)
        cursor = str(begin + poll.limit) if begin + poll.limit < len(self.items) else None
        ages = [self.now - born_at for born_at, _ in shown[::9]]
        self.schedule.saw(poll, self.now, [self.observation(ref) for ref in refs], next_cursor=cursor, ages=ages)


@pytest.mark.parametrize(("order", "own_are_newest"), [("newest", False), ("oldest", True), ("none", True)])
def test_jobs_are_found_anywhere_on_a_list(order: str, own_are_newest: bool) -> None:
    """All jobs end at 60 s, the first that ever ended. Single polls at 10 a second would take 15 s to learn it."""
    world = DeepWorld(order, own_are_newest=own_are_newest)
    world.run(90.0)
    assert len(world.found) == OWN
    assert sum(at - 60.0 for at in world.found.values()) / OWN < 5.0
