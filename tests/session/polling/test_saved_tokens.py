"""Before a rush, polls that are worth little leave the last tokens in the bucket; nobody waits long for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from topaz_status import JobKind, StatusClient
from topaz_status.core.budget.budget import LocalBudget
from topaz_status.session.polling.feed import Feed
from topaz_status.session.polling.gate import Gate
from topaz_status.testing import JobPlan, Simulator, run_virtual


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
    """Watch jobs to their ends; count the requests, and return the tokens and due polls that there were every 50 ms."""
    simulator = Simulator(seed=1, delay=0.1)
    simulator.clock.follow_running_loop()
    refs = simulator.add_jobs(plans)
    seen = list[tuple[float, int]]()
    async with (
        simulator.session() as session,
        StatusClient(
            topaz_url=simulator.base_url,
            pixelcut_url=simulator.base_url,
            topaz_api_key="sim",
            pixelcut_api_key="sim",
            rate=10.0,
            service_rates={JobKind.TRY_ON: None},
            session=session,
        ) as client,
    ):
        watches = asyncio.gather(*(client.watch(ref).outcome() for ref in refs))
        engine = client._engine
        assert engine is not None
        while not watches.done():
            now = engine.clock.now()
            seen.append((client.stats().tokens, engine.schedule.due_now(now)))
            await asyncio.sleep(0.05)
        assert all(outcome.state is not None for outcome in await watches)
        return client.stats().total_requests, seen


def try_ons(count: int, lasts: float) -> list[JobPlan]:
    return [JobPlan(kind=JobKind.TRY_ON, duration=lasts + number % 5) for number in range(count)]


def test_tokens_are_saved_while_much_is_due_and_little_of_it_is_urgent() -> None:
    """Fifty try-ons at once: polls are due within seconds, and while none has ended, some tokens remain."""
    _, seen = run_virtual(watch_all(try_ons(50, 10.0)))
    held = [tokens for tokens, due in seen if due > tokens >= 2.0]
    assert held
    assert min(tokens for tokens, _ in seen) < 1.0  # but they are spent when it counts


def test_a_gate_that_saves_tokens_sleeps_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """It checks about once for each request, not all the time, also where idle tokens go to first polls meanwhile."""
    monkeypatch.setattr(LocalBudget, "idle_at", lambda budget, kind, _now: budget.ready_at(kind))
    plans = [*try_ons(50, 10.0), *(JobPlan(kind=JobKind.VIDEO, duration=5.0, after=3.0 + at) for at in range(5))]
    with counting(monkeypatch) as checks:
        requests, _ = run_virtual(watch_all(plans))
    assert len(checks) < 1.5 * requests


def test_a_notice_is_answered_with_a_saved_token() -> None:
    """A webhook's poll goes at once, though a hundred polls are due and wait."""

    async def main() -> float:
        simulator = Simulator(seed=1, delay=0.1)
        simulator.clock.follow_running_loop()
        refs = simulator.add_jobs([JobPlan(kind=JobKind.TRY_ON, duration=7.5), *try_ons(100, 1_000.0)])
        async with (
            simulator.session() as session,
            StatusClient(
                pixelcut_url=simulator.base_url,
                pixelcut_api_key="sim",
                rate=10.0,
                service_rates={JobKind.TRY_ON: None},
                session=session,
            ) as client,
        ):
            watches = [client.watch(ref) for ref in refs]
            loop = asyncio.get_running_loop()
            await asyncio.sleep(8.0)
            client.notify(refs[0])
            began_at = loop.time()
            await watches[0].outcome()
            return loop.time() - began_at

    assert run_virtual(main()) <= 0.11


def test_no_token_is_left_where_the_budget_always_spares_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is the budget's answer that the feed asks for."""
    monkeypatch.setattr(Feed, "_spared_at", lambda _feed, now, _kinds: now)
    _, seen = run_virtual(watch_all(try_ons(50, 10.0)))
    assert not [tokens for tokens, due in seen if due > tokens >= 2.0]
