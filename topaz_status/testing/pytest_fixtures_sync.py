"""The fixtures for a pytest without pytest-asyncio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .marker import MARKER

if TYPE_CHECKING:
    from .simulator.simulator import Simulator


@pytest.fixture
def topaz_simulator_url(request: pytest.FixtureRequest, topaz_simulator: Simulator) -> Iterator[str]:
    """The base URL of ``topaz_simulator``, served on loopback by a thread; for a test in virtual time, in memory."""
    from .thread import serve_in_thread  # noqa: PLC0415

    if request.node.get_closest_marker(MARKER) is not None:
        yield topaz_simulator.base_url
        return
    with serve_in_thread(topaz_simulator) as url:
        yield url
