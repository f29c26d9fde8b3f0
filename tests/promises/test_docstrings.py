"""The reference: its examples run, each public name has one, and tools that build it can read all of it."""

from __future__ import annotations

import ast
import contextlib
import doctest
import inspect
import io
import re
import traceback
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import topaz_status
from topaz_status import StatusClient
from topaz_status.testing import MEMORY_URL, MemoryConnector, Simulator, run_virtual

PACKAGE = Path(topaz_status.__file__).parent
ROOT = PACKAGE.parent
PARSER = doctest.DocTestParser()
CHECKER = doctest.OutputChecker()
KEYS = {"topaz_api_key": "key", "pixelcut_api_key": "key", "topaz_url": MEMORY_URL, "pixelcut_url": MEMORY_URL}


def documented() -> Iterator[tuple[str, str]]:
    """Each docstring with an example, and where it is."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                if ">>> " in text:
                    yield f"{path.relative_to(PACKAGE).as_posix()}::{getattr(node, 'name', '')}", text


EXAMPLES = dict(documented())
LATE = {"JobStatus", "StatusClient", "Watch"}
"""A union, and classes whose hints name what is loaded when a client is opened."""


async def run(text: str) -> list[str]:
    """Run the examples of one docstring, in virtual time against the simulator; say which printed something else."""
    simulator = Simulator(seed=1)
    jobs = {
        "image": simulator.add_image(duration=60.0),
        "video": simulator.add_video(queue=10.0, duration=60.0),
        "try_on": simulator.add_try_on(duration=60.0),
    }
    async with aiohttp.ClientSession(connector=MemoryConnector(simulator)) as session:

        def new_client(**settings: Any) -> StatusClient:
            return StatusClient(**{"session": session, **KEYS, **settings})

        names = {name: getattr(topaz_status, name) for name in topaz_status.__all__}
        async with new_client() as client:
            names |= jobs | {"client": client, "StatusClient": new_client}
            return [wrong for each in PARSER.get_examples(text) if (wrong := await run_one(each, names))]


async def run_one(example: doctest.Example, names: dict[str, Any]) -> str:
    """Run one example; give what it printed and should not have."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            code = compile(example.source, "example", "single", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = types.FunctionType(code, names)()
            if inspect.iscoroutine(result):
                await result
        except Exception:  # noqa: BLE001  # what an example raises is what is wrong with it
            traceback.print_exc(file=out)
    got = out.getvalue()
    names.pop("_", None)
    return "" if CHECKER.check_output(example.want, got, 0) else f"{example.source}{got}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_says(name: str) -> None:
    """What stands below a prompt is what a reader sees who types it."""
    assert run_virtual(run(EXAMPLES[name])) == []


def test_an_example_that_lies_is_found() -> None:
    """The reader above notices another value, an exception and an answer that did not come."""
    lies = [">>> 1 + 1\n3", ">>> await client.image.get('a/../b')\n", ">>> None\nNone"]
    assert [len(run_virtual(run(lie))) for lie in lies] == [1, 1, 1]


@pytest.mark.parametrize("name", sorted(set(topaz_status.__all__) - LATE))
def test_tools_can_read_how_it_is_made(name: str) -> None:
    """The hints of each constructor are found from the class's own module, also those of inherited fields."""
    typing.get_type_hints(getattr(topaz_status, name).__init__)


def test_each_public_name_has_an_example() -> None:
    """It is used in a docstring, in a README or in the examples; all of those are run."""
    texts = ["\n".join(each.source for each in PARSER.get_examples(text)) for text in EXAMPLES.values()]
    for readme in [ROOT / "README.md", *PACKAGE.rglob("README.md")]:
        texts += re.findall(
            r"^```python\n(.*?)^```$", readme.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
    texts += [path.read_text(encoding="utf-8") for path in (PACKAGE / "examples").glob("*.py")]
    used = {
        node.id
        for text in texts
        for node in ast.walk(compile(text, "example", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        if isinstance(node, ast.Name)
    }
    assert sorted(set(topaz_status.__all__) - used) == []
