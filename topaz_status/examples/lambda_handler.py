"""A function with a deadline, such as AWS Lambda's: it waits until the last seconds, then hands over to its next run.

A run takes up what earlier runs left, and what ``event["jobs"]`` adds. While there is more, a timer starts it again.

Watch out:

- The watches must outlive the run. A ``SQLiteStore`` needs a local disk that the next run sees, so no network drive;
  where there is none, use a store on a server.
- Stop before the platform does. The margin here is for the last write and the answer.
- One run at a time: a second one at the same time would get ``StoreError``, as a file admits one client.
"""

import asyncio
import os
from typing import Any

from topaz_status import SQLiteStore, StatusClient

MARGIN = 2.0
"""Seconds before its deadline at which a run stops waiting."""


def handler(event: dict[str, list[str]], context: Any) -> dict[str, Any]:
    """Wait for jobs; return the ends that became known, and whether there is more to do."""
    seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN
    return asyncio.run(run(event.get("jobs", []), max(0.0, seconds)))


async def run(jobs: list[str], seconds: float) -> dict[str, Any]:
    """Wait for at most so many seconds."""
    ended: dict[str, str] = {}
    async with StatusClient(store=SQLiteStore(os.environ["WATCHES"])) as client:
        for job in jobs:
            client.watch(job, timeout=None)  # it is in the store before its first poll
        try:
            async with asyncio.timeout(seconds):
                async for outcome in client.resume():
                    ended[str(outcome.job)] = outcome.state or str(outcome.error)
        except TimeoutError:  # the others stay in the store, and the next run polls them first
            return {"ended": ended, "more": True}
    return {"ended": ended, "more": False}
