"""Submits a job of the simulator for the examples; your app calls the service instead."""

from __future__ import annotations

import os
from typing import Any

import aiohttp

from topaz_status import JobRef


async def submit(**plan: Any) -> JobRef:
    """Submit a job; ``plan`` holds fields of :class:`topaz_status.testing.JobPlan`, which say how the job runs."""
    url = os.environ["TOPAZ_API_URL"] + "/_sim/jobs"
    async with aiohttp.ClientSession() as session, session.post(url, json={"kind": "image", **plan}) as answer:
        answer.raise_for_status()
        [name] = (await answer.json())["jobs"]
    return JobRef.parse(name)
