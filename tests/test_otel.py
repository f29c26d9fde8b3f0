"""OpenTelemetry: metrics and spans as an SDK gets them, and what they never hold."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import attrs
import pytest
from harness import PIXELCUT_KEY, TOPAZ_KEY, RawServer, client_of, http, settle, virtual
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from topaz_status import JobKind, JobRef, PollPolicy, WatchTimeoutError
from topaz_status.otel import MOST_CHANGES, MOST_EVENTS, OpenTelemetry
from topaz_status.session.listener import JobAnswer
from topaz_status.telemetry.instruments import EVERY, REQUEST_DURATION, Form
from topaz_status.testing import JobPlan, MemoryCoordinator, MemoryHub, Simulator


@attrs.define(eq=False)
class Sdk:
    """What a program sets up, with exporters in memory."""

    spans: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = attrs.field(factory=InMemoryMetricReader)
    tracer_provider: TracerProvider = attrs.field(init=False)
    telemetry: OpenTelemetry = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.spans))
        provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.telemetry = OpenTelemetry(tracer_provider=self.tracer_provider, meter_provider=provider)

    def span(self, name: str) -> Any:
        """A span around the caller's own code."""
        return self.tracer_provider.get_tracer("the program").start_as_current_span(name)

    def ended(self) -> list[ReadableSpan]:
        return list(self.spans.get_finished_spans())

    def metrics(self) -> dict[str, list[Any]]:
        """The points of each metric."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def by(points: list[Any], *labels: str) -> dict[Any, float]:
    """Counts or values by some labels."""
    found: dict[Any, float] = {}
    for point in points:
        key = tuple(point.attributes.get(label) for label in labels)
        found[key] = found.get(key, 0) + (point.count if hasattr(point, "count") else point.value)
    return found


@virtual
async def test_a_watch_is_a_span_in_the_trace_of_the_code_that_started_it() -> None:
    """Two requests watch one job: each gets a span of its own trace, with the polls that the two share as events."""
    sdk, simulator = Sdk(), Simulator(seed=1)
    async with client_of(simulator, telemetry=sdk.telemetry) as client:
        job = simulator.add_image(duration=30.0)

        async def request(name: str) -> None:
            with sdk.span(name):
                await client.watch(job)

        await asyncio.gather(request("first"), request("second"))
    spans = sdk.ended()
    requests = {span.context.span_id: span for span in spans if span.name in {"first", "second"}}
    watches = [span for span in spans if span.name == "watch image"]
    assert len(spans) == 4
    assert {requests[watch.parent.span_id].name for watch in watches if watch.parent} == {"first", "second"}
    for watch in watches:
        assert watch.parent is not None
        assert watch.context.trace_id == requests[watch.parent.span_id].context.trace_id
        assert watch.attributes == {
            "topaz_status.kind": "image",
            "topaz_status.job": str(job),
            "topaz_status.outcome": "completed",
            "topaz_status.polls": len(watch.events),
        }
        assert watch.status.status_code is StatusCode.UNSET
        states = [event.attributes["topaz_status.state"] for event in watch.events if event.attributes]
        assert states[-1] == "completed"
        assert {event.name for event in watch.events} == {"poll"}
        assert len(states) >= 3


@virtual
async def test_a_watch_without_a_result_is_an_error_and_one_that_was_canceled_is_not() -> None:
    """The span names the class of the error, and has none of its words."""
    sdk, simulator = Sdk(), Simulator(seed=1)
    async with client_of(simulator, telemetry=sdk.telemetry) as client:
        await client.watch(simulator.add_video(duration=5.0, outcome="failed")).outcome()
        with pytest.raises(WatchTimeoutError):
            await client.watch(simulator.add_image(duration=600.0), timeout=5.0)
        client.watch(simulator.add_image(duration=600.0)).cancel()
    found = {
        (span.attributes or {})["topaz_status.outcome"]: (
            span.status.status_code,
            (span.attributes or {}).get("error.type"),
        )
        for span in sdk.ended()
    }
    assert found == {
        "failed": (StatusCode.ERROR, "failed"),
        "WatchTimeoutError": (StatusCode.ERROR, "WatchTimeoutError"),
        "WatchCanceledError": (StatusCode.UNSET, None),
    }
    assert not any(span.status.description for span in sdk.ended())


def test_the_events_of_a_span_are_bounded_and_changes_have_room() -> None:
    """However long a job lasts; a change still shows after the polls that brought none have used their room."""
    sdk = Sdk()
    sdk.telemetry.watch_started(sdk, JobRef(JobKind.IMAGE, "a"))
    same = JobAnswer(is_page=True, answer="usable", state=None)
    other = JobAnswer(is_page=False, answer="none", state=None)
    [watch] = sdk.telemetry._spans.values()
    for answer, events in (
        ([same] * 1000, MOST_EVENTS),
        ([other], MOST_EVENTS + 1),
        ([other] * 1000, MOST_EVENTS + 1),
        ([same, other] * 1000, MOST_EVENTS + MOST_CHANGES),
    ):
        for one in answer:
            sdk.telemetry.watch_polled([sdk, object()], one)
        assert len(watch.span.events) == watch.events == events  # type: ignore[attr-defined]


@virtual
async def test_every_metric_is_exported_with_its_form_unit_and_labels() -> None:
    """The names are those of the table; a histogram has the table's buckets, a sum says whether it may fall."""
    sdk, simulator = Sdk(), Simulator(seed=1)
    async with client_of(simulator, telemetry=sdk.telemetry, coordinator=MemoryCoordinator(MemoryHub())) as client:
        await client.outcomes([simulator.add_image(duration=30.0 + n) for n in range(20)])
        data = sdk.reader.get_metrics_data()
    assert data is not None
    [resource] = data.resource_metrics
    [scope] = resource.scope_metrics
    assert scope.scope.name == "topaz_status"
    found = {metric.name: metric for metric in scope.metrics}
    assert set(found) == {each.name for each in EVERY}
    for each in EVERY:
        metric: Any = found[each.name]
        assert (metric.unit, metric.description) == (each.unit, each.text)
        points = list(metric.data.data_points)
        assert all(set(point.attributes) <= set(each.labels) for point in points)
        if each.form is Form.HISTOGRAM:
            assert {tuple(point.explicit_bounds) for point in points} == {each.buckets}
        if each.form in {Form.COUNTER, Form.UP_DOWN}:
            assert metric.data.is_monotonic is (each.form is Form.COUNTER)


