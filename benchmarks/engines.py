"""The clients whose CPU is compared: the floor, the engine that people write by hand, and the library in two ways."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from typing import Final

import attrs
import cattrs
from canned import canned_ids
from plain import PATHS, SLOTS, PlainClient, limiter, plain_session
from turns import Order, at_work, take_turns

from topaz_status import JobKind, JobRef, PollPolicy, StatusClient

EAGER: Final = 0.25
"""Seconds between two polls of a job by the library and the naive engine: more are always due than the rate allows."""
EAGER_PAGE: Final = 0.02
"""Seconds between two polls of a page; there are a hundred times fewer pages than jobs."""
READINGS: Final = 3
"""Statuses of each job before pages are measured: the first sweep of a list finds out which page each job is on."""


def _jobs(count: int) -> list[JobRef]:
    return [JobRef(JobKind.IMAGE, job) for job in canned_ids(count)]


async def run_bare(pipe: Connection, order: Order) -> None:
    """Run the floor: bare request loops."""
    polls = 0
    urls = [order.url + PATHS[job.kind].format(job.id) for job in _jobs(order.jobs)]
    loop = asyncio.get_running_loop()

    async def work(first: int) -> None:
        nonlocal polls
        at = loop.time() + first / order.rate
        while True:
            for url in urls[first::SLOTS]:
                if order.paced:
                    at = max(at + SLOTS / order.rate, loop.time())
                    await asyncio.sleep(at - loop.time())
                async with session.get(url) as response:
                    await response.json()
                polls += 1

    async with plain_session() as session, at_work(*(work(first) for first in range(SLOTS))):
        await take_turns(pipe, order, lambda: polls)


@attrs.define
class NaiveStatus:
    """An image's status, written down from the documents."""

    process_id: str
    filename: str
    input_format: str
    input_height: int
    input_width: int
    output_format: str
    output_height: int
    output_width: int
    category: str
    model_type: str
    model: str
    crop_to_fill: bool
    status: str
    progress: float
    eta: float
    creation_time: float
    modification_time: float
    credits: float
    subject_detection: str | None = None
    face_enhancement: bool | None = None
    options_json: str | None = None


async def run_naive(pipe: Connection, order: Order) -> None:
    """Run the engine that people write by hand."""
    async with plain_session() as session:
        client = PlainClient(
            session,
            order.url,
            limiter(order.rate, SLOTS),
            interval=EAGER,
            decode=lambda body: cattrs.structure(body, NaiveStatus),
        )
        async with at_work(*(client.wait(job) for job in _jobs(order.jobs))):
            await take_turns(pipe, order, lambda: client.polls)


async def run_library(pipe: Connection, order: Order) -> None:
    """Run the library with single polls of each job."""
    policy = PollPolicy(price=0.001, min_interval=EAGER, max_interval=EAGER, sweep=False)
    await _run_library(pipe, order, policy, order.jobs)


async def run_pages(pipe: Connection, order: Order) -> None:
    """Run the library with polls of list pages. Each status received counts as a poll: a page brings a hundred."""
    policy = PollPolicy(price=0.001, min_interval=EAGER_PAGE, max_interval=EAGER_PAGE)
    await _run_library(pipe, attrs.evolve(order, jobs=READINGS * order.jobs), policy, order.jobs)


async def _run_library(pipe: Connection, order: Order, policy: PollPolicy, jobs: int) -> None:
    async with StatusClient(
        topaz_api_key="sim", topaz_url=order.url, rate=order.rate, burst=SLOTS, max_in_flight=SLOTS, policy=policy
    ) as client:
        watches = [client.watch(job) for job in _jobs(jobs)]
        await take_turns(pipe, order, lambda: statuses(client))
        assert not any(watch.done() for watch in watches)
        assert all(watch.status is not None for watch in watches)


def statuses(client: StatusClient) -> int:
    """Return the number of statuses of watched jobs received, by pages or single polls."""
    stats = client.stats()
    return stats.total_requests - sum(stats.sweeps.values()) + stats.swept_statuses
