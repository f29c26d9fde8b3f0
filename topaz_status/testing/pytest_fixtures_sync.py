"""The fixtures for a pytest that has no pytest-asyncio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .marker import MARKER

if TYPE_CHECKING:
    from .simulator.simulator import Simulator


@pytest.fixture
def topaz_simulator_url(request: pytest.FixtureRequest, topaz_simulator: Simulator) -> Iterator[str]:
    """Serve ``topaz_simulator`` and give its base URL.

    A thread serves the simulator on loopback; a test in virtual time reaches it in memory.
    """
    from .thread import serve_in_thread  # noqa: PLC0415

    if request.node.get_closest_marker(MARKER) is not None:
        yield topaz_simulator.base_url
        return
    with serve_in_thread(topaz_simulator) as url:
        yield url
