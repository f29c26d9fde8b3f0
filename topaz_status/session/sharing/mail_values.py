"""Statuses and errors as they go by mail: a status as the service sent it, an error by its name and its facts.

An error that is read has been checked as strictly as a status: its name is known and its facts are of their types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from ...core.sharing.mail import LARGEST_STATUS, MOST_TEXT, BadMailError
from ...core.wire.lazy import LazyStatus
from ...errors import (
    CertificateError,
    DecodeError,
    JobLostError,
    NotFoundError,
    ServiceError,
    TopazStatusError,
    TransportError,
)
from ...models import JobStatus
from ...models.job import JobKind, JobRef
from ...models.redact import shown
from ...store.json_codec import read_error, write_error, write_status

_IDS: Final = {JobKind.IMAGE: "process_id", JobKind.VIDEO: "id", JobKind.TRY_ON: "job_id"}
_CODES: Final = range(300, 600)
_LONGEST_WAIT: Final = 1e9


def write_body(job: JobRef, status: LazyStatus, *, links: bool) -> bytes:
    """Write a status as the service sent it, without signed links unless ``links``.

    Of a status that is too long or nested too deeply only the status word is written.
    """
    try:
        body = status.raw() if links else write_status(status.get()).encode()
    except TypeError:
        body = b""
    if not 0 < len(body) <= LARGEST_STATUS:
        return orjson.dumps({_IDS[job.kind]: job.id, "status": status.word[:MOST_TEXT]})
    return body


def write_end(error: TopazStatusError | None) -> str | None:
    """Write an error that ended a job's watches; ``None`` for an error that is a matter of this process alone."""
    if isinstance(error, TransportError):
        facts: dict[str, object] = {"message": shown(str(error.args[0])), "maybe_sent": error.maybe_sent}
    elif isinstance(error, DecodeError):
        facts = {"problems": [(path[:200], shown(what)) for path, what in error.problems[:10]]}
    else:
        text = write_error(error)
        if text is None or len(text) <= MOST_TEXT or not isinstance(error, ServiceError):
            return text
        return write_error(type(error)(error.status_code, error.message))
    return orjson.dumps({"type": type(error).__name__, **facts}).decode()


def read_end(job: JobRef, status: JobStatus | None, text: str) -> TopazStatusError:
    """Read an error that ended a job's watches; ``status`` is the job's last one.

    Raises:
        BadMailError: it is no such error.
    """
    try:
        facts = orjson.loads(text)
    except ValueError:
        raise BadMailError("this is no error") from None
    if not isinstance(facts, dict):
        raise BadMailError("this is no error")
    name = facts.get("type")
    reader = _READERS.get(name, _read_service_error) if isinstance(name, str) else _read_service_error
    error = reader(job, status, facts)
    if status is not None and isinstance(error, NotFoundError):
        return JobLostError(job, status)
    return error


def _read_transport_error(job: JobRef, _: JobStatus | None, facts: Mapping[str, Any]) -> TopazStatusError:
    message, maybe_sent = facts.get("message"), facts.get("maybe_sent")
    if not isinstance(message, str) or not isinstance(maybe_sent, bool):
        raise BadMailError("this is no error of the network")
    kind = CertificateError if facts["type"] == CertificateError.__name__ else TransportError
    return kind(shown(message), maybe_sent=maybe_sent, job=job)


def _read_decode_error(job: JobRef, _: JobStatus | None, facts: Mapping[str, Any]) -> TopazStatusError:
    problems = facts.get("problems")
    if not isinstance(problems, list):
        raise BadMailError("this is no error of decoding")
    pairs = [
        (shown(pair[0]), shown(pair[1]))
        for pair in problems
        if isinstance(pair, list) and [type(part) for part in pair] == [str, str]
    ]
    return DecodeError(pairs[:10], job=job)


def _read_lost(job: JobRef, status: JobStatus | None, _: Mapping[str, Any]) -> TopazStatusError:
    return JobLostError(job, status)


def _read_service_error(job: JobRef, status: JobStatus | None, facts: Mapping[str, Any]) -> TopazStatusError:
    code, message, wait = facts.get("status_code"), facts.get("message"), facts.get("retry_after")
    if type(code) is not int or code not in _CODES or not isinstance(message, str):
        raise BadMailError("this is no answer of a service")
    if wait is not None and (type(wait) not in (int, float) or not 0.0 <= wait <= _LONGEST_WAIT):
        raise BadMailError("this is no answer of a service")
    own_code = facts.get("code")
    checked = {
        "type": facts.get("type") if isinstance(facts.get("type"), str) else "",
        "status_code": code,
        "message": shown(message),
        "code": shown(own_code) if isinstance(own_code, str) else own_code if type(own_code) is int else None,
        "retry_after": wait,
        "details": facts["details"][:10] if isinstance(facts.get("details"), list) else [],
    }
    error = read_error(job, status, orjson.dumps(checked).decode())
    if error is None:
        raise BadMailError("this is no answer of a service")
    return error


_READERS: Final[Mapping[str, Callable[[JobRef, JobStatus | None, Mapping[str, Any]], TopazStatusError]]] = {
    TransportError.__name__: _read_transport_error,
    CertificateError.__name__: _read_transport_error,
    DecodeError.__name__: _read_decode_error,
    JobLostError.__name__: _read_lost,
}
