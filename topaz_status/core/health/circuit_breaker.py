"""Is a service down? Then one look at a time, spaced, asks whether it is back; nobody else's looks are spent on it.

A look fails here when it brings a transport error, a 3xx, 408, 425, 5xx, an undecodable 200, or a 4xx that is not the
service's own (:mod:`.ending`). A 429 is a sign of life (the budget knows what to do about it), and so is any other
answer.

- *Found down*: ``FAILURES_TO_OPEN`` polls in a row failed, over ``SPAN_TO_OPEN`` seconds, and none brought a sign of
  life. A poll that was sent before the last sign of life proves nothing about what came after.
- *Probed*: while it is down one look is on the wire at a time; after each that fails there is a pause, which grows. A
  job that alone fails is nobody else's business: as long as all failures are about one, nobody is held up.
- *Back*: with the first sign of life.

A watch whose look is due and not sent, because the service is down or refuses everybody, must not wait for ever: what
the other looks meet stands for its own. *Trouble* is the time for which looks have met nothing else (429s are
trouble here), from the sending of the first to the sending of the latest, so that trouble which passes while a look
hangs has passed. Time in which there was no token (a hold, a starved budget) does not count, nor does more than
``LONGEST_SILENCE`` of a silence that nothing explains (a computer asleep). A watch is given up once its look has been
due for ``patience`` seconds of trouble.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from operator import itemgetter
from typing import Final

import attrs

from ..schedule.entry import Poll

FAILURES_TO_OPEN: Final = 5
SPAN_TO_OPEN: Final = 2.0
LONGEST_SILENCE: Final = 30.0
TROUBLE_GRAIN: Final = 0.01
"""How finely trouble is kept, as a share of ``patience``."""


@attrs.define
class CircuitBreaker:
    """What is known of one service. Times are seconds of the loop's clock."""

    patience: float
    """``give_up_after``, seconds."""
    down_since: float | None = attrs.field(default=None, init=False)
    """When the first of the looks was sent by which it was found down; ``None`` while it is not."""
    probes: int = attrs.field(default=0, init=False)
    """Probes in a row that failed."""
    _alive_at: float = attrs.field(default=-math.inf, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _failing_since: float = attrs.field(default=math.inf, init=False)
    about: Poll | None = attrs.field(default=None, init=False)
    """A look that met trouble since the last answer of use."""
    _held: bool = attrs.field(default=False, init=False)
    """True once failures were about more than one job or page."""
    _probe: Poll | None = attrs.field(default=None, init=False)
    _probe_at: float = attrs.field(default=-math.inf, init=False)
    _sent_at: float = attrs.field(default=-math.inf, init=False)
    _heard_at: float = attrs.field(default=-math.inf, init=False)
    _last_sent_at: float = attrs.field(default=math.inf, init=False)
    _starved: float = attrs.field(default=0.0, init=False)
    """Seconds without a token since the beginning; and what that had come to at ``_sent_at``."""
    _starved_then: float = attrs.field(default=0.0, init=False)
    _trouble: float = attrs.field(default=0.0, init=False)
    """Seconds of nothing but trouble, as of ``_sent_at``."""
    _marks: list[tuple[float, float]] = attrs.field(factory=list, init=False)
    """When looks were sent that failed, and what trouble had come to by then."""

    @property
    def opens_at(self) -> float:
        """The time from which a look may go: long past while the service is not down, infinite while one probes it."""
        if self.down_since is None or not self._held:
            return -math.inf
        return self._probe_at if self._probe is None else math.inf

    @property
    def hopeless_at(self) -> float:
        """Watches are given up whose look came due at this time or before, and was not sent since."""
        marks, limit = self._marks, self._trouble - self.patience
        if not self._held or not marks or marks[0][1] > limit:
            return -math.inf
        at, trouble = marks[bisect_right(marks, limit, key=itemgetter(1)) - 1]
        return at + limit - trouble

    def trouble_since(self, at: float) -> float:
        """Seconds of trouble from ``at`` on, as far as it was about more than one job or page."""
        if not self._held or at >= self._sent_at:
            return 0.0
        index = bisect_right(self._marks, at, key=itemgetter(0))
        if not index:
            return self._trouble
        sent_at, trouble = self._marks[index - 1]
        after = self._marks[index][1] if index < len(self._marks) else self._trouble
        return self._trouble - min(trouble + at - sent_at, after)

    def sent(self, poll: Poll, now: float, ready_at: float) -> None:
        """A look goes out, for which there has been a token since ``ready_at``; to a service that is down, a probe.

        While there is no trouble it does not matter since when.
        """
        if self.about is not None:
            self._starved += max(0.0, min(ready_at, now) - self._last_sent_at)
        self._last_sent_at = now
        if self.down_since is not None:
            self._probe = poll

    def unsent(self, poll: Poll) -> None:
        """A look was canceled before it told anything."""
        if poll is self._probe:
            self._probe = None

    def hurry(self) -> None:
        """There is reason to believe that the service is back: probe it at once."""
        self._probe_at = -math.inf

    def used(self, now: float) -> float | None:
        """A usable answer came, or one about the job itself: give for how long the service was down, if it was."""
        if self.about is None:
            self._alive_at = now
            return None
        self._trouble = 0.0
        self._sent_at = -math.inf
        self._marks.clear()
        self._held, self.about = False, None
        return self._alive(now)

    def limited(self, poll: Poll, *, sent_at: float, now: float) -> float | None:
        """A 429 came: no use, but a sign of life. Give for how long the service was down, if it was."""
        self._count(poll, sent_at, now)
        return self._alive(now)

    def failed(self, poll: Poll, *, sent_at: float, now: float) -> bool:
        """A look failed; true when by this one the service is found down."""
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
        """No probe goes before this."""
        self._probe_at = at

    def _alive(self, now: float) -> float | None:
        since, self.down_since = self.down_since, None
        self._alive_at = now
        self._failures, self._failing_since = 0, math.inf
        self._probe, self.probes = None, 0
        return None if since is None else now - since

    def _count(self, poll: Poll, sent_at: float, now: float) -> None:
        """Add the time from the last failing look's sending to this one's."""
        self._held = self._held or (self.about is not None and self.about != poll)
        self.about = poll
        if sent_at > self._sent_at:
            if self._sent_at > -math.inf:
                starved = self._starved - self._starved_then
                silence = max(0.0, sent_at - self._heard_at - starved)
                self._trouble += max(0.0, sent_at - self._sent_at - starved - max(0.0, silence - LONGEST_SILENCE))
            self._sent_at, self._starved_then = sent_at, self._starved
            if not self._marks or self._trouble - self._marks[-1][1] >= TROUBLE_GRAIN * self.patience:
                self._marks.append((sent_at, self._trouble))
                past = bisect_right(self._marks, self._trouble - self.patience, key=itemgetter(1))
                del self._marks[: max(0, past - 1)]
        self._heard_at = max(self._heard_at, now)
