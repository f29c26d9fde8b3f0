"""The role of each process as a metric: who leads, and when that changes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from accounts import die, member_of, role_of, shared_of
from harness import client_of, until, virtual
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from topaz_status.otel import OpenTelemetry
from topaz_status.prometheus import PrometheusMetrics
from topaz_status.telemetry.metrics import MetricsListener
from topaz_status.testing import MemoryHub, Simulator

Roles = dict[str, float]
Read = Callable[[], Roles]


def over_prometheus() -> tuple[MetricsListener, Read]:
    """What Prometheus scrapes of one process."""
    metrics = PrometheusMetrics()

    def read() -> Roles:
        families = {family.name: family for family in metrics.registry.collect()}
        return {one.labels["topaz_status_role"]: one.value for one in families["topaz_status_shared_role"].samples}

    return metrics, read


def over_opentelemetry() -> tuple[MetricsListener, Read]:
    """What an SDK of OpenTelemetry exports of one process."""
    reader = InMemoryMetricReader()
    telemetry = OpenTelemetry(meter_provider=MeterProvider([reader], shutdown_on_exit=False))

    def read() -> Roles:
        return dict(_points(reader))

    return telemetry, read


def _points(reader: InMemoryMetricReader) -> Iterator[tuple[str, float]]:
    data = reader.get_metrics_data()
    for resource in [] if data is None else data.resource_metrics:
        for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
            if metric.name == "topaz_status.shared.role":
                for point in metric.data.data_points:
                    assert point.attributes is not None
                    assert hasattr(point, "value")
                    yield str(point.attributes["topaz_status.role"]), point.value


LEADS = {"leader": 1.0, "follower": 0.0, "alone": 0.0}
FOLLOWS = {"leader": 0.0, "follower": 1.0, "alone": 0.0}
ALONE = {"leader": 0.0, "follower": 0.0, "alone": 1.0}
Exporter = Callable[[], tuple[MetricsListener, Read]]
BY = pytest.mark.parametrize("by", [over_prometheus, over_opentelemetry])


@BY
@virtual
async def test_a_change_of_leader_is_seen_in_the_numbers(by: Exporter) -> None:
    """One process of an account leads; when it dies, the numbers of another process say that this one leads now."""
    simulator, hub = Simulator(seed=1), MemoryHub()
    (first, of_first), (second, of_second) = by(), by()
    async with contextlib.AsyncExitStack() as stack:
        leader = await stack.enter_async_context(member_of(simulator, hub, telemetry=first))
        other = await stack.enter_async_context(member_of(simulator, hub, telemetry=second))
        await until(lambda: shared_of(leader).members == 2, step=0.1)
        assert (of_first(), of_second()) == (LEADS, FOLLOWS)
        die(leader, hub)
        await until(lambda: role_of(other) == "leader", step=0.1)
        assert of_second() == LEADS


@BY
@virtual
async def test_a_process_that_is_cut_off_is_alone_until_the_server_is_back(by: Exporter) -> None:
    """The numbers say so, for as long as it lasts."""
    simulator, hub = Simulator(seed=2), MemoryHub()
    metrics, read = by()
    async with member_of(simulator, hub, telemetry=metrics) as client:
        await until(lambda: role_of(client) == "leader", step=0.1)
        hub.stop()
        await until(lambda: role_of(client) == "alone", step=0.1)
        assert read() == ALONE
        hub.start()
        await until(lambda: role_of(client) == "leader", step=0.1)
        assert read() == LEADS


@BY
@virtual
async def test_the_clients_of_one_process_are_counted_by_role(by: Exporter) -> None:
    """A process may have several clients; those that share no account have no role."""
    simulator, hub = Simulator(seed=3), MemoryHub()
    metrics, read = by()
    async with client_of(Simulator(seed=3), telemetry=metrics), member_of(simulator, hub, telemetry=metrics) as first:
        assert read() == LEADS
        async with member_of(simulator, hub, telemetry=metrics):
            await until(lambda: shared_of(first).members == 2, step=0.1)
            assert read() == {"leader": 1.0, "follower": 1.0, "alone": 0.0}
    assert read() == {}
