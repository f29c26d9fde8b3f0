"""Metrics and traces by OpenTelemetry: ``pip install "topaz-status[otel]"``.

::

    telemetry = OpenTelemetry()
    async with StatusClient(telemetry=telemetry) as client:
        ...

Only OpenTelemetry's API is needed. Without an SDK, which is the program's own choice, nothing is recorded.

- Metrics: those of :mod:`topaz_status.telemetry.instruments`.
- Traces: a span for each watch, in the trace of the code that started it. The watch's polls are events of its span.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

import attrs
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter
from opentelemetry.trace import Span, StatusCode, TracerProvider, get_tracer

from .models.job import JobRef, JobState
from .models.redact import without_urls
from .session.listener import EndedWatch, JobAnswer
from .telemetry.instruments import (
    ANSWER,
    ERROR_TYPE,
    KIND,
    OUTCOME,
    POLL_TYPE,
    READ,
    RECORDED,
    Form,
    Instrument,
    ReadInstrument,
)
from .telemetry.metrics import Labels, MetricsListener

__all__ = ["OpenTelemetry"]

SCOPE: Final = "topaz_status"
JOB: Final = "topaz_status.job"
JOB_STATE: Final = "topaz_status.state"
POLL_COUNT: Final = "topaz_status.polls"
MOST_EVENTS: Final = 64
"""Polls of one watch that are events of its span, besides those that bring a change."""
MOST_CHANGES: Final = 64
"""Events beyond these, for polls that bring another state or another class of answer than the poll before."""


@attrs.define
class _WatchSpan:
    span: Span
    events: int = 0
    last: tuple[str, JobState | None] | None = None
    """Answer and state of the latest poll."""

    def add(self, answer: JobAnswer) -> None:
        """Add a poll as an event, while there is room for it."""
        now = answer.answer, answer.state
        room = MOST_EVENTS if now == self.last else MOST_EVENTS + MOST_CHANGES
        self.last = now
        if self.events >= room:
            return
        self.events += 1
        labels = {POLL_TYPE: "page" if answer.is_page else "job", ANSWER: answer.answer}
        self.span.add_event("poll", labels if answer.state is None else {**labels, JOB_STATE: answer.state.value})


class OpenTelemetry(MetricsListener):
    """Gives metrics and spans to OpenTelemetry: ``StatusClient(telemetry=OpenTelemetry())``.

    One instance serves all clients of a process, one after the other or at the same time; the metrics that are read,
    such as the number of watched jobs, are then those of all open clients together. Two instances with one meter
    provider would define every instrument twice.

    Args:
        tracer_provider: makes the spans; by default the provider of the process.
        meter_provider: keeps the metrics; by default the provider of the process.
    """

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        super().__init__()
        self._tracer = get_tracer(SCOPE, tracer_provider=tracer_provider)
        self._spans: dict[object, _WatchSpan] = {}
        meter = get_meter(SCOPE, meter_provider=meter_provider)
        self._add: dict[Instrument, Callable[..., None]] = {}
        self._record: dict[Instrument, Callable[..., None]] = {}
        for each in RECORDED:
            if each.form is Form.COUNTER:
                self._add[each] = meter.create_counter(each.name, each.unit, each.text).add
            else:
                self._record[each] = meter.create_histogram(
                    each.name, each.unit, each.text, explicit_bucket_boundaries_advisory=each.buckets
                ).record
        for one in READ:
            create: Callable[..., Any] = (
                meter.create_observable_gauge if one.form is Form.GAUGE else meter.create_observable_up_down_counter
            )
            create(one.name, [self._callback(one)], one.unit, one.text)

    def _callback(self, instrument: ReadInstrument) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """Return what the SDK calls, on a thread of its own, when it collects."""
        return lambda _options: [Observation(value, labels) for value, labels in self.measure(instrument)]

    # -- metrics ------------------------------------------------------------------------------------------------------

    def count(self, instrument: Instrument, amount: int, labels: Labels) -> None:
        """See :class:`MetricsListener`."""
        self._add[instrument](amount, labels)

    def record(self, instrument: Instrument, value: float, labels: Labels) -> None:
        """See :class:`MetricsListener`."""
        self._record[instrument](value, labels)

    # -- traces -------------------------------------------------------------------------------------------------------

    def watch_started(self, handle: object, job: JobRef) -> None:
        """Start a span, whose parent is the span of the code that started the watch."""
        labels = {KIND: job.kind.value, JOB: without_urls(str(job))}
        span = self._tracer.start_span(f"watch {job.kind.value}", attributes=labels)
        if span.is_recording():
            self._spans[handle] = _WatchSpan(span)

    def watch_polled(self, handles: Collection[object], answer: JobAnswer) -> None:
        """Add a poll to the spans of a job's watches."""
        if self._spans:
            for handle in handles:
                if (found := self._spans.get(handle)) is not None:
                    found.add(answer)

    def watch_ended(self, handle: object, end: EndedWatch) -> None:
        """End a span; it is an error if the watch gave no result, unless its caller or its client ended it."""
        super().watch_ended(handle, end)
        found = self._spans.pop(handle, None)
        if found is None:
            return
        found.span.set_attributes({OUTCOME: end.outcome, POLL_COUNT: end.polls})
        if end.is_error:
            found.span.set_attribute(ERROR_TYPE, end.outcome)
            found.span.set_status(StatusCode.ERROR)
        found.span.end()
