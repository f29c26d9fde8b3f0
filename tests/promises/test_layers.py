"""The walls of the house, read from the imports: a pure core, one place for each effect, layers that point down."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import topaz_status

ROOT = Path(topaz_status.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]
EDGES = ("testing/", "cli/demo", "examples/")
INSIDE = [name for name in NAMES if not name.startswith(EDGES)]

LAYERS = (
    {"errors_base"},
    {"models"},
    {"errors"},
    {"coordination"},
    {"core"},
    {"store"},
    {"session"},
    {"arguments", "outcome", "watch", "completions", "durable", "endpoints", "download", "webhook", "overview"},
    {"client"},
    {"cli", "fastapi", "otel", "prometheus", "redis", "telemetry", "testing", "examples", "__main__"},
)
PARENTS = {("core/schedule/tracked_job.py", "core/schedule/page.py")}
"""A job's record points up to the group that it is in. Only type checkers see that import."""
FLOORS = ({"core/wire", "core/prediction", "core/budget", "core/sharing"}, {"core/schedule"}, {"core/health"})
"""The rooms of the core, from the lowest up; below them are the modules that stand in no room."""
IMPURE = {"asyncio", "aiohttp", "time", "random", "logging"}


def layer(name: str) -> int:
    """How high a module of ours stands, by the first part of its name below the package."""
    return next(height for height, names in enumerate(LAYERS) if name in names)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything in a module but what only type checkers see."""
    for child in ast.iter_child_nodes(tree):
        if _is_type_checking(child):
            assert isinstance(child, ast.If)
            for other in child.orelse:
                yield other
                yield from _nodes(other)
        else:
            yield child
            yield from _nodes(child)


@functools.cache
def _tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


@functools.cache
def _run_time(name: str) -> tuple[ast.AST, ...]:
    return tuple(_nodes(_tree(name)))


@functools.cache
def imports(name: str, *, typed: bool = False) -> frozenset[str]:
    """Full names of what a file imports when it runs, such as ``topaz_status.core.wire.responses``.

    ``typed`` adds what it imports for type checkers alone.
    """
    package = ["topaz_status", *Path(name).parent.parts]
    found = set[str]()
    for node in ast.walk(_tree(name)) if typed else _run_time(name):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{origin}.{alias.name}" for alias in node.names} | {origin}
    return frozenset(found)


def outside(name: str) -> set[str]:
    """Top-level packages other than ours that a file imports when it runs."""
    return {full.partition(".")[0] for full in imports(name)} - {"topaz_status"}


def uses(name: str, call: str) -> bool:
    """Whether a file names ``call``, such as ``time.time``, at run time."""
    last = call.rpartition(".")[2]
    return any(
        isinstance(node, ast.Attribute) and node.attr == last and ast.unparse(node) == call for node in _run_time(name)
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("core/", "models/", "errors"))])
def test_the_core_is_pure(name: str) -> None:
    """What decides imports nothing that waits, sends, rolls dice, reads a clock or writes a log."""
    assert not outside(name) & IMPURE


def test_one_folder_imports_aiohttp() -> None:
    """Only the transport and its parts know aiohttp."""
    parts = {f"session/http/{name}.py" for name in ("connections", "stream", "translation", "transport")}
    assert {name for name in INSIDE if "aiohttp" in outside(name)} == parts


def test_one_file_imports_sqlite() -> None:
    """Only the store in a file knows SQLite, with its tables; programs that store no watches never load it."""
    assert {name for name in INSIDE if "sqlite3" in outside(name)} == {"store/sqlite_schema.py", "store/sqlite.py"}
    loads = {name for name in INSIDE if any(full.startswith("topaz_status.store.s") for full in imports(name))}
    assert loads <= {"store/sqlite.py", "cli/stores.py"}
    assert not {name for name in NAMES if name.startswith("store/") and outside(name) & IMPURE}


def test_one_file_imports_psycopg() -> None:
    """Only the connection to PostgreSQL knows it; a program without such a store never loads it."""
    assert {name for name in INSIDE if "psycopg" in outside(name)} == {"store/postgres_connection.py"}
    everything = "import sys, topaz_status as t; [getattr(t, n) for n in t.__all__]; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", everything], capture_output=True, text=True, check=True)  # noqa: S603
    assert "topaz_status.store.postgres" in run.stdout.split()
    assert "psycopg" not in run.stdout.split()


def test_one_folder_imports_fastapi() -> None:
    """Only the edge for web apps knows FastAPI and what comes with it; programs that serve none never load it."""
    for package in ("fastapi", "starlette", "pydantic", "uvicorn"):
        assert not [
            name for name in NAMES if package in outside(name) and not name.startswith(("fastapi/", "examples/"))
        ]
    asks = [name for name in NAMES if "pydantic_core" in outside(name) and not name.startswith("fastapi/")]
    assert asks == ["models/job.py", "models/pydantic_schema.py"]
    everything = "import sys, topaz_status as t; [getattr(t, n) for n in t.__all__]; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", everything], capture_output=True, text=True, check=True)  # noqa: S603
    assert "topaz_status.client" in run.stdout.split()
    assert not {"fastapi", "starlette", "pydantic", "pydantic_core"} & set(run.stdout.split())


def test_one_folder_imports_redis() -> None:
    """Only the edge for shared servers knows redis-py; a client without a coordinator never loads it."""
    assert {name.partition("/")[0] for name in NAMES if "redis" in outside(name)} == {"redis"}


def test_one_file_each_imports_opentelemetry_and_prometheus() -> None:
    """The seam below knows neither: a program loads them only if it asks for them by name."""
    for package, file in (("opentelemetry", "otel.py"), ("prometheus_client", "prometheus.py")):
        assert [name for name in NAMES if package in outside(name)] == [file]
        loads = f"topaz_status.{file.removesuffix('.py')}"
        assert not [name for name in NAMES if loads in imports(name)]


def test_one_file_reads_the_wall_clock() -> None:
    """Only the clock imports ``time``; nobody else asks for the date by another way."""
    assert [name for name in INSIDE if "time" in outside(name) and not name.startswith("cli/")] == [
        "session/timing/clock.py"
    ]
    assert [name for name in INSIDE if uses(name, "time.time")] == ["session/timing/clock.py"]
    for call in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now"):
        assert not [name for name in INSIDE if uses(name, call)]


def test_one_file_sleeps_and_rolls_dice() -> None:
    """Only the retry module sleeps, imports ``random``, and knows ``backoff``."""
    for package in ("random", "backoff"):
        assert [name for name in INSIDE if package in outside(name)] == ["session/timing/backoff_delays.py"]
    assert [name for name in INSIDE if uses(name, "asyncio.sleep") and not name.startswith("cli/")] == [
        "session/timing/backoff_delays.py"
    ]
    assert not [name for name in INSIDE if "secrets" in outside(name) or uses(name, "os.urandom")]
    assert not [name for name in INSIDE if uses(name, "time.sleep")]


@pytest.mark.parametrize("name", NAMES)
def test_layers_point_down(name: str) -> None:
    """A module imports from its own layer or from those below it, and never from the package's root."""
    height = layer(name.partition("/")[0].removesuffix(".py"))
    inner = {full.split(".")[1:][0] for full in imports(name, typed=True) if full.startswith("topaz_status.")}
    known = {one for one in inner if any(one in names for names in LAYERS)}
    assert not [one for one in known if layer(one) > height]
    if height < len(LAYERS) - 1:
        assert inner == known, "the package's root is not to be imported from within"


