"""Log and counters. The logger is ``topaz_status``; the log never holds a key or a signed URL.

Each log record has fields besides its text, for handlers that write JSON: ``topaz_event`` says what happened, and where
they apply there are ``topaz_job``, ``topaz_kind``, ``topaz_state``, ``topaz_error``, ``topaz_seconds``,
``topaz_count`` and ``topaz_cause``. The prefix keeps them apart from a program's own fields.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections import Counter, deque
from typing import Any, Final

import attrs

from ..core.schedule.entry import PagePoll, Poll
from ..core.wire.requests import Request
from ..errors import GatewayError, ServiceError, StoreError, TopazStatusError, TransportError
from ..models.job import JobKind, JobRef, JobState
from ..models.redact import shown, without_urls
from ..models.status_words import WORDS, state_of
from .announcer import Announcer

logger: Final = logging.getLogger("topaz_status")
ANSWER_WEIGHT: Final = 0.2
"""The weight of the newest answer in the mean answer time."""
_MOST_CAUSES: Final = 1000
_MOST_LAGS: Final = 10_000
_LONGEST_WORD: Final = 40
_LONGEST_TRACE: Final = 20_000


def word_of(text: str) -> str:
    """Return a service's status word as the log shows it."""
    return shown(text)[:_LONGEST_WORD]


