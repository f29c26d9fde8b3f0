"""The benchmark of the engine measures what it says: its server, its clients, its pauses, its verdicts."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

import aiohttp
import attrs
import orjson
import pytest
from cancelling import Cancels
from canned import COOKIES, Canned, canned_ids
from engine import CANCELS, GROUPS, PARTS, SHORT, THOROUGH, chosen, parse
from engines import statuses
from idle import Crowd, Held
from polls import COMPARED, MODES, clients_of, poll_figures, ratios, status_lines
from pulse import Pause, Pulse
from report import Found
from targets import PAUSE, Target, cancel_targets, crowd_targets, poll_targets
from turns import Cost, ratio

from topaz_status import JobKind, StatusClient


@asynccontextmanager
async def canned(monkeypatch: pytest.MonkeyPatch, jobs: int = 0) -> AsyncIterator[str]:
    monkeypatch.setattr(Canned, "jobs", jobs)
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
    async with server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}"


def cost(per_poll: float) -> Cost:
    return Cost(polls=1000, seconds=0.25, cpu=per_poll / 1000)


async def test_the_canned_list_names_every_job_once_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages, read by their cursors, are the jobs that the benchmark watches."""
    async with canned(monkeypatch, 250) as url, StatusClient(topaz_api_key="test", topaz_url=url) as client:
        listed = [status.process_id async for status in client.image.list()]
    assert listed == canned_ids(250)


async def test_canned_progress_moves_in_the_list_as_in_the_single_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer equals the one before, so that decoding is work."""
    async with canned(monkeypatch, 100) as url, StatusClient(topaz_api_key="test", topaz_url=url) as client:
        one, other = [(await client.image.page(limit=100)).statuses for _ in range(2)]
        first, second = [await client.image.get(canned_ids(1)[0]) for _ in range(2)]
    assert all(before.progress != after.progress for before, after in zip(one, other, strict=True))
    assert len({status.progress for status in one}) > 50
    assert first.progress != second.progress


async def test_cookies_are_set_below_their_prefix_alone_and_a_default_session_sends_them_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two cookies on each answer, new ones each time, as a load balancer sets them."""
    path = "/image/v1/status/" + canned_ids(1)[0]
    async with canned(monkeypatch) as url, aiohttp.ClientSession() as session:
        async with session.get(url + path) as plain:
            assert "Set-Cookie" not in plain.headers
        values = []
        for _ in range(2):
            async with session.get(url + COOKIES + path) as sticky:
                assert orjson.loads(await sticky.read())["process_id"] == canned_ids(1)[0]
                values.append({name: cookie.value for name, cookie in sticky.cookies.items()})
        sent = SimpleCookie(sticky.request_info.headers["Cookie"])
    assert [sorted(of) for of in values] == [["AWSALB", "AWSALBCORS"]] * 2
    assert values[0] != values[1]
    assert {name: cookie.value for name, cookie in sent.items()} == values[0]


def test_statuses_are_those_of_pages_and_the_single_ones_and_no_page_is_one_itself() -> None:
    """What a poll costs through pages is shared by the statuses that came in."""
    stats = SimpleNamespace(total_requests=12, sweeps={JobKind.IMAGE: 2, JobKind.VIDEO: 1}, swept_statuses=250)
    client: Any = SimpleNamespace(stats=lambda: stats)
    assert statuses(client) == 9 + 250


async def test_a_pulse_distinguishes_work_from_the_collector_of_garbage() -> None:
    """What blocks the loop counts, and a collection counts apart."""
    with Pulse() as pulse:
        pulse.begin()
        total = sum(number * number for number in range(1_000_000))
        worked = pulse.pause()
        pulse.begin()
        gc.collect()
        collected = pulse.pause()
        await asyncio.sleep(0)
    assert total
    assert worked.work > 0.005
    assert collected.collector > 0.0
    assert collected.work < worked.work
    assert pulse._collection not in gc.callbacks


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """Rounds are compared within themselves: what slows both clients down cancels out."""
    assert ratio([cost(10), cost(40), cost(1000)], [cost(10), cost(20), cost(1000)]) == 1.0
    assert ratio([cost(30), cost(60), cost(1)], [cost(10), cost(20), cost(1000)]) == pytest.approx(3.0)


def test_everything_compared_is_measured() -> None:
    """No target is left out for want of a client, but those of a loop that is not installed."""
    measured = {(name, mode): [cost(1)] for mode, names in MODES.items() for name in names}
    assert set(ratios(measured)) == set(COMPARED)
    assert set(ratios({("library", "paced"): [cost(1)]})) == set()


