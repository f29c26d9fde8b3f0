"""A row as the columns of a table, in the order in which every table of watches has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..models.job import JobKind, JobRef, canonical_id
from .base import End, Row

COLUMNS: Final = (
    "number",
    "kind",
    "key",
    "id",
    "started_at",
    "submitted_at",
    "eta",
    "timeout",
    "deadline",
    "tag",
    "status",
    "detected_at",
    "polls",
    "waited",
    "error",
    "handed_out",
)
"""``key`` is the id in its one canonical spelling; the last five columns are the row's end."""


def key_of(job: JobRef) -> tuple[str, str]:
    """Return what a job's row is found by: its kind and its id in the canonical spelling."""
    return job.kind.value, canonical_id(job)


def values_of(row: Row) -> tuple[Any, ...]:
    """Return the values of a row's columns."""
    end = row.end
    ending = (None,) * 5 if end is None else (end.detected_at, end.polls, end.waited, end.error, end.handed_out)
    beginning = row.number, *key_of(row.job), row.job.id, row.started_at, row.submitted_at, row.eta
    return (*beginning, row.timeout, row.deadline, row.tag, row.status, *ending)


def row_of(values: Sequence[Any]) -> Row:
    """Return the row with these values in its columns."""
    columns = dict(zip(COLUMNS, values, strict=True))
    end = None
    if columns["detected_at"] is not None:
        handed_out = bool(columns["handed_out"])
        end = End(columns["polls"], columns["waited"], columns["detected_at"], columns["error"], handed_out)
    return Row(
        number=columns["number"],
        job=JobRef(JobKind(columns["kind"]), columns["id"]),
        started_at=columns["started_at"],
        submitted_at=columns["submitted_at"],
        eta=columns["eta"],
        timeout=columns["timeout"],
        deadline=columns["deadline"],
        tag=columns["tag"],
        status=columns["status"],
        end=end,
    )
