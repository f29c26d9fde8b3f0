"""When a service is down, when it is probed, and when a wait for it has been long enough: from literal times."""

from __future__ import annotations

import math

from topaz_status.core.health.circuit_breaker import FAILURES_TO_OPEN, LONGEST_SILENCE, CircuitBreaker
from topaz_status.core.schedule.entry import JobPoll
from topaz_status.models import JobKind, JobRef

ONE, OTHER, THIRD = (JobPoll(JobRef(JobKind.VIDEO, name)) for name in "abc")


def fail(
    circuit: CircuitBreaker, at: float, poll: JobPoll = ONE, *, took: float = 0.0, ready_at: float = -math.inf
) -> bool:
    """Fail a poll that is sent at ``at``."""
    circuit.sent(poll, at, ready_at)
    return circuit.failed(poll, sent_at=at, now=at + took)


def found_down(patience: float = 600.0, poll: JobPoll = OTHER) -> CircuitBreaker:
    """Make a breaker that polls since 0 s opened at 4 s."""
    circuit = CircuitBreaker(patience)
    found = [fail(circuit, float(at), poll if at % 2 else ONE) for at in range(FAILURES_TO_OPEN)]
    assert found == [False] * (FAILURES_TO_OPEN - 1) + [True]
    return circuit


def test_it_takes_several_failures_over_some_time() -> None:
    """Five failures at once prove little, and so do four over an hour."""
    volley = CircuitBreaker(600.0)
    assert not any(fail(volley, 0.01 * n) for n in range(50))
    assert fail(volley, 2.0)
    slow = CircuitBreaker(600.0)
    assert not any(fail(slow, 1000.0 * n) for n in range(4))
    assert slow.down_since is None


def test_any_sign_of_life_starts_the_count_anew() -> None:
    """Usable answers, and 429s as well, show that the service is up."""
    for sign in ("used", "limited"):
        circuit = CircuitBreaker(600.0)
        for at in range(4):
            fail(circuit, float(at))
        if sign == "used":
            circuit.used(3.5)
        else:
            circuit.limited(ONE, sent_at=3.4, now=3.5)
        assert not any(fail(circuit, float(at)) for at in range(4, 8))
        assert fail(circuit, 8.0)


def test_a_poll_sent_before_the_last_sign_of_life_proves_nothing() -> None:
    """Polls that hang although the service is back already say nothing of the present."""
    circuit = CircuitBreaker(600.0)
    circuit.used(29.0)
    assert not any(circuit.failed(ONE, sent_at=0.1 * n, now=30.0 + n) for n in range(50))


def test_one_probe_at_a_time() -> None:
    """While the service is down, one probe goes at a time, none before its time, and failed probes are counted."""
    circuit = found_down()
    circuit.probe_at(5.0)
    assert circuit.allows_at == 5.0
    circuit.sent(ONE, 5.0, -math.inf)
    assert circuit.allows_at == math.inf
    circuit.failed(OTHER, sent_at=3.0, now=5.5)
    assert circuit.allows_at == math.inf, "another poll than the probe came back"
    assert circuit.probes == 0
    circuit.failed(ONE, sent_at=5.0, now=6.0)
    circuit.probe_at(8.0)
    assert (circuit.allows_at, circuit.probes) == (8.0, 1)
    circuit.hurry()
    assert circuit.allows_at == -math.inf


def test_a_probe_that_was_canceled_is_none() -> None:
    """The next probe may go at once."""
    circuit = found_down()
    circuit.probe_at(5.0)
    circuit.sent(ONE, 5.0, -math.inf)
    circuit.unsent(ONE)
    assert circuit.allows_at == 5.0


def test_a_job_that_alone_fails_holds_nobody_up() -> None:
    """Its own pauses are enough, and other polls are not blocked because of it."""
    circuit = found_down(poll=ONE)
    assert circuit.down_since == 0.0
    circuit.probe_at(20.0)
    assert circuit.allows_at == -math.inf
    fail(circuit, 6.0, OTHER)
    assert circuit.allows_at == 20.0


def test_it_is_back_with_the_first_answer() -> None:
    """The first answer resets all counts, and gives the length of the outage."""
    circuit = found_down()
    assert circuit.used(30.0) == 30.0
    assert (circuit.allows_at, circuit.down_since, circuit.gives_up_before) == (-math.inf, None, -math.inf)
    assert circuit.used(31.0) is None


def test_who_waited_through_enough_trouble_is_hopeless() -> None:
    """A poll that was due for all of ``patience``, while all polls failed, would have failed as well."""
    circuit = found_down(patience=100.0)
    for at in range(14, 95, 10):
        fail(circuit, float(at), (ONE, OTHER, THIRD)[at % 3])
        assert circuit.gives_up_before == -math.inf
    fail(circuit, 104.0, THIRD)
    assert circuit.gives_up_before == 4.0
    fail(circuit, 124.0)
    assert circuit.gives_up_before == 24.0
    assert circuit.trouble_since(24.0) == 100.0
    assert circuit.trouble_since(54.5) == 69.5


def test_trouble_that_passes_while_a_poll_hangs_has_passed() -> None:
    """The time that counts is when the last failing poll was sent, not when it was given up."""
    circuit = found_down(patience=100.0)
    for at in range(14, 95, 10):
        fail(circuit, float(at))
    fail(circuit, 99.0, took=30.0)
    assert circuit.gives_up_before == -math.inf
    fail(circuit, 130.0)
    assert circuit.gives_up_before == 30.0


def test_time_without_a_token_is_not_trouble() -> None:
    """Under a hold, or a starved budget, the service had no chance to answer."""
    circuit = found_down(patience=100.0)
    for at in range(304, 3005, 300):
        fail(circuit, float(at), ready_at=at - 1.0)
    assert circuit.trouble_since(4.0) == 10.0


def test_a_silence_that_nothing_explains_counts_for_little() -> None:
    """A computer that slept for hours has not polled for hours."""
    circuit = found_down(patience=100.0)
    fail(circuit, 30_000.0)
    assert circuit.trouble_since(4.0) == LONGEST_SILENCE
    assert circuit.gives_up_before == -math.inf


def test_one_jobs_trouble_makes_nobody_else_hopeless() -> None:
    """Only failures of more than one job or page are the service's."""
    circuit = found_down(patience=100.0, poll=ONE)
    for at in range(5, 500, 5):
        fail(circuit, float(at))
    assert circuit.gives_up_before == -math.inf
    assert circuit.trouble_since(4.0) == 0.0


def test_the_memory_of_an_outage_is_bounded() -> None:
    """A long outage is recorded as about a hundred times, however many probes failed."""
    circuit = found_down(patience=1000.0)
    for at in range(10, 100_000, 5):
        fail(circuit, float(at))
    assert len(circuit._marks) < 110
    assert 98_900.0 < circuit.gives_up_before <= 99_000.0