@attrs.define(eq=False)
class Telemetry:
    """Counts every answer, and logs what a reader of the log wants to know."""

    requests: dict[tuple[JobKind, int | None], int] = attrs.field(factory=dict)
    """Requests by kind and HTTP status; the status is ``None`` if no usable answer came."""
    lags: deque[float] = attrs.field(factory=lambda: deque(maxlen=_MOST_LAGS))
    """For each finished job, seconds from the sending of the last poll before its end to the answer with the end."""
    sweeps: Counter[JobKind] = attrs.field(factory=Counter)
    """List pages read, by kind."""
    swept_statuses: int = 0
    """Statuses of watched jobs that list pages brought."""
    answer_times: dict[JobKind, float] = attrs.field(factory=lambda: dict.fromkeys(JobKind, 0.0))
    """Mean seconds of recent usable answers to polls, by kind; 0 before the first."""
    announcer: Announcer | None = None
    """Gives events to listeners; ``None`` for a client without listeners."""
    _warned: set[str] = attrs.field(factory=set)

    def answered(self, request: Request, status: int | None, error: Exception | None, sent_at: float) -> None:
        """Count one request, sent at ``sent_at``; its ``error`` stands for a usable answer that did not come."""
        answer = request.kind, status
        self.requests[answer] = self.requests.get(answer, 0) + 1
        if self.announcer is not None:
            self.announcer.requested(request, status, error, sent_at)

    def took(self, kind: JobKind, seconds: float) -> None:
        """Note how long a usable answer took."""
        known = self.answer_times[kind]
        self.answer_times[kind] = known + ANSWER_WEIGHT * (seconds - known) if known else seconds

    def polled(self, what: JobRef | JobKind, answer: str | TopazStatusError, took: float) -> None:
        """Log one poll, with the service's status word or the error. A list page that failed has only its kind."""
        if self.announcer is not None:
            is_page, error = isinstance(what, JobKind), None if isinstance(answer, str) else answer
            kind = what if isinstance(what, JobKind) else what.kind
            self.announcer.polled(kind, error, is_page=is_page, statuses=int(error is None))
        if logger.isEnabledFor(logging.DEBUG):
            said = word_of(answer) if isinstance(answer, str) else answer
            kind = what if isinstance(what, JobKind) else what.kind
            fields = _fields("poll", what if isinstance(what, JobRef) else None, kind, answer, seconds=took)
            logger.debug("poll of %s: %s (%.0f ms)", what, said, 1000 * took, extra=fields)

    def swept(self, poll: PagePoll, listed: int, watched: int, took: float) -> None:
        """Count and log one list page."""
        self.sweeps[poll.kind] += 1
        self.swept_statuses += watched
        if self.announcer is not None:
            self.announcer.polled(poll.kind, None, is_page=True, statuses=watched)
        if logger.isEnabledFor(logging.DEBUG):
            text = "page of %s jobs: %d listed, %d of them watched (%.0f ms)"
            fields = _fields("page", None, poll.kind, seconds=took, count=watched)
            logger.debug(text, poll.kind, listed, watched, 1000 * took, extra=fields)

    def state_changed(self, job: JobRef, before: str | None, word: str, state: JobState) -> None:
        """Log a change of a job's state, and warn of a status word that no document lists."""
        if before == word:
            return
        if state is JobState.UNKNOWN:
            said = word_of(word)
            self.warn_once(
                f"word {job.kind} {said}",
                f"{job.kind.value} service says {said!r}, a state nobody has documented; "
                "such jobs are polled until their timeout",
            )
        old = None if before is None else state_of(before, WORDS[job.kind])
        if old is not state and logger.isEnabledFor(logging.INFO):
            fields = _fields("state", job, job.kind, state=state.value)
            logger.info("%s: %s -> %s (%s)", job, old.value if old else "new", state.value, word_of(word), extra=fields)

    def ended(self, job: JobRef, error: TopazStatusError | None, lag: float | None) -> None:
        """Log a watch that ended with an error, and count the lag of its end."""
        if lag is not None:
            self.lags.append(lag)
            if self.announcer is not None:
                self.announcer.ended(job.kind, lag)
        if error is not None and logger.isEnabledFor(logging.INFO):
            logger.info("%s: watch ended: %s", job, error, extra=_fields("end", job, job.kind, error, seconds=lag))

    def refused(self, kind: JobKind, error: TopazStatusError) -> None:
        """Warn of a list that the service refuses."""
        code = error.status_code if isinstance(error, ServiceError) else type(error).__name__
        self.warn_once(
            f"list {kind} {code}", f"the list of {kind.value} jobs is refused ({error}); jobs are asked for one by one"
        )

    def down(self, kind: JobKind, error: TopazStatusError) -> None:
        """Warn, once per outage, of a service that is down, or behind a proxy or network in trouble."""
        found = f"{kind.value} service is down" if _is_its_own(error) else f"the {kind.value} service cannot be reached"
        text = "%s (%s): one poll at a time tests it until it answers"
        logger.warning(text, found, _brief(error), extra=_fields("down", None, kind, error))

    def back(self, kind: JobKind, was_down: float) -> None:
        """Log the end of an outage."""
        fields = _fields("back", None, kind, seconds=was_down)
        logger.info("%s service is back after %.0f s", kind.value, was_down, extra=fields)

    def store_down(self, error: StoreError) -> None:
        """Warn, once per outage, of a store that does not work for now."""
        logger.warning(
            "durable watches cannot be stored for now (%s): watching goes on, and no outcome is handed out before "
            "it is stored",
            error,
        )

    def store_back(self, was_down: float) -> None:
        """Log the end of a store's outage."""
        logger.info("durable watches are stored again after %.0f s", was_down)

    def taken_over(self, error: StoreError) -> None:
        """Log a durable watch that another client has."""
        self.warn_once("taken over", f"{error}; further such watches are logged at level INFO")
        logger.info("%s", error)

    def wave(self, kind: JobKind | None, count: int) -> None:
        """Warn, once per wave, of jobs that are missing together: of one kind, or of several (``None``)."""
        logger.warning(
            "%s 404 for %d jobs at once that were known before: this is taken for an outage, no job is "
            "lost by it; if it lasts, check the base URL and the account, and whether somebody has deleted the records",
            "services answer" if kind is None else f"{kind.value} service answers",
            count,
            extra=_fields("wave", None, kind, count=count),
        )

    def bug(self, poll: Poll, error: Exception) -> None:
        """Log a bug with its traceback, without URLs: the traceback may quote an answer that holds them."""
        trace = without_urls("".join(traceback.format_exception(error))[:_LONGEST_TRACE])
        with contextlib.suppress(Exception):  # the log itself may be what fails
            fields = _fields("bug", None, poll.kind, error)
            logger.error("a poll failed in a way that is a bug: %s\n%s", poll, trace, extra=fields)

    def warn_once(self, cause: str, text: str, *, level: int = logging.WARNING) -> None:
        """Warn, once per cause; a bounded number of causes is remembered."""
        if cause not in self._warned and len(self._warned) < _MOST_CAUSES:
            self._warned.add(cause)
            logger.log(level, text, extra=_fields("notice", cause=cause))


def _fields(
    event: str, job: JobRef | None = None, kind: JobKind | None = None, answer: object = None, **others: Any
) -> dict[str, Any]:
    """Return the fields of a log record, without those that do not apply. Of an error only the class is a field."""
    fields = {
        "event": event,
        "job": None if job is None else str(job),
        "kind": None if kind is None else kind.value,
        "error": type(answer).__name__ if isinstance(answer, Exception) else None,
        **others,
    }
    return {f"topaz_{name}": value for name, value in fields.items() if value is not None}


def _is_its_own(error: TopazStatusError) -> bool:
    """Return whether the service itself answered."""
    return not isinstance(error, TransportError | GatewayError)


def _brief(error: TopazStatusError) -> str:
    """Return what went wrong, without the job that the error is about."""
    if isinstance(error, GatewayError):
        return f"something in front of it answers {error.status_code}: check any proxy, firewall or gateway on the way"
    return f"answers {error.status_code}" if isinstance(error, ServiceError) else str(error.args[0])
