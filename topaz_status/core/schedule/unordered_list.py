"""A list in no order, whose pages are read in turn for all jobs that are on no known page.

Such a job may be anywhere on the list. So these jobs are one group, expected on the page that comes next in turn. That
page shows some of them; the others are expected on the page after it. The first page follows the last one. A job that
came in the middle of the list has been sought everywhere once the sweep is back there.

The next page in turn goes before polls of single jobs of the group, if it should show enough of them. Otherwise each
page would have to outbid the job that has waited longest. If every token goes to the longest wait among ``n`` jobs,
that job has waited for ``n`` tokens, and an average one for half as many. The worth of a poll grows with the square of
the wait, so that one poll seems worth more than a page with two average jobs. Yet if every token goes to one of ``p``
pages, no job waits for more than ``p`` tokens. Each way of spending tokens maintains itself; if ``p`` is less than
``n``, the pages are the better one.
"""

from __future__ import annotations

from typing import ClassVar, Final

from .list_search import UNSHOWN_SHARE
from .page import PageEntry, PageMembers
from .tracked_job import TrackedJob

LEAST_SHOWN: Final = 0.4
"""The next page in turn is polled in place of a job if it should show so many jobs, known ones included. From then on a
job that it shows is polled with its page. With a quarter of a job, worlds with few jobs on a long list cost more."""
LEARNED_AT_ONCE: Final = 0.2
"""The weight of a page that should have shown many jobs, in the chance that a job is listed."""
MANY_DUE: Final = 10.0
"""So many jobs are many. The fewer a page should have shown, the less it says."""
LEAST_LISTED: Final = 0.001
"""The chance that a job is listed, at least."""
FIRST_WEIGHT: Final = 0.5
"""A list is read as if so many pages had shown ``UNSHOWN_SHARE`` of the jobs."""
MOST_VAIN: Final = 64
"""After so many pages in a row that showed no job, or as many as the list has, the first page comes next: there are
lists whose cursors never end."""
PAGES_REMEMBERED: Final = 16.0
"""The share of the jobs that a page shows is an average over about so many pages."""


class UnorderedList:
    """The jobs that are sought in turn, and what the next page should show of them."""

    least_shown: ClassVar[float] = LEAST_SHOWN
    """How many jobs a page must show to be polled in place of one (see :data:`LEAST_SHOWN`)."""

    __slots__ = ("_came_at", "_length", "_listed", "_pages_read", "_share", "_vain", "_visited", "group")

    def __init__(self) -> None:
        self.group: PageMembers | None = None
        """The jobs without a known page. The page on which they are expected is the next one in turn."""
        self._length: int | None = None
        """Pages of the whole list, when the last one was read; ``None`` before."""
        self._listed = 1.0
        """The chance that a job is on the list, learned."""
        self._visited: set[str | None] = set()
        """The cursors read since the sweep last began with the first page."""
        self._pages_read = 0
        """How many pages have been read in turn."""
        self._share = UNSHOWN_SHARE
        """The share of the expected jobs that a page showed, on average."""
        self._vain = 0
        """How many pages in a row have shown none of the expected jobs."""
        self._came_at: dict[TrackedJob, int] = {}
        """How many pages had been read when each of the expected jobs came."""

    def hits_expected(self, group: PageMembers) -> float:
        """Return how many of these jobs the next page should show.

        Each job may be on any of the pages that were not read since it came. If the length is not known, or the list
        is longer by now, the next page should show as large a share of the jobs as the pages before.
        """
        if self._length is None or len(self._visited) >= self._length:
            return self._listed * self._share * len(group.members)
        now, came_at = self._pages_read, self._came_at
        passed = now - self._length
        return self._listed * sum(1.0 / max(came_at.setdefault(job, now) - passed, 1) for job in group.members)

    def learn(self, page: PageEntry, cursor: str | None, hits: int, expected: float) -> bool:
        """Learn from a page in turn, which names ``cursor``; return True if the first page comes next.

        It showed ``hits`` jobs of those that were sought, and should have shown ``expected`` ones.
        """
        self._pages_read += 1
        share = hits / max(hits + len(page.sought.members), 1)
        self._share += (share - self._share) / min(self._pages_read + FIRST_WEIGHT, PAGES_REMEMBERED)
        if self._length is not None and expected > 0.0:
            due = expected / self._listed
            weight = LEARNED_AT_ONCE * min(due / MANY_DUE, 1.0)
            self._listed = min(max(self._listed + weight * (hits / due - self._listed), LEAST_LISTED), 1.0)
        self._vain = 0 if hits else self._vain + 1
        if page.cursor is None:
            self._visited.clear()
        self._visited.add(page.cursor)
        if cursor is not None and cursor not in self._visited and self._vain < max(MOST_VAIN, self._length or 0):
            return False
        if cursor is None and None in self._visited:
            self._length = len(self._visited)
        self._visited.clear()
        self._vain = 0
        return True

    def forget(self, job: TrackedJob) -> None:
        """Forget a job that is no longer watched."""
        self._came_at.pop(job, None)

    def sought_everywhere(self, group: PageMembers) -> list[TrackedJob]:
        """Return the jobs of a group for which all pages of the list have been read since they came.

        What is remembered of other jobs is forgotten.
        """
        now, came_at = self._pages_read, self._came_at
        self._came_at = {job: came_at.get(job, now) for job in group.members}
        if self._length is None:
            return []
        passed = now - max(self._length, len(self._visited) + 1)
        return [job for job, at in self._came_at.items() if at <= passed]
