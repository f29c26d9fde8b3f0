"""The examples run as they stand, against the simulator."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from browsing import Page, chromium
from fastapi import FastAPI
from harness import until
from serving import served

import topaz_status
from topaz_status.testing import Simulator

SECRET = "a-secret-of-some-length"
EXAMPLES = Path(topaz_status.__file__).parent / "examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*.py") if path.name != "__init__.py")


@contextlib.asynccontextmanager
async def running(name: str, environment: pytest.MonkeyPatch) -> AsyncIterator[tuple[Simulator, FastAPI]]:
    """An example's app, imported anew, and the services it will find."""
    simulator = Simulator(seed=1)
    async with simulator.serve() as url:
        for variable in ("TOPAZ_API_URL", "PIXELCUT_API_URL"):
            environment.setenv(variable, url)
        environment.setenv("TOPAZ_API_KEY", "any")
        environment.setenv("WEBHOOK_SECRET", SECRET)
        full = f"topaz_status.examples.{name}"
        sys.modules.pop(full, None)
        yield simulator, importlib.import_module(full).app


@contextlib.asynccontextmanager
async def asking(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the app and ask it."""
    async with served(app) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


async def test_submit_and_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request submits a job and is answered with its terminal status; the document names what is answered."""
    async with running("submit_and_wait", monkeypatch) as (simulator, app), asking(app) as client:
        answer = await client.post("/images")
        assert answer.status_code == 200
        [job] = simulator.truths()
        assert (answer.json()["process_id"], answer.json()["state"]) == (job.id, "completed")
        schema = (await client.get("/openapi.json")).json()
        assert "ImageStatus" in schema["components"]["schemas"]


async def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the submit is answered with leads to a stream of events that ends with the job."""
    async with running("progress", monkeypatch) as (_, app), asking(app) as client:
        answer = await client.post("/images")
        assert answer.status_code == 202
        async with client.stream("GET", answer.json()["events"]) as events:
            text = "".join([piece async for piece in events.aiter_text()])
        assert text.count("event: status") > 1
        assert '"state":"completed"' in text


async def test_progress_in_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's page shows the progress and the end."""
    async with running("progress", monkeypatch) as (_, app), served(app) as url:
        await asyncio.to_thread(press_and_watch, url)


def press_and_watch(url: str) -> None:
    with chromium() as window:
        page = Page(window)
        page.open(url)
        page.click("button")
        page.until(lambda: page.value("progress") > 0)
        page.until(lambda: page.text("output") == "completed")


async def test_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice behind the secret brings a poll; the handler that waits is answered with what that poll saw."""
    async with running("webhook", monkeypatch) as (simulator, app), asking(app) as client:
        job = simulator.add_image(duration=600.0)
        waiting = asyncio.create_task(client.get(f"/images/{job.id}"))
        await until(lambda: simulator.log)
        assert simulator.cancel(job)
        notice = {"process_id": job.id, "status": "Failed"}
        assert (await client.post("/hooks/" + "x" * 20, json=notice)).status_code == 404
        assert not waiting.done()
        assert (await client.post(f"/hooks/{SECRET}", json=notice)).status_code == 204
        assert (await waiting).json()["state"] == "canceled"


async def test_background(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An order whose app goes down before its job ends is recorded by the next start; one that ends is so at once."""
    monkeypatch.setenv("WATCHES", str(tmp_path / "watches.db"))
    async with running("background", monkeypatch) as (_, app):
        async with asking(app) as client:
            assert (await client.get("/orders/7")).json() == "unknown"
            assert (await client.post("/orders/7")).status_code == 202
            assert (await client.get("/orders/7")).json() == "submitted"
        sys.modules.pop("topaz_status.examples.background")
        again = importlib.import_module("topaz_status.examples.background")
        async with asking(again.app) as client:
            await client.post("/orders/8")
            await until(lambda: again.orders == {7: "completed", 8: "completed"})
            await until(lambda: not again.tasks)
        third = importlib.reload(again)
        async with asking(third.app) as client:
            await until(lambda: not third.tasks)
            assert (await client.get("/orders/7")).json() == "unknown", "it was not acknowledged"


@pytest.mark.parametrize("name", FILES)
def test_the_readme_quotes_it(name: str) -> None:
    """What the examples' README shows is the file that runs here, to the letter."""
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    quotes = re.findall(r"^```py\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    assert (EXAMPLES / name).read_text(encoding="utf-8") in quotes


async def test_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each worker has a share of the budget and a store of its own; one that comes after another takes its store up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    async with running("workers", monkeypatch) as (_, app):
        module = sys.modules["topaz_status.examples.workers"]
        try:
            async with asking(app) as client:
                assert (await client.get("/stats")).json()["tokens"] <= 5.0
                second = module.new_client()
                assert "rate=10/s burst=5" in repr(second)
                with pytest.raises(RuntimeError, match="more workers"):
                    module.new_client()
            os.close(module.locks.pop(0))  # as when the first worker ends
            assert module.take_number() == 0
            assert await asyncio.to_thread((tmp_path / "watches-0.db").exists)
        finally:
            for lock in module.locks:
                os.close(lock)


async def test_two_workers_want_one_store_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second one says what is wrong, and does not start."""
    monkeypatch.setenv("WATCHES", str(tmp_path / "watches.db"))
    async with (
        running("background", monkeypatch) as (_, app),
        asking(app),
        running("background", monkeypatch) as (_, second),
    ):
        with pytest.raises(topaz_status.StoreError, match=r"is in use by .*: one client a file"):
            async with second.router.lifespan_context(second):
                pass
