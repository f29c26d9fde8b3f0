"""Random worlds are what they are said to be, each is played by every policy, and verdicts follow from the figures."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
import worlds
from draws import HINTS, MIXES, ORDERS, PRICES, SHAPES, Law, World, world
from law_bound import law_bound
from rivals import EAGER, USUAL
from verdicts import Figures, Verdict, claims, summary

from topaz_status import JobKind

CHEAP = 31
"""The seed of a world that is played within a second."""
FITTINGS = 156
"""The same of try-ons."""


@pytest.fixture(scope="module")
def drawn() -> list[World]:
    """Worlds of some seeds."""
    return [world(seed) for seed in range(1, 61)]


def test_a_seed_draws_one_world_and_another_seed_another_one() -> None:
    """The same seed gives an equal world."""
    assert world(7) == world(7)
    assert world(7).trace != world(8).trace


def test_a_law_far_outside_its_bounds_gives_the_nearest_bound() -> None:
    """One of the two medians of a world may be half a day. Drawing again until a job lasts an hour took for ever."""
    assert Law(52_087.0, 0.32).draw(random.Random(1)) == 3_600.0
    assert Law(1e-9, 0.32).draw(random.Random(1)) == 0.2
    assert 0.2 < Law(3_600.0, 0.32).draw(random.Random(1)) < 3_600.0
    assert world(975).trace.plans


def test_playings_of_a_world_have_its_features_and_jobs_of_their_own() -> None:
    """Times and lifetimes are drawn anew; rate, lists and price stay."""
    first, second = world(7), world(7, 1)
    assert second == world(7, 1)
    assert first.seed != second.seed
    assert first.trace.plans != second.trace.plans
    same = [(one.trace.rate, one.trace.order, one.trace.older, one.trace.price) for one in (first, second)]
    assert same[0] == same[1]
    assert first.features.keys() == second.features.keys()


def test_worlds_differ_in_every_feature(drawn: list[World]) -> None:
    """Every shape, mix, kind of hints, order and price comes up; load and rate reach from low to high."""
    for feature, values in (("shape", SHAPES), ("kinds", MIXES), ("hints", HINTS), ("price", PRICES)):
        assert {one.features[feature] for one in drawn if feature in one.features} == set(values)
    for feature in ("order", "history"):
        assert {one.features.get(feature) for one in drawn} == {None, *ORDERS}
    for feature in ("foreign", "older", "lead", "age", "stuck", "unlisted", "failing", "queue"):
        assert 0 < sum(feature in one.features for one in drawn) < len(drawn)
    assert min(one.trace.rate for one in drawn) < 2.0
    assert max(one.trace.rate for one in drawn) > 40.0
    assert min(one.features.get("load", 0.0) for one in drawn) < 0.3
    assert max(one.features.get("load", 0.0) for one in drawn) > 3.0


def test_a_world_has_jobs_that_end_and_lists_of_its_kinds(drawn: list[World]) -> None:
    """Its plans are in the order of submission; items that are not watched are on the lists of its kinds alone."""
    for one in drawn:
        plans, kinds = one.trace.plans, {plan.kind for plan in one.trace.watched}
        assert list(plans) == sorted(plans, key=lambda plan: plan.after)
        assert any(not plan.stuck for plan in one.trace.watched)
        assert {plan.kind for plan in one.trace.population if plan.foreign} <= kinds - {JobKind.TRY_ON}


def test_a_lead_means_that_jobs_are_watched_late(drawn: list[World]) -> None:
    """They were submitted before the beginning, all by the same time."""
    leads = [one for one in drawn if "lead" in one.features]
    assert leads
    assert all(one.trace.plans[0].after < 0.0 for one in leads)
    assert all(one.trace.plans[0].after >= 0.0 for one in drawn if "lead" not in one.features)


def test_every_policy_plays_a_world_the_same_way_each_time() -> None:
    """The verdict names all simple policies, and nobody is sooner than half a round trip."""
    verdict = worlds.play(CHEAP)
    assert verdict == worlds.play(CHEAP)
    assert verdict.simple.keys() == {*USUAL, *EAGER}
    assert all(of.mean >= 0.05 for of in (verdict.library, *verdict.simple.values()))


def test_worlds_of_try_ons_have_a_bound_that_knows_the_law(drawn: list[World]) -> None:
    """No policy costs less. Other kinds have none, nor have jobs that were watched late or that never end."""
    verdict = worlds.play(FITTINGS)
    assert verdict.law is not None
    assert verdict.law <= min(verdict.library.cost(verdict.price), verdict.cheapest)
    lag = law_bound(world(FITTINGS).trace, [world(FITTINGS, playing).trace for playing in worlds.LAW_PLAYINGS]).cost
    assert verdict.law > lag + verdict.price  # a job needs a request at least
    assert worlds.play(CHEAP).law is None
    others = {"lead": False, "stuck": False, "kinds": False}
    for one in drawn:
        lacks = [name for name in ("lead", "stuck") if name in one.features]
        if one.features["kinds"] != JobKind.TRY_ON:
            lacks.append("kinds")
        if len(lacks) == 1:
            others[lacks[0]] = True
            assert worlds.law_cost([one]) is None
    assert all(others.values())


def test_figures_of_some_playings_are_means() -> None:
    """So is each figure of a verdict, the library's and the simple policies'."""
    assert Figures.averaged([figures(1.0, 2.0), figures(3.0, 4.0)]) == figures(2.0, 3.0)


def test_every_playing_counts() -> None:
    """Two playings differ in the figures of all policies, and their verdict lies between them."""
    once, twice = worlds.play(CHEAP), worlds.play(CHEAP, 2)
    assert (once.seed, once.world, once.price) == (twice.seed, twice.world, twice.price)
    assert once.library != twice.library
    assert all(once.simple[name] != twice.simple[name] for name in once.simple)


# -- verdicts ---------------------------------------------------------------------------------------------------------


def figures(mean: float, per_job: float = 1.0) -> Figures:
    return Figures(mean, mean, mean, per_job, 0)


def verdict(
    ours: Figures, rivals: Mapping[str, Figures], price: float = 0.1, bound: float = 0.05, law: float | None = None
) -> Verdict:
    others = dict.fromkeys([*USUAL, *EAGER], figures(100.0, 100.0))
    return Verdict(1, "a world", "image", price, ours, figures(bound), {**others, **rivals}, law)


def test_later_means_sooner_for_others_at_no_higher_cost() -> None:
    """A policy that buys a shorter lag with requests that are not worth their price does not count."""
    assert verdict(figures(1.0), {"fixed-5": figures(0.9)}).later
    assert not verdict(figures(1.0), {"fixed-5": figures(0.96)}).later
    dear = verdict(figures(1.0), {"fixed-5": figures(0.5, 10.0)})
    assert not dear.later
    assert dear.later_at_any_cost
    assert verdict(figures(1.0), {"fixed-5": figures(0.5, 10.0)}, price=0.01).later


def test_an_eager_policy_wins_but_is_not_a_usual_one() -> None:
    """It is the rival to beat; the ratios of lags and requests are those to the usual policies."""
    one = verdict(figures(1.0, 2.0), {"fixed-1": figures(0.5, 3.0), "eta": figures(2.0, 4.0)})
    assert (one.later, one.winners) == (False, ["fixed-1"])
    assert one.rival == ("fixed-1", figures(0.5, 3.0))
    assert (one.lag_ratio, one.request_ratio) == (0.5, 0.5)
    assert one.cost_ratio == pytest.approx(1.2 / 0.8)


def test_only_saturated_worlds_are_compared_with_the_bound() -> None:
    """Where a clairvoyant policy is hardly late at all, the ratio would say nothing."""
    assert verdict(figures(3.0), {}, bound=0.05).bound_ratio is None
    assert verdict(figures(3.0), {}, bound=1.5).bound_ratio == 2.0


def test_costs_are_compared_with_that_of_who_knows_the_law() -> None:
    """The library's, and that of the cheapest simple policy, an eager one too."""
    one = verdict(figures(2.0, 10.0), {"fixed-2": figures(4.0, 5.0), "eta": figures(4.0, 6.0)}, law=1.5)
    assert (one.law_ratio, one.cheapest_law_ratio) == pytest.approx((3.0 / 1.5, 4.5 / 1.5))
    assert (verdict(figures(2.0), {}).law_ratio, verdict(figures(2.0), {}).cheapest_law_ratio) == (None, None)


