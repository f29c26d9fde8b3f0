"""The services that the examples find."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from topaz_status.testing import Simulator


@pytest.fixture
async def services(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """A simulator on a real socket, to which the environment points."""
    simulator = Simulator(seed=1)
    async with simulator.serve() as url:
        for variable in ("TOPAZ_API_URL", "PIXELCUT_API_URL"):
            monkeypatch.setenv(variable, url)
        for variable in ("TOPAZ_API_KEY", "PIXELCUT_API_KEY"):
            monkeypatch.setenv(variable, "any")
        yield simulator
