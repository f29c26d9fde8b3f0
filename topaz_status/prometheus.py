"""Metrics for Prometheus, without OpenTelemetry: ``pip install "topaz-status[prometheus]"``.

::

    metrics = PrometheusMetrics()
    app = FastAPI(lifespan=status_lifespan(telemetry=metrics))
    app.include_router(status_router(authorize=scraper, metrics=metrics))

The route is ``GET /metrics``. Names and labels are those that OpenTelemetry's metrics have in Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .telemetry.instruments import READ, RECORDED, Form, Instrument, prometheus_label
from .telemetry.metrics import Labels, MetricsListener

__all__ = ["PrometheusMetrics"]


class PrometheusMetrics(MetricsListener):
    """Keeps the metrics of clients for Prometheus: ``StatusClient(telemetry=PrometheusMetrics())``.

    One instance serves all clients of a process. Each process of a server has metrics of its own.

    Args:
        registry: where the metrics are registered; by default a registry of its own. With
            ``prometheus_client.REGISTRY`` they are served together with the program's own metrics.

    Raises:
        ValueError: the registry has metrics of these names already.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__()
        self.registry = CollectorRegistry() if registry is None else registry
        self._metrics = {each: _metric(each, self.registry) for each in RECORDED}
        self.registry.register(_Read(self))

    def count(self, instrument: Instrument, amount: int, labels: Labels) -> None:
        """See :class:`MetricsListener`."""
        self._metrics[instrument].labels(*_values(instrument, labels)).inc(amount)

    def record(self, instrument: Instrument, value: float, labels: Labels) -> None:
        """See :class:`MetricsListener`."""
        self._metrics[instrument].labels(*_values(instrument, labels)).observe(value)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics of the registry, in the format that an ``Accept`` header asks for, and its media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self.registry), media_type


def _metric(instrument: Instrument, registry: CollectorRegistry) -> Any:
    names = [prometheus_label(label) for label in instrument.labels]
    if instrument.form is Form.COUNTER:
        return Counter(instrument.prometheus_name, instrument.text, names, registry=registry)
    return Histogram(instrument.prometheus_name, instrument.text, names, registry=registry, buckets=instrument.buckets)


def _values(instrument: Instrument, labels: Labels) -> list[str]:
    """Return the values of all labels in order; an empty one means the same as none."""
    return [str(labels.get(label, "")) for label in instrument.labels]


class _Read(Collector):
    """Reads the gauges of the open clients when somebody collects the registry."""

    def __init__(self, metrics: PrometheusMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for each in READ:
            family = GaugeMetricFamily(
                each.prometheus_name, each.text, labels=[prometheus_label(label) for label in each.labels]
            )
            for value, labels in self._metrics.measure(each):
                family.add_metric(_values(each, labels), value)
            yield family
