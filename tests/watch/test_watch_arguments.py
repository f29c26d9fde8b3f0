"""The arguments of ``watch``, and where and when it may be called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from harness import A_HAIR, TOPAZ_KEY, client_of, options, polls_of, settle, virtual

from topaz_status import (
    ConfigurationError,
    JobKind,
    JobRef,
    PollPolicy,
    StatusClient,
    WatchTimeoutError,
)
from topaz_status.testing import EPOCH, Simulator

UUID = "00000000-0000-4000-8000-000000000000"


@virtual
async def test_submitted_at() -> None:
    """A job submitted long ago is polled as rarely as its age warrants, not like a new one."""
    counts = []
    for age in (0, 100_000):
        simulator = Simulator()
        job = simulator.add_try_on(duration=1e6, after=-age)
        async with client_of(simulator) as client:
            watch = client.watch(job, submitted_at=EPOCH - age, timeout=3000)
            with pytest.raises(WatchTimeoutError):
                await watch
        counts.append(len(simulator.log))
    assert counts[0] > 3 * counts[1]


@virtual
async def test_eta() -> None:
    """An ``eta`` given to ``watch`` is gone by where the service gives none: the end is known sooner, for fewer polls."""
    simulator = Simulator()
    without, hinted = (simulator.add_try_on(duration=33.3) for _ in range(2))
    async with client_of(simulator) as client:
        blind, reported = await asyncio.gather(
            client.watch(without).outcome(), client.watch(hinted, eta=EPOCH + 33.4).outcome()
        )
    assert reported.waited < min(blind.waited, 34.5)
    assert reported.polls < blind.polls
    first, second, *_ = polls_of(simulator, hinted)
    assert second - first > 3 * (polls_of(simulator, without)[1] - polls_of(simulator, without)[0])


@pytest.mark.parametrize(
    "arguments",
    [
        {"timeout": 0}, {"timeout": -1}, {"timeout": float("inf")}, {"timeout": float("nan")}, {"timeout": "5"},
        {"timeout": True}, {"timeout": 10**400},
        {"submitted_at": "now"}, {"submitted_at": True}, {"submitted_at": float("nan")},
        {"submitted_at": EPOCH * 1000}, {"submitted_at": 10**400},
        {"eta": "soon"}, {"eta": EPOCH * 1000}, {"eta": float("inf")}, {"eta": False},
    ],
)  # fmt: skip
@virtual
async def test_unusable_arguments(arguments: dict[str, Any]) -> None:
    """An argument that makes no sense is refused at the door, and nothing is watched."""
    async with client_of(Simulator()) as client:
        with pytest.raises(ConfigurationError):
            client.watch(JobRef(JobKind.IMAGE, UUID), **arguments)
        with pytest.raises(ConfigurationError):
            client.image.watch(UUID, **arguments)
        assert not any(client.stats().watches.values())


@virtual
async def test_hints_that_are_off() -> None:
    """Hints that are off by years, or that the clocks make negative, are no reason to refuse a job or to poll late."""
    simulator = Simulator()
    job = simulator.add_try_on(duration=20)
    async with client_of(simulator) as client:
        for hints in (
            {"eta": 0.0},
            {"eta": 1.0},
            {"eta": EPOCH + 1e9},
            {"submitted_at": EPOCH + 1e6},
            {"submitted_at": 0.0},
        ):
            assert (await client.watch(job, **hints).outcome()).waited < 25


@virtual
async def test_outside_an_open_client() -> None:
    """Before opening and after closing nothing can be watched, and the error says so."""
    client = StatusClient(**options())
    for call in (client.watch, client.image.watch):
        with pytest.raises(ConfigurationError, match="not open"):
            call(f"image:{UUID}")
    with pytest.raises(ConfigurationError, match="not open"):
        client.as_completed([f"image:{UUID}"])
    with pytest.raises(ConfigurationError, match="not open"):
        await client.gather([f"image:{UUID}"])
    with pytest.raises(ConfigurationError, match="not open"):
        await client.image.get(UUID)
    await client.open()
    with pytest.raises(ConfigurationError, match="once"):
        await client.open()
    await client.aclose()
    await client.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        client.watch(f"image:{UUID}")
    with pytest.raises(ConfigurationError):
        await client.open()
    assert client.notify(f"image:{UUID}") is None
    await settle()


@virtual
async def test_other_loops() -> None:
    """Watching, or awaiting a watch, on another loop than the client's is refused instead of hanging."""
    simulator = Simulator()
    job = simulator.add_image(duration=5)
    async with client_of(simulator) as client:
        watch = client.watch(job)

        async def started(start: Callable[[JobRef], Any]) -> None:
            start(job)

        async def all_refused() -> list[str]:
            calls = [watch.result(), watch.outcome(), client.image.get(job), client.gather([job])]
            calls += [started(client.watch), started(client.image.watch)]
            return [type(error).__name__ for error in await asyncio.gather(*calls, return_exceptions=True)]

        assert await asyncio.to_thread(asyncio.run, all_refused()) == ["ConfigurationError"] * 6
        with pytest.raises(ConfigurationError):
            await asyncio.to_thread(client.watch, job)
        assert (await watch).is_terminal


@virtual
async def test_missing_key() -> None:
    """A missing key is an error only once its service is used, and names what to set."""
    simulator = Simulator()
    async with client_of(simulator, pixelcut_api_key="") as client:
        await client.watch(simulator.add_image(duration=1))
        with pytest.raises(ConfigurationError, match="PIXELCUT_API_KEY") as raised:
            client.try_on.watch("x")
        assert TOPAZ_KEY not in repr(client) + str(raised.value)


@virtual
async def test_gaps() -> None:
    """No two polls of a job are closer together than ``min_interval``, and none further apart than the longest gap."""
    simulator = Simulator()
    job = simulator.add_image(duration=900, eta="past")
    policy = PollPolicy(min_interval=3, max_interval=40)
    async with client_of(simulator, policy=policy) as client:
        await client.watch(job)
    gaps = [later - earlier for earlier, later in pairwise(polls_of(simulator, job))]
    assert min(gaps) >= 3 - A_HAIR
    assert max(gaps) <= 40.02


@virtual
async def test_gaps_after_failures() -> None:
    """Not even a failed poll is repeated before ``min_interval`` has passed."""
    simulator = Simulator()
    job = simulator.add_image(duration=60)
    simulator.add_fault("503", count=5)
    async with client_of(simulator, policy=PollPolicy(min_interval=5)) as client:
        await client.watch(job)
    assert min(later - earlier for earlier, later in pairwise(polls_of(simulator, job))) >= 5 - A_HAIR
