"""``topaz-status watch`` with jobs as arguments."""

from __future__ import annotations

import pytest

from topaz_status.testing import SimulatorProcess

from .driver import EAGER, Cli

PAST = {"after": -60.0, "duration": 1.0}
"""A job that has ended before anybody polls."""


def test_jobs_of_every_kind_that_complete_give_a_line_each_and_exit_code_0(
    cli: Cli, simulator: SimulatorProcess
) -> None:
    """A line holds the job, its state and how long it was waited for."""
    jobs = simulator.add_jobs({"kind": kind, "duration": 0.4} for kind in ("image", "video", "try-on"))
    result = cli("watch", *jobs, *EAGER)
    assert (result.code, result.err) == (0, "")
    assert sorted(line.split()[:2] for line in result.lines) == sorted([job, "completed"] for job in jobs)
    assert all(line.endswith(" s") for line in result.lines)


def test_a_failed_job_gives_its_reason_and_exit_code_1(cli: Cli, simulator: SimulatorProcess) -> None:
    """The service's own words and code for the failure end the line."""
    failed = {"outcome": "failed", "message": "Too dark.", "error_code": "TOO_DARK"}
    (job,) = simulator.add_jobs([{"kind": "video", **PAST, **failed}])
    result = cli("watch", job)
    assert result.code == 1
    assert result.lines[0].split()[:2] == [job, "failed"]
    assert result.lines[0].endswith("Too dark. [TOO_DARK]")


@pytest.mark.parametrize("end", ["canceled", "expired"])
def test_canceled_and_expired_jobs_give_exit_code_1(cli: Cli, simulator: SimulatorProcess, end: str) -> None:
    """Every end but completion is a failure to a caller that waits."""
    jobs = simulator.add_jobs([{"kind": "try-on", **PAST}, {"kind": "try-on", **PAST, "outcome": end}])
    result = cli("watch", *jobs)
    assert result.code == 1
    assert {line.split()[1] for line in result.lines} == {"completed", end}


def test_a_timeout_gives_exit_code_3(cli: Cli, simulator: SimulatorProcess) -> None:
    """A job that could not be waited for is neither done nor failed: the line says what to do."""
    jobs = simulator.add_jobs([{"kind": "image", "stuck": True}, {"kind": "image", **PAST, "outcome": "failed"}])
    result = cli("watch", *jobs, "--timeout", "0.5s")
    assert result.code == 3
    assert "longer --timeout" in next(line for line in result.lines if line.startswith(jobs[0]))


def test_a_refused_key_gives_exit_code_3(cli: Cli, simulator: SimulatorProcess) -> None:
    """The line names the variable that holds the key."""
    jobs = simulator.add_jobs([{"kind": "try-on", "count": 2, **PAST}])
    simulator.add_faults([{"name": "401"}])
    result = cli("watch", *jobs)
    assert result.code == 3
    assert all("check PIXELCUT_API_KEY" in line for line in result.lines)


def test_a_missing_key_is_reported_before_anything_is_sent(
    cli: Cli, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable to set; the exit code is 3."""
    monkeypatch.delenv("TOPAZ_API_KEY")
    result = cli("watch", "video:v1", "try-on:t1")
    assert (result.code, result.out) == (3, "")
    assert result.err == "topaz-status: no API key for video jobs: set the environment variable TOPAZ_API_KEY\n"
    assert simulator.stats()["requests"] == 0


def test_an_unusable_environment_is_reported_in_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base URL that would give the key away is refused with exit code 3."""
    monkeypatch.setenv("TOPAZ_API_URL", "http://topaz.example")
    result = cli("watch", "image:a")
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert "TOPAZ_API_URL" in result.err


def test_json_gives_an_object_a_line_without_signed_urls(cli: Cli, simulator: SimulatorProcess) -> None:
    """Programs get every fact of the outcome; the link only when asked for."""
    (job,) = simulator.add_jobs([{"kind": "video", **PAST}])
    (printed,) = cli("watch", job, "--json").objects
    assert printed.keys() == {"job", "state", "status", "progress", "error", "waited", "polls", "detected_at"}
    assert (printed["job"], printed["state"], printed["status"], printed["progress"]) == (
        job,
        "completed",
        "complete",
        100.0,
    )
    assert (printed["error"], printed["polls"]) == (None, 1)
    (with_link,) = cli("watch", job, "--json", "--urls").objects
    assert with_link["result_url"].startswith("http://127.0.0.1:")


def test_json_says_the_error_of_a_job(cli: Cli, simulator: SimulatorProcess) -> None:
    """Its class, and its text without advice for people."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST, "outcome": "failed"}])
    result = cli("watch", job, "--json")
    assert result.code == 1
    assert result.objects[0]["error"] == {"type": "JobFailedError", "message": f"{job} failed"}


def test_a_job_named_twice_is_reported_once(cli: Cli, simulator: SimulatorProcess) -> None:
    """Options may stand between jobs, and a job may come again."""
    first, second = simulator.add_jobs([{"kind": "image", "count": 2, **PAST}])
    result = cli("watch", first, "--json", second, first)
    assert sorted(printed["job"] for printed in result.objects) == sorted([first, second])


def test_the_budget_options_hold(cli: Cli, simulator: SimulatorProcess) -> None:
    """One request at a time, where so many are allowed."""
    jobs = simulator.add_jobs([{"kind": "image", "count": 20, **PAST}])
    result = cli("watch", *jobs, "--rate", "500", "--burst", "500", "--max-in-flight", "1")
    assert (result.code, len(result.lines)) == (0, 20)
    assert simulator.stats()["peak_in_flight"] == 1


def test_verbose_logs_changes_of_state_on_standard_error(cli: Cli, simulator: SimulatorProcess) -> None:
    """Results stay alone on standard output; twice verbose shows every poll."""
    (job,) = simulator.add_jobs([{"kind": "image", **PAST}])
    once = cli("watch", job, "-v")
    assert once.err == f"topaz-status: {job}: new -> completed (Completed)\n"
    assert len(once.lines) == 1
    assert f"topaz-status: poll of {job}: Completed" in cli("watch", job, "-vv").err
