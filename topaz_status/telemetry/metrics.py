"""The listener that turns events into metrics, whatever keeps the metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from ..models.job import JobKind
from ..session.listener import AnsweredPoll, EndedWatch, Gauges, Listener, SentRequest
from .instruments import (
    ANSWER,
    DETECTION_LAG,
    ERROR_TYPE,
    EXPECTED_LAG,
    HOST,
    KIND,
    METHOD,
    OUTCOME,
    POLL_TYPE,
    POLLS,
    PORT,
    REQUEST_DURATION,
    STATUS_CODE,
    STATUSES,
    WATCH_DURATION,
    Instrument,
    ReadInstrument,
)

Labels: TypeAlias = Mapping[str, str | int]
_FIRST_ERROR = 400


class MetricsListener(Listener):
    """Records the metrics of any number of clients. A subclass keeps them, by :meth:`count` and :meth:`record`."""

    def __init__(self) -> None:
        self._open: list[Callable[[], Gauges]] = []

    def count(self, instrument: Instrument, amount: int, labels: Labels) -> None:
        """Add to a counter."""
        raise NotImplementedError

    def record(self, instrument: Instrument, value: float, labels: Labels) -> None:
        """Record a value in a histogram."""
        raise NotImplementedError

    def measure(self, instrument: ReadInstrument) -> Iterator[tuple[float, Labels]]:
        """Yield the values of a metric that is read, over all open clients; any thread may call this."""
        values: defaultdict[str | None, list[float]] = defaultdict(list)
        for gauges in tuple(self._open):
            read = instrument.read(gauges())
            pairs: Iterable[tuple[str | None, float]] = read.items() if isinstance(read, Mapping) else [(None, read)]
            for key, value in pairs:
                values[key].append(value)
        for key, of_clients in values.items():
            yield float(instrument.merge(of_clients)), {} if key is None else {instrument.labels[0]: str(key)}

    # -- events -------------------------------------------------------------------------------------------------------

    def opened(self, gauges: Callable[[], Gauges]) -> None:
        """See :class:`Listener`."""
        self._open.append(gauges)

    def closed(self, gauges: Callable[[], Gauges]) -> None:
        """See :class:`Listener`."""
        self._open.remove(gauges)

    def requested(self, request: SentRequest) -> None:
        """See :class:`Listener`."""
        labels: dict[str, str | int] = {
            METHOD: request.method,
            HOST: request.host,
            PORT: request.port,
            KIND: request.kind.value,
        }
        if request.status is not None:
            labels[STATUS_CODE] = request.status
            if request.status >= _FIRST_ERROR:
                labels[ERROR_TYPE] = str(request.status)
        elif request.error is not None:
            labels[ERROR_TYPE] = request.error
        self.record(REQUEST_DURATION, request.took, labels)

    def polled(self, poll: AnsweredPoll) -> None:
        """See :class:`Listener`."""
        poll_type = "page" if poll.is_page else "job"
        self.count(POLLS, 1, {KIND: poll.kind.value, POLL_TYPE: poll_type, ANSWER: poll.answer})
        if poll.statuses:
            self.count(STATUSES, poll.statuses, {KIND: poll.kind.value, POLL_TYPE: poll_type})

    def ended(self, kind: JobKind, lag: float, expected_lag: float | None) -> None:
        """See :class:`Listener`."""
        self.record(DETECTION_LAG, lag, {KIND: kind.value})
        if expected_lag is not None:
            self.record(EXPECTED_LAG, expected_lag, {KIND: kind.value})

    def watch_ended(self, handle: object, end: EndedWatch) -> None:  # noqa: ARG002  # all ends are alike here
        """See :class:`Listener`."""
        self.record(WATCH_DURATION, end.waited, {KIND: end.kind.value, OUTCOME: end.outcome})
