"""The benchmark's workloads are what they are said to be."""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate
from statistics import median

import attrs
import pytest
from model import Services
from traces import TRACES, Trace, burst, foreign, hostile, mixed, poisson, queue, try_ons, videos

from topaz_status import JobKind
from topaz_status.testing import JobPlan, Simulator, run_virtual


def durations(trace: Trace) -> list[float]:
    return [plan.duration.middle for plan in trace.watched]


@pytest.mark.parametrize("name", TRACES)
def test_a_seed_draws_one_trace_and_another_seed_another_one(name: str) -> None:
    """The same seed gives equal plans, in the order of their submits."""
    first, again, other = TRACES[name](1, 0.02), TRACES[name](1, 0.02), TRACES[name](2, 0.02)
    assert first == again
    assert first.plans != other.plans
    assert list(first.plans) == sorted(first.plans, key=lambda plan: plan.after)
    assert first.name == name


@pytest.mark.parametrize("name", ["poisson", "mixed", "try-on", "hostile", "video"])
def test_a_scaled_trace_is_shorter_and_not_thinner(name: str) -> None:
    """A tenth of a stream is as many jobs a second for a tenth of the time."""
    whole, tenth = TRACES[name](1), TRACES[name](1, 0.1)
    assert tenth.plans[-1].after == pytest.approx(whole.plans[-1].after / 10.0, rel=0.05)
    assert len(tenth.plans) == pytest.approx(len(whole.plans) / 10.0, rel=0.25)


def test_a_burst_is_10_000_images_of_30_s_within_half_a_second() -> None:
    """Lognormal: median 30 s, σ 0.6; the noise of the ETA goes from 30 to 8 %."""
    trace = burst(1)
    assert len(trace.plans) == 10_000
    assert 0.0 <= trace.plans[0].after <= trace.plans[-1].after <= 0.5
    assert median(durations(trace)) == pytest.approx(30.0, rel=0.03)
    logs = [math.log(seconds / 30.0) ** 2 for seconds in durations(trace)]
    assert math.sqrt(sum(logs) / len(logs)) == pytest.approx(0.6, rel=0.03)
    assert {(plan.eta, plan.eta_error, plan.eta_error_late) for plan in trace.plans} == {("noisy", 0.3, 0.08)}
    assert burst(1, order="uuid") == attrs.evolve(trace, order="uuid")


def test_a_stream_is_5_images_a_second_of_20_s() -> None:
    """Poisson for 10 minutes, 2,000 older items on the account."""
    trace = poisson(1)
    assert len(trace.plans) == pytest.approx(3_000, rel=0.06)
    assert median(durations(trace)) == pytest.approx(20.0, rel=0.06)
    assert trace.older == 2_000


def test_foreign_jobs_are_nine_for_each_watched_one() -> None:
    """20,000 older items; one watched image in twenty is on no list, every foreign one is."""
    trace = foreign(1)
    watched = trace.watched
    assert len(trace.plans) / len(watched) == pytest.approx(10.0, rel=0.05)
    assert sum(not plan.listed for plan in watched) / len(watched) == pytest.approx(0.05, rel=0.2)
    assert all(plan.listed for plan in trace.plans if plan.foreign)
    assert trace.older == 20_000


def test_videos_are_300_an_hour_of_20_minutes() -> None:
    """Within a minute and six hours, behind a queue of 20 s."""
    trace = videos(1)
    assert len(trace.plans) == 300
    assert trace.plans[-1].after < 3600.0
    assert median(durations(trace)) == pytest.approx(1200.0, rel=0.2)
    assert all(60.0 <= seconds <= 21_600.0 for seconds in durations(trace))
    assert median(plan.queue.middle for plan in trace.plans) == pytest.approx(20.0, rel=0.25)


def test_short_videos() -> None:
    """Lognormal with σ 0.5, behind a queue of a second: 300 of 20 s at once, and 1,900 of a minute in ten minutes."""
    burst, stream = TRACES["video-burst"](1), TRACES["video-stream"](1)
    assert (len(burst.plans), len(stream.plans)) == (300, 1_900)
    assert (median(durations(burst)), median(durations(stream))) == pytest.approx((20.0, 60.0), rel=0.1)
    assert burst.plans[-1].after <= 0.5
    assert 590.0 < stream.plans[-1].after <= 600.0
    assert {plan.progress for plan in burst.plans} == {"linear", "stall"}


def test_a_service_whose_limit_is_not_known() -> None:
    """Its limit is far below the rate that the client may use; no other trace has such a limit."""
    limits = {name: trace.limit for name in TRACES if (trace := TRACES[name](1, 0.02)).limit is not None}
    assert limits == {"unknown-limit": 12.0}
    assert TRACES["unknown-limit"](1).rate == 100.0


def test_deep_images_have_1300_foreign_ones_before_them() -> None:
    """All are on the list when the watches begin, newest first."""
    trace = TRACES["deep"](1)
    listing = Services.of(trace, 1).account.listing(JobKind.IMAGE)
    own = [place for place, life in enumerate(listing) if not life.plan.foreign]
    assert own == list(range(1_300, 1_500))
    assert len(listing) == 3_000


