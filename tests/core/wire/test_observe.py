"""What the schedule learns of a status: spans instead of moments, and no absurd ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
from documented_bodies import IMAGE, RECORD, TRY_ON, TRY_ON_JOB, VIDEO, VIDEO_JOB, drifted
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.observation import Observation
from topaz_status.core.wire.decode import decode_history, decode_image, decode_try_on, decode_video
from topaz_status.core.wire.observe import observe_record, observe_status
from topaz_status.models.job import JobKind, JobRef

NOW = 1_800_000_000.0
DAY = 86_400.0


def image(**fields: Any) -> Observation:
    status = decode_image({"process_id": "a", "status": "Processing", **fields})
    return observe_status(status, job=status.job, service_now=NOW)


def video(**fields: Any) -> Observation:
    return observe_status(decode_video({"status": "processing", **fields}, VIDEO_JOB), job=VIDEO_JOB, service_now=NOW)


def record(**fields: Any) -> Observation:
    page = decode_history([{"id": "a", "status": "processing", **fields}])
    return observe_record(page.records[0], job=page.records[0].job, service_now=NOW)


@pytest.mark.parametrize(
    ("eta", "remaining"),
    [
        (NOW + 30, 30.0),
        (NOW, 0.0),
        (NOW - 5, -5.0),
        (NOW + 7 * DAY, 7 * DAY),
        (NOW - 7 * DAY, -7 * DAY),
        (NOW + 7 * DAY + 1, None),
        (NOW - 7 * DAY - 1, None),
        (0, None),
        (None, None),
        ("soon", None),
        (10**400, None),
    ],
)
def test_remaining(eta: object, remaining: float | None) -> None:
    """The remaining time runs until ``eta`` by the service's clock, negative if overdue; zero or absurd is dropped."""
    assert image(eta=eta).remaining == remaining


@pytest.mark.parametrize(
    ("made", "age"),
    [
        (NOW - 40, 40.0),
        (NOW, 0.0),
        (NOW + 60, 0.0),
        (NOW + 61, None),
        (NOW - 7 * DAY, 7 * DAY),
        (NOW - 7 * DAY - 1, None),
        (0, None),
        (None, None),
    ],
)
def test_age(made: object, age: float | None) -> None:
    """A job's age counts from its creation; a little ahead of the clock is now, an absurd time is dropped."""
    assert image(creation_time=made).age == age


@pytest.mark.parametrize(
    ("word", "ended_ago"), [("Completed", 3.0), ("Failed", 3.0), ("Processing", None), ("Odd", None)]
)
def test_end_of_an_image(word: str, ended_ago: float | None) -> None:
    """The last change of an ended job is its end; the last change of any other job means nothing."""
    assert image(status=word, modification_time=NOW - 3).ended_ago == ended_ago


def test_an_observation_is_of_the_job_that_was_asked_for() -> None:
    """An observation has the name by which the job is watched, however the service spells it."""
    status, watched = decode_image({"process_id": "ABC", "status": "Completed"}), JobRef(JobKind.IMAGE, "abc")
    assert observe_status(status, job=watched, service_now=NOW).job == watched
    page = decode_history([{"id": "ABC", "status": "complete"}])
    watched = JobRef(JobKind.VIDEO, "abc")
    assert observe_record(page.records[0], job=watched, service_now=NOW).job == watched


@pytest.mark.parametrize(
    ("word", "terminal", "running"),
    [
        ("requested", False, False),
        ("accepted", False, False),
        ("preprocessing", False, True),
        ("canceling", False, True),
        ("unheard of", False, True),
        ("complete", True, False),
        ("canceled", True, False),
    ],
)
def test_phase(word: str, terminal: bool, running: bool) -> None:
    """Queued, running or ended; an unknown word counts as running, never as the end."""
    for observation in (video(status=word), record(status=word)):
        assert (observation.terminal, observation.running) == (terminal, running)


@pytest.mark.parametrize(("percent", "progress"), [(0, 0.0), (50, 0.5), (100, 1.0), (250, 1.0), (None, None)])
def test_progress(percent: object, progress: float | None) -> None:
    """Progress is a share, from 0 to 1."""
    assert image(progress=percent).progress == video(progress=percent).progress == progress


