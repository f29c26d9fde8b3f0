"""Clients that share an account over a real server, and what fails: the server, its data, its answers."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import pytest
import redis
from accounts import sharing_of
from bus_rules import beat
from harness import PIXELCUT_KEY, TOPAZ_KEY, until
from invariants import beyond_budget
from real_servers import NEEDS_ONE, RealServer, executables, running

from topaz_status import JobKind, JobRef, JobState, Shared, StatusClient
from topaz_status.coordination import BusError
from topaz_status.redis import RedisCoordinator
from topaz_status.session.timing.backoff_delays import pause
from topaz_status.testing import JobPlan, Simulator

pytestmark = NEEDS_ONE
MEMBERS = 3
LEASE = 1.0
RATE, BURST = 40.0, 10.0
LATE_TOGETHER = 0.1
"""Seconds: requests that a busy machine delays arrive together."""


@pytest.fixture
def server() -> Iterator[RealServer]:
    """One server; what differs between servers is tested with single buses."""
    found = executables()
    with running(found.get("valkey") or next(iter(found.values()))) as real:
        yield real


@attrs.define(eq=False)
class Proxy:
    """A way to the server on which everything may stand still: no byte passes, and no connection closes."""

    port: int
    """The server's."""
    passes: asyncio.Event = attrs.field(factory=asyncio.Event)
    url: str = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Proxy]:
        self.passes.set()
        async with await asyncio.start_server(self._connected, "127.0.0.1", 0) as listening:
            self.url = f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0"
            yield self
            self.passes.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionError:
            writer.close()
            return
        await asyncio.gather(self._pass_on(reader, back), self._pass_on(there, writer))

    async def _pass_on(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65_536):
                await self.passes.wait()
                to.write(piece)
                await to.drain()
        to.close()


@contextlib.asynccontextmanager
async def account(
    simulator: Simulator, url: str, first: str | None = None, lease: float = LEASE, **setting: object
) -> AsyncIterator[list[StatusClient]]:
    """Some clients, the first of which leads; all others know it. It has a way of its own to the server, perhaps."""
    async with contextlib.AsyncExitStack() as stack:
        services = await stack.enter_async_context(simulator.serve())
        clients = []
        for way in (first or url, *[url] * (MEMBERS - 1)):
            client = StatusClient(
                topaz_api_key=TOPAZ_KEY,
                pixelcut_api_key=PIXELCUT_KEY,
                topaz_url=services,
                pixelcut_url=services,
                rate=RATE,
                burst=BURST,
                coordinator=RedisCoordinator(way, lease=lease, **setting),  # type: ignore[arg-type]
            )
            clients.append(await stack.enter_async_context(client))
        for client in clients:
            sharing_of(client).heartbeat.hurry()
        await until(lambda: all(shared(client).members == MEMBERS for client in clients))
        yield clients


def shared(client: StatusClient) -> Shared:
    found = client.stats().shared
    assert found is not None
    return found


def roles(clients: list[StatusClient]) -> list[str]:
    return sorted(shared(client).role for client in clients)


def some_jobs(simulator: Simulator, **fields: Any) -> list[JobRef]:
    return simulator.add_jobs([JobPlan(kind=kind, count=6, duration=1.5, **fields) for kind in JobKind])


async def all_end(clients: list[StatusClient], jobs: list[JobRef], state: JobState = JobState.COMPLETED) -> None:
    """Every client hears the end of every job."""
    found = await asyncio.gather(*(client.outcomes(jobs) for client in clients))
    assert [{outcome.state for outcome in outcomes} for outcomes in found] == [{state}] * len(clients)


@attrs.define(eq=False)
class Watching:
    """Every client watches the same jobs, which run for as long as a failure takes, and until the test ends them."""

    simulator: Simulator
    jobs: list[JobRef]
    work: asyncio.Future[None]

    @classmethod
    def begin(cls, simulator: Simulator, clients: list[StatusClient]) -> Watching:
        jobs = some_jobs(simulator, stuck=True)
        return cls(simulator, jobs, asyncio.ensure_future(all_end(clients, jobs, JobState.CANCELED)))

    async def end(self) -> None:
        """End the jobs, and wait until every client has heard of it."""
        assert not self.work.done()
        for job in self.jobs:
            assert self.simulator.cancel(job)
        await self.work