def test_oldest_first_shows_new_images_last() -> None:
    """The first pages hold the 500 older ones; half of the newer images are foreign."""
    trace = TRACES["oldest"](1)
    listing = Services.of(trace, 1).account.listing(JobKind.IMAGE)
    assert [life.plan.foreign for life in listing] == [True] * 500
    assert trace.order == "oldest"
    assert len(trace.watched) / len(trace.plans) == pytest.approx(0.5, abs=0.03)


def test_waves_at_the_end_of_a_list() -> None:
    """Three waves of 200 own and 200 foreign images within half a second, three minutes apart, behind 3,000 older ones."""
    trace = TRACES["oldest-waves"](1)
    sizes = Counter((plan.after // 180.0, plan.foreign) for plan in trace.plans)
    assert sizes == {(float(wave), foreign): 200 for wave in range(3) for foreign in (False, True)}
    assert max(plan.after % 180.0 for plan in trace.plans) <= 0.5
    assert (trace.order, trace.older) == ("oldest", 3_000)


def test_waves_among_shuffled_older_images() -> None:
    """Three waves of 357 or 356 within half a second, half a minute apart, by id among 3,000."""
    trace = TRACES["waves-shuffled"](1)
    sizes = Counter(plan.after // 30.0 for plan in trace.plans)
    assert sizes == {0.0: 357, 1.0: 357, 2.0: 356}
    assert max(plan.after % 30.0 for plan in trace.plans) <= 0.5
    assert (trace.order, trace.older) == ("uuid", 3_000)


def test_try_ons_are_2_a_second_of_22_s() -> None:
    """Within 8 and 90 s."""
    trace = try_ons(1)
    assert len(trace.plans) == pytest.approx(1_200, rel=0.1)
    assert median(durations(trace)) == pytest.approx(22.0, rel=0.05)
    assert all(8.0 <= seconds <= 90.0 for seconds in durations(trace))


def test_the_mixture() -> None:
    """60 % images, 8 % videos, 32 % try-ons, 0.3 % stuck, a foreign image for each job."""
    watched = [plan for seed in range(3) for plan in mixed(seed).watched]
    share = {kind: count / len(watched) for kind, count in Counter(plan.kind for plan in watched).items()}
    assert share == pytest.approx({JobKind.IMAGE: 0.6, JobKind.VIDEO: 0.08, JobKind.TRY_ON: 0.32}, abs=0.02)
    assert sum(plan.stuck for plan in watched) / len(watched) == pytest.approx(0.003, abs=0.002)
    images = [plan for plan in watched if plan.kind is JobKind.IMAGE]
    assert sum(plan.eta != "noisy" for plan in images) / len(images) == pytest.approx(0.1, abs=0.02)
    assert sum(plan.progress != "linear" for plan in images) / len(images) == pytest.approx(0.1, abs=0.02)
    assert len(mixed(1).plans) == 2 * len(mixed(1).watched)


def test_hostility() -> None:
    """3 s or 120 s; ETAs 20 % absent and 40 % wrong, progress 25 % false, 2 % stuck, 5 % unlisted, 3 foreign each."""
    watched = [plan for seed in range(3) for plan in hostile(seed).watched]

    def share(picked: list[JobPlan]) -> float:
        return len(picked) / len(watched)

    assert share([plan for plan in watched if plan.duration.middle < 20.0]) == pytest.approx(0.5, abs=0.02)
    assert share([plan for plan in watched if plan.eta == "noisy"]) == pytest.approx(0.4, abs=0.02)
    assert share([plan for plan in watched if plan.eta == "absent"]) == pytest.approx(0.2 + 0.4 / 5, abs=0.02)
    assert share([plan for plan in watched if plan.progress != "linear"]) == pytest.approx(0.25, abs=0.02)
    assert share([plan for plan in watched if plan.stuck]) == pytest.approx(0.02, abs=0.007)
    assert share([plan for plan in watched if not plan.listed]) == pytest.approx(0.05, abs=0.01)
    assert len(hostile(1).plans) == 4 * len(hostile(1).watched)


def test_the_queue_has_60_workers_who_take_images_in_order() -> None:
    """Work begins in the order of the submits, and never on more than 60 images at once."""
    plans = queue(1, 0.1).plans
    begins = [plan.after + plan.queue.middle for plan in plans]
    ends = [begin + plan.duration.middle for begin, plan in zip(begins, plans, strict=True)]
    assert begins == sorted(begins)
    events = sorted([(round(at, 6), 1) for at in begins] + [(round(at, 6), -1) for at in ends])
    assert max(accumulate(step for _, step in events)) == 60


@pytest.mark.parametrize("name", ["mixed", "foreign-random"])
def test_the_model_and_the_simulator_have_the_same_jobs(name: str) -> None:
    """The same ids, submits and ends, in the same order."""
    trace = TRACES[name](3, 0.02)

    async def simulated() -> list[tuple[str, float, float]]:
        simulator = Simulator(seed=3, order=trace.order)
        simulator.clock.follow_running_loop()
        truths = [simulator.truth(ref) for ref in simulator.add_jobs(trace.population)]
        return [(str(truth.job), truth.submitted_at, truth.ends_at) for truth in truths]

    watched = Services.of(trace, 3).watched
    assert [(str(life.ref), life.submitted_at, life.ends_at) for life in watched] == run_virtual(simulated())
