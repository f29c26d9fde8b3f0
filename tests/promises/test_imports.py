"""What a program loads: what it uses, and no more; and every way to name what is public works all the same."""

from __future__ import annotations

import ast
import copy
import pickle
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import topaz_status
from topaz_status import models

NEVER = (
    "sqlite3",
    "rich",
    "fastapi",
    "starlette",
    "pydantic",
    "pydantic_core",
    "opentelemetry",
    "prometheus_client",
    "hypothesis",
    "pytest",
    "uvloop",
    "topaz_status.cli",
    "topaz_status.fastapi",
    "topaz_status.otel",
    "topaz_status.prometheus",
    "topaz_status.telemetry",
    "topaz_status.testing",
    "topaz_status.examples",
    "topaz_status.store.sqlite",
    "topaz_status.store.sqlite_schema",
)
"""What no client without a file for a store uses."""
ONLY_WITH_A_STORE = (
    "topaz_status.durable.resume",
    "topaz_status.session.durable.store_writer",
    "topaz_status.session.durable.durable_poller",
    "topaz_status.store",
)
WHEN_ASKED_FOR = (
    "topaz_status.download.files",
    "topaz_status.overview",
    "topaz_status.models.video_history",
    "topaz_status.webhook",
    "topaz_status.download.fetch",
)
WHEN_OPENED = ("topaz_status.session.engine", "topaz_status.core.schedule.schedule", "backoff", "cattrs")

OPENED = """
import asyncio, sys
from topaz_status import StatusClient
async def main():
    async with StatusClient(topaz_api_key="key") as client:
        client.stats()
        {then}
asyncio.run(main())
print(*sys.modules)
"""
ANSWERED = """
import asyncio, sys
from topaz_status.testing import MEMORY_URL, MemoryConnector, Simulator, run_virtual
from topaz_status import StatusClient
import aiohttp
async def main():
    simulator = Simulator()
    jobs = [simulator.add_image(duration=1.0), simulator.add_try_on(duration=1.0)]
    async with aiohttp.ClientSession(connector=MemoryConnector(simulator)) as session:
        keys = {"topaz_api_key": "key", "pixelcut_api_key": "key"}
        async with StatusClient(topaz_url=MEMORY_URL, pixelcut_url=MEMORY_URL, session=session, **keys) as client:
            assert all(outcome.error is None for outcome in await client.outcomes(jobs))
run_virtual(main())
print(*sys.modules)
"""


def loaded(program: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded when ``program``, which prints them, ends."""
    command = [sys.executable, "-c", program]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())  # noqa: S603


def test_importing_the_client_loads_what_it_uses() -> None:
    """No store, no web framework, no console, no simulator; and no engine before a client is opened."""
    found = loaded("import sys; from topaz_status import StatusClient; print(*sys.modules)")
    assert "topaz_status.client" in found
    assert not {*NEVER, *ONLY_WITH_A_STORE, *WHEN_ASKED_FOR, *WHEN_OPENED} & found


def test_importing_the_package_loads_nothing_else() -> None:
    """The pytest plugin is loaded in every test run of every user."""
    found = loaded("import sys, topaz_status; print(*sys.modules)")
    assert {name for name in found if name.startswith("topaz_status")} == {"topaz_status"}
    assert "aiohttp" not in found


def test_one_name_loads_its_own_module() -> None:
    """Who catches errors or makes references to jobs elsewhere pays for no client."""
    found = loaded("import sys; from topaz_status import JobRef, StatusClient, PollPolicy; print(*sys.modules)")
    alone = loaded("import sys; from topaz_status import JobRef, JobLostError, PollPolicy; print(*sys.modules)")
    assert "topaz_status.client" in found - alone
    assert "aiohttp" in found - alone


def test_an_open_client_without_a_store_loads_none() -> None:
    """Neither SQLite nor what keeps rows is loaded for watches that are not stored."""
    found = loaded(OPENED.format(then="pass"))
    assert "topaz_status.session.engine" in found
    assert not {*NEVER, *ONLY_WITH_A_STORE, *WHEN_ASKED_FOR} & found


@pytest.mark.parametrize(
    ("then", "module"),
    [
        ("client.fleet()", "topaz_status.overview"),
        ("client.notify('image:a')", "topaz_status.webhook"),
    ],
)
def test_what_is_asked_for_is_loaded_then(then: str, module: str) -> None:
    """A part that is not loaded with the client works when it is first used."""
    assert module in loaded(OPENED.format(then=then))


def test_polls_load_no_history_and_no_store() -> None:
    """Statuses of images and try-ons are read without the history of videos."""
    found = loaded(ANSWERED)
    assert "topaz_status.core.wire.structure" in found
    assert not {"sqlite3", "topaz_status.models.video_history", *ONLY_WITH_A_STORE} & found


def _for_type_checkers(module: str) -> dict[str, str]:
    """Each name that a module imports for type checkers alone, and the module that it comes from."""
    [block] = [
        node
        for node in ast.parse(Path(module).read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def test_editors_and_interpreters_see_the_same_names() -> None:
    """Each public name is imported for type checkers from where the running program finds it."""
    assert topaz_status.__file__ is not None
    homes = _for_type_checkers(topaz_status.__file__)
    assert sorted(homes) == topaz_status.__all__
    for name, home in homes.items():
        module = __import__(f"topaz_status.{home}", fromlist=[name])
        assert getattr(topaz_status, name) is getattr(module, name), name


def test_the_models_that_are_loaded_late_are_public_as_the_others() -> None:
    """A star import, ``dir`` and a wrong name behave as in any package."""
    assert models.__file__ is not None
    late = set(_for_type_checkers(models.__file__))
    assert late <= set(models.__all__)
    assert all(isinstance(getattr(models, name), type) for name in late)
    assert set(models.__all__) <= set(dir(models))
    with pytest.raises(AttributeError, match="no attribute 'VideoNothing'"):
        models.VideoNothing  # noqa: B018  # the access is what is tested


def test_wrong_names_are_attribute_errors() -> None:
    """``hasattr`` and a misspelt import behave as in any package, also for names of modules."""
    assert not hasattr(topaz_status, "StatusClients")
    assert not hasattr(topaz_status, "_nothing")
    with pytest.raises(ImportError):
        exec("from topaz_status import Nothing", {})  # noqa: S102  # the statement is what is tested


def test_dir_is_complete_and_each_name_there_once() -> None:
    """A name that has been used is not listed again."""
    assert topaz_status.StatusClient is topaz_status.StatusClient
    assert set(topaz_status.__all__) <= set(dir(topaz_status))
    assert len(dir(topaz_status)) == len(set(dir(topaz_status)))


def test_what_is_pickled_is_unpickled_where_nothing_is_loaded_yet() -> None:
    """A value of a class that is loaded late finds its class in a fresh interpreter."""
    record = topaz_status.VideoRecord(id="a", status="complete")
    assert copy.deepcopy(record) == pickle.loads(pickle.dumps(record)) == record  # noqa: S301  # our own
    program = f"import pickle; print(pickle.loads({pickle.dumps(record)!r}).id)"
    assert loaded(program) == {"a"}


@pytest.mark.parametrize("name", [name for name in topaz_status.__all__ if name not in {"Watch", "JobStatus"}])
def test_hints_of_public_values_can_be_read(name: str) -> None:
    """Tools that read the hints of a public class while a program runs find all that they name."""
    typing.get_type_hints(getattr(topaz_status, name))