@pytest.mark.parametrize(
    ("time", "estimate"),
    [
        ([600, 700], 650.0),
        ([700, 600], 650.0),
        ([600], 600.0),
        ([0, 0], None),
        ([-10, 50], None),
        ([1, 30 * DAY], None),
        ([], None),
        (None, None),
        ("long", None),
    ],
)
def test_estimate(time: object, estimate: float | None) -> None:
    """The estimate is the middle of the bounds; zero, negative or beyond a week is dropped."""
    assert video(estimates={"time": time}).estimate == estimate
    assert record(estimates={"time": time}).estimate == estimate


def test_video_and_try_on_say_no_times() -> None:
    """A field that a service does not send is ``None``."""
    try_on = observe_status(decode_try_on(TRY_ON, TRY_ON_JOB), job=TRY_ON_JOB, service_now=NOW)
    assert try_on == Observation(job=TRY_ON_JOB, terminal=True, running=False)
    assert video() == Observation(job=VIDEO_JOB, terminal=False, running=True)


@pytest.mark.parametrize(
    ("ts", "age"),
    [
        ({"requested": (NOW - 9) * 1000, "accepted": (NOW - 8) * 1000}, 9.0),
        ({"accepted": (NOW - 8) * 1000}, 8.0),
        ({"processing": (NOW - 7) * 1000}, None),
        ({"requested": 5}, None),
    ],
)
def test_age_of_a_record(ts: object, age: float | None) -> None:
    """A record's age is since it was requested, or else accepted."""
    assert record(ts=ts).age == age


@pytest.mark.parametrize(
    ("ts", "ran"),
    [
        ({"accepted": (NOW - 9) * 1000, "initializing": (NOW - 7) * 1000, "processing": (NOW - 6) * 1000}, 7.0),
        ({"initializing": (NOW + 1) * 1000}, 0.0),
        ({"accepted": (NOW - 9) * 1000}, None),
        ({"initializing": 5}, None),
    ],
)
def test_a_record_runs_since_its_source_was_received(ts: object, ran: float | None) -> None:
    """The estimate counts from then, and the record gives no progress."""
    assert record(ts=ts).ran == ran


@pytest.mark.parametrize(
    ("fields", "ended_ago"),
    [
        ({"status": "complete", "ts": {"complete": (NOW - 4) * 1000}, "lastEventTs": NOW * 1000}, 4.0),
        ({"status": " Complete", "ts": {"complete": (NOW - 4) * 1000}}, 4.0),
        ({"status": "failed", "lastEventTs": (NOW - 2) * 1000}, 2.0),
        ({"status": "processing", "ts": {"processing": NOW * 1000}, "lastEventTs": NOW * 1000}, None),
        ({"status": "complete"}, None),
    ],
)
def test_end_of_a_record(fields: dict[str, object], ended_ago: float | None) -> None:
    """A record ended when it reached the state it is in, or else at its last event."""
    assert record(**fields).ended_ago == ended_ago


def _finite(value: float | None) -> bool:
    return value is None or (math.isfinite(value) and abs(value) <= 7 * DAY)


@given(drifted(IMAGE), drifted(VIDEO), drifted(RECORD), st.floats())
def test_every_span_is_sane(image_body: Any, video_body: Any, entry: Any, now: float) -> None:
    """Whatever a body and the clock say, a span is ``None``, or finite and within a week."""
    status = decode_image({**image_body, "process_id": "a", "status": "Completed"})
    other = decode_video({**video_body, "status": "complete", "id": None, "requestId": None}, VIDEO_JOB)
    past = decode_history([{**entry, "id": "a", "status": "complete"}]).records[0]
    for seen in (
        observe_status(status, job=status.job, service_now=now),
        observe_status(other, job=VIDEO_JOB, service_now=now),
        observe_record(past, job=past.job, service_now=now),
    ):
        assert all(map(_finite, (seen.remaining, seen.estimate, seen.age, seen.ended_ago)))
        assert seen.progress is None or 0 <= seen.progress <= 1


def test_documented_record_has_an_observation() -> None:
    """The documents' own entry, 10 s after its end."""
    [entry] = decode_history([RECORD]).records
    seen = observe_record(entry, job=entry.job, service_now=1727213410.0)
    assert (seen.job, seen.terminal, seen.ended_ago, seen.age, seen.estimate) == (VIDEO_JOB, True, 10.0, 3410.0, 650.0)


def test_documented_video_has_an_observation() -> None:
    """The documents' own video status: its share of work and the middle of its estimate."""
    assert video(**VIDEO) == Observation(job=VIDEO_JOB, terminal=False, running=True, progress=0.825, estimate=650.0)
