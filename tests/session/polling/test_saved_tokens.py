"""Before a rush, polls that are worth little leave the last tokens in the bucket; nobody waits long for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from harness import client_of, engine_of, now, virtual

from topaz_status import JobKind, JobRef, Outcome
from topaz_status.core.budget.budget import LocalBudget
from topaz_status.session.polling.feed import Feed
from topaz_status.session.polling.gate import Gate
from topaz_status.testing import JobPlan, Simulator

BUDGET: Final = {"rate": 10.0, "burst": 10.0}


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Note when gates check what may be sent."""
    checks: list[float] = []
    grant_all = Gate._grant_all

    def noted(gate: Gate) -> None:
        checks.append(gate.clock.now())
        grant_all(gate)

    with monkeypatch.context() as patch:
        patch.setattr(Gate, "_grant_all", noted)
        yield checks


async def watch_all(plans: list[JobPlan]) -> tuple[int, list[tuple[float, int]]]:
    """Watch jobs from their submission to their ends.

    Count the requests, and return the tokens and due polls that there were every 50 ms.
    """
    simulator, seen = Simulator(seed=1, delay=0.1), list[tuple[float, int]]()
    refs = simulator.add_jobs(plans)
    async with client_of(simulator, **BUDGET) as client:

        async def watch(ref: JobRef, after: float) -> Outcome:
            await asyncio.sleep(after)
            return await client.watch(ref).outcome()

        watches = asyncio.gather(*(watch(ref, plan.after) for ref, plan in zip(refs, plans, strict=True)))
        while not watches.done():
            seen.append((client.stats().tokens, engine_of(client).schedule.due_now(now())))
            await asyncio.sleep(0.05)
        assert all(outcome.state is not None for outcome in await watches)
        return client.stats().total_requests, seen


def try_ons(count: int, lasts: float) -> list[JobPlan]:
    return [JobPlan(kind=JobKind.TRY_ON, duration=lasts + number % 5) for number in range(count)]


@virtual
async def test_tokens_are_saved_while_much_is_due_and_little_of_it_is_urgent() -> None:
    """Fifty try-ons at once: polls are due within seconds, and while none has ended, some tokens remain."""
    _, seen = await watch_all(try_ons(50, 10.0))
    held = [tokens for tokens, due in seen if due > tokens >= 2.0]
    assert held
    assert min(tokens for tokens, _ in seen) < 1.0  # but they are spent when it counts


@virtual
async def test_a_gate_that_saves_tokens_sleeps_meanwhile() -> None:
    """It checks about once for each request, not all the time, also where idle tokens go to first polls meanwhile."""
    plans = [*try_ons(50, 10.0), *(JobPlan(kind=JobKind.VIDEO, duration=5.0, after=7.0 + at / 4) for at in range(20))]
    with pytest.MonkeyPatch.context() as patch, counting(patch) as checks:
        patch.setattr(LocalBudget, "idle_at", lambda budget, kind, _now: budget.ready_at(kind))
        requests, _ = await watch_all(plans)
    assert len(checks) < 1.2 * requests


@virtual
async def test_a_notice_is_answered_with_a_saved_token() -> None:
    """A webhook's poll goes at once, though a hundred polls are due and wait."""
    simulator = Simulator(seed=1, delay=0.1)
    refs = simulator.add_jobs([JobPlan(kind=JobKind.TRY_ON, duration=7.5), *try_ons(100, 1_000.0)])
    async with client_of(simulator, **BUDGET) as client:
        watches = [client.watch(ref) for ref in refs]
        await asyncio.sleep(8.0)
        client.notify(refs[0])
        began_at = now()
        await watches[0].outcome()
        assert now() - began_at <= 0.11


@virtual
async def test_no_token_is_left_where_the_budget_always_spares_one() -> None:
    """So it is the budget's answer that the feed asks for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Feed, "_spared_at", lambda _feed, now, _kinds: now)
        _, seen = await watch_all(try_ons(50, 10.0))
    assert not [tokens for tokens, due in seen if due > tokens >= 2.0]
