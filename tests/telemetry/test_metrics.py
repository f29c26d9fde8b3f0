"""Metrics that are read: one value for all open clients."""

from __future__ import annotations

import attrs

from topaz_status import JobKind
from topaz_status.session.listener import Gauges
from topaz_status.telemetry.instruments import READ
from topaz_status.telemetry.metrics import MetricsListener

BUSY = Gauges(
    watched_jobs=dict.fromkeys(JobKind, 2),
    in_flight=3,
    tokens=4.0,
    rates=dict.fromkeys(JobKind, 5.0),
    held=dict.fromkeys(JobKind, 6.0),
    down=dict.fromkeys(JobKind, True),
    store_backlog=7,
    role="leader",
)


def test_what_clients_hold_adds_up_and_what_happens_to_them_does_not() -> None:
    """Two clients with tokens have the tokens of both; a pause or an outage that both see is one."""
    metrics = MetricsListener()
    metrics.opened(lambda: BUSY)
    metrics.opened(lambda: attrs.evolve(BUSY, held=dict.fromkeys(JobKind, 1.0), role=None))
    found = {each.name: {value for value, _ in metrics.measure(each)} for each in READ}
    assert found == {
        "topaz_status.jobs.watched": {4.0},
        "topaz_status.requests.in_flight": {6.0},
        "topaz_status.tokens": {8.0},
        "topaz_status.rate": {10.0},
        "topaz_status.held": {6.0},
        "topaz_status.circuit.open": {1.0},
        "topaz_status.store.backlog": {14.0},
        "topaz_status.shared.role": {1.0, 0.0},
    }
    assert [labels for _, labels in metrics.measure(READ[0])] == [{"topaz_status.kind": kind} for kind in JobKind]
    assert [labels for _, labels in metrics.measure(READ[1])] == [{}]
    roles = [(labels["topaz_status.role"], value) for value, labels in metrics.measure(READ[-1])]
    assert roles == [("leader", 1.0), ("follower", 0.0), ("alone", 0.0)]
