"""The seam of telemetry: what a listener hears of a client, and the gauges that it may read.

A client without listeners pays one check for each of these events. A listener that raises is logged once and changes
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal, TypeAlias

import attrs

from ..coordination import Role
from ..errors_base import ConfigurationError
from ..models.job import JobKind, JobRef, JobState

AnswerClass: TypeAlias = Literal[
    "usable", "rate_limited", "client_error", "server_error", "gateway_error", "undecodable", "none"
]
"""What a poll's answer was: a status, one of the errors, or none at all."""


@attrs.frozen(kw_only=True)
class Gauges:
    """What a client holds at one moment. Any thread may read it, so it counts and iterates over nothing that grows."""

    watched_jobs: Mapping[JobKind, int]
    in_flight: int
    """Requests on the wire."""
    tokens: float
    """Tokens in the shared bucket."""
    rates: Mapping[JobKind, float]
    """Requests/s that each kind may send: its ceiling, or the limit that 429s have taught."""
    held: Mapping[JobKind, float]
    """Seconds for which each kind sends nothing, because its service asked for a pause."""
    down: Mapping[JobKind, bool]
    """Whether the circuit breaker of each service is open."""
    store_backlog: int
    """Rows that wait for the store; 0 without one."""
    role: Role | None = None
    """What the client is among the processes that share its account; ``None`` without a coordinator."""


@attrs.frozen(kw_only=True)
class SentRequest:
    """One HTTP request to a service, and how it ended."""

    kind: JobKind
    method: str
    host: str
    port: int
    status: int | None
    """The HTTP status; ``None`` if no usable answer came."""
    error: str | None
    """The name of the error's class, if no usable answer came."""
    took: float
    """Seconds."""


@attrs.frozen(kw_only=True)
class AnsweredPoll:
    """One poll as the schedule sent it: of a job, or of a list page."""

    kind: JobKind
    is_page: bool
    answer: AnswerClass
    statuses: int
    """Statuses of watched jobs that the answer brought."""


@attrs.frozen(kw_only=True)
class JobAnswer:
    """What one poll has brought for one watched job."""

    is_page: bool
    answer: AnswerClass
    state: JobState | None
    """``None`` without a usable answer, and for a list that names no states."""


@attrs.frozen(kw_only=True)
class EndedWatch:
    """How the watch of one handle ended."""

    kind: JobKind
    outcome: str
    """The terminal state of the job, or the name of the class of the error that ended the watch."""
    is_error: bool
    """True without a result, unless the caller ended the watch."""
    waited: float
    """Seconds from the start of the watch."""
    polls: int
    """Polls that were answered during the watch."""


class Listener:
    """Hears what clients do. Each method does nothing here; all are called on the loop of their client."""

    def opened(self, gauges: Callable[[], Gauges]) -> None:
        """Note that a client has opened; any thread may call ``gauges``."""

    def closed(self, gauges: Callable[[], Gauges]) -> None:
        """Note that the client of these gauges has closed."""

    def requested(self, request: SentRequest) -> None:
        """Note a request that has ended."""

    def polled(self, poll: AnsweredPoll) -> None:
        """Note a poll that has ended."""

    def ended(self, kind: JobKind, lag: float, expected_lag: float | None) -> None:
        """Note how many seconds late, at most, a job's end was known, and the mean that was expected."""

    def watch_started(self, handle: object, job: JobRef) -> None:
        """Note a new watch, in the context of the code that started it."""

    def watch_polled(self, handles: Collection[object], answer: JobAnswer) -> None:
        """Note what a poll has brought for the job of these watches."""

    def watch_ended(self, handle: object, end: EndedWatch) -> None:
        """Note the end of a watch."""


def as_listeners(telemetry: Listener | Iterable[Listener]) -> tuple[Listener, ...]:
    """Return the listeners that a caller passes, one or more.

    Raises:
        ConfigurationError: something among them is no listener.
    """
    found = tuple(telemetry) if isinstance(telemetry, Iterable) else (telemetry,)
    for one in found:
        if not isinstance(one, Listener):
            raise ConfigurationError(f"telemetry takes listeners such as OpenTelemetry(), not {type(one).__name__}")
    return found
