"""Small worlds in virtual time: some clients of one account, a shared server in trouble, and what must hold all the same."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp
import attrs
from harness import engine_of, now, options, settle
from invariants import Tally, Truth, beyond_budget, judge

from topaz_status import CoordinatorError, JobKind, JobRef, JobState, Outcome, StatusClient
from topaz_status.testing import (
    MEMORY_URL,
    JobPlan,
    MemoryConnector,
    MemoryCoordinator,
    MemoryHub,
    Simulator,
    run_virtual,
)

RATE: Final = 10.0
BURST: Final = 10.0
TRY_ON_RATE: Final = 5.0
TRY_ON_BURST: Final = 1.0 + 0.25 * TRY_ON_RATE
"""A token of a kind's own may be used for a quarter of a second."""
LEASE: Final = 3.0
Dice = random.Random


@attrs.frozen(kw_only=True)
class AccountWorld:
    """What goes wrong in an account, and when."""

    hub: Callable[[Dice], dict[str, Any]] = lambda _: {}
    """Settings of the server and of the network to it."""
    events: tuple[str, ...] = ()
    """What happens again and again, drawn with dice: names of methods of :class:`Play`."""
    latest: float = 60.0
    """Seconds after a job's end at which every member knows it."""
    is_exact: bool = True
    """Whether the budget of the account holds exactly: it does as long as nobody goes alone and no data are lost."""


def _slow(dice: Dice) -> dict[str, Any]:
    return {"latency": dice.uniform(0.0, 0.3), "jitter": dice.choice([0.0, 0.3])}


def _lossy(dice: Dice) -> dict[str, Any]:
    return {"mail_loss": dice.uniform(0.0, 0.4), "duplicates": dice.uniform(0.0, 0.4), "jitter": 0.2}


def _everything(dice: Dice) -> dict[str, Any]:
    return {**_slow(dice), **_lossy(dice), "loss": dice.uniform(0.0, 0.1), "probes": dice.random() < 0.7}


WORLDS: Final = {
    "calm": AccountWorld(latest=30.0),
    "slow": AccountWorld(hub=_slow),
    "lost, doubled and overtaken mail": AccountWorld(hub=_lossy),
    "lost calls": AccountWorld(hub=lambda dice: {"loss": dice.uniform(0.0, 0.3)}, is_exact=False),
    "members come and go": AccountWorld(events=("join", "leave")),
    "members die": AccountWorld(events=("join", "crash")),
    "members die, no probes": AccountWorld(hub=lambda _: {"probes": False}, events=("join", "crash")),
    "members are cut off": AccountWorld(events=("cut",), is_exact=False),
    "the server stops": AccountWorld(events=("stop",), is_exact=False),
    "the server hangs": AccountWorld(events=("hang",), is_exact=False),
    "the server forgets": AccountWorld(events=("forget",), is_exact=False),
    "the server's clock jumps": AccountWorld(events=("jump",), is_exact=False),
    "everything": AccountWorld(
        hub=_everything,
        events=("join", "leave", "crash", "cut", "stop", "hang", "forget", "jump"),
        latest=120.0,
        is_exact=False,
    ),
}


class Complaints(logging.Handler):
    """Collects what the library reports of itself as a bug."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a bug's text."""
        text = record.getMessage()
        if "bug" in text or "failed:" in text:
            self.texts.append(text)


@attrs.define(eq=False)
class Seat:
    """One client and the watches of its process."""

    client: StatusClient
    member: str
    jobs: list[JobRef]
    watching: asyncio.Task[list[Outcome]]
    is_dead: bool = False