@pytest.mark.parametrize("fault", ["hang", "restart", "flush", "script flush"])
async def test_no_failure_of_the_server_loses_a_watch(server: RealServer, fault: str) -> None:
    """Every member hears every end, each once. Without a server each goes alone, and comes back to it."""
    simulator = Simulator(seed=3)
    async with account(simulator, server.url) as clients:
        assert roles(clients) == ["follower", "follower", "leader"]
        watching = Watching.begin(simulator, clients)
        await pause(0.5)
        if fault == "hang":
            server.signal(signal.SIGSTOP)
            await until(lambda: roles(clients) == ["alone"] * MEMBERS)
            server.signal(signal.SIGCONT)
        elif fault == "restart":
            server.stop()
            await until(lambda: roles(clients) == ["alone"] * MEMBERS)
            server.start()
        else:
            server.command(*(("FLUSHALL",) if fault == "flush" else ("SCRIPT", "FLUSH")))
        await until(lambda: roles(clients) == ["follower", "follower", "leader"])
        await watching.end()
        assert len({shared(client).epoch for client in clients}) == 1
        assert {shared(client).outages for client in clients} == {int(fault in {"hang", "restart"})}


@pytest.mark.parametrize("old", ["dies", "becomes a replica"])
async def test_a_failover_that_loses_writes_loses_no_watch(old: str, caplog: pytest.LogCaptureFixture) -> None:
    """All come back to the promoted replica. Tokens that were granted in the lost time are granted again, once."""
    simulator, found = Simulator(seed=8), executables()
    executable = found.get("valkey") or next(iter(found.values()))
    at_once = "--repl-diskless-sync-delay", "0"
    with (
        running(executable, *at_once) as main,
        running(executable, "--replicaof", "127.0.0.1", str(main.port)) as replica,
    ):
        await until(lambda: replica.command("INFO", "replication")["master_link_status"] == "up")
        async with Proxy(main.port).open() as proxy, account(simulator, proxy.url) as clients:
            loop, watching = asyncio.get_running_loop(), Watching.begin(simulator, clients)
            images = [job for job in watching.jobs if job.kind is JobKind.IMAGE]
            calls = asyncio.gather(*(client.get(job) for client in clients for job in images * 6))
            await pause(0.5)
            replica.command("REPLICAOF", "NO", "ONE")
            promoted_at = loop.time()
            await pause(0.5)
            if old == "dies":
                main.stop()
                lost = loop.time() - promoted_at
                await until(lambda: roles(clients) == ["alone"] * MEMBERS)
            else:
                main.command("REPLICAOF", "127.0.0.1", str(replica.port))
                lost = loop.time() - promoted_at
            proxy.port = replica.port
            await until(lambda: _leads_at(replica, clients))
            await asyncio.gather(watching.end(), calls)
            outages = sum(shared(client).outages for client in clients)
            assert outages == MEMBERS or old == "becomes a replica"
            assert sum("polling alone" in record.getMessage() for record in caplog.records) == outages
    sends = [exchange.at for exchange in simulator.log]
    assert beyond_budget(sends, RATE, 2.0 * BURST + RATE * (lost + LATE_TOGETHER) + MEMBERS) == 0


async def test_an_address_that_leads_to_another_server_is_followed() -> None:
    """A server that has become a replica refuses one call; the next one goes where the address leads by then."""
    found = executables()
    executable = found.get("valkey") or next(iter(found.values()))
    with running(executable) as main, running(executable) as promoted:
        async with Proxy(main.port).open() as proxy:
            bus = await RedisCoordinator(proxy.url).connect("account", "a1")
            assert (await bus.beat(beat("a1"))).holder == "a1"
            main.command("REPLICAOF", "127.0.0.1", str(promoted.port))
            proxy.port = promoted.port
            with pytest.raises(BusError, match="replica"):
                await bus.beat(beat("a1"))
            assert (await bus.beat(beat("a1"))).holder == "a1"
            await bus.close()