@virtual
async def test_metrics_have_the_numbers_of_the_client() -> None:
    """Requests, polls, outcomes and lags agree with ``stats()``; a gauge is that of all open clients together."""
    sdk, simulator = Sdk(), Simulator(seed=1)
    async with (
        client_of(simulator, telemetry=sdk.telemetry) as client,
        client_of(simulator, telemetry=sdk.telemetry) as other,
    ):
        jobs = simulator.add_jobs(JobPlan(kind="image", count=40, duration={"lognormal": [60, 0.5]}))
        await client.outcomes([*jobs, simulator.add_try_on(duration=10.0, outcome="failed")])
        for one in (client, other):
            one.watch(simulator.add_video(duration=600.0))
        stats, metrics = client.stats(), sdk.metrics()
    assert by(metrics["http.client.request.duration"], "http.response.status_code") == {(200,): stats.total_requests}
    assert by(metrics["topaz_status.watch.duration"], "topaz_status.kind", "topaz_status.outcome") == {
        ("image", "completed"): 40,
        ("try-on", "failed"): 1,
    }
    assert by(metrics["topaz_status.polls"])[()] == stats.total_requests
    pages = by(metrics["topaz_status.polls"], "topaz_status.poll.type")[("page",)]
    assert pages == sum(stats.sweeps.values()) > 0
    assert by(metrics["topaz_status.statuses"], "topaz_status.poll.type")[("page",)] == stats.swept_statuses
    assert stats.lag is not None
    [lag] = [point for point in metrics["topaz_status.lag"] if point.attributes["topaz_status.kind"] == "image"]
    assert lag.count <= stats.lag.count
    assert sum(by(metrics["topaz_status.lag.expected"]).values()) == sum(by(metrics["topaz_status.lag"]).values())
    assert by(metrics["topaz_status.jobs.watched"], "topaz_status.kind")[("video",)] == 2
    assert by(metrics["topaz_status.tokens"])[()] == pytest.approx(2000.0, abs=50.0)