@attrs.define(eq=False)
class Play:
    """One world, played with one seed."""

    world: AccountWorld
    seed: int
    dice: Dice = attrs.field(init=False)
    hub: MemoryHub = attrs.field(init=False)
    simulator: Simulator = attrs.field(init=False)
    jobs: list[JobRef] = attrs.field(init=False)
    seats: list[Seat] = attrs.field(factory=list, init=False)
    _stack: contextlib.AsyncExitStack = attrs.field(factory=contextlib.AsyncExitStack, init=False)

    def __attrs_post_init__(self) -> None:
        self.dice = Dice(self.seed)
        self.hub = MemoryHub(seed=self.seed, **self.world.hub(self.dice))
        self.simulator = Simulator(seed=self.seed)
        self.jobs = self.simulator.add_jobs(
            [
                JobPlan(
                    kind=kind,
                    count=self.dice.randint(1, 5),
                    every=self.dice.uniform(0.0, 1.5),
                    duration={"lognormal": [20.0, 0.8]},
                    outcome=self.dice.choice([JobState.COMPLETED, JobState.FAILED]),
                )
                for kind in JobKind
            ]
        )

    async def run(self) -> Tally:
        """Play, and judge what every living member heard."""
        async with self._stack:
            for _ in range(self.dice.randint(2, 5)):
                await self.join()
            events = asyncio.create_task(self._events())
            tally = Tally()
            while living := [seat for seat in self.seats if not seat.is_dead and not seat.watching.done()]:
                await asyncio.wait([seat.watching for seat in living], timeout=10.0)
            events.cancel()
            self.hub.heal()
            self.hub.resume()
            self.hub.start()
            self.hub.loss = self.hub.mail_loss = self.hub.jitter = 0.0
            await asyncio.sleep(4.0 * LEASE)
            tally += self._judge()
            tally += self._tidy()
        return tally

    # -- what happens -------------------------------------------------------------------------------------------------

    async def _events(self) -> None:
        while self.world.events and now() < 200.0:
            await asyncio.sleep(self.dice.expovariate(1 / 8.0))
            await getattr(self, self.dice.choice(self.world.events))()

    async def join(self) -> None:
        """Let one more process watch some of the jobs."""
        if not self.hub.is_running or self.hub.is_paused or len(self.seats) > 12:
            return
        try:
            client = await self._stack.enter_async_context(self._client())
        except CoordinatorError:
            return  # the server stopped or hung meanwhile
        chosen = [job for job in self.jobs if self.dice.random() < 0.6]
        watching = asyncio.create_task(_outcomes(client, chosen))
        shared = client.stats().shared
        assert shared is not None
        self.seats.append(Seat(client, shared.member, chosen, watching))

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[StatusClient]:
        urls = {"topaz_url": MEMORY_URL, "pixelcut_url": MEMORY_URL}
        budget: dict[str, Any] = {"rate": RATE, "burst": BURST, "service_rates": {JobKind.TRY_ON: TRY_ON_RATE}}
        coordinator = MemoryCoordinator(self.hub, lease=LEASE)
        connector = MemoryConnector(self.simulator, latency=0.02)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            StatusClient(**options(**urls, session=session, coordinator=coordinator, **budget)) as client,
        ):
            yield client

    def _someone(self) -> Seat | None:
        living = [seat for seat in self.seats if not seat.is_dead]
        return self.dice.choice(living) if len(living) > 1 else None

    async def leave(self) -> None:
        """Let one process close its client."""
        if (seat := self._someone()) is not None:
            seat.is_dead = True
            await seat.client.aclose()

    async def crash(self) -> None:
        """Let one process die: nothing of it runs any more, and nobody hears of it."""
        if (seat := self._someone()) is not None:
            seat.is_dead = True
            seat.watching.cancel()
            engine = engine_of(seat.client)
            self.hub.kill(seat.member)
            engine.gate.close()
            assert engine.sharing is not None
            engine.sharing.abandon()

    async def cut(self) -> None:
        """Cut some members off for a while."""
        chosen = [seat.member for seat in self.seats if self.dice.random() < 0.4]
        self.hub.cut(*chosen)
        await asyncio.sleep(self.dice.uniform(0.1, 15.0))
        self.hub.heal()

    async def stop(self) -> None:
        """Stop the server for a while."""
        self.hub.stop()
        await asyncio.sleep(self.dice.uniform(0.1, 15.0))
        self.hub.start()

    async def hang(self) -> None:
        """Let the server hang for a while."""
        self.hub.pause()
        await asyncio.sleep(self.dice.uniform(0.1, 10.0))
        self.hub.resume()

    async def forget(self) -> None:
        """Let the server lose its data."""
        self.hub.forget()

    async def jump(self) -> None:
        """Set the server's clock."""
        self.hub.jump(self.dice.choice([-3600.0, -5.0, 5.0, 3600.0]))

    # -- what must hold -----------------------------------------------------------------------------------------------

    def _judge(self) -> Tally:
        tally = Tally()
        truths = {job: self.simulator.truth(job) for job in self.jobs}
        for seat in self.seats:
            if not seat.is_dead:
                watched = {job: Truth(state=str(truths[job].state), ends_at=truths[job].ends_unix) for job in seat.jobs}
                tally += judge(seat.watching.result(), watched, latest=self.world.latest, requests=0, over=0)
        return tally + Tally(over=self._over())

    def _over(self) -> int:
        """Count the requests beyond the budget of the account; members that go alone have a share each on top."""
        sends = [exchange.at for exchange in self.simulator.log]
        try_ons = [exchange.at for exchange in self.simulator.log if exchange.service == JobKind.TRY_ON]
        if self.world.is_exact:
            return beyond_budget(sends, RATE, BURST) + beyond_budget(try_ons, TRY_ON_RATE, TRY_ON_BURST)
        return beyond_budget(sends, 2.0 * RATE, 2.0 * BURST + len(self.seats))

    def _tidy(self) -> Tally:
        """Once all is over, one member leads, nobody is alone, and nobody holds anything for anybody."""
        living = [seat for seat in self.seats if not seat.is_dead]
        shared = [seat.client.stats().shared for seat in living]
        notes = []
        roles = sorted(one.role for one in shared if one is not None)
        if roles != sorted(["leader", *["follower"] * (len(living) - 1)]):
            notes.append(f"at the end the roles are {roles}")
        bad = sum(one.bad_mail for one in shared if one is not None)
        if bad:
            notes.append(f"{bad} messages could not be read")
        for seat in living:
            engine = engine_of(seat.client)
            assert engine.sharing is not None
            held = len(engine.sharing.desk), len(engine.registry)
            unconfirmed = sum(len(one.unconfirmed) for one in engine.sharing.desk.subscribers.values())
            if any(held) or unconfirmed:
                notes.append(f"{seat.member} still holds {held}, {unconfirmed} ends are unconfirmed")
        return Tally(wrong=len(notes), notes=tuple(notes))


async def _outcomes(client: StatusClient, jobs: list[JobRef]) -> list[Outcome]:
    return [outcome async for outcome in client.as_completed(jobs, timeout=600.0)]


def play(name: str, seed: int) -> Tally:
    """Play one world and judge it."""
    complaints, logger = Complaints(), logging.getLogger("topaz_status")
    logger.addHandler(complaints)
    try:
        tally = run_virtual(_checked(Play(WORLDS[name], seed)))
    finally:
        logger.removeHandler(complaints)
    return tally + Tally(wrong=len(complaints.texts), notes=tuple(complaints.texts))


async def _checked(world: Play) -> Tally:
    tally = await world.run()
    await asyncio.sleep(1.0)  # the simulator's ends of the connections
    await settle()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"
    return tally
