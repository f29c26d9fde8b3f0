"""A pytest plugin: a simulator as a fixture, and tests in virtual time.

The plugin changes nothing for tests that do not use it. It works with and without pytest-asyncio:

``topaz_simulator``
    a :class:`.Simulator` for this test alone.
``topaz_simulator_url``
    the base URL of that simulator, which the fixture serves. With pytest-asyncio the simulator runs on the test's own
    loop. In virtual time it is reached in memory, through ``topaz_simulator.session()``. Without pytest-asyncio it
    runs in a thread.
``@pytest.mark.virtual_time``
    an async test with this mark runs on a :class:`.VirtualLoop`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from .marker import MARKER

if TYPE_CHECKING:
    from .simulator.simulator import Simulator

_HOOK: Final = "pytest_asyncio_loop_factories"


class _VirtualLoops:
    """Gives pytest-asyncio the virtual loop. Registered for marked tests alone: the hook must always return a loop."""

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_asyncio_loop_factories(self) -> Mapping[str, Callable[[], Any]]:
        from .loop.virtual import loop_factories  # noqa: PLC0415

        return loop_factories()


_LOOPS: Final = _VirtualLoops()


def _has_pytest_asyncio(config: pytest.Config) -> bool:
    return config.pluginmanager.hasplugin("asyncio") or config.pluginmanager.hasplugin("pytest_asyncio")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the fixtures that fit the other plugins."""
    config.addinivalue_line("markers", f"{MARKER}: run this async test on a virtual-time event loop")
    if _has_pytest_asyncio(config):
        from . import pytest_fixtures_async as fixtures  # noqa: PLC0415
    else:
        from . import pytest_fixtures_sync as fixtures  # type: ignore[no-redef]  # noqa: PLC0415
    config.pluginmanager.register(fixtures, "topaz_status_fixtures")


def _is_asked_for(node: pytest.Item) -> bool:
    if node.get_closest_marker(MARKER) is None:
        return False
    function = getattr(node, "obj", None)
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    return inspect.iscoroutinefunction(inner)


@contextmanager
def _loops_in_force(config: pytest.Config) -> Iterator[None]:
    config.pluginmanager.register(_LOOPS)
    try:
        yield
    finally:
        config.pluginmanager.unregister(_LOOPS)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None, object, object]:
    """Let pytest-asyncio choose the virtual loop for a marked test."""
    definition = metafunc.definition
    if not (_has_pytest_asyncio(metafunc.config) and _is_asked_for(definition)):
        return (yield)
    if definition.get_closest_marker("asyncio") is None:
        definition.add_marker("asyncio")
    with _loops_in_force(metafunc.config):
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Give marked tests to pytest-asyncio, in its strict mode as well."""
    made = yield
    if _has_pytest_asyncio(collector.config):
        for node in made if isinstance(made, list) else [made]:
            if isinstance(node, pytest.Item) and _is_asked_for(node) and node.get_closest_marker("asyncio") is None:
                node.add_marker("asyncio")
    return made


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Set up a marked test with its loop, before the test's fixtures."""
    if not (_has_pytest_asyncio(item.config) and _is_asked_for(item)):
        return (yield)
    with _loops_in_force(item.config):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a marked test where pytest-asyncio is absent; fail the test where pytest-asyncio is too old."""
    if pyfuncitem.get_closest_marker(MARKER) is None:
        return None
    if _has_pytest_asyncio(pyfuncitem.config):
        hook = getattr(pyfuncitem.config.hook, _HOOK, None)
        if pyfuncitem.get_closest_marker("asyncio") is not None and (hook is None or not hook.has_spec()):
            pytest.fail(f"{MARKER} needs pytest-asyncio 1.4 or later, which has the hook {_HOOK}", pytrace=False)
        return None
    if not _is_asked_for(pyfuncitem):
        return None
    from .loop.virtual import run_virtual  # noqa: PLC0415

    wanted = inspect.signature(pyfuncitem.obj).parameters
    run_virtual(pyfuncitem.obj(**{name: value for name, value in pyfuncitem.funcargs.items() if name in wanted}))
    return True


@pytest.fixture
def topaz_simulator() -> Simulator:
    """Give the test a simulator of its own: add jobs and faults to it, then ask it for the truth."""
    from .simulator.simulator import Simulator  # noqa: PLC0415

    return Simulator()
