"""The server in memory: data of every account, a clock, and a network whose faults a test scripts."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

import attrs

from ..loop.virtual import EPOCH
from .account_data import AccountData
from .shared_bucket import micros


class Connected(Protocol):
    """A member's bus, as the hub sees it."""

    is_listening: bool
    is_dead: bool

    def drop(self, reason: str) -> None:
        """Lose the connection."""


@attrs.define(eq=False)
class MemoryHub:
    """A shared server for the clients of one event loop; its attributes may be changed at any time.

    Two clients with coordinators on the same hub, and the same keys, share one account::

        hub = MemoryHub(latency=0.02)
        async with (
            StatusClient(coordinator=MemoryCoordinator(hub)) as one,
            StatusClient(coordinator=MemoryCoordinator(hub)) as other,
        ):
            hub.pause()  # the server hangs: both go alone

    Members are named by their ids, as in ``client.stats().shared.member``.
    """

    seed: int = 0
    """Of the random numbers for delays and losses."""
    latency: float = 0.0005
    """Seconds that a request takes to the server, and its answer back."""
    jitter: float = 0.0
    """Most seconds by which single requests and answers take longer; they then overtake each other."""
    loss: float = 0.0
    """The share of requests, and of answers, that never arrive."""
    mail_loss: float = 0.0
    """The share of messages that are lost, though their sender does not notice."""
    duplicates: float = 0.0
    """The share of messages that come twice."""
    probes: bool = True
    """Whether the server notices at once that a member's process has died."""
    buses: dict[str, Connected] = attrs.field(factory=dict, init=False)
    """The bus of every connected member, by its id."""
    accounts: dict[str, AccountData] = attrs.field(factory=dict, init=False)
    """The data by account."""
    random: random.Random = attrs.field(init=False)
    is_running: bool = attrs.field(default=True, init=False)
    is_paused: bool = attrs.field(default=False, init=False)
    _cut: set[str] = attrs.field(factory=set, init=False)
    _clock_error: float = attrs.field(default=0.0, init=False)
    _queued: deque[Callable[[], None]] = attrs.field(factory=deque, init=False)
    """Requests that came while the server was paused."""

    def __attrs_post_init__(self) -> None:
        self.random = random.Random(self.seed)  # faults of a test

    # -- what a test scripts ------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop the server. Calls fail at once; the data are kept."""
        self.is_running = False
        self.is_paused = False
        self._queued.clear()
        for bus in self.buses.values():
            bus.drop("the server has stopped")

    def start(self) -> None:
        """Start the server again."""
        self.is_running = True

    def pause(self) -> None:
        """Make the server hang. Requests that come are carried out once it resumes, even if nobody waits any more."""
        self.is_paused = True

    def resume(self) -> None:
        """End a pause, and carry out what came meanwhile."""
        self.is_paused = False
        while self._queued:
            self._queued.popleft()()

    def forget(self) -> None:
        """Lose all data."""
        self.accounts.clear()

    def jump(self, seconds: float) -> None:
        """Set the server's clock forward, or back."""
        self._clock_error += seconds

    def cut(self, *members: str) -> None:
        """Cut members off from the server: what they send and what they are sent is lost."""
        self._cut.update(members)

    def heal(self, *members: str) -> None:
        """Join members to the server again; without arguments, all of them."""
        self._cut.difference_update(members or tuple(self._cut))

    def kill(self, member: str) -> None:
        """Close a member's connections, as its operating system does when its process dies."""
        bus = self.buses.pop(member)
        bus.is_dead = True
        bus.drop("the process has died")

    # -- what buses use -----------------------------------------------------------------------------------------------

    def reading(self) -> float:
        """Return the Unix time by the server's clock."""
        loop = asyncio.get_running_loop()
        return getattr(loop, "wall_time", lambda: EPOCH + loop.time())() + self._clock_error

    def steady(self, account: AccountData) -> int:
        """Return an account's steady time, in microseconds."""
        return account.clock.now(micros(self.reading()))

    def account(self, name: str) -> AccountData:
        """Return the data of an account."""
        return self.accounts.setdefault(name, AccountData())

    def listens(self, member: str) -> bool:
        """Return whether a member's connection is open."""
        return member in self.buses and self.buses[member].is_listening

    def travel(self, member: str, arrive: Callable[[], None]) -> None:
        """Let something arrive after its delay, unless it is lost on the way."""
        if member not in self._cut and self.random.random() >= self.loss:
            delay = self.latency + (self.random.uniform(0.0, self.jitter) if self.jitter else 0.0)
            asyncio.get_running_loop().call_later(delay, arrive)

    def serve(self, member: str, carry_out: Callable[[], None]) -> None:
        """Carry out a request that has arrived, now or after a pause."""
        if not self.is_running or member in self._cut:
            return
        if self.is_paused:
            self._queued.append(carry_out)
        else:
            carry_out()
