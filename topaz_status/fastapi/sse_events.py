"""Events of jobs, as server-sent events.

``event: status`` carries ``{job, kind, id, state, status, progress, expected_end, error, updated_at, ended}``: the
neutral state and the service's own status word, ``null`` before the first poll; progress from 0 to 100; times in Unix
seconds. ``error`` is the text of what went wrong. ``ended`` says that no more events follow: the job has ended, or
nobody watches it any more. An event holds no link to a result: a client gets links by asking for the status.

A browser sends the ``id`` of the last such event back as ``Last-Event-ID`` when it connects again. The id says what
was sent of each job on the stream. It does not depend on the server: any process can continue from it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final, Self

import attrs
from fastapi.sse import ServerSentEvent
from pydantic import TypeAdapter

from ..models.job import JobRef
from ..overview import View
from ..session.statistics import Stats
from .problems import detail_of

_NOTHING: Final = "-"
_ENDED: Final = "!"
_MARK: Final = re.compile(r"-|[0-9a-f]{8}!?")
_STATS: Final = TypeAdapter(Stats)
_ANY: Final = TypeAdapter(dict[str, Any])


def as_json(stats: Stats) -> str:
    """Encode the statistics as JSON."""
    return _STATS.dump_json(stats).decode()


def status_event(view: View, *, event_id: str | None = None) -> ServerSentEvent:
    """Return the event for one view of one job."""
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
    return ServerSentEvent(event="status", raw_data=_ANY.dump_json(data).decode(), id=event_id)


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
