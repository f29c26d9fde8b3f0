"""Webhooks: at most a reason to poll now, no matter who sends them and what they say."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from harness import A_HAIR, SINGLY, client_of, now, polls_of, settle, virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from topaz_status import JobKind, JobRef, JobState, PollPolicy, StatusClient
from topaz_status.testing import Simulator, run_virtual
from topaz_status.webhook import parse_notice

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["process_id", "id", "requestId", "job_id", "status"]) | st.text(), inner, max_size=5
        )
    ),
    max_leaves=10,
)
ANYTHING = (
    st.binary()
    | st.text()
    | JSON
    | JSON.map(json.dumps)
    | st.builds(object)
    | st.binary().map(bytearray)
    | st.binary().map(lambda data: memoryview(data))  # noqa: PLW0108  # its constructor is generic
)


@given(ANYTHING)
@settings(max_examples=300)
def test_anything_may_come(notice: object) -> None:
    """Whatever is passed in, nothing is raised, and what comes out names a job or nothing."""
    assert all(isinstance(read.job, JobRef) for read in parse_notice(notice))
    client = StatusClient(topaz_api_key="none")
    assert client.notify(notice) is None


@given(st.lists(ANYTHING, max_size=20))
@settings(max_examples=15)
def test_anything_may_come_to_an_open_client(notices: list[object]) -> None:
    """An open client takes anything as well, and goes on with its work."""

    async def main() -> None:
        simulator = Simulator()
        job = simulator.add_image(duration=3)
        async with client_of(simulator) as client:
            watch = client.watch(job)
            for notice in notices:
                assert client.notify(notice) is None
                await settle(1)
            assert (await watch).is_terminal

    run_virtual(main())


@pytest.mark.parametrize("shape", ["ref", "text", "bytes", "string", "bytearray", "memoryview", "parsed"])
@virtual
async def test_a_notice_brings_a_poll(shape: str) -> None:
    """A job, its text, or a webhook's body in any form brings a poll of that job now, and says which job it is."""
    simulator = Simulator()
    job = simulator.add_image(duration=200, eta="absent")
    body = {"notification_id": "01", "process_id": job.id, "status": "Completed", "download_url": "https://x/y?z"}
    text = json.dumps(body)
    notice: Any = {
        "ref": job, "text": str(job), "bytes": text.encode(), "string": text, "bytearray": bytearray(text.encode()),
        "memoryview": memoryview(text.encode()), "parsed": body,
    }[shape]  # fmt: skip
    async with client_of(simulator) as client:
        watch = client.watch(job)
        await asyncio.sleep(100)
        asked = len(simulator.log)
        assert client.notify(notice) == job
        await asyncio.sleep(0.3)
        assert len(simulator.log) == asked + 1
        assert not watch.done()


@pytest.mark.parametrize(
    ("kind", "name"),
    [(JobKind.IMAGE, "process_id"), (JobKind.VIDEO, "requestId"), (JobKind.VIDEO, "id"), (JobKind.TRY_ON, "job_id")],
)
@virtual
async def test_names_in_a_body(kind: JobKind, name: str) -> None:
    """Each service's name for an id is understood, and only a job that is watched is named."""
    simulator = Simulator()
    job = simulator.add(kind, duration=100)
    async with client_of(simulator) as client:
        assert client.notify({name: job.id}) is None
        async with client.watch(job):
            assert client.notify({name: job.id}) == job
            assert client.notify({name: job.id + "x"}) is None
        assert client.notify({name: job.id}) is None


@virtual
async def test_a_forged_notice_changes_nothing() -> None:
    """A notice that claims an end is not believed: the status is the service's, and so is the end."""
    simulator = Simulator()
    job = simulator.add_image(duration=60)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        await asyncio.sleep(5)
        client.notify({"process_id": job.id, "status": "Completed", "progress": 100})
        client.notify({"process_id": job.id, "status": "Failed"})
        await asyncio.sleep(5)
        assert watch.status is not None
        assert watch.status.state is JobState.RUNNING
        assert (await watch).is_terminal
        assert now() >= 60


