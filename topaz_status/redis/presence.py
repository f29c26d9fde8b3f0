"""A member's open connection, by which the server notices at once that its process has died.

The member subscribes to a channel of its own, on which nobody ever publishes. When its process dies, the operating
system closes the connection, and the channel has no subscriber any more. A member that the server does not hear, though
it has subscribed, subscribes anew: some failures close a connection at one end alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import attrs

from ..session.timing.backoff_delays import pause

RESUBSCRIBES_AFTER: Final = 0.3
"""Seconds before another attempt to subscribe."""
UNHEARD: Final = 3
"""Beats that the server may not hear a member until it subscribes anew."""
AGAIN: Final = 0.1
"""Seconds until a task that has not ended is canceled again."""
CHECK: Final = 15.0
"""Seconds of silence after which the connection is tried."""


async def ended(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended: on older Pythons a library may swallow a cancellation."""
    while tasks := {task for task in tasks if not task.done()}:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=AGAIN)


@attrs.define(eq=False)
class Presence:
    """Keeps one channel subscribed."""

    _client: Any
    _channel: str
    _task: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    is_heard: bool = attrs.field(default=False, init=False)
    """Whether the server heard this member at its last beat."""
    _unheard: int = attrs.field(default=0, init=False)

    def start(self) -> None:
        """Subscribe, in a task of its own."""
        self._unheard = 0
        self._task = asyncio.get_running_loop().create_task(self._stay(), name="topaz_status presence")

    async def heard(self, *, heard: bool) -> None:
        """Note whether the server hears this member."""
        self.is_heard = heard
        self._unheard = 0 if heard else self._unheard + 1
        if self._unheard >= UNHEARD:
            await self.stop()
            self.start()

    async def stop(self) -> None:
        """Close the connection."""
        task, self._task = self._task, None
        if task is not None:
            await ended({task})

    async def _stay(self) -> None:
        """Hold the subscription, and take it up again when it is lost."""
        from redis.exceptions import RedisError  # noqa: PLC0415  # loaded with the first coordinator

        while True:
            with contextlib.suppress(RedisError, OSError, asyncio.TimeoutError):
                async with self._client.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    while True:
                        if await subscription.get_message(timeout=CHECK) is None:
                            await subscription.ping()
            await pause(RESUBSCRIBES_AFTER)
