"""A process of the demo's account: ``python -m topaz_status.cli.demo.member``. It polls for the others if it leads.

It gets its settings as JSON on a line of standard input, and leaves when standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any, Final

import orjson

from ...client import StatusClient
from ...coordination import Coordinator, Lead
from ...core.policy import PollPolicy
from .fleet import CEILINGS

_KEY: Final = "demo"
GIVE_UP: Final = 20.0
"""Seconds without an answer after which the simulator counts as dead."""
LEADER_LEASE: Final = 1.0
"""Seconds for which a member leads unless it renews its lease: short, so that the demo shows what else takes longer."""


def client_of(settings: Mapping[str, Any], *, leads: bool) -> StatusClient:
    """Return a client for the simulator at ``url``; with a ``server`` it shares the account of the demo's processes."""
    rate = settings["rate"]
    return StatusClient(
        topaz_url=settings["url"],
        pixelcut_url=settings["url"],
        topaz_api_key=_KEY,
        pixelcut_api_key=_KEY,
        rate=rate,
        burst=settings["burst"],
        service_rates={kind: share * rate for kind, share in CEILINGS.items()},
        max_in_flight=settings["max_in_flight"],
        policy=PollPolicy(give_up_after=GIVE_UP),
        coordinator=_coordinator_of(settings.get("server"), "auto" if leads else "never"),
    )


def _coordinator_of(server: str | None, lead: Lead) -> Coordinator | None:
    if server is None:
        return None
    from ...redis import RedisCoordinator  # noqa: PLC0415  # a demo of one process does without

    return RedisCoordinator(server, account=_KEY, lead=lead, lease=LEADER_LEASE)


async def _stay(settings: Mapping[str, Any]) -> None:
    async with client_of(settings, leads=True) as client:
        shared = client.stats().shared
        print(shared.member if shared is not None else "", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_stay(orjson.loads(sys.stdin.readline())))