def test_the_summary_says_how_much_any_policy_could_gain() -> None:
    """Medians of the worlds that have such a bound, and their number."""
    worlds_of_try_ons = [verdict(figures(1.9), {"eta": figures(3.9)}, law=law) for law in (1.0, 1.25, 1.6)]
    rows = summary([*worlds_of_try_ons, verdict(figures(9.0), {})]).splitlines()[-2:]
    assert "3 worlds of try-ons" in rows[0]
    assert ["1.60 |" in rows[0], "3.20 |" in rows[1]] == [True, True]


def test_the_summary_and_the_claims() -> None:
    """Shares and medians over the worlds; a claim fails by itself."""
    good = verdict(figures(0.1), {"eta": figures(1.0)})
    late = verdict(figures(1.0), {"eta": figures(0.5)})
    text = summary([good, good, late])
    assert "33.3%" in text
    assert f"{math.nan:.2f}" in text  # no world is saturated
    assert [one.passed for one in claims([good] * 100 + [late])] == [True, True]
    assert [one.passed for one in claims([good] * 2 + [late])] == [False, True]
    assert [one.passed for one in claims([late])] == [False, False]


# -- the command line -------------------------------------------------------------------------------------------------


def test_one_world_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """``--world`` shows what the world is and the figures of every policy."""
    assert worlds.main(["--world", str(CHEAP)]) == 0
    printed = capsys.readouterr().out
    assert str(world(CHEAP)) in printed
    assert all(f"\n{name} " in printed for name in ("library", "bound-pages", *USUAL, *EAGER))


def test_one_world_of_try_ons_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """It shows the bound, too."""
    assert worlds.main(["--world", str(FITTINGS)]) == 0
    assert f"costs less than {worlds.law_cost([world(FITTINGS)]):.2f} s" in capsys.readouterr().out


def test_many_worlds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It prints summary and claims, describes the worst worlds, and writes its figures."""
    facts = tmp_path / "worlds.json"
    code = worlds.main([f"--seeds={CHEAP}-{CHEAP}", "--workers=1", "--worst=5", "--check", f"--json={facts}"])
    printed = capsys.readouterr().out
    assert code == ("FAIL" in printed)
    assert "1 worlds" in printed
    assert [one["seed"] for one in json.loads(facts.read_text())["worlds"]] == [CHEAP]


@pytest.mark.parametrize("wrong", ["5-1", "a-b", "", "1-2-3"])
def test_a_useless_range_of_seeds_is_refused(wrong: str) -> None:
    """With argparse's exit code 2."""
    with pytest.raises(SystemExit) as refused:
        worlds.main([f"--seeds={wrong}"])
    assert refused.value.code == 2
