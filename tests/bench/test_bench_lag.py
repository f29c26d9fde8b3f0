"""The benchmark measures what it says: its model of rivals, its harness for the library, its bounds and its checks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import attrs
import draws
import lag
import library
import pytest
from checks import Row, check
from loops import INTERVAL, Loop, fixed
from model import EPOCH, RTT, Run, Services, play
from rivals import RIVALS, USUAL
from tables import table
from traces import TRACES, Trace, burst, poisson, try_ons

from topaz_status import JobKind, StatusClient
from topaz_status.testing import JobPlan, Simulator, run_virtual


def rival(trace: Trace, name: str, seed: int = 1) -> Run:
    services = Services.of(trace, seed)
    return play(trace, seed, RIVALS[name](services), services, name)


def ours(trace: Trace, name: str = "library", seed: int = 1) -> Run:
    return library.play(trace, seed, name)


def images(*durations: float) -> Trace:
    return Trace("few", 10.0, tuple(JobPlan(kind=JobKind.IMAGE, duration=seconds) for seconds in durations))


async def _fixed_loops(trace: Trace, seed: int) -> tuple[list[float], int]:
    """The fixed interval for real: a coroutine a job, through the client's one bucket, against the simulator."""
    simulator = Simulator(seed=seed, order=trace.order, delay=RTT, rate=trace.rate, burst=trace.rate)
    simulator.clock.follow_running_loop()
    loop = asyncio.get_running_loop()
    truths = [simulator.truth(ref) for ref in simulator.add_jobs(trace.population)]
    async with (
        simulator.session() as session,
        StatusClient(
            topaz_url=simulator.base_url, topaz_api_key="sim", rate=trace.rate, burst=trace.rate, session=session
        ) as client,
    ):

        async def lag_of(job_id: str, submit_at: float, end_at: float) -> float:
            await asyncio.sleep(submit_at - loop.time())
            while not (await client.image.get(job_id)).is_terminal:  # noqa: ASYNC110  # a loop as people write it
                await asyncio.sleep(INTERVAL)
            return loop.time() - end_at

        lags = await asyncio.gather(*(lag_of(truth.job.id, truth.submitted_at, truth.ends_at) for truth in truths))
    return sorted(lags), simulator.stats().requests


@pytest.mark.parametrize("trace", [poisson(1, 0.1), burst(1, 0.02)], ids=["poisson", "burst"])
def test_the_model_agrees_with_real_loops_against_the_simulator(trace: Trace) -> None:
    """Fixed intervals in the light model and through aiohttp: the same mean lag and as many requests, to 2 %."""
    modelled = rival(trace, "fixed")
    lags, requests = run_virtual(_fixed_loops(trace, 1), epoch=EPOCH)
    assert sum(lags) / len(lags) == pytest.approx(modelled.mean, rel=0.02)
    assert requests == pytest.approx(modelled.requests, rel=0.02)


def test_the_service_samples_in_the_middle_of_a_request() -> None:
    """A poll from 5.1 to 5.2 s sees what has ended by 5.15 s; both in the model and in the simulator."""
    trace = images(5.14, 5.16)
    assert rival(trace, "fixed").lags == pytest.approx((5.2 - 5.14, 10.3 - 5.16))
    lags, requests = run_virtual(_fixed_loops(trace, 1), epoch=EPOCH)
    assert lags == pytest.approx([5.2 - 5.14, 10.3 - 5.16])
    assert requests == rival(trace, "fixed").requests == 5


def test_a_job_that_ends_before_its_first_poll_counts_from_its_end() -> None:
    """A loop's first poll comes at once and is back after 0.1 s; the library takes its time for the first one."""
    assert rival(images(0.01), "fixed").lags == pytest.approx((0.09,))
    assert 0.09 <= ours(images(0.01)).lags[0] < 2.0


def test_waiting_for_a_token_is_first_come_first_served() -> None:
    """After the burst of 10, a job waits 0.1 s for each one before it."""
    run = rival(images(*[0.01] * 15), "fixed")
    assert run.lags == pytest.approx([0.09] * 10 + [0.09 + 0.1 * place for place in range(1, 6)])


@pytest.mark.parametrize("name", ["burst", "poisson", "mixed", "video"])
def test_nobody_is_sooner_than_those_who_know_the_future(name: str) -> None:
    """The bound that reads pages is the first of all, and single polls never beat the single bound."""
    trace = attrs.evolve(TRACES[name](2, 0.02), rate=4.0)
    pages, single = rival(trace, "bound-pages", 2), rival(trace, "bound-single", 2)
    assert pages.mean <= single.mean
    for policy in ("fixed", "backoff", "eta"):
        assert single.mean <= rival(trace, policy, 2).mean
    assert pages.mean <= rival(trace, "sweep", 2).mean
    assert pages.mean <= ours(trace, seed=2).mean


