"""What the examples submit: in your app, your own call to the service; here, a job of the simulator's."""

from __future__ import annotations

import os
from typing import Any

import aiohttp

from topaz_status import JobRef


async def submit(**plan: Any) -> JobRef:
    """Submit a job; ``plan`` says what becomes of it, as :class:`topaz_status.testing.JobPlan` does."""
    url = os.environ["TOPAZ_API_URL"] + "/_sim/jobs"
    async with aiohttp.ClientSession() as session, session.post(url, json={"kind": "image", **plan}) as answer:
        answer.raise_for_status()
        [name] = (await answer.json())["jobs"]
    return JobRef.parse(name)
