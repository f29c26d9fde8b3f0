"""The example of errors knows all of them, and says the right thing about a job's end."""

from __future__ import annotations

import pytest
from harness import client_of

import topaz_status
from topaz_status import JobRef, TopazStatusError
from topaz_status.examples.handling_errors import settle, what_next
from topaz_status.testing import Simulator

JOB = JobRef("image", "a")
GENERAL = {"TopazStatusError", "JobError", "WatchError", "ServiceError"}
MADE = {
    "ServiceError": lambda kind: kind(status_code=418, message="text"),
    "JobError": lambda kind: kind(JOB),
    "ResultTooLargeError": lambda kind: kind(JOB, 10),
    "DecodeError": lambda kind: kind([("status", "is missing")]),
    "TopazStatusError": lambda kind: kind("text"),
}
ERRORS = [
    name
    for name in topaz_status.__all__
    if isinstance(one := getattr(topaz_status, name), type) and issubclass(one, TopazStatusError)
]


def make(name: str) -> TopazStatusError:
    """An error of a class, made as its nearest base in the table above is made."""
    kind = getattr(topaz_status, name)
    error: TopazStatusError = next(MADE[base.__name__] for base in kind.__mro__ if base.__name__ in MADE)(kind)
    return error


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_has_an_answer_of_its_own(name: str) -> None:
    """No error that the library has today falls through to the operator; the kinds of errors do."""
    assert what_next(make(name)).startswith("ask the operator") is (name in GENERAL)


@pytest.mark.virtual_time
async def test_a_job_is_settled() -> None:
    """A completed job leads to its result, a failed one to a new job, and one that goes on to another wait."""
    simulator = Simulator(seed=1)
    done, failed = simulator.add_image(duration=5.0), simulator.add_image(duration=5.0, outcome="failed")
    slow = simulator.add_image(duration=5000.0)
    async with client_of(simulator) as client:
        assert await settle(client, done) == "fetch the result"
        assert (await settle(client, failed)).startswith("submit it again")
        assert (await settle(client, slow)).startswith("watch it again later")
