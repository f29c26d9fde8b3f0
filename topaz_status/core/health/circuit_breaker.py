"""The circuit breaker of one service: while the service is down, it blocks all polls except one spaced probe at a time.

A poll fails here when it meets a transport error, a 3xx, 408, 425 or 5xx, or an undecodable 200. So does one that meets
a 4xx that is not the service's own (:mod:`.ending`). Any other answer is a sign of life. So is a 429, which the budget
deals with.

- *Closed*: polls go through. The breaker opens when ``FAILURES_TO_OPEN`` polls in a row failed, over ``SPAN_TO_OPEN``
  seconds, without a sign of life. Polls that were sent before the last sign of life do not count.
- *Open*: the service is down and polls are blocked until the next probe is due. The pause grows with each failed
  probe. As long as all failures are about one job or page, no poll is blocked.
- *Probing*: one poll is in flight as a probe, all others are blocked.

The first sign of life closes the breaker.

A watch must not wait for ever while its poll is due but blocked, or while its service answers only 429s. So the
failures of other polls count for this watch too. *Trouble* is the time for which polls met nothing but failures and
429s. It runs from the sending of the first such poll to the sending of the latest, so a poll that hangs adds nothing by
itself. Time without a token (a hold, a starved budget) does not count. A silence that nothing explains (a computer
asleep) counts for at most ``LONGEST_SILENCE`` seconds. A watch is given up once its poll has been due for ``patience``
seconds of trouble.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from operator import itemgetter
from typing import Final

import attrs

from ..schedule.entry import Poll

FAILURES_TO_OPEN: Final = 5
"""Failed polls in a row that open the breaker."""
SPAN_TO_OPEN: Final = 2.0
"""Seconds over which they must have failed."""
LONGEST_SILENCE: Final = 30.0
"""Seconds of an unexplained silence that count as trouble at most."""
TROUBLE_GRAIN: Final = 0.01
"""Least trouble between two recorded marks, as a share of ``patience``."""


@attrs.define
class CircuitBreaker:
    """The breaker of one service. Times are seconds of the loop's clock."""

    patience: float
    """``give_up_after``, seconds."""
    down_since: float | None = attrs.field(default=None, init=False)
    """Send time of the first failed poll of the current outage; ``None`` while the service is up."""
    probes: int = attrs.field(default=0, init=False)
    """Probes in a row that failed."""
    _alive_at: float = attrs.field(default=-math.inf, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _failing_since: float = attrs.field(default=math.inf, init=False)
    about: Poll | None = attrs.field(default=None, init=False)
    """The latest poll that met trouble; ``None`` if a usable answer came since."""
    _is_shared: bool = attrs.field(default=False, init=False)
    """True once failures were about more than one job or page."""
    _probe: Poll | None = attrs.field(default=None, init=False)
    _probe_at: float = attrs.field(default=-math.inf, init=False)
    _sent_at: float = attrs.field(default=-math.inf, init=False)
    """Latest send time of a poll that met trouble."""
    _ended_at: float = attrs.field(default=-math.inf, init=False)
    """Latest end of a poll that met trouble."""
    _last_sent_at: float = attrs.field(default=math.inf, init=False)
    """Send time of the latest poll of all."""
    _starved: float = attrs.field(default=0.0, init=False)
    """Seconds without a token since the beginning."""
    _starved_then: float = attrs.field(default=0.0, init=False)
    """The value of ``_starved`` at ``_sent_at``."""
    _trouble: float = attrs.field(default=0.0, init=False)
    """Seconds of trouble, as of ``_sent_at``."""
    _marks: list[tuple[float, float]] = attrs.field(factory=list, init=False)
    """Send times of polls that met trouble, each with the seconds of trouble by then."""

    @property
    def allows_at(self) -> float:
        """Time from which a poll may go: minus infinity while none is blocked, infinity while a probe is in flight."""
        if self.down_since is None or not self._is_shared:
            return -math.inf
        return self._probe_at if self._probe is None else math.inf

    @property
    def gives_up_before(self) -> float:
        """Trouble since this time adds up to ``patience``: a watch whose unsent poll was due by then is given up."""
        marks, limit = self._marks, self._trouble - self.patience
        if not self._is_shared or not marks or marks[0][1] > limit:
            return -math.inf
        at, trouble = marks[bisect_right(marks, limit, key=itemgetter(1)) - 1]
        return at + limit - trouble

    def trouble_since(self, at: float) -> float:
        """Return the seconds of trouble from ``at`` on; 0 while all trouble is about one job or page."""
        if not self._is_shared or at >= self._sent_at:
            return 0.0
        index = bisect_right(self._marks, at, key=itemgetter(0))
        if not index:
            return self._trouble
        sent_at, trouble = self._marks[index - 1]
        after = self._marks[index][1] if index < len(self._marks) else self._trouble
        return self._trouble - min(trouble + at - sent_at, after)

    def sent(self, poll: Poll, now: float, ready_at: float) -> None:
        """Note that a poll goes out, for which there has been a token since ``ready_at``.

        If the service is down, the poll is a probe. Without trouble ``ready_at`` does not matter.
        """
        if self.about is not None:
            self._starved += max(0.0, min(ready_at, now) - self._last_sent_at)
        self._last_sent_at = now
        if self.down_since is not None:
            self._probe = poll

    def unsent(self, poll: Poll) -> None:
        """Note that a poll was canceled before it had an answer."""
        if poll is self._probe:
            self._probe = None

    def hurry(self) -> None:
        """Let the next probe go at once, because there is reason to believe that the service is back."""
        self._probe_at = -math.inf

    def used(self, now: float) -> float | None:
        """Note a usable answer, or one about the job itself; return how long the service was down, if it was."""
        if self.about is None:
            self._alive_at = now
            return None
        self._trouble = 0.0
        self._sent_at = -math.inf
        self._marks.clear()
        self._is_shared, self.about = False, None
        return self._alive(now)

    def limited(self, poll: Poll, *, sent_at: float, now: float) -> float | None:
        """Note a 429, which is trouble but a sign of life; return how long the service was down, if it was."""
        self._count(poll, sent_at, now)
        return self._alive(now)

    def failed(self, poll: Poll, *, sent_at: float, now: float) -> bool:
        """Note a failed poll; return True if it opens the breaker."""
        is_probe = poll is self._probe
        if is_probe:
            self._probe = None
            self.probes += 1
        if sent_at < self._alive_at:
            return False
        self._count(poll, sent_at, now)
        self._failures += 1
        self._failing_since = min(self._failing_since, sent_at)
        if self.down_since is not None or self._failures < FAILURES_TO_OPEN or now - self._failing_since < SPAN_TO_OPEN:
            return False
        self.down_since = self._failing_since
        self.probes = 0
        return True

    def probe_at(self, at: float) -> None:
        """Block probes until ``at``."""
        self._probe_at = at

    def _alive(self, now: float) -> float | None:
        since, self.down_since = self.down_since, None
        self._alive_at = now
        self._failures, self._failing_since = 0, math.inf
        self._probe, self.probes = None, 0
        return None if since is None else now - since

    def _count(self, poll: Poll, sent_at: float, now: float) -> None:
        """Add the time from the sending of the last poll that met trouble to the sending of this one."""
        self._is_shared = self._is_shared or (self.about is not None and self.about != poll)
        self.about = poll
        if sent_at > self._sent_at:
            if self._sent_at > -math.inf:
                starved = self._starved - self._starved_then
                silence = max(0.0, sent_at - self._ended_at - starved)
                self._trouble += max(0.0, sent_at - self._sent_at - starved - max(0.0, silence - LONGEST_SILENCE))
            self._sent_at, self._starved_then = sent_at, self._starved
            if not self._marks or self._trouble - self._marks[-1][1] >= TROUBLE_GRAIN * self.patience:
                self._marks.append((sent_at, self._trouble))
                past = bisect_right(self._marks, self._trouble - self.patience, key=itemgetter(1))
                del self._marks[: max(0, past - 1)]
        self._ended_at = max(self._ended_at, now)
