"""Converts statuses, errors and tags to the JSON that a store holds, and back. It writes no signed URL and no key.

A status is stored as the service sent it, without its links: they are as good as keys, and expire within hours. A
status that is read back has ``result_url`` ``None``; ``client.result(job)`` asks for a fresh link.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from ..core.health.ending import failure
from ..core.wire.decode import decode_status, parse_json
from ..errors import ConfigurationError, DecodeError, JobLostError, ServiceError, TopazStatusError
from ..models import JobStatus
from ..models.fields import ServiceObject, Unit
from ..models.job import JobRef
from ..models.redact import scrubbed

_LINKS: Final = frozenset({Unit.URL, Unit.URLS})
_KINDS: Final = {kind.__name__: kind for kind in ServiceError.__subclasses__()}
_FACTS: Final = ("status_code", "message", "code", "retry_after", "details")


def write_tag(tag: Any) -> str | None:
    """Return a caller's tag as JSON.

    Raises:
        ConfigurationError: the tag would not be equal when read back.
    """
    if tag is None:
        return None
    try:
        text = orjson.dumps(tag)
        same = bool(orjson.loads(text) == tag)
    except (TypeError, ValueError):
        same = False
    if not same:
        raise ConfigurationError(
            "with a store a tag is JSON: text, numbers, True, False, None, lists, and dicts with text for keys"
        )
    return text.decode()


def read_tag(text: str | None) -> Any:
    """Return the tag that was written."""
    return None if text is None else orjson.loads(text)


def write_status(status: JobStatus) -> str:
    """Return a status as JSON, without links."""
    return orjson.dumps(scrubbed(_unlinked(status)), option=orjson.OPT_NON_STR_KEYS).decode()


def read_status(job: JobRef, text: str | None) -> JobStatus | None:
    """Return the status that was written; ``None`` for ``None``, and if this version cannot read it."""
    if text is None:
        return None
    try:
        return decode_status(job, parse_json(text.encode()))
    except DecodeError:
        return None


def write_error(error: TopazStatusError | None) -> str | None:
    """Return an error as JSON if the status does not state it (a lost job, the service's answer); else ``None``."""
    if isinstance(error, JobLostError):
        return orjson.dumps({"type": type(error).__name__}).decode()
    if isinstance(error, ServiceError):
        facts = {name: scrubbed(getattr(error, name)) for name in _FACTS}
        return orjson.dumps({"type": type(error).__name__, **facts}, default=repr).decode()
    return None


def read_error(job: JobRef, status: JobStatus | None, text: str | None) -> TopazStatusError | None:
    """Return the error that was written, or the failure that the status states; ``None`` for a completed job."""
    if text is None:
        return None if status is None else failure(status)
    facts = orjson.loads(text)
    kind = facts.pop("type")
    if kind == JobLostError.__name__:
        return JobLostError(job, status)
    return _KINDS.get(kind, ServiceError)(facts.pop("status_code"), facts.pop("message"), job=job, **facts)


def _unlinked(fact: ServiceObject) -> dict[str, Any]:
    body = fact.to_dict()
    for name, key, wire in fact.wires:
        value = getattr(fact, name)
        if wire.unit in _LINKS:
            body.pop(key, None)
        elif isinstance(value, ServiceObject) and isinstance(body.get(key), dict):
            body[key] = _unlinked(value)
    return body
