"""The announcer: it gives every event of one client to the client's listeners, and lets none of them do harm."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

import attrs

from ..core.schedule.entry import PagePoll, Poll
from ..core.wire.requests import Request
from ..errors import (
    ClientClosedError,
    DecodeError,
    GatewayError,
    JobCanceledError,
    JobExpiredError,
    JobFailedError,
    RateLimitedError,
    ServerError,
    ServiceError,
    TopazStatusError,
    WatchCanceledError,
)
from ..models.job import JobKind, JobRef, JobState
from .listener import AnswerClass, AnsweredPoll, EndedWatch, Gauges, JobAnswer, Listener, SentRequest
from .settings import Settings

EXPECTED_LAG_AGE: Final = 5.0
"""Seconds for which an estimate of the lag is used again: making one costs as much as some polls."""
_PORTS: Final = {"https": 443, "http": 80}
_OUTCOMES: Final[Mapping[type[TopazStatusError], JobState]] = {
    JobFailedError: JobState.FAILED,
    JobCanceledError: JobState.CANCELED,
    JobExpiredError: JobState.EXPIRED,
}
_ANSWERS: Final[tuple[tuple[type[TopazStatusError], AnswerClass], ...]] = (
    (RateLimitedError, "rate_limited"),
    (GatewayError, "gateway_error"),
    (ServerError, "server_error"),
    (ServiceError, "client_error"),
    (DecodeError, "undecodable"),
)
"""The first class that an error has decides."""


@attrs.define(eq=False)
class Announcer:
    """Gives events to the listeners of one client. A client without listeners has no announcer."""

    _listeners: tuple[Listener, ...]
    _servers: Mapping[JobKind, tuple[str, int]]
    """Host and port of each kind's service."""
    _now: Callable[[], float]
    _warn: Callable[[str, str], None]
    """Logs a text, once for its cause."""
    _gauges: Callable[[], Gauges] | None = attrs.field(default=None, init=False)
    _estimate: Callable[[], float | None] = attrs.field(default=lambda: None, init=False)
    _expected_lag: float | None = attrs.field(default=None, init=False)
    """The latest estimate of the lag."""
    _estimate_at: float = attrs.field(default=-math.inf, init=False)
    """When the next estimate is due."""

    def open(self, gauges: Callable[[], Gauges], estimate: Callable[[], float | None]) -> None:
        """Announce that the client has opened. ``estimate`` gives the expected lag in seconds."""
        self._gauges, self._estimate = gauges, estimate
        self._announce(lambda listener: listener.opened(gauges))

    def close(self) -> None:
        """Announce that the client has closed."""
        gauges, self._gauges = self._gauges, None
        if gauges is not None:
            self._announce(lambda listener: listener.closed(gauges))

    def requested(self, request: Request, status: int | None, error: Exception | None, sent_at: float) -> None:
        """Announce a request that has ended."""
        host, port = self._servers[request.kind]
        sent = SentRequest(
            kind=request.kind,
            method=request.method,
            host=host,
            port=port,
            status=status,
            error=None if error is None else type(error).__name__,
            took=self._now() - sent_at,
        )
        self._announce(lambda listener: listener.requested(sent))

    def polled(self, kind: JobKind, error: TopazStatusError | None, *, is_page: bool, statuses: int = 0) -> None:
        """Announce a poll that has ended, with the number of statuses of watched jobs that it brought.

        The lag is estimated here, before the answer takes effect: a job that has ended is no longer in the schedule.
        """
        if (now := self._now()) >= self._estimate_at:
            self._expected_lag, self._estimate_at = self._estimate(), now + EXPECTED_LAG_AGE
        poll = AnsweredPoll(kind=kind, is_page=is_page, answer=answer_class(error), statuses=statuses)
        self._announce(lambda listener: listener.polled(poll))

    def job_polled(
        self, handles: Collection[object], poll: Poll, state: JobState | None, error: TopazStatusError | None
    ) -> None:
        """Announce what a poll has brought for one job."""
        answer = JobAnswer(is_page=isinstance(poll, PagePoll), answer=answer_class(error), state=state)
        self._announce(lambda listener: listener.watch_polled(handles, answer))

    def ended(self, kind: JobKind, lag: float) -> None:
        """Announce the lag of a job's end, and the lag that was expected at this load."""
        expected = self._expected_lag
        self._announce(lambda listener: listener.ended(kind, lag, expected))

    def watch_started(self, handle: object, job: JobRef) -> None:
        """Announce a new watch."""
        self._announce(lambda listener: listener.watch_started(handle, job))

    def watch_ended(
        self, handle: object, job: JobRef, error: TopazStatusError | None, *, waited: float, polls: int
    ) -> None:
        """Announce the end of a watch."""
        end = EndedWatch(
            kind=job.kind,
            outcome=outcome_word(error),
            is_error=error is not None and not isinstance(error, WatchCanceledError | ClientClosedError),
            waited=waited,
            polls=polls,
        )
        self._announce(lambda listener: listener.watch_ended(handle, end))

    def _announce(self, call: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            try:
                call(listener)
            except Exception as error:  # noqa: BLE001  # telemetry must not end the polling
                name = type(listener).__name__
                self._warn(f"listener {name}", f"telemetry is incomplete: {name} failed with {type(error).__name__}")


def servers_of(settings: Settings) -> dict[JobKind, tuple[str, int]]:
    """Return the host and port of each kind's service."""
    found = {}
    for kind in JobKind:
        parts = urlsplit(settings.url(kind))
        found[kind] = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    return found


def answer_class(error: TopazStatusError | None) -> AnswerClass:
    """Return the class of a poll's answer, from the error that it was."""
    if error is None:
        return "usable"
    return next((name for kind, name in _ANSWERS if isinstance(error, kind)), "none")


def outcome_word(error: TopazStatusError | None) -> str:
    """Return the terminal state with which a watch ended, or the name of the error's class."""
    if error is None:
        return JobState.COMPLETED.value
    state = _OUTCOMES.get(type(error))
    return type(error).__name__ if state is None else state.value
