"""The fields of log records: what a handler that writes JSON gets besides the text."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from harness import TOPAZ_KEY, client_of, virtual

from topaz_status.testing import Simulator

EVENTS = {
    "poll": {"topaz_kind", "topaz_seconds"},
    "page": {"topaz_kind", "topaz_seconds", "topaz_count"},
    "state": {"topaz_kind", "topaz_job", "topaz_state"},
    "end": {"topaz_kind", "topaz_job", "topaz_error"},
    "down": {"topaz_kind", "topaz_error"},
    "back": {"topaz_kind", "topaz_seconds"},
    "notice": {"topaz_cause"},
}
"""Fields that each record of an event has."""


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name.startswith("topaz_")}


@virtual
async def test_each_record_says_what_happened_in_fields(caplog: pytest.LogCaptureFixture) -> None:
    """An outage, a failed job, sweeps and polls: every record has its event, with the fields of that event."""
    simulator = Simulator(seed=1)
    with caplog.at_level(logging.DEBUG, "topaz_status"):
        async with client_of(simulator) as client:
            simulator.add_fault("503", since=20.0, until=80.0)
            jobs = [simulator.add_image(duration=100.0 + n) for n in range(30)]
            jobs.append(simulator.add_image(duration=5.0, outcome="failed"))
            simulator.add_fault("429", since=10.0, until=12.0)
            await client.outcomes(jobs)
    found = [fields(record) for record in caplog.records if record.name == "topaz_status"]
    assert {one["topaz_event"] for one in found} == set(EVENTS)
    for one in found:
        assert EVENTS[one["topaz_event"]] <= set(one)
    [end] = [one for one in found if one["topaz_event"] == "end"]
    assert (end["topaz_job"], end["topaz_error"]) == (str(jobs[-1]), "JobFailedError")
    states = [one["topaz_state"] for one in found if one.get("topaz_job") == str(jobs[0]) and "topaz_state" in one]
    assert states[-1] == "completed"
    failed = [one for one in found if one["topaz_event"] == "poll" and "topaz_error" in one]
    assert {one["topaz_error"] for one in failed} >= {"ServerError"}
    assert TOPAZ_KEY not in repr(found)
    assert all(isinstance(value, str | int | float) for one in found for value in one.values())


def test_fields_are_the_projects_own(caplog: pytest.LogCaptureFixture) -> None:
    """A program whose records have a ``job`` or a ``kind`` of their own loses no record to a clash of names."""
    standard = set(vars(logging.makeLogRecord({})))
    assert not [name for name in EVENTS if name in standard]
    assert all(name.startswith("topaz_") for names in EVENTS.values() for name in names)
