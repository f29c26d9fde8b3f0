"""The whole fleet on any number of streams: looked over once, whoever looks on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

import attrs
from fastapi.sse import ServerSentEvent

from ..client import StatusClient
from ..overview import Fleet, View
from ..session.statistics import Stats
from ..session.timing.backoff_delays import pause
from .conflating_queue import ConflatingQueue
from .sse_events import as_json, status_event

OVERVIEW_STEP: Final = 0.5
"""Seconds between two looks over the fleet; a job that came and went in between is not told."""
STATS_EVERY: Final = 4
"""Looks over the fleet between two reports of the numbers: every 2 s."""


@attrs.define(eq=False)
class OverviewBroadcaster:
    """Tells its viewers each change of each job, and the numbers; it works only while somebody looks on.

    A viewer hears of all jobs at first, and then of what changes.
    """

    _client: StatusClient
    _limit: int
    _viewers: set[ConflatingQueue[ServerSentEvent]] = attrs.field(factory=set, init=False)
    _fleet: Fleet | None = attrs.field(default=None, init=False)
    _task: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    @contextlib.contextmanager
    def show(self, viewer: ConflatingQueue[ServerSentEvent]) -> Iterator[None]:
        """Tell a viewer while inside."""
        if self._fleet is None:
            self._fleet = self._client.fleet(limit=self._limit)
            self._task = asyncio.create_task(self._run(self._fleet), name="topaz_status board")
        self._tell(self._fleet.changes())
        self._viewers.add(viewer)
        viewer.put(Stats, self._stats())
        for view in self._fleet.now():
            viewer.put(view.job, status_event(view))
        try:
            yield
        finally:
            self._viewers.discard(viewer)
            self._rest()

    def _rest(self) -> None:
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = self._fleet = None

    async def _run(self, fleet: Fleet) -> None:
        step = 0
        while True:
            await pause(OVERVIEW_STEP)
            step += 1
            self._tell(fleet.changes())
            if step % STATS_EVERY == 0:
                numbers = self._stats()
                for viewer in self._viewers:
                    viewer.put(Stats, numbers)

    def _tell(self, views: list[View]) -> None:
        for view in views:
            event = status_event(view)  # written once for all
            for viewer in self._viewers:
                viewer.put(view.job, event)

    def _stats(self) -> ServerSentEvent:
        return ServerSentEvent(event="stats", raw_data=as_json(self._client.stats()))
