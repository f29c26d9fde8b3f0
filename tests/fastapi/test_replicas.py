"""Two processes of the replicas' example share a database: when one is killed, the other finishes its orders."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator

import httpx
import pytest
from databases import PASSWORD, PostgresServer

from topaz_status.testing import Simulator

ORDERS = 6
LEASE = 1.5
"""Seconds."""


@contextlib.asynccontextmanager
async def replica(service: str, dsn: str) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """A process of the example, and a client of it."""
    settings = {"TOPAZ_API_KEY": "k", "TOPAZ_API_URL": service, "DATABASE_URL": dsn, "LEASE": str(LEASE)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "topaz_status.examples.replicas:app", "--port", "0", "--no-access-log",
        env={**os.environ, **settings}, stdout=DEVNULL, stderr=PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    said: list[bytes] = []
    while not said or b"running on" not in said[-1]:
        said.append(await process.stderr.readline())
        assert said[-1], b"".join(said).decode()
    url = said[-1].decode().split("running on ")[1].split()[0]
    try:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield process, client
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        _, log = await process.communicate()
        assert b"Traceback" not in log, log.decode()
        assert PASSWORD.encode() not in log


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """An empty database."""
    with postgres.connect() as connection:
        connection.execute(f"CREATE DATABASE replicas_{os.getpid()}")
    return postgres.dsn().removesuffix("postgres") + f"replicas_{os.getpid()}"


async def test_the_orders_of_a_killed_replica_are_finished_by_the_other(database: str) -> None:
    """Each of them, and its own as well; nothing is left in the store."""
    simulator = Simulator(seed=1)
    seen: set[int] = set()
    async with simulator.serve() as service, replica(service, database) as (_, survivor):
        async with replica(service, database) as (process, doomed):
            await survivor.post(f"/orders/{ORDERS}")
            for order in range(ORDERS):
                assert (await doomed.post(f"/orders/{order}")).status_code == 202
            asked = [(doomed, order) for order in range(ORDERS)] + [(survivor, ORDERS)]
            while len(seen) <= ORDERS:  # an order may have ended before anyone sees it in the store
                seen |= await asyncio.to_thread(open_orders, database)
                seen |= {n for http, n in asked if (await http.get(f"/orders/{n}")).json() == "completed"}
            process.send_signal(signal.SIGSTOP)
            left = await asyncio.to_thread(open_orders, database)
            process.send_signal(signal.SIGKILL)
        for order in left | {ORDERS}:
            while (await survivor.get(f"/orders/{order}")).json() != "completed":  # noqa: ASYNC110  # no event says so
                await asyncio.sleep(0.02)
        while await asyncio.to_thread(open_orders, database):  # noqa: ASYNC110  # acknowledged a moment later
            await asyncio.sleep(0.02)
        assert {str(truth.state) for truth in simulator.truths().values()} == {"completed"}


def open_orders(dsn: str) -> set[int]:
    """The orders that are in the store."""
    import psycopg  # noqa: PLC0415  # a machine without it skips this test

    with psycopg.connect(dsn) as connection:
        return {json.loads(tag)["order"] for (tag,) in connection.execute("SELECT tag FROM topaz_status.watches")}
