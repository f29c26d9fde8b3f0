"""The OpenAPI document is true: whatever is sent, the answer is one that it names, and never a 500."""

from __future__ import annotations

import asyncio
from typing import Any

import hypothesis
import schemathesis
from harness import real
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import World, world

from topaz_status import PollPolicy

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


@real
async def test_no_request_brings_an_answer_that_the_document_does_not_name() -> None:
    """Generated requests, good and bad, to every route, with jobs that there are among them."""
    policy = PollPolicy(max_interval=0.3, not_found_grace=0.05)
    router = {"max_wait": 0.05, "max_stream": 0.05, "max_jobs": 3}
    async with world(router=router, policy=policy) as w:
        known = [w.simulator.add_image(duration=0.1), w.simulator.add_video(duration=600.0)]
        await asyncio.to_thread(play, w, str(w.http._base_url), [job.id for job in known])


def play(w: World, url: str, known: list[str]) -> None:
    """Send what schemathesis thinks of, from a thread: it knows no asyncio."""
    schema = schemathesis.openapi.from_dict(w.app.openapi())
    schema.config.update(base_url=url)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 5
    for operation in operations:

        @hypothesis.settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(), pick=hypothesis.strategies.sampled_from([None, *known]))
        def ask(case: Any, pick: str | None) -> None:
            if pick is not None and "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = pick
            response = case.call(timeout=30)
            assert response.status_code != 500
            case.validate_response(response, checks=CHECKS)

        ask()
