"""The README's words are true: its examples run, its files are there, its commands exist."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
from pathlib import Path
from types import CodeType, FunctionType

import httpx
import pytest
from fastapi import FastAPI

from topaz_status import JobKind, StatusClient
from topaz_status.testing import Simulator

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def compiled(example: str) -> CodeType:
    """An example as code that may await at its top level."""
    code: CodeType = compile(example, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


def run(example: str, names: dict[str, object]) -> str:
    """What an example prints; one without an ``await`` of its own is run where no loop runs."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = FunctionType(compiled(example), names)()
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return out.getvalue()


async def asked(app: FastAPI, process_id: str) -> str:
    """What an app of an example answers, in its own way and through the routes it includes."""
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        answers = [await http.get(path) for path in (f"/images/{process_id}", f"/jobs/image/{process_id}")]
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(200, "completed")] * 2
    return "asked"


@pytest.mark.parametrize("example", [pytest.param(example, id=str(n)) for n, example in enumerate(EXAMPLES)])
async def test_every_example_runs_and_prints(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied from the page, with the jobs' names filled in, each example works against the services as documented."""
    simulator = Simulator(seed=1)
    ended = -9.0 if "client.result" in example else 0.0
    image, video, try_on = (simulator.add(kind, after=ended, duration=0.3) for kind in JobKind)
    names: dict[str, object] = {
        "StatusClient": StatusClient,
        "process_id": image.id,
        "request_id": video.id,
        "job_id": try_on.id,
        "folder": tmp_path,
        "signed_in": lambda: None,
        "webhook_body": b'{"process_id": "%s", "status": "Completed"}' % image.id.encode(),
    }
    async with simulator.serve() as url:
        for variable in ("TOPAZ_API_URL", "PIXELCUT_API_URL"):
            monkeypatch.setenv(variable, url)
        for variable in ("TOPAZ_API_KEY", "PIXELCUT_API_KEY"):
            monkeypatch.setenv(variable, "test")
        out = await asyncio.to_thread(run, example, names)
        if isinstance(app := names.get("app"), FastAPI):
            out += await asked(app, image.id)
    assert out.strip()
    assert "error" not in out.lower()


def test_every_file_it_names_is_there() -> None:
    """A pointer to a test is worth something only when the test exists."""
    named = re.findall(r"`((?:tests|benchmarks)/[\w./]+)`", README.read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (README.parent / path).exists()] == []
