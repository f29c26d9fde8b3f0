"""Numbers and times as people read them, and exit codes for what happened."""

from __future__ import annotations

import pytest

from topaz_status import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DecodeError,
    GatewayError,
    JobFailedError,
    JobLostError,
    JobRef,
    NotFoundError,
    RateLimitedError,
    TransportError,
    WatchTimeoutError,
)
from topaz_status.cli.exit_codes import code_of, explain, reason, worst
from topaz_status.cli.formatting import Table, clock, moment, plural, span

JOB = JobRef.parse("image:a")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 s"),
        (0.42, "0.42 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min 00 s"),
        (200.0, "3 min 20 s"),
        (3599.9, "1 h 00 min"),
        (7500.0, "2 h 05 min"),
        (86_399.9, "1 d 0 h"),
        (100_800.0, "1 d 4 h"),
    ],
)
def test_a_span_has_the_units_of_its_size(seconds: float, text: str) -> None:
    """And never 60 of one."""
    assert span(seconds) == text


def test_a_clock_has_a_steady_width() -> None:
    """Hours only when there are some; never below zero."""
    assert [clock(value) for value in (-3.0, 7.4, 750.0, 3723.0)] == ["0:00", "0:07", "12:30", "1:02:03"]


def test_a_time_beyond_all_calendars_stays_a_number() -> None:
    """Services send absurd ones."""
    assert moment(3.15e14) == "3.15e+14"
    assert moment(1_700_000_000.0).startswith("2023-11-1")


def test_a_count_agrees_with_its_word() -> None:
    """One job, many jobs."""
    assert [plural(count, "job") for count in (0, 1, 2000)] == ["0 jobs", "1 job", "2,000 jobs"]


def test_a_table_aligns_its_columns() -> None:
    """The first to the left, the others to the right, totals below a rule."""
    table = Table(("kind", "jobs"), [["image", "84"], ["all", "100"]], total=True)
    assert list(table.lines()) == ["kind   jobs", "─────  ────", "image    84", "─────  ────", "all     100"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (JobFailedError(JOB), 1),
        (JobLostError(JOB), 1),
        (NotFoundError(404, job=JOB), 1),
        (BadRequestError(400, job=JOB), 1),
        (WatchTimeoutError("late", job=JOB), 3),
        (AuthenticationError(401), 3),
        (RateLimitedError(429), 3),
        (GatewayError(404, job=JOB), 3),
        (TransportError("no route"), 3),
        (DecodeError([("status", "missing")]), 3),
        (ConfigurationError("no key"), 3),
    ],
)
def test_an_exit_code_distinguishes_a_verdict_from_ignorance(error: Exception | None, code: int) -> None:
    """1 where the service has spoken on the job, 3 where it could not be found out."""
    assert code_of(error) == code


def test_the_worst_code_stands_for_all() -> None:
    """Bad usage, then ignorance, then failure."""
    assert [worst(codes) for codes in ([], [0, 0], [0, 1], [3, 1, 0], [1, 2, 3])] == [0, 0, 1, 3, 2]


def test_an_error_says_what_to_do_next() -> None:
    """In one line, whatever the service put into its message."""
    assert explain(AuthenticationError(401), JOB.kind) == "401: Unauthorized; check TOPAZ_API_KEY"
    assert explain(RateLimitedError(429, "Slow\ndown.")).startswith("429: Slow down; try again later")
    assert "check the base URL, and any proxy, firewall or captive portal" in explain(GatewayError(404))
    assert "\n" not in explain(TransportError("connection\nreset"))


PROXY = "check the proxy (--proxy, or HTTPS_PROXY in the environment)"


@pytest.mark.parametrize(
    "text",
    [
        "cannot connect to the proxy p.test:3128: refused",
        "cannot resolve the proxy p.test:3128: unknown",
        "the proxy p.test:3128 asks for credentials (407): check user:password@ in its URL",
        "the proxy p.test:3128 does not connect us to the host (403 Forbidden)",
        "the connection through the proxy p.test:3128 was lost before an answer came",
    ],
)
def test_a_proxys_trouble_has_the_proxy_checked(text: str) -> None:
    """Not the service's URL, also where it kept a watch from every answer."""
    error = TransportError(text, job=JOB)
    assert explain(error, JOB.kind) == f"{JOB}: {text}; {PROXY}"
    late = WatchTimeoutError(f"{JOB}: no poll was answered in 15 s", job=JOB, last_error=error)
    assert reason(late, JOB) == f"no poll was answered in 15 s; {PROXY}"


def test_the_advice_to_a_timeout_follows_its_last_trouble() -> None:
    """A longer wait is advised where nothing else is known to help."""
    advice = {
        None: "watch it again, or with a longer --timeout",
        AuthenticationError(401): "check TOPAZ_API_KEY",
        TransportError("reset"): "check the network and TOPAZ_API_URL, if it is set",
        NotFoundError(404): "check the id; the services forget a job after 7 days",
        DecodeError([("status", "missing")]): "watch it again, or with a longer --timeout",
    }
    for trouble, said in advice.items():
        assert explain(WatchTimeoutError("late", last_error=trouble), JOB.kind) == f"late; {said}"


def test_a_line_that_begins_with_the_job_does_not_say_its_name_again() -> None:
    """The reason alone is left."""
    assert reason(JobFailedError(JOB, None, "too dark [DARK]"), JOB) == "too dark [DARK]"
    assert reason(TransportError("reset", job=JOB), JOB).startswith("reset; check the network")
    assert reason(BadRequestError(400, "bad id", job=JOB), JOB) == "400: bad id"
