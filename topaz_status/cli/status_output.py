"""A status as ``get`` and ``list`` print it: without signed links and other secrets, unless asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..models import ImageStatus, TryOnStatus, VideoRecord, VideoStatus
from ..models.fields import Unit
from ..models.redact import legible, scrubbed, shown, without_urls
from .formatting import json_line, moment, percent

AnyStatus = ImageStatus | VideoStatus | TryOnStatus | VideoRecord

_TIMES: Final = frozenset({Unit.SECONDS, Unit.MILLISECONDS})
_URLS: Final = frozenset({Unit.URL, Unit.URLS})
_SHOWN_ABOVE: Final = frozenset({"id", "process_id", "job_id", "status", "progress"})
_UNIX: Final = 1e9
"""A number of seconds above this is a Unix time; below it is a duration."""


def as_object(status: AnyStatus, *, urls: bool) -> dict[str, Any]:
    """Return a status for programs; ``fields`` holds what the service sent, in its names and units."""
    shared: dict[str, Any] = {
        "job": str(status.job),
        "state": status.state.value,
        "status": scrubbed(status.status),
        "progress": getattr(status, "progress", None),
        "reason": status.reason,
        "fields": status.to_dict() if urls else scrubbed(status.to_dict()),
    }
    return shared | ({"result_url": status.result_url} if urls else {})


def as_lines(status: AnyStatus, *, urls: bool) -> Iterator[str]:
    """Yield the lines of a status for people, one field a line."""
    pairs = [("state", f"{status.state.value} ({shown(status.status)})"), *_facts(status, urls=urls)]
    width = max(len(name) for name, _ in pairs)
    yield str(status.job)
    for name, text in pairs:
        yield f"  {name:<{width}}  {legible(text)}".rstrip()


def _facts(status: AnyStatus, *, urls: bool) -> Iterator[tuple[str, str]]:
    if (progress := getattr(status, "progress", None)) is not None:
        yield "progress", percent(progress)
    if status.reason:
        yield "reason", status.reason
    body = status.to_dict()
    for name, key, wire in status.wires:
        value = getattr(status, name)
        if name not in _SHOWN_ABOVE and value is not None and value not in ((), {}):
            yield name, _shown(wire.unit, value, body.get(key), urls=urls)
    for name, value in status.extra.items():
        yield legible(name if urls else scrubbed(name)), json_line(value if urls else scrubbed(value))


def _shown(unit: Unit, value: Any, sent: Any, *, urls: bool) -> str:
    if unit in _TIMES and isinstance(value, int | float):
        return moment(value) if value > _UNIX else f"{value:g} s"
    if unit in _URLS and not urls:
        return "hidden: --urls shows it"
    if isinstance(value, str):
        return value if urls else without_urls(value)
    return f"{value:g}" if isinstance(value, float) else json_line(sent if urls else scrubbed(sent))
