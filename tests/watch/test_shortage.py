"""A budget that cannot keep the longest gap is warned of, once, by the rate that is too low."""

from __future__ import annotations

import asyncio
import logging

import pytest
from harness import client_of, virtual

from topaz_status import PollPolicy
from topaz_status.testing import JobPlan, Simulator


@pytest.mark.parametrize(
    ("rate", "kind", "said"),
    [
        (2.0, "image", "2 requests/s are too few for 100 jobs"),
        (50.0, "try-on", "1 requests/s are too few for 100 try-on jobs"),
    ],
)
@virtual
async def test_the_rate_that_is_too_low_is_named(
    rate: float, kind: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The one that all services share, or that of one service where less is allowed for it."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind=kind, count=100, duration=1000))
    policy = PollPolicy(max_interval=10.0, sweep=False)
    with caplog.at_level(logging.WARNING, "topaz_status"):
        async with client_of(simulator, rate=rate, burst=1.0, service_rates={"try-on": 1.0}, policy=policy) as client:
            watches = [client.watch(job) for job in jobs]
            await asyncio.sleep(300)
            for watch in watches:
                watch.cancel()
    [warning] = [record.getMessage() for record in caplog.records if "too few" in record.getMessage()]
    assert warning.startswith(said)


@virtual
async def test_a_budget_that_does_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Where every longest gap is kept, nothing is said."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=100, duration=1000))
    async with client_of(simulator, rate=50.0, policy=PollPolicy(max_interval=10.0, sweep=False)) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(300)
        for watch in watches:
            watch.cancel()
    assert "too few" not in caplog.text
