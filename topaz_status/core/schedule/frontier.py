"""The frontier of a long sweep: the page in flight whose answer names the cursor of the next one."""

from __future__ import annotations

import math
from typing import Final

from .page import PageEntry

NEWEST_FLIGHT: Final = 0.2
"""The weight of the newest flight in what is learned of their time."""
MARGIN: Final = 0.05
"""Other polls wait for the next cursor, this many seconds before and after its expected arrival."""


class Frontier:
    """When the answer to the frontier's poll should arrive."""

    __slots__ = ("_flight_time", "_page", "_sent_at")

    def __init__(self) -> None:
        self._page: PageEntry | None = None
        self._sent_at = -math.inf
        self._flight_time = 0.0
        """Seconds until such an answer arrives, learned."""

    def sent(self, page: PageEntry, now: float) -> None:
        """Note that a page is sent now; it is the frontier if more jobs are expected on it than it can show."""
        if len(page.expected.members) > page.room:
            self._page, self._sent_at = page, now

    def landed(self, page: PageEntry, now: float) -> None:
        """Note the answer to a page's poll, or its failure."""
        if page is self._page:
            flight = now - self._sent_at
            self._flight_time += NEWEST_FLIGHT * (flight - self._flight_time) if self._flight_time else flight
            self._page = None

    def yields_until(self, at: float) -> float:
        """Return the time, ``at`` at the earliest, at which another poll does not delay a long sweep.

        A list is swept one cursor after the other. With thousands of jobs yet to be found, the next page is worth more
        than any other poll. A token spent just before the cursor arrives delays that page until the next token comes.
        """
        if self._page is None or not self._flight_time:
            return at
        margin = min(MARGIN, self._flight_time / 2.0)
        arrives_at = self._sent_at + self._flight_time
        return arrives_at + margin if arrives_at - margin <= at < arrives_at + margin else at
