"""Events of jobs, as server-sent events.

``event: status`` carries ``{job, kind, id, state, status, progress, expected_end, error, updated_at, ended}``: the
neutral state and the service's own status word, ``null`` before the first poll; progress from 0 to 100; times in Unix
seconds. ``error`` is the text of what went wrong. ``ended`` says that no more events follow: the job has ended, or
nobody watches it any more. An event holds no link to a result: a client gets links by asking for the status.

The stream of all jobs packs them: ``event: statuses`` carries a list of up to :data:`PACK` such objects. Its ``event:
stats`` carries the statistics and ``lag_histogram``: ``bounds`` in seconds, and ``counts`` of the ended jobs whose lag
was at most that bound and above the one before it. The last count is of lags above all bounds.

A browser sends the ``id`` of the last such event back as ``Last-Event-ID`` when it connects again. The id says what
was sent of each job on the stream. It does not depend on the server: any process can continue from it.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Self

import attrs
from fastapi.sse import ServerSentEvent
from pydantic import TypeAdapter

from ..models.job import JobRef
from ..overview import View
from ..session.statistics import Stats
from ..telemetry.instruments import DETECTION_LAG
from .problems import detail_of

PACK: Final = 500
"""Jobs in one event of the stream of all jobs: some 130 KB, encoded in a few milliseconds."""
_NOTHING: Final = "-"
_ENDED: Final = "!"
_MARK: Final = re.compile(r"-|[0-9a-f]{8}!?")
_STATS: Final = TypeAdapter(Stats)
_ANY: Final = TypeAdapter(dict[str, Any])


def stats_event(stats: Stats, lags: Iterable[float]) -> ServerSentEvent:
    """Return the event for the statistics, with a histogram of the lags."""
    data = _STATS.dump_python(stats, mode="json") | {"lag_histogram": lag_histogram(lags)}
    return ServerSentEvent(event="stats", raw_data=_ANY.dump_json(data).decode())


def lag_histogram(lags: Iterable[float]) -> dict[str, Any]:
    """Count lags by the buckets of the metric ``topaz_status.lag``, so that page and dashboards agree."""
    counts = [0] * (len(DETECTION_LAG.buckets) + 1)
    for lag in lags:
        counts[bisect.bisect_left(DETECTION_LAG.buckets, lag)] += 1
    return {"bounds": list(DETECTION_LAG.buckets), "counts": counts}


def status_event(view: View, *, event_id: str | None = None) -> ServerSentEvent:
    """Return the event for one view of one job."""
    return ServerSentEvent(event="status", raw_data=status_json(view), id=event_id)


def statuses_event(views: Iterable[EncodedView]) -> ServerSentEvent:
    """Return one event for the views of several jobs."""
    return ServerSentEvent(event="statuses", raw_data="[" + ",".join(view.json for view in views) + "]")


@attrs.define(slots=False, eq=False)
class EncodedView:
    """A view that is encoded once, for all its viewers, when the first of them is sent it."""

    view: View

    @functools.cached_property
    def json(self) -> str:
        """The JSON object."""
        return status_json(self.view)


def status_json(view: View) -> str:
    """Encode one view of one job."""
    data = {
        "job": str(view.job),
        "kind": view.job.kind.value,
        "id": view.job.id,
        "state": None if view.state is None else view.state.value,
        "status": view.status,
        "progress": view.progress,
        "expected_end": view.expected_end,
        "error": None if view.error is None else detail_of(view.error),
        "updated_at": view.updated_at,
        "ended": view.ended,
    }
    return _ANY.dump_json(data).decode()


@attrs.define
class DeliveredMarks:
    """What was sent of each job of one stream, in the order of the request."""

    _marks: dict[JobRef, str]

    @classmethod
    def read(cls, jobs: Sequence[JobRef], event_id: str | None) -> Self:
        """Read a ``Last-Event-ID``. One in another format, or for another number of jobs, counts as nothing sent."""
        marks = (event_id or "").split(".")
        if len(marks) != len(jobs) or not all(map(_MARK.fullmatch, marks)):
            marks = [_NOTHING] * len(jobs)
        return cls(dict(zip(jobs, marks, strict=True)))

    @property
    def open(self) -> list[JobRef]:
        """The jobs whose end has not been sent."""
        return [job for job, mark in self._marks.items() if not mark.endswith(_ENDED)]

    def record(self, view: View) -> str | None:
        """Record a view as sent and return its event id; ``None`` if it was sent before."""
        mark = _mark(view)
        if self._marks[view.job] == mark:
            return None
        self._marks[view.job] = mark
        return ".".join(self._marks.values())


def _mark(view: View) -> str:
    """Return the mark of a view: a digest of what changed, and whether the job has ended."""
    digest = hashlib.blake2s(repr((str(view.job), *view.news)).encode("utf-8", "replace"), digest_size=4).hexdigest()
    return digest + _ENDED if view.ended else digest
