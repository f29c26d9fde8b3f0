"""A certificate that cannot be trusted ends watches after seconds, and only where it is certain."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from harness import SINGLY, now, options, settle, virtual

from topaz_status import CertificateError, JobState, MemoryStore, PollPolicy, StatusClient, TransportError
from topaz_status.core.health.certificate_trust import (
    CONFIRMED_AFTER,
    FEWEST,
    LONGEST_CERTIFICATE_DOUBT,
    CertificateTrust,
)
from topaz_status.testing import MEMORY_URL, JobPlan, MemoryConnector, Simulator

SOON = 10.0
"""Seconds within which a watch learns it."""
OTHER_URL = "http://127.0.0.2:1"


def wrong_certificate() -> Exception:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 10, "certificate has expired"
    return error


class FailingConnector(MemoryConnector):
    """Fails to connect while ``failing`` gives an error; each request has a connection of its own."""

    failing: Callable[[aiohttp.ClientRequest], Exception | None]
    tries = 0

    async def _create_connection(self, req: aiohttp.ClientRequest, traces: Any, timeout: Any) -> Any:
        self.tries += 1
        error = self.failing(req)
        if isinstance(error, ssl.SSLError):
            raise aiohttp.ClientConnectorCertificateError(req.connection_key, error)
        if isinstance(error, OSError):
            raise aiohttp.ClientConnectorDNSError(req.connection_key, error)
        return await super()._create_connection(req, traces, timeout)


@contextlib.asynccontextmanager
async def client_behind(
    simulator: Simulator, failing: Callable[[aiohttp.ClientRequest], Exception | None], **settings: Any
) -> AsyncIterator[tuple[StatusClient, FailingConnector]]:
    """A client whose connections fail as ``failing`` says."""
    connector = FailingConnector(simulator, force_close=True)
    connector.failing = failing
    async with aiohttp.ClientSession(connector=connector) as session:
        urls = {"topaz_url": MEMORY_URL, "pixelcut_url": OTHER_URL}
        async with StatusClient(**options(**urls, session=session, **settings)) as client:
            yield client, connector
        await settle()


@virtual
async def test_a_watch_ends_after_seconds() -> None:
    """Not at the first poll, which may have met one of several servers, and long before ``give_up_after``."""
    simulator = Simulator()
    job = simulator.add_image(duration=100)
    async with client_behind(simulator, lambda _: wrong_certificate(), policy=SINGLY) as (client, connector):
        outcome = await client.watch(job).outcome()
    assert isinstance(outcome.error, CertificateError)
    assert outcome.error.job == job
    assert outcome.state is None
    assert "certificate has expired" in str(outcome.error)
    assert CONFIRMED_AFTER <= now() <= SOON
    assert FEWEST <= connector.tries <= 8


@pytest.mark.parametrize("sweep", [False, True])
@virtual
async def test_all_watches_of_that_service_end_and_no_others(sweep: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Whether polled by themselves or by pages; those of a host with a good certificate go on. The log says why, once."""
    simulator = Simulator()
    images = simulator.add_jobs(JobPlan(kind="image", count=300, duration=100))
    good = simulator.add_jobs(JobPlan(kind="try-on", count=10, duration=30))

    def failing(request: aiohttp.ClientRequest) -> Exception | None:
        return wrong_certificate() if request.url.host == "127.0.0.1" else None

    policy = PollPolicy(sweep=sweep)
    async with client_behind(simulator, failing, policy=policy, rate=10, burst=10) as (client, _):
        going_on = [client.watch(job) for job in good]
        outcomes = await client.outcomes(images)
        assert now() <= SOON
        assert {type(outcome.error) for outcome in outcomes} == {CertificateError}
        assert all(outcome.error and outcome.error.job == outcome.job for outcome in outcomes)  # type: ignore[attr-defined]
        assert {(await watch.outcome()).state for watch in going_on} == {JobState.COMPLETED}
    assert caplog.text.count("watches of image jobs end: cannot connect to 127.0.0.1: its certificate") == 1
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warned) == 1, "that they end and that the service is tested until it answers cannot both be so"


@virtual
async def test_a_certificate_that_is_replaced_in_time() -> None:
    """Seconds of a wrong certificate end nothing."""
    simulator = Simulator()
    job = simulator.add_image(duration=30)
    async with client_behind(simulator, lambda _: wrong_certificate() if 5 < now() < 8 else None) as (client, _):
        assert (await client.watch(job)).is_terminal


@virtual
async def test_one_of_several_servers() -> None:
    """As long as some polls are answered, even with an error, the others that meet a wrong certificate end nothing."""
    simulator = Simulator()
    jobs = simulator.add_jobs(JobPlan(kind="image", count=5, duration=600))
    simulator.add_fault("503", since=100, until=300)
    turns = iter(range(1_000_000))
    async with client_behind(simulator, lambda _: wrong_certificate() if next(turns) % 3 else None) as (client, _):
        outcomes = await client.outcomes(jobs)
    assert {outcome.state for outcome in outcomes} == {JobState.COMPLETED}