def test_who_knows_the_future_needs_half_a_round_trip_and_one_poll_a_job() -> None:
    """Where tokens are there, the lag is 50 ms, always."""
    trace = try_ons(1, 0.05)
    run = rival(trace, "bound-single")
    assert run.lags == pytest.approx([RTT / 2] * len(trace.plans))
    assert run.requests == run.jobs


@pytest.mark.parametrize("policy", [*library.VARIANTS, *RIVALS])
def test_each_policy_finds_every_end_the_same_way_each_time(policy: str) -> None:
    """The same lags twice, one for each job that is not stuck; the budget is kept."""
    trace = TRACES["mixed"](5, 0.02)
    first, again = (lag.play(lag.Task("mixed", policy, 5, 0.02)) for _ in range(2))
    assert first == again
    assert len(first.lags) == sum(not plan.stuck for plan in trace.watched)
    assert first.lags[0] >= RTT / 2 - 1e-6
    assert first.refused == 0


def test_ablations_make_a_difference() -> None:
    """Each leaves out what it says: without pages no page is read, without hints polls fall elsewhere.

    The guard is no part of it: it shows only where longest gaps are exceeded. What cursors lead to, and sweeps for
    distant jobs, show only where jobs lie far ahead on a list. The bonus and pages in turn have tests of their own, and
    tokens are saved where many videos end at once.
    """
    distant = {"no-marks", "no-distant"}
    names = [
        name for name in library.VARIANTS if name not in {"no-guard", "no-bonus", "no-saving", "no-turns", *distant}
    ]
    runs = {name: lag.play(lag.Task("hostile", name, 5, 0.05)) for name in names}
    assert runs["library"].pages > 0
    assert runs["no-pages"].pages == 0
    assert len({run.lags for run in runs.values()}) == len(runs)
    assert len({lag.play(lag.Task("oldest-waves", name, 1)).lags for name in ("library", *distant)}) == 3
    saved, spent = (lag.play(lag.Task("video-burst", name, 1)).mean for name in ("library", "no-saving"))
    assert saved < spent


def test_a_heavy_load_is_not_better_served_by_all_pages_in_turn() -> None:
    """Where a round of all pages takes longer than most jobs, no page waits for its first poll behind pages read twice.

    The ablation is later than all pages in turn.
    """
    heavy = burst(1, count=3_000, rate=0.6)
    in_turn = rival(heavy, "sweep").mean
    assert library.play(heavy, 1, "library").mean < in_turn < library.play(heavy, 1, "no-bonus").mean


def test_a_list_in_no_order_is_not_better_served_by_all_pages_in_turn() -> None:
    """World 397: two dozen images run, on a list of eleven pages in no order that report nothing, at 1.1 requests/s.

    The ablation spends most tokens on single images, and is later than all pages in turn.
    """
    drawn = draws.world(397)
    services = Services.of(drawn.trace, drawn.seed)
    in_turn = play(drawn.trace, drawn.seed, USUAL["pages-5"](services), services, "pages-5").mean
    lags = {name: library.play(drawn.trace, drawn.seed, name).mean for name in ("library", "no-turns")}
    assert lags["library"] < in_turn < lags["no-turns"]


def test_a_sweep_and_the_loops_beside_it_take_turns() -> None:
    """A sweep without end does not starve the images that no list shows."""
    stuck = [JobPlan(kind=JobKind.IMAGE, stuck=True)]
    unlisted = [JobPlan(kind=JobKind.IMAGE, duration=60.0, listed=False)] * 20
    run = rival(Trace("few", 10.0, (*stuck, *unlisted), older=20_000), "sweep")
    assert run.quantile(1.0) < 3 * INTERVAL


def test_a_loop_sleeps_from_the_answer_on() -> None:
    """Polls of the fixed interval are 5 s and a round trip apart."""
    trace = images(100.0)
    services = Services.of(trace, 1)
    assert play(trace, 1, Loop(fixed), services, "fixed").requests == 1 + 100.0 // (INTERVAL + RTT) + 1


def videos(*durations: float, queue: float = 0.0) -> Trace:
    plans = (JobPlan(kind=JobKind.VIDEO, queue=queue, duration=seconds) for seconds in durations)
    return Trace("few", 10.0, tuple(plans))


def test_the_word_of_the_history_is_confirmed_by_a_get() -> None:
    """A page from 2 to 2.1 s shows what ended at 1.9 s; the GET follows it, because a record has no result URL."""
    run = rival(videos(1.9), "history")
    assert run.lags == pytest.approx((2.2 - 1.9,))
    assert (run.pages, run.requests) == (3, 4)


