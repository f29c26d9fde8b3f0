"""``topaz-status demo``: a fleet watched to its end, and held against the truth."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest

from topaz_status import JobRef, JobState, Outcome
from topaz_status.cli.demo.fleet import counts, plans, shuffled, simulator_options
from topaz_status.cli.demo.report import DemoSettings, Report, in_turn, make_report

from .driver import Cli, child, ended, line_of

SETTINGS = DemoSettings(jobs=2, rate=80.0, burst=10.0, max_in_flight=32, seed=1)


def _outcome(job: str, state: JobState | None, detected_at: float = 101.0) -> Outcome:
    return Outcome(
        job=JobRef.parse(job), state=state, status=None, error=None, polls=1, waited=1.0, detected_at=detected_at
    )


def _report(*outcomes: Outcome, limited: int = 0) -> Report:
    truths: dict[str, dict[str, Any]] = {
        "image:a": {"state": "completed", "ends_unix": 100.0},
        "video:b": {"state": "failed", "ends_unix": 100.5},
    }
    server = {
        "by_service": {"image": 6, "video": 2},
        "by_status": {"200": 8 - limited, "429": limited},
        "by_second": {"0": 5, "1": 3},
        "peak_in_flight": 4,
    }
    return make_report(SETTINGS, outcomes, truths, server, began_unix=90.0, took=2.0)


GOOD = (_outcome("image:a", JobState.COMPLETED), _outcome("video:b", JobState.FAILED))


class TestTheRun:
    def test_every_job_is_resolved_with_its_true_outcome(self, cli: Cli) -> None:
        """All kinds, no 429, within the budget and the slots; JSON says it all."""
        result = cli("demo", "--jobs", "60", "--seconds", "2", "--rate", "100", "--seed", "5", "--json")
        (printed,) = result.objects
        assert (result.code, result.err) == (0, "")
        assert (printed["resolved"], printed["true"]["all"], printed["wrong"]) == (60, 60, [])
        assert printed["jobs"] == {"image": 50, "video": 5, "try-on": 5, "all": 60}
        assert printed["rate_limited"] == 0
        assert printed["requests"]["all"] <= 12 + 100 * printed["took"]
        assert printed["lags"]["all"]["count"] == 60

    def test_its_table_is_plain_where_there_is_no_terminal(self, cli: Cli) -> None:
        """Nothing but the closing table, within 80 columns."""
        result = cli("demo", "--jobs", "20", "--seconds", "1")
        assert (result.code, result.err) == (0, "")
        assert "\x1b" not in result.out
        assert max(map(len, result.lines)) <= 80
        assert "true outcome    20 of 20 resolved" in result.out
        assert "answered 429    0 requests" in result.out

    def test_a_single_job_is_a_fleet(self, cli: Cli) -> None:
        """Kinds that have no jobs have no line."""
        result = cli("demo", "--jobs", "1", "--seconds", "0.5")
        assert result.code == 0
        assert not any(line.startswith("video") for line in result.lines)

    def test_sigterm_ends_it_in_order(self, environment: dict[str, str]) -> None:
        """It says what was still open; the log's first line is the cue."""
        with child(["demo", "--jobs", "30", "-v"], environment) as process:
            line_of(process.stderr)
            process.terminate()
            result = ended(process)
        assert (result.code, result.out) == (143, "")
        assert "stopped: 30 jobs still open" in result.err


class TestTheFleet:
    def test_five_in_six_are_images(self) -> None:
        """84 %, 8 % and 8 %."""
        assert counts(2000) == {"image": 1680, "video": 160, "try-on": 160}
        assert counts(3) == {"image": 1, "video": 1, "try-on": 1}
        assert counts(2) == {"image": 2, "video": 0, "try-on": 0}

    def test_plans_hold_every_end_that_a_kind_knows(self) -> None:
        """Only try-on jobs expire; the counts are those of the fleet."""
        made = plans(2000, 60.0)
        assert sum(plan["count"] for plan in made) == 2000
        ends = {(plan["kind"], plan["outcome"]) for plan in made}
        assert {kind for kind, end in ends if end == "expired"} == {"try-on"}
        assert Counter(kind for kind, _ in ends) == {"image": 2, "video": 2, "try-on": 3}

    def test_the_same_seed_gives_the_same_order(self) -> None:
        """And another one another."""
        names = [f"image:{number}" for number in range(50)]
        assert shuffled(names, 1) == shuffled(names, 1)
        assert shuffled(names, 1) != shuffled(names, 2)

    def test_the_limit_of_the_simulator_leaves_headroom(self) -> None:
        """5 % of the rate, and twice the burst."""
        assert simulator_options(80.0, 7) == {"rate": 84.0, "burst": 20.0, "seed": 7, "delay": 0.03}


class TestTheReport:
    def test_true_outcomes_are_a_success(self) -> None:
        """Lag counts from the true end."""
        report = _report(*GOOD)
        assert (report.code, list(report.problems())) == (0, [])
        assert report.true == {"image": 1, "video": 1, "try-on": 0, "all": 2}
        lags = report.lags["all"]
        assert lags is not None
        assert (lags.p50, lags.max) == (1.0, 1.0)

    def test_one_wrong_outcome_fails_the_demo(self) -> None:
        """It is named, with what was true."""
        report = _report(GOOD[0], _outcome("video:b", JobState.COMPLETED))
        assert report.code == 1
        assert list(report.problems()) == ["video:b was found completed, in truth it ended failed"]

    def test_an_unresolved_job_could_not_be_found_out(self) -> None:
        """Exit code 3."""
        report = _report(GOOD[0], _outcome("video:b", None))
        assert report.code == 3
        assert list(report.problems()) == ["1 job could not be resolved"]

    def test_a_429_fails_the_demo(self) -> None:
        """The client has broken a limit that left it headroom."""
        report = _report(*GOOD, limited=3)
        assert report.code == 1
        assert "3 requests were answered 429" in next(report.problems())

    def test_requests_per_job_and_budget(self) -> None:
        """Of what the bucket allowed in that time: 10 + 80 × 2."""
        printed = _report(*GOOD).to_json()
        assert printed["per_job"] == {"image": 6.0, "video": 2.0, "try-on": 0.0, "all": 4.0}
        assert printed["budget_used"] == pytest.approx(8 / 170, abs=1e-4)

    def test_tables_have_a_row_for_each_kind_that_is_there(self) -> None:
        """And one for all."""
        ends, lags = _report(*GOOD).tables()
        assert [row[0] for row in ends.rows] == ["image", "video", "all"]
        assert [row[1] for row in lags.rows] == ["1.0 s", "0.50 s", "1.0 s"]

    def test_asking_in_turn(self) -> None:
        """At 1 request/s: job 2 is found at 2 s, job 1 in the next round, at 3 s."""
        lag = in_turn([2.5, 1.0], rate=1.0)
        assert lag is not None
        assert sorted([lag.p50, lag.max]) == [1.0, 1.0]
        assert lag.mean == 0.75
        assert in_turn([], rate=1.0) is None

    def test_it_is_a_value(self) -> None:
        """Frozen like every fact."""
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            _report(*GOOD).took = 1.0  # type: ignore[misc]
