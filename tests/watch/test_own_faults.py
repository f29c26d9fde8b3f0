"""What goes wrong inside is reported, and no watch hangs because of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from harness import client_of, settle, virtual
from scripted import Topaz, image

from topaz_status import JobState, PollPolicy, StatusClient
from topaz_status.core.schedule.entry import Poll
from topaz_status.core.schedule.schedule import Schedule
from topaz_status.testing import MEMORY_URL, JobPlan, Simulator, run_virtual

IDS = [f"00000000-0000-4000-8000-0000000002{number:02d}" for number in range(30)]


@virtual
async def test_an_item_that_is_nested_deeper_than_can_be_written(caplog: pytest.LogCaptureFixture) -> None:
    """It can be read, but not packed: the others on its page, and it itself, end as ever."""
    nested: Any = json.loads("[" * 280 + "]" * 280)
    topaz = Topaz()
    topaz.images = {name: image(name) for name in IDS}
    topaz.image_list = list(topaz.images.values())
    async with client_of(topaz.server()) as client:
        watches = [client.image.watch(name) for name in IDS]
        await asyncio.sleep(20)
        topaz.images = {name: image(name, "Completed") for name in IDS}
        topaz.images[IDS[0]] = image(IDS[0], more=nested)
        topaz.image_list = list(topaz.images.values())
        for watch in watches[1:]:
            assert (await watch).state is JobState.COMPLETED
        topaz.images[IDS[0]] = image(IDS[0], "Completed", more=nested)
        topaz.image_list = list(topaz.images.values())
        assert (await watches[0]).state is JobState.COMPLETED
    assert "is a bug" not in caplog.text


class Moody(logging.Filter):
    """Raises when it is asked about a change of state, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def filter(self, record: logging.LogRecord) -> bool:
        if self.times and "completed" in record.getMessage():
            self.times -= 1
            raise RuntimeError("not in the mood")
        return True


@pytest.mark.parametrize("sweep", [False, True])
@virtual
async def test_a_log_that_raises(sweep: bool) -> None:
    """A filter of the log that raises while an end is reported costs another poll, not the end."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=30, duration=20))
    logger, moody = logging.getLogger("topaz_status"), Moody(10)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addFilter(moody)
    try:
        async with client_of(simulator, policy=PollPolicy(sweep=sweep, timeout=600)) as client:
            outcomes = await client.outcomes(jobs)
    finally:
        logger.removeFilter(moody)
        logger.setLevel(level)
    assert moody.times == 0
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}


def _raising(pick: Callable[..., Poll | None], at: int) -> Callable[..., Poll | None]:
    calls = 0

    def once(*arguments: Any) -> Poll | None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise RuntimeError("a bug, once")
        return pick(*arguments)

    return once


@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("slots", [1, 3])
def test_a_schedule_that_raises(at: int, slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next who asks it is served: no slot is lost, and nothing waits for another watch to begin."""

    async def main() -> None:
        simulator = Simulator(delay=0.3)
        jobs = simulator.add_jobs(JobPlan(kind="image", count=20, duration=20))
        complaints: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
        policy = PollPolicy(sweep=False, timeout=600)
        async with simulator.session() as session:
            async with StatusClient(
                topaz_api_key="sim",
                topaz_url=MEMORY_URL,
                session=session,
                max_in_flight=slots,
                policy=policy,
                rate=50,
            ) as client:
                outcomes = await client.outcomes(jobs)
                assert client.stats().in_flight == 0
            await settle()
        assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}
        assert "a bug, once" in "".join(complaints)

    monkeypatch.setattr(Schedule, "pick", _raising(Schedule.pick, at))
    run_virtual(main())


@virtual
async def test_the_lag_that_is_reported_is_no_less_than_the_true_one() -> None:
    """However long answers take: what a poll found was true when the service spoke, not when the answer came."""
    for duration in (15.5, 17.0, 20.0, 23.0, 29.0):
        simulator = Simulator()
        job = simulator.add_image(duration=duration, eta="absent")
        async with client_of(simulator, latency=3.0, policy=PollPolicy(sweep=False)) as client:
            begun = simulator.now
            await client.watch(job)
            lag = client.stats().lag
            assert lag is not None
            assert lag.max >= simulator.now - begun - duration
        await asyncio.sleep(10)