def _arrows(name: str) -> set[str]:
    """The modules of ours that a file imports, if only for type checkers; a module in place of its folder."""
    found = set()
    for full in imports(name, typed=True):
        path = "/".join(full.split(".")[1:])
        found |= {known for known in (f"{path}.py", f"{path}/__init__.py") if known in NAMES}
    folders = {one for one in found if one.endswith("/__init__.py")}
    inside = {folder for folder in folders if any(one.startswith(folder[:-11]) for one in found - folders)}
    return found - inside - {name} - {up for low, up in PARENTS if low == name}


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports make no circle, not even those inside functions or for type checkers alone."""
    arrows = {name: _arrows(name) for name in NAMES}
    while leaves := {name for name, others in arrows.items() if not others & set(arrows)}:
        arrows = {name: others for name, others in arrows.items() if name not in leaves}
    assert not arrows


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("core/")])
def test_rooms_of_the_core_point_down(name: str) -> None:
    """A room imports from its own modules and from the rooms below it; the budget stands apart."""
    height = _floor(name)
    others = {other for other in _arrows(name) if other.startswith("core/") and _room(other) != _room(name)}
    assert not [other for other in others if _floor(other) >= height]
    assert "core/budget" not in {_room(other) for other in others}


def _room(name: str) -> str:
    """The folder of a module in the core, or the module itself where it stands in none."""
    return "/".join(name.split("/")[:2])


def _floor(name: str) -> int:
    """How high a room of the core stands."""
    return next((floor for floor, rooms in enumerate(FLOORS, 1) if _room(name) in rooms), 0)


def test_the_root_only_names() -> None:
    """The package's root names what is public, sorted, and all of it is there."""
    assert list(topaz_status.__all__) == sorted(topaz_status.__all__)
    assert all(hasattr(topaz_status, name) for name in topaz_status.__all__)


def test_the_reader_reads() -> None:
    """The reading of imports sees them inside functions and relative ones, and not those for type checkers."""
    assert "topaz_status.errors" in imports("core/wire/responses.py")
    assert "topaz_status.session.timing.clock" in imports("session/polling/gate.py")
    assert "aiohttp" not in outside("client.py")
    assert "aiohttp" in (ROOT / "client.py").read_text()
