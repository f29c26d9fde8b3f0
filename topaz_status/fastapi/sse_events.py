"""Events of jobs, as server-sent events.

``event: status`` carries ``{job, kind, id, state, status, progress, expected_end, error, updated_at, ended}``: the
neutral state and the service's own word (``null`` before the first look), progress from 0 to 100, Unix seconds, the
text of what went wrong, and whether nothing more will come, be it that nobody watches the job any more. No link to a
result is in it: that is asked for.

The ``id`` of such an event, which a browser sends back as ``Last-Event-ID`` when it connects again, says what has been
told of each job on the stream, and nothing of the server: whichever process is asked goes on from there.
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
    """Write the numbers."""
    return _STATS.dump_json(stats).decode()


def status_event(view: View, *, event_id: str | None = None) -> ServerSentEvent:
    """Write one view of one job."""
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
    """What has been told of each job of one stream, in the order in which they were asked for."""

    _marks: dict[JobRef, str]

    @classmethod
    def read(cls, jobs: Sequence[JobRef], event_id: str | None) -> Self:
        """Take up a ``Last-Event-ID``; one that is not ours, or not about as many jobs, tells nothing."""
        marks = (event_id or "").split(".")
        if len(marks) != len(jobs) or not all(map(_MARK.fullmatch, marks)):
            marks = [_NOTHING] * len(jobs)
        return cls(dict(zip(jobs, marks, strict=True)))

    @property
    def open(self) -> list[JobRef]:
        """The jobs whose end has not been told."""
        return [job for job, mark in self._marks.items() if not mark.endswith(_ENDED)]

    def tell(self, view: View) -> str | None:
        """Give the id of the event that tells a view, ``None`` when it has been told."""
        mark = _mark(view)
        if self._marks[view.job] == mark:
            return None
        self._marks[view.job] = mark
        return ".".join(self._marks.values())


def _mark(view: View) -> str:
    digest = hashlib.blake2s(repr((str(view.job), *view.news)).encode("utf-8", "replace"), digest_size=4).hexdigest()
    return digest + _ENDED if view.ended else digest