@virtual
async def test_a_storm_of_notices() -> None:
    """A storm of notices is as good as one: ``min_interval`` holds, also after failed polls."""
    simulator = Simulator(delay=0.1)
    job = simulator.add_image(duration=20)
    simulator.add_fault("503", count=30)
    async with client_of(simulator) as client:
        watch = client.watch(job)
        while not watch.done():
            for _ in range(3):
                client.notify(job)
            await asyncio.sleep(0.03)
    assert min(later - earlier for earlier, later in pairwise(polls_of(simulator, job))) >= 0.25 - A_HAIR


@virtual
async def test_notices_after_failures() -> None:
    """Not even after a poll that failed does a notice bring another one before ``min_interval`` has passed."""
    simulator = Simulator(delay=0.02)
    job = simulator.add_image(duration=1000)
    simulator.add_fault("503")
    async with client_of(simulator, policy=SINGLY) as client:
        watch = client.watch(job)
        for _ in range(60):
            await asyncio.sleep(0.05)
            client.notify(job)
        watch.cancel()
    gaps = [later - earlier for earlier, later in pairwise(polls_of(simulator, job))]
    assert len(gaps) > 2
    assert min(gaps) >= 0.25 - A_HAIR


@virtual
async def test_a_notice_while_a_poll_is_on_the_wire() -> None:
    """A notice that comes while a poll is on the wire brings another one: the first may have been too early."""
    simulator = Simulator(delay=1.0)
    job = simulator.add_image(duration=100, eta="absent")
    async with client_of(simulator, policy=PollPolicy(price=50, sweep=False)) as client:
        watch = client.watch(job)
        await asyncio.sleep(50)
        client.notify(job)
        await asyncio.sleep(0.9)
        assert client.notify(job) == job
        await asyncio.sleep(1.5)
        *_, earlier, later = polls_of(simulator, job)
        assert earlier == 50.0
        assert 51.0 <= later <= 51.25 + A_HAIR
        watch.cancel()


@virtual
async def test_notices_go_first() -> None:
    """A job that a notice names goes before all others that are due."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1000, eta="absent") for _ in range(100)]
    async with client_of(simulator, rate=1.0, burst=1.0) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(150.5)
        client.notify(jobs[7])
        await asyncio.sleep(1.0)
        assert simulator.log[-1].job == jobs[7].id
        for watch in watches:
            watch.cancel()


@virtual
async def test_a_notice_before_the_first_poll() -> None:
    """A notice about a job that still waits for its first poll brings that forward, and plans it for now."""
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1000) for _ in range(20)]
    async with client_of(simulator, rate=1.0, burst=1.0, policy=SINGLY) as client:
        watches = [client.watch(job) for job in jobs]
        await asyncio.sleep(1.5)
        client.notify(jobs[19])
        explanation = watches[19].explain()
        assert explanation.due_in == 0.0
        assert explanation.looked_ago is None
        await asyncio.sleep(1.0)
        [polled_at] = polls_of(simulator, jobs[19])
        assert 1.5 <= polled_at <= 2.5, "the next token was not its own"
        for watch in watches:
            watch.cancel()


@virtual
async def test_notices_from_another_thread() -> None:
    """A notice from another thread, such as a web server's, never raises either, and brings a poll."""
    simulator = Simulator()
    job = simulator.add_image(duration=200, eta="absent")
    async with client_of(simulator) as client:
        watch = client.watch(job)
        await asyncio.sleep(100)
        asked = len(simulator.log)
        asyncio.get_running_loop().set_debug(True)
        assert await asyncio.to_thread(client.notify, job) == job
        asyncio.get_running_loop().set_debug(False)
        await asyncio.sleep(0.3)
        assert len(simulator.log) == asked + 1
        watch.cancel()
