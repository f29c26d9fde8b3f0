"""``pending``: lists the rows of a store, without a key and without a network."""

from __future__ import annotations

import argparse
from typing import Any

from ...errors import StoreError
from ...store.base import Row
from ...store.json_codec import read_error, read_status, read_tag
from ..exit_codes import OK, UNKNOWN, CommandError
from ..formatting import job_column, json_line, moment
from ..screen import Screen
from ..stores import store_of


def pending(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return its exit code.

    Raises:
        CommandError: the store cannot be read.
    """
    store = store_of(arguments)
    try:
        rows = [] if store is None else store.peek()
    except StoreError as error:
        raise CommandError(str(error), UNKNOWN) from None
    for row in rows:
        screen.out(json_line(as_object(row)) if arguments.json else as_line(row))
    return OK


def as_object(row: Row) -> dict[str, Any]:
    """Return a row for programs."""
    status = read_status(row.job, row.status)
    error = None if row.end is None else read_error(row.job, status, row.end.error)
    return {
        "job": str(row.job),
        "state": None if status is None else status.state.value,
        "unfinished": row.end is None,
        "handed_out": row.end is not None and row.end.handed_out,
        "error": None if error is None else {"type": type(error).__name__, "message": str(error)},
        "started_at": row.started_at,
        "deadline": row.deadline,
        "detected_at": None if row.end is None else row.end.detected_at,
        "tag": read_tag(row.tag),
    }


def as_line(row: Row) -> str:
    """Return a row for people: job, state, since when, and what is left to do with it."""
    fields = as_object(row)
    word = fields["state"] or ("new" if fields["unfinished"] else "not known")
    end = row.end
    what = "unfinished" if end is None else "delivered, not acknowledged" if end.handed_out else "not delivered yet"
    since = moment(row.started_at if end is None else end.detected_at)
    tag = "" if row.tag is None else f"  {row.tag}"
    return f"{job_column(row.job)}  {word:<9}  {since}  {what}{tag}"
