"""How simulated jobs live."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import pytest

from topaz_status import JobKind, JobRef, JobState
from topaz_status.testing import Durations, JobPlan
from topaz_status.testing.simulator.job_life import CANCELING_TIME, Life, lay_down


def born(kind: str = "image", at: float = 0.0, **fields: Any) -> Life:
    plan = JobPlan(kind=JobKind(kind), **fields)
    return lay_down(plan, JobRef(plan.kind, "some-id"), at, 0, random.Random(1))


def test_durations_follow_their_laws() -> None:
    """Each law has the median or mean that it promises, within its bounds."""
    dice = random.Random(1)
    many = [Durations.lognormal(30.0, 0.6).draw(dice) for _ in range(4000)]
    assert statistics.median(many) == pytest.approx(30.0, rel=0.05)
    assert statistics.mean(Durations.exponential(8.0).draw(dice) for _ in range(4000)) == pytest.approx(8.0, rel=0.1)
    assert Durations.constant(3.0).draw(dice) == 3.0
    assert [Durations.explicit([1.0, 2.0]).draw(dice, index) for index in range(3)] == [1.0, 2.0, 1.0]
    assert all(8 <= Durations.lognormal(22.0, 2.0, low=8.0, high=90.0).draw(dice) <= 90 for _ in range(200))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (5, Durations.constant(5)),
        ([1, 2], Durations.explicit([1, 2])),
        ({"lognormal": [30, 0.5]}, Durations.lognormal(30, 0.5)),
        ({"exponential": 4, "high": 9}, Durations.exponential(4, high=9.0)),
    ],
)
def test_durations_have_a_json_form(said: Any, meant: Durations) -> None:
    """A number, a list and a mapping are laws of durations too."""
    assert Durations.of(said) == meant


@pytest.mark.parametrize("said", [-1, {"weibull": 3}, {}, [], {"lognormal": 3, "exponential": 2}])
def test_useless_durations_are_refused(said: Any) -> None:
    """Negative seconds and unknown laws are a ValueError."""
    with pytest.raises(ValueError, match=r"seconds|unknown law|at least one"):
        Durations.of(said)


def test_a_job_queues_works_and_ends() -> None:
    """The state goes from queued to running to its outcome, at the planned times exactly."""
    life = born(at=100.0, queue=10.0, duration=20.0, outcome="failed")
    assert [life.state(t) for t in (100.0, 109.9, 110.0, 129.9, 130.0, 1e9)] == [
        JobState.QUEUED, JobState.QUEUED, JobState.RUNNING, JobState.RUNNING, JobState.FAILED, JobState.FAILED,
    ]  # fmt: skip


def test_linear_progress_rises_to_a_hundred_at_the_end_only() -> None:
    """Progress grows steadily, stays below 100 while running, and is 100 when completed."""
    life = born(duration=100.0)
    shown = [life.percent(float(t)) for t in range(101)]
    assert shown == sorted(shown)
    assert shown[50] == pytest.approx(50.0)
    assert shown[99] < 100.0 == shown[100]


@pytest.mark.parametrize(
    ("law", "early", "late"), [("stall", (20.0, 49.5), (90.0, 99.0)), ("jump", (30.0, 0.0), (50.0, 100.0))]
)
def test_bad_progress_laws(law: str, early: tuple[float, float], late: tuple[float, float]) -> None:
    """A stalling job hurries to 99 and sits there; a jumping one shows 0, then 100 long before its end."""
    life = born(duration=100.0, progress=law)
    assert life.percent(early[0]) == pytest.approx(early[1])
    assert life.percent(late[0]) == late[1]
    assert not life.state(late[0]).is_terminal


def test_progress_can_go_backwards() -> None:
    """A job with the backwards law loses progress on its way."""
    life = born(duration=100.0, progress="backwards")
    assert life.percent(61.0) < life.percent(59.0)


@pytest.mark.parametrize(
    ("law", "left"),
    [("honest", 70.0), ("scaled", 21.0), ("zero", -1000.0), ("past", -3600.0), ("absurd", 3.15e11)],
)
def test_eta_laws(law: str, left: float) -> None:
    """Each law says what is left as it promises; the Unix time of the moment is 1000."""
    eta = born(duration=100.0, eta=law).eta(30.0, 1000.0)
    assert eta is not None
    assert eta - 1000.0 == pytest.approx(left)


def test_noisy_and_frozen_etas() -> None:
    """A noisy ETA is off by a share of what is left; a frozen one never changes."""
    noisy, frozen = (born(duration=100.0, eta=law, eta_error=0.5) for law in ("noisy", "frozen"))
    assert noisy.eta(90.0, 90.0) == pytest.approx(100.0, abs=5.0)
    assert noisy.eta(90.0, 90.0) != 100.0
    assert frozen.eta(0.0, 0.0) == pytest.approx(frozen.eta(99.0, 99.0))
    assert born(eta="absent").eta(0.0, 0.0) is None


def test_a_noisy_eta_gets_better_towards_the_end() -> None:
    """Its error goes evenly from `eta_error` of what is left to `eta_error_late` of it."""
    life = born(duration=100.0, eta="noisy", eta_error=0.5, eta_error_late=0.1)
    errors = [(life.eta(now, now) or 0.0) - 100.0 for now in (0.0, 50.0, 90.0)]
    assert errors == pytest.approx([0.5 * 100.0 * life.luck, 0.3 * 50.0 * life.luck, 0.14 * 10.0 * life.luck])


def test_progress_is_even_to_within_a_ten_thousandth_of_the_end() -> None:
    """No job that goes on shows 100, and only one that is stuck stands still before."""
    life, stuck = born("video", duration=10_000.0), born("video", duration=10_000.0, stuck=True)
    assert [life.percent(now) for now in (9_995.0, 9_999.9, 10_000.0)] == pytest.approx([99.95, 99.99, 100.0])
    assert stuck.percent(1e6) == pytest.approx(99.9)


def test_video_words_come_in_order() -> None:
    """A video passes through every intermediate word, in the documented order."""
    life = born("video", queue=10.0, duration=100.0)
    words = list(dict.fromkeys(life.video_word(t / 10) for t in range(1200)))
    assert words == [
        "requested", "accepted", "initializing", "preprocessing", "processing", "postprocessing", "complete",
    ]  # fmt: skip


def test_stuck_jobs_never_end() -> None:
    """A stuck job is running for ever; one stuck in the queue never starts, and its ETA stays finite."""
    assert born(stuck=True, duration=5.0).state(1e12) is JobState.RUNNING
    waiting = born(stuck_in_queue=True)
    assert waiting.state(1e12) is JobState.QUEUED
    assert math.isfinite(waiting.eta(1e6, 1e6) or 0.0)


def test_canceling_an_image_is_instant_and_a_video_takes_a_while() -> None:
    """A video is ``canceling`` before it is ``canceled``; what has ended cannot be canceled."""
    image, video = born(duration=10.0), born("video", duration=10.0)
    assert image.cancel(5.0)
    assert video.cancel(5.0)
    assert image.state(5.0) is JobState.CANCELED
    assert (video.video_word(5.1), video.state(5.1)) == ("canceling", JobState.RUNNING)
    assert video.video_word(5.0 + CANCELING_TIME) == "canceled"
    assert not image.cancel(6.0)
    assert not video.cancel(6.0)


def test_plans_check_themselves() -> None:
    """What makes no sense is refused when it is planned."""
    for fields in (
        {"kind": "image", "outcome": "expired"},
        {"kind": "image", "id": "x", "count": 2},
        {"kind": "image", "eta": "maybe"},
        {"kind": "fax"},
        {"kind": "image", "duration": -1},
        {"kind": "image", "colour": "red"},
    ):
        with pytest.raises(ValueError, match=r"expire|plan for one|maybe|fax|seconds|colour"):
            JobPlan.from_json(fields)
