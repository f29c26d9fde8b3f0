"""The examples for frameworks run as they stand, in the framework itself, against the simulator."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import httpx
from asgi import lifespan_of
from taskiq import InMemoryBroker

from topaz_status.testing import Simulator


def example(name: str) -> ModuleType:
    """An example, imported anew."""
    full = f"topaz_status.examples.{name}"
    sys.modules.pop(full, None)
    return importlib.import_module(full)


@contextlib.asynccontextmanager
async def asking(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Start an app as a server does, ask it, and stop it."""
    transport = httpx.ASGITransport(app)
    async with lifespan_of(app) as state, httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        transport.app = with_state(app, state)
        yield http


def with_state(app: Any, state: dict[str, Any]) -> Any:
    """Hand the lifespan's state to each request, as servers do."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return call


async def test_starlette_handler(services: Simulator) -> None:
    """The end of a job, one that goes on, one that failed and a text that names none have answers of their own."""
    done, failed = services.add_image(duration=0.3), services.add_image(duration=0.1, outcome="failed")
    slow = services.add_video(duration=3600.0)
    async with asking(example("starlette_handler").app) as http:
        answer = await http.get(f"/jobs/{done}")
        assert (answer.status_code, answer.json()) == (200, {"state": "completed", "progress": 100.0})
        answer = await http.get(f"/jobs/{slow}?wait=0.5")
        assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
        assert answer.json()["state"] in {"queued", "running"}
        assert (await http.get(f"/jobs/{failed}")).json() == {"error": f"{failed} failed"}
        assert [(await http.get(f"/jobs/{name}")).status_code for name in ("a", "image:a?wait=soon")] == [400, 400]


async def test_django_view(services: Simulator) -> None:
    """The view waits on the server's loop; the client is closed with the server."""
    done, failed = services.add_image(duration=0.3), services.add_image(duration=0.1, outcome="failed")
    module = example("django_view")
    async with asking(module.application) as http:
        answer = await http.get(f"/images/{done.id}")
        assert (answer.status_code, answer.json()["state"]) == (200, "completed")
        answer = await http.get(f"/images/{failed.id}")
        assert (answer.status_code, answer.json()) == (410, {"error": f"{failed} failed"})
    assert repr(module.client).startswith("<StatusClient closed")


async def test_worker_task(services: Simulator) -> None:
    """A task of the queue waits with the worker's client, and a job's failure is its result."""
    done, failed = services.add_image(duration=0.3), services.add_image(duration=0.1, outcome="failed")
    module = example("worker_task")
    broker: InMemoryBroker = module.broker
    broker.is_worker_process = True
    await broker.startup()
    try:
        tasks = [await module.wait_for.kiq(str(job)) for job in (done, failed)]
        results = [await task.wait_result(timeout=30) for task in tasks]
    finally:
        await broker.shutdown()
    assert [result.return_value for result in results] == [
        {"job": str(done), "state": "completed", "error": None},
        {"job": str(failed), "state": "failed", "error": f"{failed} failed"},
    ]
    assert repr(broker.state.client).startswith("<StatusClient closed")
