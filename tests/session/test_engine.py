"""The end of an engine: one for all who ask for it."""

from __future__ import annotations

import asyncio

from harness import client_of, now, settings_of, virtual

from topaz_status.session.engine import Engine
from topaz_status.session.http.connections import Connections
from topaz_status.session.http.transport import Transport
from topaz_status.testing import Simulator


class SlowTransport(Transport):
    """Takes a second to let go of its connections, once."""

    closing = False

    async def close(self) -> None:
        """See :meth:`Transport.close`."""
        closing, self.closing = self.closing, True
        await asyncio.sleep(0.0 if closing else 1.0)
        await super().close()


@virtual
async def test_a_second_close_waits_for_the_first() -> None:
    """Nobody learns that all is closed while another is still closing it."""
    async with client_of(Simulator()) as client:
        engine = await Engine.start(
            settings_of(client), SlowTransport(settings_of(client), Connections(settings_of(client))), None
        )
        first = asyncio.create_task(engine.close())
        await asyncio.sleep(0.5)
        await engine.close()
        assert first.done()
        assert now() == 1.0
