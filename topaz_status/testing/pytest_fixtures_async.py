"""The fixtures that need pytest-asyncio. The plugin imports this module only where pytest-asyncio is installed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from .simulator.simulator import Simulator


@pytest_asyncio.fixture
async def topaz_simulator_url(topaz_simulator: Simulator) -> AsyncIterator[str]:
    """Serve ``topaz_simulator`` on the test's own loop and give its base URL.

    The simulator is served on a loopback socket; in virtual time it is served in memory.
    """
    from .loop.virtual import VirtualLoop  # noqa: PLC0415

    if isinstance(asyncio.get_running_loop(), VirtualLoop):
        yield topaz_simulator.base_url
        return
    async with topaz_simulator.serve() as url:
        yield url
