"""The control endpoints below ``/_sim/``, with which another process scripts the simulator.

Control requests are neither counted nor limited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import attrs
import orjson
from aiohttp import web

from ...errors import ConfigurationError
from ...models.job import JobRef
from .account import Truth
from .clock import SimulatedClock
from .faults.rules import Fault
from .http_front import Front
from .http_values import Answer
from .job_plan import JobPlan
from .rate_limit import RetryAfter
from .request_log import Exchange, ServerStats


class Controlled(Protocol):
    """The part of :class:`.Simulator` that the control endpoints use."""

    clock: SimulatedClock
    front: Front

    @property
    def log(self) -> tuple[Exchange, ...]:
        """Return the latest requests."""

    def truth(self, job: JobRef) -> Truth:
        """Return the truth of one job."""

    def truths(self) -> Mapping[JobRef, Truth]:
        """Return the truth of every job."""

    def stats(self) -> ServerStats:
        """Return the server's counters."""

    def add_jobs(self, plans: JobPlan | Iterable[JobPlan]) -> list[JobRef]:
        """Submit jobs."""

    def add_faults(self, faults: Iterable[Fault]) -> None:
        """Add faults."""

    def clear_faults(self) -> None:
        """Remove all faults."""

    def limit(
        self,
        rate: float | None,
        burst: float | None = None,
        retry_after: RetryAfter = None,
        *,
        window: float | None = None,
        sliding: bool = False,
    ) -> None:
        """Change the shared rate limit."""

    def revoke(self, key: str) -> None:
        """Answer 401 to a key."""

    def restore(self, key: str) -> None:
        """Accept a revoked key again."""

    def reset(self) -> None:
        """Remove all jobs, faults and revocations and set the counters to zero."""


def _objects(body: Any, name: str) -> list[dict[str, Any]]:
    """Return the objects of a body: a list, an object with a list under ``name``, or one object alone."""
    found = body.get(name, [body]) if isinstance(body, dict) else body
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError(f"expected a list of objects under {name!r}")
    return found


@attrs.frozen
class Control:
    """Answers control requests.

    ====================  =====================================================================================
    ``GET truth``         every job's true outcome and end; ``?job=image:…`` for one
    ``GET stats``         the counters
    ``GET log``           the requests, oldest first
    ``POST jobs``         a plan, a list of plans, or ``{"jobs": […]}``; answers the jobs' names
    ``POST faults``       a fault, a list of faults, or ``{"faults": […], "clear": true}``
    ``POST limits``       ``{"rate", "burst", "retry_after", "window", "sliding"}``; a rate of null lifts the limit
    ``POST keys``         ``{"revoke": […]}``, ``{"restore": […]}``
    ``POST reset``        remove jobs, faults, revocations and counters
    ====================  =====================================================================================
    """

    simulator: Controlled

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one control request; an invalid one gets a 400 with a message."""
        name = f"{request.method.lower()}_{request.path.removeprefix('/_sim/')}"
        action = getattr(self, name, None)
        if action is None:
            return self._answer(404, {"message": f"no control endpoint {request.method} {request.path}"})
        try:
            text = await request.content.read()  # of any size: ``read()`` refuses more than a megabyte
            return self._answer(200, action(request, orjson.loads(text) if text else {}))
        except (ValueError, TypeError, AttributeError, KeyError, ConfigurationError) as problem:
            return self._answer(400, {"message": str(problem)})

    def _answer(self, status: int, body: Any) -> web.Response:
        return self.simulator.front.response(Answer(status, body))

    def get_truth(self, request: web.BaseRequest, _body: Any) -> Any:
        """Return ``{"now", "unix_now", "jobs": […]}``."""
        simulator = self.simulator
        jobs = (
            [simulator.truth(JobRef.parse(request.query["job"]))]
            if "job" in request.query
            else simulator.truths().values()
        )
        clock, now = simulator.clock, simulator.clock.now()
        times = {"now": clock.loop_time(now), "unix_now": clock.true_unix(now)}
        return times | {"jobs": [truth.to_json() for truth in jobs]}

    def get_stats(self, _request: web.BaseRequest, _body: Any) -> Any:
        """Return the counters of ``ServerStats``."""
        return self.simulator.stats().to_json()

    def get_log(self, _request: web.BaseRequest, _body: Any) -> Any:
        """Return the log as a list of objects."""
        return {"log": [attrs.asdict(exchange) for exchange in self.simulator.log]}

    def post_jobs(self, _request: web.BaseRequest, body: Any) -> Any:
        """Create jobs from plans."""
        plans = [JobPlan.from_json(fields) for fields in _objects(body, "jobs")]
        return {"jobs": [str(job) for job in self.simulator.add_jobs(plans)]}

    def post_faults(self, _request: web.BaseRequest, body: Any) -> Any:
        """Add faults, after clearing the others if the body says so."""
        if isinstance(body, dict) and body.get("clear"):
            self.simulator.clear_faults()
            body = {"faults": body.get("faults", [])}
        faults = [Fault.from_json(fields) for fields in _objects(body, "faults")]
        self.simulator.add_faults(faults)
        return {"faults": len(faults)}

    def post_limits(self, _request: web.BaseRequest, body: Any) -> Any:
        """Change the shared rate limit."""
        self.simulator.limit(**body)
        return {}

    def post_keys(self, _request: web.BaseRequest, body: Any) -> Any:
        """Revoke and restore keys."""
        for key in body.get("revoke", ()):
            self.simulator.revoke(key)
        for key in body.get("restore", ()):
            self.simulator.restore(key)
        return {}

    def post_reset(self, _request: web.BaseRequest, _body: Any) -> Any:
        """Remove all jobs, faults and revocations and set the counters to zero."""
        self.simulator.reset()
        return {}