@virtual
async def test_a_later_watch_tries_again() -> None:
    """Once the cause is removed, a new watch of the same client knows the end."""
    simulator = Simulator()
    job = simulator.add_image(duration=1)
    wrong = [True]
    async with client_behind(simulator, lambda _: wrong_certificate() if wrong[0] else None) as (client, _):
        assert isinstance((await client.watch(job).outcome()).error, CertificateError)
        assert isinstance((await client.watch(job).outcome()).error, CertificateError)
        wrong[0] = False
        assert (await client.watch(job)).is_terminal


@virtual
async def test_a_store_keeps_the_watch() -> None:
    """It is no end of the job: the next client takes the watch up."""
    simulator, store = Simulator(), MemoryStore()
    job = simulator.add_image(duration=1)
    async with client_behind(simulator, lambda _: wrong_certificate(), store=store) as (client, _):
        assert isinstance((await client.watch(job).outcome()).error, CertificateError)
    async with client_behind(simulator, lambda _: None, store=store) as (client, _):
        assert [outcome.state async for outcome in client.resume()] == [JobState.COMPLETED]


@virtual
async def test_names_that_cannot_be_resolved_come_back() -> None:
    """A resolver's failure ends a watch after ``give_up_after`` alone."""
    simulator = Simulator()
    job = simulator.add_image(duration=1)
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    async with client_behind(simulator, lambda _: unknown if now() < 500 else None) as (client, _):
        assert (await client.watch(job)).is_terminal
    assert now() > 500
    begun = now()
    async with client_behind(simulator, lambda _: unknown) as (client, _):
        error = (await client.watch(job).outcome()).error
    assert type(error) is TransportError
    assert "cannot resolve the host name 127.0.0.1" in str(error)
    assert 600 <= now() - begun <= 700


@virtual
async def test_direct_calls_raise_at_once() -> None:
    """One try, no wait."""
    async with client_behind(Simulator(), lambda _: wrong_certificate()) as (client, connector):
        for call in (client.image.get("a"), client.image.delete("a"), client.result("video:a")):
            with pytest.raises(CertificateError):
                await call
    assert (now(), connector.tries) == (0.0, 3)


@virtual
async def test_downloads_raise_at_once(tmp_path: Path) -> None:
    """A storage whose certificate is wrong is asked once."""
    simulator, asked = Simulator(), []
    job = simulator.add_image(duration=0)

    def failing(request: aiohttp.ClientRequest) -> Exception | None:
        if request.url.path.startswith("/image/"):
            return None
        asked.append(request.url.path)
        return wrong_certificate()

    async with client_behind(simulator, failing) as (client, _):
        with pytest.raises(CertificateError):
            await client.save(job, tmp_path)
        assert now() < 1.0
    assert len(asked) == 1


def test_polls_seconds_apart() -> None:
    """The first is a suspicion; what was sent within ``CONFIRMED_AFTER`` of it confirms nothing."""
    trust = CertificateTrust()
    assert not any(trust.refused(sent_at=at, now=at) for at in (0.0, 1.0, 2.0, 3.0, CONFIRMED_AFTER - 0.1))
    assert trust.refused(sent_at=CONFIRMED_AFTER, now=CONFIRMED_AFTER)
    assert trust.refused(sent_at=10.0, now=10.0), "it stays certain"


def test_polls_at_the_same_time() -> None:
    """Those that were on the wire together are one: an answer to another of them may still be on its way."""
    trust = CertificateTrust()
    trust.refused(sent_at=0.0, now=0.5)
    assert not any(trust.refused(sent_at=10.0, now=10.5 + n) for n in range(2 * FEWEST))


def test_a_few_polls_in_a_row() -> None:
    """However far apart they are, because one of several servers may be the one."""
    trust = CertificateTrust()
    assert [trust.refused(sent_at=at, now=at) for at in (0.0, 10.0, 20.0, 30.0)] == [False] * (FEWEST - 1) + [True]


def test_an_answer_clears_the_suspicion() -> None:
    """So does a long time in which nobody asked."""
    times = [float(at) for at in range(0, 10 * FEWEST, 10)]
    trust = CertificateTrust()
    for at in times[:-1]:
        trust.refused(sent_at=at, now=at)
    trust.accepted()
    assert not any(trust.refused(sent_at=at, now=at) for at in times[:-1])
    late = times[-1] + LONGEST_CERTIFICATE_DOUBT
    assert not trust.refused(sent_at=late, now=late)
