"""The bus over real servers keeps the rules of every bus; a server shared by all tests is emptied before each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from bus_rules import BusRules
from harness import PATIENCE
from real_servers import NEEDS_ONE, OnServer, RealServer, executables, limit_calls, running


@pytest.fixture(scope="module", params=sorted(executables()))
def real(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """A server of each sort that is here."""
    with running(executables()[request.param]) as server:
        yield server


@pytest.fixture(autouse=True)
def _calls_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_calls(monkeypatch, PATIENCE)


@NEEDS_ONE
class TestRedisBus(BusRules):
    """The rules on a real server."""

    @pytest.fixture
    async def server(self, real: RealServer) -> AsyncIterator[OnServer]:
        if real.process is None:
            real.start()
        real.command("FLUSHALL")
        server = OnServer(real)
        yield server
        await server.close()
