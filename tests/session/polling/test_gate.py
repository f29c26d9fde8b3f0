"""A slot, then a token: who may send, in what order, and what a cancellation leaves behind."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Collection

import pytest

from topaz_status import ClientClosedError
from topaz_status.core.budget.budget import LocalBudget
from topaz_status.models.job import JobKind
from topaz_status.session.polling.gate import Gate
from topaz_status.session.timing.clock import Clock
from topaz_status.testing import run_virtual

IMAGE, VIDEO, TRY_ON = JobKind.IMAGE, JobKind.VIDEO, JobKind.TRY_ON


class Polls:
    """Polls that are due from given times on; each takes ``took`` seconds."""

    kinds: Collection[JobKind] = (IMAGE,)

    def __init__(self, gate: Gate, due: list[float], took: float = 0.1) -> None:
        self.gate, self.due, self.took, self.sent = gate, deque(due), took, list[float]()

    def next_at(self, now: float, kind: JobKind) -> float:
        return self.due[0] if self.due and kind is IMAGE else math.inf

    def send_picked(self) -> None:
        """They are on the wire already."""

    def pick(self, now: float, kinds: Collection[JobKind]) -> JobKind | None:
        if IMAGE not in kinds or self.next_at(now, IMAGE) > now:
            return None
        self.due.popleft()
        self.sent.append(now)
        self.gate.clock.loop.call_later(self.took, self.gate.release, IMAGE)
        return IMAGE


def new_gate(*, rate: float = 10.0, burst: float = 1.0, slots: int = 4, **rates: float | None) -> Gate:
    budget = LocalBudget(rate, burst, {JobKind(name.replace("_", "-")): value for name, value in rates.items()})
    return Gate(Clock.of(asyncio.get_running_loop()), budget, slots)


async def call(gate: Gate, kind: JobKind, log: list[tuple[float, str]], name: str, took: float = 0.0) -> None:
    async with gate.admit(kind):
        log.append((round(gate.clock.now(), 6), name))
        await asyncio.sleep(took)


def test_calls_of_a_kind_go_in_the_order_of_their_coming() -> None:
    """First come, first served, at the rate of the bucket."""

    async def main() -> list[tuple[float, str]]:
        gate, log = new_gate(), list[tuple[float, str]]()
        await asyncio.gather(*(call(gate, IMAGE, log, str(n)) for n in range(5)))
        return log

    assert run_virtual(main()) == [(0.0, "0"), (0.1, "1"), (0.2, "2"), (0.3, "3"), (0.4, "4")]


def test_no_more_than_the_slots_are_in_flight() -> None:
    """However many tokens there are, slots bound the requests on the wire."""

    async def main() -> tuple[int, list[tuple[float, str]]]:
        gate, log = new_gate(rate=1000.0, burst=100.0, slots=2), list[tuple[float, str]]()
        await asyncio.gather(*(call(gate, IMAGE, log, str(n), took=1.0) for n in range(6)))
        assert gate.in_flight == 0
        return gate.peak_in_flight, log

    peak, log = run_virtual(main())
    assert peak == 2
    assert [at for at, _ in log] == [0, 0, 1, 1, 2, 2]


def test_a_kind_that_has_to_wait_does_not_hold_up_the_others() -> None:
    """A try-on behind its ceiling lets an image pass that came later."""

    async def main() -> list[tuple[float, str]]:
        gate, log = new_gate(rate=100.0, burst=10.0, try_on=1.0), list[tuple[float, str]]()
        await asyncio.gather(call(gate, TRY_ON, log, "t1"), call(gate, TRY_ON, log, "t2"), call(gate, IMAGE, log, "i"))
        return log

    assert run_virtual(main()) == [(0.0, "t1"), (0.0, "i"), (1.0, "t2")]


def test_direct_calls_go_before_polls_but_take_every_second_token_at_most() -> None:
    """A crowd of callers does not stop the watching."""

    async def main() -> tuple[list[tuple[float, str]], list[float]]:
        gate, log = new_gate(), list[tuple[float, str]]()
        polls = Polls(gate, [0.0] * 5)
        gate.serve(polls)
        await asyncio.gather(*(call(gate, IMAGE, log, str(n)) for n in range(5)))
        return log, [round(at, 6) for at in polls.sent]

    log, polled = run_virtual(main())
    assert [at for at, _ in log] == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert polled == [0.1, 0.3, 0.5, 0.7]


def test_polls_are_sent_when_they_are_due_and_a_token_is_there() -> None:
    """One timer, for whichever is later."""

    async def main() -> list[float]:
        gate = new_gate(rate=10.0)
        polls = Polls(gate, [1.0, 1.0, 5.0])
        gate.serve(polls)
        gate.wake()
        await asyncio.sleep(10)
        return [round(at, 6) for at in polls.sent]

    assert run_virtual(main()) == [1.0, 1.1, 5.0]


def test_a_hold_stops_its_kind_and_ends_by_itself() -> None:
    """After a Retry-After the waiting go on, one by one."""

    async def main() -> list[tuple[float, str]]:
        gate, log = new_gate(burst=10.0), list[tuple[float, str]]()
        gate.budget.hold(IMAGE, 0.0, 30.0)
        await asyncio.gather(call(gate, IMAGE, log, "i1"), call(gate, IMAGE, log, "i2"), call(gate, VIDEO, log, "v"))
        return log

    assert run_virtual(main()) == [(0.0, "v"), (30.0, "i1"), (30.1, "i2")]


def test_a_canceled_waiter_leaves_its_turn_to_the_next() -> None:
    """A waiter that gives up costs neither token nor slot."""

    async def main() -> tuple[list[tuple[float, str]], float]:
        gate, log = new_gate(), list[tuple[float, str]]()
        tasks = [asyncio.create_task(call(gate, IMAGE, log, str(n))) for n in range(4)]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return log, gate.in_flight

    assert run_virtual(main()) == ([(0.0, "0"), (0.1, "2"), (0.2, "3")], 0)


def test_one_canceled_at_the_moment_of_its_turn_gives_slot_and_token_back() -> None:
    """Granted but never used is as good as never granted."""

    async def main() -> tuple[list[tuple[float, str]], float]:
        gate, log = new_gate(slots=1), list[tuple[float, str]]()
        first = asyncio.create_task(call(gate, IMAGE, log, "first"))
        second = asyncio.create_task(call(gate, IMAGE, log, "second"))
        await asyncio.sleep(0)  # both wait in line
        gate.clock.loop.call_soon(first.cancel)  # comes right after the step that grants the turn
        assert gate.in_flight == 0
        await asyncio.gather(first, second, return_exceptions=True)
        return log, gate.in_flight

    assert run_virtual(main()) == ([(0.0, "second")], 0)


def test_ten_thousand_waiters_canceled_in_any_order_are_gone_at_once() -> None:
    """The line is never searched."""

    async def main() -> int:
        gate, log = new_gate(rate=0.001), list[tuple[float, str]]()
        tasks = [asyncio.create_task(call(gate, IMAGE, log, str(n))) for n in range(10_000)]
        await asyncio.sleep(1)
        for task in tasks[::2] + tasks[1::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.in_flight == 0
        assert not gate._first(list(JobKind))
        assert gate._in_line == 0
        return len(log)

    assert run_virtual(main()) == 1


def test_closing_turns_away_those_who_wait() -> None:
    """Nobody waits for a gate that will never open again."""

    async def main() -> None:
        gate = new_gate(rate=0.001)
        log: list[tuple[float, str]] = []
        tasks = [asyncio.create_task(call(gate, IMAGE, log, str(n))) for n in range(3)]
        await asyncio.sleep(0.1)
        gate.close()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in errors] == [type(None), ClientClosedError, ClientClosedError]
        with pytest.raises(ClientClosedError):
            await call(gate, IMAGE, log, "late")

    run_virtual(main())


def test_polls_that_were_refused_a_free_slot_are_asked_again() -> None:
    """When a slot of any kind is given back, those that the reserved slots made wait hear of it."""

    class Shy(Polls):
        """Leaves the last but one slot to others."""

        def next_at(self, now: float, kind: JobKind) -> float:
            if self.gate.in_flight >= self.gate.slots - 2:
                self.gate.crowded = True
                return math.inf
            return super().next_at(now, kind)

    async def main() -> list[float]:
        gate, log = new_gate(rate=1000.0, burst=100.0), list[tuple[float, str]]()
        calls = [asyncio.create_task(call(gate, VIDEO, log, str(n), took=n + 1.0)) for n in range(2)]
        await asyncio.sleep(0.0)
        gate.serve(polls := Shy(gate, [0.5]))
        gate.wake()
        await asyncio.gather(*calls)
        gate.close()
        return polls.sent

    assert run_virtual(main()) == [1.0]


@pytest.mark.parametrize(("slots", "held"), [(1, 1), (2, 1), (4, 3), (8, 6), (32, 24)])
def test_long_calls_leave_slots_to_polls(slots: int, held: int) -> None:
    """However many direct calls there are and however long they last, a quarter of the slots is for polls alone."""

    async def main() -> tuple[int, list[float]]:
        gate, log = new_gate(rate=1000.0, burst=100.0, slots=slots), list[tuple[float, str]]()
        polls = Polls(gate, [5.0, 6.0])
        gate.serve(polls)
        calls = [asyncio.create_task(call(gate, IMAGE, log, str(n), took=30.0)) for n in range(40)]
        await asyncio.sleep(20)
        assert len(log) == gate.peak_in_flight - (slots > 1)
        for waiting in calls:
            waiting.cancel()
        await asyncio.wait(calls)
        return len(log), polls.sent

    granted, sent = run_virtual(main())
    assert granted == held
    assert slots == 1 or sent == pytest.approx([5.0, 6.0], abs=0.01)


def test_calls_held_back_go_when_a_call_of_any_kind_is_over() -> None:
    """The slot that one call gives back goes to the next, of whatever kind, at once; meanwhile no timer spins."""

    async def main() -> list[tuple[float, str]]:
        gate, log = new_gate(rate=1000.0, burst=100.0, slots=2), list[tuple[float, str]]()
        gate.serve(Polls(gate, []))
        kinds = {"a": IMAGE, "b": VIDEO, "c": TRY_ON, "d": IMAGE}
        calls = [asyncio.create_task(call(gate, kind, log, name, took=1.0)) for name, kind in kinds.items()]
        await asyncio.sleep(0.5)
        assert gate._timer is None
        await asyncio.gather(*calls)
        assert gate.in_flight == 0
        return log

    assert run_virtual(main()) == [(0.0, "a"), (1.0, "b"), (2.0, "c"), (3.0, "d")]