def test_the_short_form_measures_everything_compared_too() -> None:
    """It leaves out clients that no target asks for; the long form measures all."""
    measured = {(name, mode): [cost(1)] for mode in MODES for name in clients_of(mode, thorough=False)}
    assert set(ratios(measured)) == set(COMPARED)
    assert {mode: tuple(clients_of(mode, thorough=True)) for mode in MODES} == MODES


def test_a_ratio_to_a_client_that_was_not_measured_is_none() -> None:
    """A part that is run alone has a table all the same."""
    (figures,) = poll_figures({("library", "paced"): [cost(10)]})
    assert figures["cpu_us_per_poll"] == pytest.approx(10)
    assert (figures["to_bare"], figures["to_naive"], figures["to_flat_out"]) == (None, None, None)


def test_a_status_has_one_line_for_each_mode_that_measured_pages_too() -> None:
    """Before and after a change these lines are what is compared."""
    costs = {("library", "flat out"): [cost(120)], ("pages", "flat out"): [cost(7)], ("library", "paced"): [cost(150)]}
    assert list(status_lines(costs)) == ["CPU µs a status, flat out: 120.0 by a single poll, 7.00 through pages"]


def test_parts_are_measured_once_in_their_order() -> None:
    """A group stands for its parts, and nothing asked for means all."""
    assert chosen(None, uvloop=True) == list(PARTS)
    assert chosen([CANCELS, "polls", "paced"], uvloop=True) == [*GROUPS["polls"], CANCELS]


def test_parts_on_uvloop_are_left_out_where_it_is_missing() -> None:
    """The rest is measured all the same."""
    assert chosen(["crowd", "uvloop"], uvloop=False) == ["crowd-asyncio"]


def test_the_long_form_has_its_own_defaults_and_options_overrule_both() -> None:
    """``--thorough`` alone brings every figure of the long form."""
    for words, form in (([], SHORT), (["--thorough"], THOROUGH)):
        asked = vars(parse(words))
        assert {name: asked[name] for name in attrs.asdict(form)} == attrs.asdict(form)
    assert parse(["--thorough", "--rounds", "1"]).rounds == 1


def test_the_summary_counts_targets_and_repeats_those_that_are_missed() -> None:
    """The last lines of a long output say how it went."""
    found = Found()
    found.add(Found(polls={("bare", "paced"): [cost(10)], ("library", "paced"): [cost(12)]}))
    found.add(Found(cancels={"tasks": Cancels(2.0, 3.0, 1.5), "pages": Cancels(10.0, 10.0, 1.0)}))
    first, missed = found.summary().splitlines()
    assert first == "2 of 3 targets met"
    assert missed.startswith("FAIL  CPU of a status, library, paced")


def test_a_target_is_missed_by_what_is_more() -> None:
    """The line says what was wanted, what was measured, and the verdict."""
    held, missed = Target("idle", 0.25, 0.25, "x"), Target("idle", 0.25, 0.26, "x")
    assert str(held) == "PASS  idle: target 0.25x, measured 0.25x"
    assert str(missed) == "FAIL  idle: target 0.25x, measured 0.26x"


def test_pages_single_polls_and_those_by_hand_each_have_their_bound() -> None:
    """Each comparison has its own."""
    ratios = {
        ("pages, flat out", "library, flat out"): 0.06,
        ("library, paced", "bare, paced"): 1.1,
        ("library, cookies", "naive, cookies"): 0.7,
    }
    assert [(target.most, target.passed) for target in poll_targets(ratios)] == [
        (1 / 15, True),
        (1.15, True),
        (0.65, False),
    ]


def test_a_crowd_is_checked_for_its_start_its_idling_its_timers_and_each_pause() -> None:
    """One bad figure fails one line."""
    good = Crowd(
        watches=100_000,
        start=3.0,
        start_cpu=3.0,
        bytes_per_watch=2000.0,
        answer_cpu=20.0,
        pauses={"starting": Pause(0.01, 1.0)},
        held=Held(seconds=5.0, cpu=0.001, timers=3),
        tasks=Held(seconds=5.0, cpu=0.05, timers=300),
    )
    assert [target.passed for target in crowd_targets("asyncio", good)] == [True] * 4
    slow = attrs.evolve(good, start=11.0, held=Held(5.0, 0.02, 100), pauses={"starting": Pause(1.1e-3 * PAUSE)})
    assert [target.passed for target in crowd_targets("asyncio", slow)] == [False] * 4


def test_cancels_are_checked_against_those_among_few_and_those_of_tasks() -> None:
    """Plain tasks are the yardstick and have no target themselves."""
    found = {"tasks": Cancels(2.0, 3.0, 1.5), "singles": Cancels(10.0, 20.0, 2.0), "pages": Cancels(10.0, 40.0, 1.2)}
    assert [target.passed for target in cancel_targets(found)] == [False, True, True, False]