def test_a_video_that_is_only_requested_is_awaited_on_the_history() -> None:
    """It is missing from the history for a tenth of its time in the queue: no loop polls it meanwhile."""
    run = rival(videos(10.0, queue=100.0), "history")
    assert run.requests - run.pages == 1


def test_a_video_that_is_on_no_list_is_polled_in_a_loop() -> None:
    """After a minute without it on the history."""
    hidden = JobPlan(kind=JobKind.VIDEO, duration=90.0, listed=False)
    run = rival(Trace("few", 10.0, (hidden,)), "history")
    assert run.lags[0] <= INTERVAL + RTT
    assert run.requests - run.pages > 1


@pytest.mark.parametrize("policy", ["fixed", "sweep", "history", "library"])
def test_a_limit_that_the_client_does_not_know_refuses_requests(policy: str) -> None:
    """Policies ask again after a 429 and find every end; the run counts the 429s and the share of the limit used."""
    plans = [JobPlan(kind=kind, duration=20.0) for kind in (JobKind.IMAGE, JobKind.VIDEO) for _ in range(60)]
    trace = Trace("few", 100.0, tuple(plans), limit=4.0)
    run = ours(trace) if policy == "library" else rival(trace, policy)
    assert len(run.lags) == 120
    assert run.refused > 0
    assert run.used is not None
    assert 0.0 < run.used <= 1.0


@pytest.mark.parametrize("rate", [1.0, 10.0])
def test_the_bounds_know_the_limit(rate: float) -> None:
    """On a trace with an unknown limit a bound sends no faster than it."""
    run = lag.play(lag.Task("unknown-limit", "bound-single", 1, 0.1, rate))
    assert (run.rate, run.refused, run.used) == (12.0, 0, None)


def test_a_learned_limit_has_claims_of_its_own() -> None:
    """Few 429s, and most of the limit used, in place of no 429 at all."""

    def claims(refused: int, used: float | None) -> list[str]:
        row = Row("t", "library", 9.0, 1.0, 1.0, 1.0, 1.0, refused, refused / 100, used)
        return [one.claim for one in check([row], whole=True) if not one.passed]

    assert claims(2, 0.95) == claims(0, None) == []
    assert claims(1, None) == ["t: keeps the budget"]
    assert claims(3, 0.85) == ["t: learns the limit", "t: uses the limit"]


def rows(**means: float) -> Sequence[Row]:
    return [
        Row(trace="mixed", policy=policy, rate=10.0, mean=mean, p95=0.0, worst=0.0, per_job=mean, refused=0)
        for policy, mean in means.items()
    ]


def failed(*, whole: bool = True, **means: float) -> list[str]:
    return [one.claim for one in check(rows(**means), whole=whole) if not one.passed]


def test_checks_compare_with_the_goals_and_the_loops() -> None:
    """Each claim fails by itself, and a goal is one of whole traces only."""
    assert failed(library=1.0, fixed=10.0, backoff=10.0, eta=10.0) == []
    assert failed(library=1.5, fixed=10.0) == ["mixed: mean lag as simulated"]
    assert failed(library=1.5, fixed=10.0, whole=False) == []
    assert failed(library=1.0, fixed=10.0, eta=0.9) == ["mixed: sooner than eta"]
    assert failed(library=1.0, fixed=4.0) == ["mixed: 5 times sooner than fixed"]


def test_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It prints table and checks, writes its figures, and fails under ``--check`` when a claim does."""
    facts = tmp_path / "lag.json"
    short = ["--trace", "try-on", "--policy", "fixed", "library", "--quick", "--workers", "1", "--check"]
    assert lag.main([*short, "--json", str(facts)]) == 0
    printed = capsys.readouterr().out
    assert "| try-on | 10 | library |" in printed
    assert "PASS  try-on: sooner than fixed" in printed
    runs = json.loads(facts.read_text())["runs"]
    assert [run["policy"] for run in runs] == ["fixed", "library"]
    assert all(len(run["lags"]) == 101 for run in runs)


@pytest.mark.parametrize("wrong", [["--rate", "0"], ["--seeds", "0"], ["--workers", "none"], ["--trace", "none"]])
def test_a_useless_command_line_is_refused(wrong: list[str]) -> None:
    """With argparse's exit code 2."""
    with pytest.raises(SystemExit) as refused:
        lag.main(wrong)
    assert refused.value.code == 2


def test_the_table_has_a_line_for_each_row() -> None:
    """Figures have three digits or so, and the last one is the ratio to the best bound."""
    lines = table(rows(fixed=12.34, library=0.321, **{"bound-pages": 0.05})).splitlines()
    assert lines[2] == "| mixed | 10 | fixed | 12.3 | 0.00 | 0.00 | 12.34 | 0.0% | – | 246.8 |"
    assert lines[3].endswith("| 0.32 | 0.0% | – | 6.4 |")
