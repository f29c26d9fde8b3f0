"""Small worlds in virtual time in which one thing, or everything, goes wrong; each is judged by the same promises."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from harness import client_of, settle
from invariants import Tally, Truth, beyond_budget, judge

from topaz_status import JobKind, JobRef, JobState
from topaz_status.testing import JobPlan, Simulator, run_virtual

RATE: Final = 10.0
BURST: Final = 5.0
TRY_ON_RATE: Final = 5.0
TIMEOUT: Final = 7200.0
HEAVY: Final = frozenset({"huge", "gzip_bomb"})
"""Megabytes for each answer: worlds that take their time."""

Dice = random.Random


@attrs.frozen(kw_only=True)
class World:
    """What goes wrong: ``faults`` are drawn with dice, ``server`` and ``plan`` are settings of all that is normal."""

    faults: Callable[[Dice], list[tuple[str, dict[str, Any]]]] = lambda _: []
    server: Callable[[Dice], dict[str, Any]] = lambda _: {}
    plan: Callable[[Dice], dict[str, Any]] = lambda _: {}
    limit: Callable[[Dice], dict[str, Any]] | None = None
    """The limit of all requests, in the words of :meth:`Simulator.limit`."""
    foreign: bool = False
    """Other people's jobs come in all the time, and move everybody's place in the lists."""
    copies: int = 2
    """Jobs of each kind."""
    latest: float = 300.0
    """Seconds after a job's end at which its outcome is there, outages of minutes included."""


def share(dice: Dice) -> float:
    """1 to 30 % of requests."""
    return dice.uniform(0.01, 0.30)


def now_and_then(name: str, **fields: Any) -> World:
    """One fault, at 1 to 30 % of requests."""
    return World(faults=lambda dice: [(name, {"probability": share(dice), **fields})])


def outages(name: str, shortest: float, longest: float, **fields: Any) -> World:
    """Nothing but this fault for a while, again and again; at times of all services, at times of one."""

    def draw(dice: Dice) -> list[tuple[str, dict[str, Any]]]:
        faults, at = [], dice.uniform(0.0, 10.0)
        for _ in range(4):
            until = at + dice.uniform(shortest, longest)
            service = dice.choice([None, *JobKind])
            faults.append((name, {"since": at, "until": until, "service": service, **fields}))
            at = until + dice.uniform(60.0, 120.0)
        return faults

    return World(faults=draw, latest=600.0)


SINGLE: Final[Mapping[str, dict[str, Any]]] = {
    "reset": {}, "reset_body": {}, "truncated": {}, "slow": {"seconds": 60.0}, "hang": {}, "short_length": {},
    "long_length": {}, "double_length": {}, "malformed": {}, "empty": {}, "html": {}, "text": {},
    "not_utf8": {},
    "huge": {"size": 4_300_000}, "gzip_bomb": {"size": 8_000_000}, "deep": {}, "wrong_types": {}, "nan": {},
    "huge_numbers": {}, "unknown_word": {}, "null_status": {}, "empty_status": {}, "missing_status": {}, "other_id": {},
    "stale": {}, "redirect": {}, "delay": {"seconds": 5.0}, "no_cursor": {}, "same_cursor": {}, "empty_page": {},
    "endless": {}, "408": {}, "425": {}, "500": {}, "503": {}, "304": {}, "429": {},
}  # fmt: skip
ORDERS: Final = ("newest", "oldest", "uuid", "random")
HINTS: Final = ("auto", "date", "0", "-5", "soon", "2", "45", "1e300", "Wed, 99 Foo 20261 00:00:00 GMT", None)
"""Every kind of ``Retry-After``."""


def everything(dice: Dice) -> list[tuple[str, dict[str, Any]]]:
    """All faults at once, together at 1 to 30 % of requests."""
    each = share(dice) / len(SINGLE)
    return [(name, {"probability": each, **fields}) for name, fields in SINGLE.items()]


def _storm(dice: Dice) -> list[tuple[str, dict[str, Any]]]:
    hint = dice.choice([hint for hint in HINTS if hint not in {"auto", "date"}])
    return [(dice.choice(["429", "503"]), {"probability": share(dice), "retry_after": hint})]


