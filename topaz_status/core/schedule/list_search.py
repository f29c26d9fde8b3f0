"""How likely the next page of a list is to show jobs that the pages before have not shown.

A sweep goes on while the next page is worth its poll. So the chance of each page counts the pages yet to come: a sweep
that shows two hundred jobs after ten more polls is worth as much now as a page that shows twenty.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import Final

import attrs

from .list_map import ListMap, Stretch
from .list_marks import WHOLE_SECOND
from .list_order import AgeOrder
from .page import PageMembers

JOBS_SAMPLED: Final = 16
"""About how many jobs of a group are sampled to estimate where they lie."""
SURPRISE: Final = 0.5
"""The weight of a page that should have shown all jobs of a group, in the belief that they are on the list."""
MOST_STALLED: Final = 16.0
"""So many pages in a row may lead a sweep hardly any farther, whatever it is for."""
STALLED_EACH: Final = 0.125
"""Within one second of the list, so many pages for each job may do so at first, if that is more."""
UNSHOWN: Final = 0.5
"""On a bare list in no order, the sweep begins as if half a page had shown this many jobs."""
UNSHOWN_SHARE: Final = 0.125
"""On a list whose order is not known, it begins as if half a page had shown this share of the jobs, if that is more:
after one page in vain, a dozen jobs are worth another one. Reading in turn begins so, too (:mod:`.unordered_list`)."""


@attrs.frozen
class Shown:
    """What a page has shown of the jobs that were expected on it."""

    hits: int
    """Jobs that were not known to be on any page."""
    expected: int
    """How many such jobs it had room for."""
    likely: float
    """How many of them it should have shown."""
    stretch: Stretch | None
    """The part of the list that it shows, if ages show it."""

    def share_of(self, due: float) -> float:
        """Return which share of so many jobs was shown, 1 at most."""
        return min(self.hits / due, 1.0)


def patience(jobs: int, stretch: Stretch, given_up: int) -> float:
    """Return how many pages in a row may lead a sweep for so many jobs hardly any farther.

    So many sweeps in a row were ``given_up`` without any job found.

    Ten thousand items may be made in the same second. For many jobs a sweep through them costs little beside a poll of
    each. But a list may repeat itself for ever, so each sweep in vain halves what the next one may cost.
    """
    if stretch.end - stretch.begin > WHOLE_SECOND:
        return MOST_STALLED
    return max(MOST_STALLED, jobs * STALLED_EACH / 2.0 ** min(given_up, 16))


def learn_chance(group: PageMembers, shown: Shown, known: ListMap, given_up: int) -> float:
    """Estimate the chance that the next page shows jobs of a group, after one that was expected to show some.

    So many sweeps in a row were ``given_up`` without any job found. Return how many jobs the page should have shown,
    by the ages of its items.
    """
    group.found += shown.hits
    group.pages_ahead = math.inf
    pages, count = len(group.visited) + 1, len(group.members)
    due = float(shown.expected)
    if known.order is AgeOrder.NONE:
        group.expect(_rate_without_order(group, known, pages))
    elif shown.stretch is None or not group.leads_on(
        shown.stretch, shown.hits, patience(count, shown.stretch, given_up)
    ):
        group.chance = group.listed = (group.chance + shown.share_of(due)) / 2.0
    elif count:
        births = [known.farthest_birth(job) for job in islice(group.members, 0, None, count // JOBS_SAMPLED + 1)]
        ahead = known.ahead(shown.stretch, births, count, pages)
        if not ahead.rate and known.order is AgeOrder.UNKNOWN:  # all jobs were passed, or the list is in another order
            group.expect(_rate_without_order(group, known, pages, unshown=max(UNSHOWN, count * UNSHOWN_SHARE)))
            return due
        passed = max(ahead.passed, shown.share_of(due))
        due *= passed
        if due:
            group.listed += SURPRISE * passed * (shown.share_of(due) - group.listed)
        group.expect(group.listed * max(ahead.rate, shown.hits))
        if known.order is AgeOrder.UNKNOWN:
            group.pages_ahead = pages
        elif ahead.rate:
            group.pages_ahead = _pages_at(group.hits_expected, count)
    return due


def presumed_chance(group: PageMembers, known: ListMap) -> float | None:
    """Return the chance for new jobs on a list in no order that was swept before; ``None`` on any other list."""
    if known.order is not AgeOrder.NONE or known.length is None or group.visited or not group.members:
        return None
    return min(len(group.members) / known.length / group.most_hits, 1.0)


def _pages_at(hits: float, jobs: int) -> float:
    """Return about how many pages show so many jobs, if each shows so many of them."""
    return jobs / hits if hits > 0.0 else math.inf


def _rate_without_order(group: PageMembers, known: ListMap, pages: int, *, unshown: float = UNSHOWN) -> float:
    """Return how many jobs the next page should show: as many as those before, or its share if the length is known.

    Beyond the known length nothing more is expected: the list has grown, or its cursors never end.
    """
    rate = (group.found + unshown) / (pages + UNSHOWN)
    if known.length is None or pages >= known.length:
        return rate
    return max(rate, len(group.members) / (known.length - pages))
