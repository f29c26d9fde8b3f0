"""Prometheus: the same metrics as by OpenTelemetry, in Prometheus's own format."""

from __future__ import annotations

import pytest
from harness import client_of, virtual
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from topaz_status.prometheus import PrometheusMetrics
from topaz_status.telemetry.instruments import EVERY, prometheus_label
from topaz_status.testing import Simulator


def samples(metrics: PrometheusMetrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by name, and by the values of their labels in alphabetical order of the labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(metrics.render()[0].decode()):
        for one in family.samples:
            labels = tuple(value for _, value in sorted(one.labels.items()))
            found.setdefault(one.name, {})[labels] = one.value
    return found


@virtual
async def test_every_metric_is_there_with_the_numbers_of_the_client() -> None:
    """Requests, polls, outcomes and gauges agree with ``stats()``."""
    simulator, metrics = Simulator(seed=1), PrometheusMetrics()
    async with client_of(simulator, telemetry=metrics) as client:
        await client.outcomes([simulator.add_image(duration=30.0 + n) for n in range(20)])
        client.watch(simulator.add_video(duration=600.0))
        found, stats = samples(metrics), client.stats()
    families = {family.name for family in text_string_to_metric_families(metrics.render()[0].decode())}
    assert {each.prometheus_name.removesuffix("_total") for each in EVERY} <= families
    assert sum(found["http_client_request_duration_seconds_count"].values()) == stats.total_requests
    assert found["topaz_status_watch_duration_seconds_count"] == {("image", "completed"): 20.0}
    assert sum(found["topaz_status_polls_total"].values()) == stats.total_requests
    assert found["topaz_status_jobs_watched"] == {("image",): 0.0, ("try-on",): 0.0, ("video",): 1.0}
    assert found["topaz_status_rate_per_second"] == {(kind.value,): rate for kind, rate in stats.rates.items()}
    assert found["topaz_status_tokens"] == {(): pytest.approx(stats.tokens)}


def test_labels_and_buckets_are_those_of_the_table() -> None:
    """The rules of translation hold for each label and each bound."""
    metrics = PrometheusMetrics()
    for each in EVERY:
        if each.buckets:
            metrics.record(each, 0.0, {})
            names = {prometheus_label(label) for label in each.labels}
            bounds = set()
            for family in text_string_to_metric_families(metrics.render()[0].decode()):
                for one in family.samples:
                    if one.name == f"{each.prometheus_name}_bucket":
                        assert set(one.labels) == {"le", *names}
                        bounds.add(float(one.labels["le"]))
            assert bounds == {*each.buckets, float("inf")}


def test_the_programs_own_registry_serves_its_metrics_too() -> None:
    """The metrics are registered once: a second time is an error."""
    registry = CollectorRegistry()
    Counter("orders", "Orders.", registry=registry).inc()
    metrics = PrometheusMetrics(registry)
    assert "orders_total" in samples(metrics)
    assert "topaz_status_jobs_watched" not in samples(metrics), "no client is open"
    with pytest.raises(ValueError, match="http_client_request_duration_seconds"):
        PrometheusMetrics(registry)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("", "text/plain"), ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text")],
)
def test_the_format_is_what_the_scraper_accepts(accept: str, media_type: str) -> None:
    """Prometheus's text by default, OpenMetrics where it is asked for."""
    body, found = PrometheusMetrics().render(accept)
    assert found.startswith(media_type)
    assert body.endswith(b"# EOF\n") is (media_type != "text/plain")