@virtual
async def test_gauges_are_read_on_any_thread_and_end_with_the_client() -> None:
    """An SDK collects on a thread of its own; a closed client holds nothing, so it has no gauges."""
    sdk, simulator = Sdk(), Simulator(seed=1)
    async with client_of(simulator, telemetry=sdk.telemetry) as client:
        client.watch(simulator.add_image(duration=600.0))
        await settle()
        metrics = await asyncio.to_thread(sdk.metrics)
        assert by(metrics["topaz_status.jobs.watched"], "topaz_status.kind")[("image",)] == 1
    assert not {"topaz_status.jobs.watched", "topaz_status.tokens"} & set(sdk.metrics())


@virtual
async def test_failed_requests_have_their_type() -> None:
    """A status of 400 or more is its own error type; without an answer it is the class of the error."""
    sdk, simulator = Sdk(), Simulator(seed=1)
    simulator.add_fault("503", until=10.0)
    simulator.add_fault("reset", since=20.0, until=30.0)
    policy = PollPolicy(max_interval=3.0, sweep=False)
    async with client_of(simulator, telemetry=sdk.telemetry, policy=policy) as client:
        await client.watch(simulator.add_image(duration=60.0))
    found = by(sdk.metrics()[REQUEST_DURATION.name], "http.response.status_code", "error.type")
    assert set(found) == {(200, None), (503, "503"), (None, "TransportError")}


@virtual
async def test_nothing_secret_is_exported() -> None:
    """No key, no URL and no text of a service is in a span, an event or a metric; nor is a link given as a job's id."""
    link = "https://storage.example/a.png?X-Amz-Signature=5ecr3t"
    words = f'{{"process_id": "a", "status": "{link}", "output_url": "{link}", "detail": "{TOPAZ_KEY}"}}'
    sdk = Sdk()
    async with client_of(RawServer(lambda _: http(words.encode())), telemetry=sdk.telemetry) as client:
        for job_id in ("a", link):
            watch = client.watch(JobRef(JobKind.IMAGE, job_id), timeout=20.0)
            await watch.outcome()
        metrics = sdk.metrics()
    exported = "".join(span.to_json() for span in sdk.ended()) + repr(metrics)
    assert len(sdk.ended()) == 2
    for secret in (TOPAZ_KEY, PIXELCUT_KEY, "5ecr3t", "://", "storage.example", "Signature"):
        assert secret not in exported
    assert "127.0.0.1" in exported


@virtual
async def test_spans_that_are_not_sampled_cost_no_memory() -> None:
    """Nothing is held for a watch whose span records nothing, and nothing after the end of any other."""
    telemetry = OpenTelemetry(tracer_provider=TracerProvider(ALWAYS_OFF), meter_provider=MeterProvider())
    sdk, simulator = Sdk(), Simulator(seed=1)
    async with client_of(simulator, telemetry=[telemetry, sdk.telemetry]) as client:
        watch = client.watch(simulator.add_image(duration=5.0))
        await settle()
        assert (len(telemetry._spans), len(sdk.telemetry._spans)) == (0, 1)
        await watch
    assert not sdk.telemetry._spans


ONLY_THE_API = """
import asyncio, sys
sys.modules["opentelemetry.sdk"] = None
from topaz_status import StatusClient
from topaz_status.otel import OpenTelemetry
async def main():
    async with StatusClient(telemetry=OpenTelemetry(), topaz_api_key="key", topaz_url="http://127.0.0.1:1") as client:
        print(type(await client.watch("image:a", timeout=0.05).outcome()).__name__)
asyncio.run(main())
"""


def test_the_api_alone_is_enough() -> None:
    """Without an SDK nothing is recorded, and nothing fails or warns."""
    command = [sys.executable, "-W", "error", "-c", ONLY_THE_API]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert (run.stdout, run.stderr) == ("Outcome\n", "")
