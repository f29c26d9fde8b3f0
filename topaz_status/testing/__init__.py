"""Tools for tests of code that waits for jobs: simulated services and virtual time.

In virtual time, a test of several hours runs in milliseconds:

    import pytest
    from topaz_status import StatusClient

    @pytest.mark.virtual_time
    async def test_a_slow_video(topaz_simulator):
        job = topaz_simulator.add_video(duration=3 * 3600.0)
        topaz_simulator.add_fault("503", probability=0.1)
        url = topaz_simulator.base_url
        async with topaz_simulator.session() as session:
            async with StatusClient(topaz_url=url, topaz_api_key="sim", session=session) as client:
                status = await client.video.watch(job.id)
        assert status.progress == 100
        assert topaz_simulator.truth(job).looks < 1000

The same simulator also runs on a real loopback socket: ``async with Simulator().serve() as url``.
It runs in a process of its own, too: ``with SimulatorProcess(images=100) as url``.
Each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .loop.memory_connector import MEMORY_URL, MemoryConnector
    from .loop.virtual import EPOCH, DeadlockError, VirtualLoop, run_virtual
    from .process import SimulatorProcess
    from .sharing.memory_bus import MemoryBus, MemoryCoordinator
    from .sharing.memory_hub import MemoryHub
    from .simulator.account import Truth
    from .simulator.durations import Durations
    from .simulator.faults.rules import Fault
    from .simulator.job_plan import JobPlan
    from .simulator.request_log import Exchange, ServerStats
    from .simulator.simulator import Simulator

__all__ = [
    "EPOCH",
    "MEMORY_URL",
    "DeadlockError",
    "Durations",
    "Exchange",
    "Fault",
    "JobPlan",
    "MemoryBus",
    "MemoryConnector",
    "MemoryCoordinator",
    "MemoryHub",
    "ServerStats",
    "Simulator",
    "SimulatorProcess",
    "Truth",
    "VirtualLoop",
    "run_virtual",
]

_HOMES: Final = {
    "EPOCH": "loop.virtual",
    "MEMORY_URL": "loop.memory_connector",
    "DeadlockError": "loop.virtual",
    "Durations": "simulator.durations",
    "Exchange": "simulator.request_log",
    "Fault": "simulator.faults.rules",
    "JobPlan": "simulator.job_plan",
    "MemoryBus": "sharing.memory_bus",
    "MemoryConnector": "loop.memory_connector",
    "MemoryCoordinator": "sharing.memory_bus",
    "MemoryHub": "sharing.memory_hub",
    "ServerStats": "simulator.request_log",
    "Simulator": "simulator.simulator",
    "SimulatorProcess": "process",
    "Truth": "simulator.account",
    "VirtualLoop": "loop.virtual",
    "run_virtual": "loop.virtual",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; the pytest plugin in this package must load fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
