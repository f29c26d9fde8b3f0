"""Results of polls in a client with a coordinator: answers are passed on, and answers that came by mail are acted on.

A status from mail takes the same way as one from HTTP: the same decoder, the same schedule, the same poller.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

import attrs

from ...core.schedule.entry import JobPoll, Poll
from ...core.wire.lazy import LazyStatus, Reading, read_answer
from ...core.wire.responses import Response, service_time
from ...errors import AuthenticationError, ServiceError, TopazStatusError, TransportError
from ...models.job import JobKind
from ..polling.poll_results import PollResults
from ..polling.poller import Poller
from ..settings import Account
from .mail_values import read_end

UNREACHABLE: Final = 10.0
"""Seconds of nothing but errors of the network after which a leader lets another member try."""


class AnswerListener(Protocol):
    """What hears of answers, and is asked whether somebody else should poll."""

    def answered(self, poller: Poller) -> None:
        """Note a usable answer about a job."""

    def gives_way(self, reason: str) -> bool:
        """Let another member lead, if this one leads and another can; return whether that is so."""

    def key_gives_way(self, reason: str) -> bool:
        """Do the same if another member may hold a better key."""


@attrs.define(eq=False)
class SharedResults(PollResults):
    """Acts on each answer in one synchronous step, whether it came by HTTP or by mail."""

    listener: AnswerListener | None = attrs.field(default=None, init=False)
    _ahead: dict[JobKind, float] = attrs.field(factory=dict, init=False)
    """By how many seconds each service's clock is ahead of ours, by its latest answer."""
    _unreachable_since: dict[JobKind, float] = attrs.field(factory=dict, init=False)
    """Since when polls of a kind have met nothing but errors of the network."""

    def service_now(self, kind: JobKind) -> float:
        """Return the present time of a service's clock, in Unix seconds."""
        return self._clock.wall() + self._ahead.get(kind, 0.0)

    def saw(self, poll: Poll, asked_by: Poller | None, response: Response, sent_at: float) -> None:
        """See :meth:`PollResults.saw`."""
        wall = self._clock.wall()
        self._ahead[poll.kind] = service_time(response.headers, wall=wall) - wall
        self._note_reached(poll.kind)
        super().saw(poll, asked_by, response, sent_at)

    def missed(self, poll: Poll, asked_by: Poller | None, error: TopazStatusError, sent_at: float) -> None:
        """See :meth:`PollResults.missed`."""
        super().missed(poll, asked_by, error, sent_at)
        if isinstance(error, TransportError):
            self._note_unreachable(poll.kind, sent_at)
        elif isinstance(error, ServiceError):
            self._note_reached(poll.kind)

    def heard(self, poller: Poller, body: bytes, service_now: float, sent_at: float) -> None:
        """Act on a status that came by mail; the poll that found it was sent at ``sent_at``.

        Raises:
            DecodeError: the body is no status of the job.
        """
        job = poller.job
        reading = read_answer(job, body, service_now)
        poll = JobPoll(job)
        self._ahead[job.kind] = service_now - self._clock.wall()
        self._schedule.saw(poll, self._clock.now(), (reading[0],))
        self._apply(poll, poller, reading, sent_at)

    def heard_end(self, poller: Poller, body: bytes | None, service_now: float, text: str) -> None:
        """Act on an end that came by mail, with the last status if there is one.

        Raises:
            DecodeError: the body is no status of the job.
            BadMailError: the text is no error.
        """
        status: LazyStatus | None = None
        if body is not None:
            _, status = read_answer(poller.job, body, service_now)
        known = poller.status if status is None else status.get()
        error = read_end(poller.job, known, text)
        if status is not None:
            poller.take(status, self._clock.now())
        self._give_up(poller, error)

    def _apply(self, poll: Poll, poller: Poller, reading: Reading, sent_at: float) -> None:
        super()._apply(poll, poller, reading, sent_at)
        if self.listener is not None:
            self.listener.answered(poller)

    def _end_refused(self, account: Account, error: AuthenticationError) -> bool:
        """See :meth:`PollResults._end_refused`; another member may hold a better key."""
        if self.listener is not None and self.listener.key_gives_way(f"the {account.value} API key is refused here"):
            return False
        return super()._end_refused(account, error)

    def _note_reached(self, kind: JobKind) -> None:
        self._unreachable_since.pop(kind, None)

    def _note_unreachable(self, kind: JobKind, sent_at: float) -> None:
        since = self._unreachable_since.setdefault(kind, sent_at)
        if self._clock.now() - since >= UNREACHABLE and self.listener is not None:
            self._unreachable_since[kind] = math.inf  # asked once; the next answer of the service clears it
            self.listener.gives_way(f"the {kind.value} service cannot be reached from here")