WORLDS: Final[Mapping[str, World]] = {
    **{name: now_and_then(name, **fields) for name, fields in SINGLE.items()},
    "all at once": World(faults=everything),
    "retry-after": World(faults=_storm, latest=2000.0),
    "429 storm": World(
        latest=2000.0,
        server=lambda dice: {
            "rate": dice.uniform(1.0, 5.0), "burst": dice.choice([1.0, 5.0]), "retry_after": dice.choice(HINTS)
        }
    ),
    "404 lag": World(plan=lambda dice: {"visible_after": dice.uniform(0.0, 8.0)}),
    **{
        f"gateway's {code}, {name}": now_and_then(name, status=code)
        for code in (400, 401, 403, 404)
        for name in ("html", "text", "empty")
    },
    "outages of seconds, gateway's 404": outages("text", 1.0, 20.0, status=404),
    "outages of minutes, gateway's 403": outages("html", 60.0, 240.0, status=403),
    "clocks apart": World(server=lambda dice: {"clock_skew": dice.uniform(-20_000.0, 20_000.0)}),
    "progress backwards": World(plan=lambda _: {"progress": "backwards"}),
    "pages that shift": World(
        plan=lambda dice: {"listed": dice.random() < 0.8},
        server=lambda dice: {"order": dice.choice(ORDERS), "history_order": dice.choice(ORDERS), "history_page": 3},
        faults=lambda dice: [(dice.choice(["no_cursor", "same_cursor", "endless"]), {"probability": share(dice)})],
        foreign=True,
        copies=6,
    ),
    "any order, limits in windows, outages": World(
        plan=lambda dice: {"listed": dice.random() < 0.8},
        server=lambda dice: {"order": dice.choice(ORDERS), "history_order": dice.choice(ORDERS), "history_page": 3},
        faults=lambda dice: outages(dice.choice(["503", "reset", "empty_page"]), 1.0, 20.0).faults(dice),
        limit=lambda dice: {
            "rate": dice.uniform(2.0, 8.0), "window": dice.choice([1.0, 5.0, 20.0]), "sliding": dice.random() < 0.5
        },
        foreign=True,
        copies=6,
        latest=600.0,
    ),
    "outages of seconds, 503": outages("503", 1.0, 20.0),
    "outages of seconds, resets": outages("reset", 1.0, 20.0),
    "outages of minutes, 503": outages("503", 60.0, 240.0),
    "outages of minutes, hangs": outages("hang", 60.0, 240.0),
    "outages of minutes, gateway": outages("html", 60.0, 240.0),
}  # fmt: skip


class _Bugs(logging.Handler):
    """Collects what the library reports of itself as a bug."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def play(name: str, seed: int) -> Tally:
    """Play one world and judge it."""
    bugs = _Bugs()
    logger = logging.getLogger("topaz_status")
    logger.addHandler(bugs)
    try:
        tally = run_virtual(_play(WORLDS[name], seed))
    finally:
        logger.removeHandler(bugs)
    return tally + Tally(wrong=len(bugs.texts), notes=tuple(bugs.texts))


def _plans(world: World, dice: Dice) -> list[JobPlan]:
    ends = {
        JobKind.IMAGE: [JobState.COMPLETED, JobState.FAILED, JobState.CANCELED],
        JobKind.VIDEO: [JobState.COMPLETED, JobState.FAILED, JobState.CANCELED],
        JobKind.TRY_ON: [JobState.COMPLETED, JobState.FAILED, JobState.EXPIRED, JobState.CANCELED],
    }
    others = [
        JobPlan(kind=kind, count=40, every=dice.uniform(0.2, 2.0), duration=20.0, foreign=True)
        for kind in (JobKind.IMAGE, JobKind.VIDEO)
        if world.foreign
    ]
    return others + [
        JobPlan(
            kind=kind,
            count=world.copies,
            duration={"lognormal": [12.0, 0.8]},
            outcome=dice.choice([JobState.COMPLETED, *ends[kind]]),
            **world.plan(dice),
        )
        for kind in JobKind
    ]


async def _play(world: World, seed: int) -> Tally:
    dice = random.Random(seed)
    simulator = Simulator(seed=seed, **world.server(dice))
    if world.limit is not None:
        simulator.limit(**world.limit(dice))
    jobs = simulator.add_jobs(_plans(world, dice))
    for name, fields in world.faults(dice):
        simulator.add_fault(name, **fields)
    budget: dict[str, Any] = {"rate": RATE, "burst": BURST, "service_rates": {JobKind.TRY_ON: TRY_ON_RATE}}
    async with client_of(simulator, max_in_flight=8, request_timeout=10.0, **budget) as client:
        outcomes = [outcome async for outcome in client.as_completed(jobs, timeout=TIMEOUT)]
        assert sum(client.stats().watches.values()) == 0
    await settle()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"
    return judge(
        outcomes, _truths(simulator, jobs), latest=world.latest, requests=_struck(simulator), over=_over(simulator)
    )


def _truths(simulator: Simulator, jobs: list[JobRef]) -> dict[JobRef, Truth]:
    known = ((job, simulator.truth(job)) for job in jobs)
    return {job: Truth(state=str(true.state), ends_at=true.ends_unix) for job, true in known}


def _struck(simulator: Simulator) -> int:
    return sum(simulator.stats().faults.values()) + simulator.stats().rate_limited


def _over(simulator: Simulator) -> int:
    log = simulator.log
    try_ons = [exchange.at for exchange in log if exchange.service == JobKind.TRY_ON]
    return beyond_budget([exchange.at for exchange in log], RATE, BURST) + beyond_budget(try_ons, TRY_ON_RATE, 1.0)
