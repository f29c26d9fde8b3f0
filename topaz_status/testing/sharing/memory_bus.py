"""A bus over the server in memory, and the coordinator that makes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs

from ...coordination import CALL_TIMEOUT, Beat, BusError, Grants, Lead, Pulse, Want
from ...errors import CoordinatorError
from ...models.job import JobKind
from .account_data import AccountData
from .memory_hub import MemoryHub

T = TypeVar("T")
Mail: TypeAlias = list[tuple[str, bytes]]


@attrs.define(eq=False)
class MemoryBus:
    """One member's connection to a :class:`MemoryHub`; see :class:`topaz_status.coordination.Bus`."""

    hub: MemoryHub
    account: str
    member: str
    is_listening: bool = attrs.field(default=True, init=False)
    """Whether the server sees the member's connection open."""
    is_dead: bool = attrs.field(default=False, init=False)
    _pending: set[asyncio.Future[Any]] = attrs.field(factory=set, init=False)

    async def beat(self, beat: Beat) -> Pulse:
        """See :class:`~topaz_status.coordination.Bus`."""

        def carry_out(data: AccountData, now: int) -> Pulse:
            return data.beat(beat, now, self.hub.reading(), self._sees)

        return await self._call(carry_out)

    async def reserve(self, want: Want) -> Grants:
        """See :class:`~topaz_status.coordination.Bus`."""
        return await self._call(lambda data, now: data.reserve(want, self.member, now, self.hub.reading()))

    async def slow_down(self, kind: JobKind, *, limited: bool = False, hold: float = 0.0) -> None:
        """See :class:`~topaz_status.coordination.Bus`."""
        await self._call(lambda data, now: data.bucket.slow_down(kind, now, limited=limited, hold=hold))

    async def post(self, mail: Sequence[tuple[str, bytes]]) -> None:
        """See :class:`~topaz_status.coordination.Bus`."""

        def carry_out(data: AccountData, now: int) -> None:
            draw = self.hub.random.random
            for box, body in mail:
                for _ in range(0 if draw() < self.hub.mail_loss else 2 if draw() < self.hub.duplicates else 1):
                    data.post(box, body, now)
            data.wake()

        await self._call(carry_out)

    async def read(self, box: str, after: str | None, *, most: int, wait: float) -> Mail:
        """See :class:`~topaz_status.coordination.Bus`."""
        reply: asyncio.Future[Mail] = self._expect(CALL_TIMEOUT + wait)
        loop = asyncio.get_running_loop()

        def arrive() -> None:
            data, over = self._data(), asyncio.get_running_loop().time() + wait

            def check() -> bool:
                """Answer if there is mail, or if the wait is over."""
                found = data.read(box, after, most, self.hub.steady(data))
                if found or loop.time() >= over:
                    self._answer(reply, found)
                return bool(found) or loop.time() >= over

            if not check():
                data.waiting.append(check)
                loop.call_at(over, data.wake)

        self._send(reply, arrive)
        return await reply

    async def save(self, name: str, body: bytes, epoch: int) -> bool:
        """See :class:`~topaz_status.coordination.Bus`."""
        return await self._call(lambda data, now: data.save(name, body, epoch, now, self.member))

    async def load(self, name: str) -> bytes | None:
        """See :class:`~topaz_status.coordination.Bus`."""
        return await self._call(lambda data, _: data.saved.get(name))

    async def close(self) -> None:
        """See :class:`~topaz_status.coordination.Bus`."""
        if self.hub.buses.get(self.member) is self:
            del self.hub.buses[self.member]
        self.is_dead = True
        self.drop("the bus was closed")

    def drop(self, reason: str) -> None:
        """Lose the connection: every call under way fails."""
        self.is_listening = False
        for reply in tuple(self._pending):
            if not reply.done():
                reply.set_exception(BusError(reason))

    # -- one call -----------------------------------------------------------------------------------------------------

    async def _call(self, carry_out: Callable[[AccountData, int], T]) -> T:
        """Send a request to the server and return its answer; it may be carried out though no answer comes."""
        reply: asyncio.Future[T] = self._expect(CALL_TIMEOUT)

        def arrive() -> None:
            data = self._data()
            self._answer(reply, carry_out(data, self.hub.steady(data)))

        self._send(reply, arrive)
        return await reply

    def _expect(self, limit: float) -> asyncio.Future[T]:
        """Make a future that fails after ``limit`` seconds without an answer."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[T] = loop.create_future()
        timer = loop.call_later(limit, _fail, reply, "no answer came in time")
        reply.add_done_callback(lambda _: timer.cancel())
        self._pending.add(reply)
        reply.add_done_callback(self._pending.discard)
        return reply

    def _send(self, reply: asyncio.Future[T], arrive: Callable[[], None]) -> None:
        if self.is_dead:
            _fail(reply, "the bus is closed")
        elif not self.hub.is_running:
            asyncio.get_running_loop().call_later(self.hub.latency, _fail, reply, "the server refuses connections")
        else:
            self.hub.travel(self.member, lambda: self.hub.serve(self.member, arrive))

    def _answer(self, reply: asyncio.Future[T], value: T) -> None:
        """Send an answer back; the server sees the connection open from now on."""
        if not reply.done():
            self.is_listening = not self.is_dead
            self.hub.travel(self.member, lambda: _succeed(reply, value))

    def _data(self) -> AccountData:
        return self.hub.account(self.account)

    def _sees(self, member: str) -> bool:
        """Return whether the server can know that a member is alive; without probes it never can."""
        return self.hub.probes and self.hub.listens(member)


def _succeed(reply: asyncio.Future[T], value: T) -> None:
    if not reply.done():
        reply.set_result(value)


def _fail(reply: asyncio.Future[T], reason: str) -> None:
    if not reply.done():
        reply.set_exception(BusError(reason))


@attrs.frozen(eq=False)
class MemoryCoordinator:
    """Joins the clients of one event loop as :class:`topaz_status.redis.RedisCoordinator` joins processes.

    Clients with the same ``hub`` and the same keys share an account. Without a hub, all clients that take this
    coordinator do.
    """

    hub: MemoryHub = attrs.field(factory=MemoryHub)
    account: str | None = attrs.field(default=None, kw_only=True)
    lead: Lead = attrs.field(default="auto", kw_only=True)
    lease: float = attrs.field(default=3.0, kw_only=True)
    links: bool = attrs.field(default=True, kw_only=True)

    async def connect(self, account: str, member: str) -> MemoryBus:
        """See :class:`~topaz_status.coordination.Coordinator`."""
        if not self.hub.is_running or self.hub.is_paused:
            raise CoordinatorError("the server in memory is stopped")
        bus = self.hub.buses[member] = MemoryBus(self.hub, account, member)
        return bus
