"""How old jobs were when their watches began, where nobody said so.

A watch may begin long after its job was submitted, as after a restart or for ids from a file. Without ``submitted_at``
its job is taken for a new one. The first answer that gives the job's age shows how much older it is. Other jobs without
an answer may be older by as much, so they are sought that deep in the list.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from .list_marks import WHOLE_SECOND

LATEST_AGES: Final = 16
"""The latest jobs that count. Until there are so many, one that was new counts, too."""
MUCH_LONGER: Final = 2.0
"""So many times the longest before. The jobs that were not found so far are then sought again; twenty times at most
between a second and a week."""


class PriorAges:
    """The prior ages of the jobs of one list, in seconds."""

    __slots__ = ("_latest", "_record", "longest", "shortest")

    def __init__(self) -> None:
        self.shortest = self.longest = 0.0
        self._latest: deque[float] = deque([0.0], LATEST_AGES)
        self._record = 0.0

    def learn(self, age: float) -> bool:
        """Learn one; return whether it is much longer than all before: jobs may lie where none was expected.

        Services give whole seconds, so up to one second counts as none.
        """
        age = age if age > WHOLE_SECOND else 0.0
        self._latest.append(age)
        self.shortest, self.longest = min(self._latest), max(self._latest)
        if age <= MUCH_LONGER * self._record:
            return False
        self._record = age
        return True