def _leads_at(server: RealServer, clients: list[StatusClient]) -> bool:
    """Return whether one client leads by what a server says, and all others follow it."""
    (state,) = server.command("KEYS", "*:state")
    holder = server.command("HGET", state, "holder")
    leaders = [shared(client).member for client in clients if shared(client).role == "leader"]
    return roles(clients) == ["follower"] * (MEMBERS - 1) + ["leader"] and [holder] == [leaders[0].encode()]


async def test_a_leader_that_is_cut_off_is_replaced_within_its_lease(server: RealServer) -> None:
    """Its connections stay open, so its lease decides. It goes alone, hears the ends of its jobs, and comes back."""
    simulator = Simulator(seed=6)
    async with Proxy(server.port).open() as proxy, account(simulator, server.url, proxy.url) as clients:
        assert shared(clients[0]).role == "leader"
        watching = Watching.begin(simulator, clients)
        await pause(0.5)
        proxy.passes.clear()
        await until(lambda: roles(clients) == ["alone", "follower", "leader"])
        assert shared(clients[0]).role == "alone"
        assert [shared(client).outages for client in clients] == [1, 0, 0]
        proxy.passes.set()
        await until(lambda: roles(clients) == ["follower", "follower", "leader"])
        await watching.end()


async def test_a_leader_that_closes_calls_the_next_one(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one leads though its beat is not due for long, and hears the end of every job."""
    monkeypatch.setattr("topaz_status.core.sharing.membership.QUICK_BEAT", 60.0)
    simulator, lease = Simulator(seed=4), 30.0
    async with account(simulator, server.url, lease=lease) as clients:
        watching = Watching.begin(simulator, clients[1:])
        await until(lambda: shared(clients[0]).jobs == len(watching.jobs))
        due_at = min(sharing_of(client).heartbeat._membership.beats_at for client in clients[1:])
        await clients[0].aclose()
        await until(lambda: roles(clients[1:]) == ["follower", "leader"])
        await watching.end()
        assert asyncio.get_running_loop().time() < due_at
        assert [shared(client).outages for client in clients[1:]] == [0, 0]


@pytest.mark.parametrize("links", [True, False])
async def test_the_server_never_sees_a_key_nor_keeps_a_job(server: RealServer, links: bool) -> None:
    """Of all that members say to it: no API key, and without links no signed link; afterwards only mail is left."""
    simulator = Simulator(seed=5)
    said: list[bytes] = []
    with _monitored(server, said):
        async with account(simulator, server.url, links=links) as clients:
            await all_end(clients, some_jobs(simulator))
    text = b"".join(said)
    assert b"EVALSHA" in text
    assert b"completed" in text
    assert TOPAZ_KEY.encode() not in text
    assert PIXELCUT_KEY.encode() not in text
    assert (b"X-Signature" in text) is links
    keys = server.command("KEYS", "*")
    assert all(b":box:" in key or key.endswith((b":state", b":members", b":saved:lifetimes")) for key in keys)


@contextlib.contextmanager
def _monitored(server: RealServer, said: list[bytes]) -> Iterator[None]:
    """Note every command that the server gets."""
    client = redis.Redis(port=server.port, protocol=2)
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        thread = threading.Thread(target=_listen, args=(monitor, said))
        thread.start()
        try:
            yield
        finally:
            server.command("ECHO", "the end of the test")
            thread.join()
    client.close()


def _listen(monitor: object, said: list[bytes]) -> None:
    while True:
        line = monitor.connection.read_response()  # type: ignore[attr-defined]  # next_command() expects text
        said.append(line if isinstance(line, bytes) else str(line).encode())
        if b"the end of the test" in said[-1]:
            return
