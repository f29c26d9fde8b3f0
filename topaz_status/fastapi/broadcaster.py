"""The overview of all watches, on any number of streams: read once for all viewers."""

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
from .sse_events import EncodedView, stats_event

OVERVIEW_STEP: Final = 0.5
"""Seconds between two reads of the overview. A job that started and ended in between is not reported."""
NEWCOMERS: Final = 500
"""Jobs of which the first view is taken in one read; each takes 25 µs."""
NEWCOMERS_STEP: Final = 0.02
"""Seconds until the next read while there are more such jobs."""
STATS_EVERY: Final = 4
"""Steps of the overview for each report of the statistics: every 2 s."""


@attrs.define(eq=False)
class OverviewBroadcaster:
    """Sends its viewers each change of each job, and the statistics. It runs only while there are viewers.

    A viewer first receives all jobs, then only changes. Of thousands of jobs the views are taken in parts, between
    which the event loop has time for others.
    """

    _client: StatusClient
    _limit: int
    _viewers: set[ConflatingQueue[EncodedView | ServerSentEvent]] = attrs.field(factory=set, init=False)
    _fleet: Fleet | None = attrs.field(default=None, init=False)
    _task: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    @contextlib.contextmanager
    def show(self, viewer: ConflatingQueue[EncodedView | ServerSentEvent]) -> Iterator[None]:
        """Send events to a viewer while inside."""
        if self._fleet is None:
            self._fleet = self._client.fleet(limit=self._limit)
            self._task = asyncio.create_task(self._run(self._fleet), name="topaz_status overview")
        self._send(self._fleet.changes(NEWCOMERS))
        self._viewers.add(viewer)
        viewer.put(Stats, self._stats(self._fleet))
        for view in self._fleet.now():
            viewer.put(view.job, EncodedView(view))
        try:
            yield
        finally:
            self._viewers.discard(viewer)
            self._stop_if_idle()

    def _stop_if_idle(self) -> None:
        if not self._viewers and self._task is not None:
            self._task.cancel()
            self._task = self._fleet = None

    async def _run(self, fleet: Fleet) -> None:
        step, partial = 0, True
        while True:
            await pause(NEWCOMERS_STEP if partial else OVERVIEW_STEP)
            views = fleet.changes(NEWCOMERS)
            self._send(views)
            partial = len(views) >= NEWCOMERS
            step += not partial
            if step % STATS_EVERY == 0 and not partial:
                stats = self._stats(fleet)
                for viewer in self._viewers:
                    viewer.put(Stats, stats)

    def _send(self, views: list[View]) -> None:
        for view in views:
            encoded = EncodedView(view)
            for viewer in self._viewers:
                viewer.put(view.job, encoded)

    def _stats(self, fleet: Fleet) -> ServerSentEvent:
        return stats_event(self._client.stats(), fleet.lags())
