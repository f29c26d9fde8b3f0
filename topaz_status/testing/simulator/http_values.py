"""Requests as the services understand them, and their answers: values without a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import attrs
import orjson

from ...models.job import JobKind
from .request_log import STORAGE

_ROUTES: Final[dict[tuple[str, ...], tuple[str, dict[str, str]]]] = {
    ("image", "v1", "status"): ("image", {"GET": "list", "DELETE": "delete_all"}),
    ("image", "v1", "status", "*"): ("image", {"GET": "status", "DELETE": "delete"}),
    ("image", "v1", "download", "*"): ("image", {"GET": "download"}),
    ("image", "v1", "cancel", "*"): ("image", {"DELETE": "cancel"}),
    ("video", "status"): ("video", {"GET": "system"}),
    ("video", "history"): ("video", {"GET": "history"}),
    ("video", "*"): ("video", {"DELETE": "cancel"}),
    ("video", "*", "status"): ("video", {"GET": "status"}),
    ("v1", "try-on", "job", "*"): ("try-on", {"GET": "status"}),
    ("v1", "try-on", "job", "*", "cancel"): ("try-on", {"POST": "cancel"}),
    ("_files", "*", "*"): (STORAGE, {"GET": "file", "HEAD": "file"}),
}
_WILD: Final = {"image": 3, "video": 1, "v1": 3, "_files": 2}
"""The index of the job's id among a path's segments, by the path's first segment."""

KINDS: Final = {kind.value: kind for kind in JobKind}


@attrs.frozen
class Call:
    """One request: its endpoint and its job.

    Args:
        method: the HTTP method.
        path: the path as received, still encoded, without the query.
        service: the kind of job, ``"storage"``, or ``"unknown"``.
        endpoint: such as ``"image.status"``; ends in ``.unknown`` or ``.wrong_method`` if no endpoint matches.
        job_id: the decoded id in the path, or ``None``.
    """

    method: str
    path: str
    service: str
    endpoint: str
    job_id: str | None = None

    @property
    def kind(self) -> JobKind | None:
        """The service's kind of job; ``None`` for storage and unknown services."""
        return KINDS.get(self.service)


def read_call(method: str, path: str) -> Call:
    """Find the endpoint of a method and a path (without its query)."""
    segments = path.split("/")[1:]
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    exact = _ROUTES.get(tuple(segments))
    if exact is not None:
        return _call(method, path, exact, None)
    at = _WILD.get(segments[0], len(segments))
    if at >= len(segments) or not segments[at]:
        return Call(method, path, *_unknown(segments[0]))
    job_id = unquote(segments[at]) if "%" in segments[at] else segments[at]
    segments[at] = "*"
    if segments[0] == "_files":
        segments[1] = "*"
    found = _ROUTES.get(tuple(segments))
    return Call(method, path, *_unknown(segments[0]), job_id) if found is None else _call(method, path, found, job_id)


def _call(method: str, path: str, found: tuple[str, dict[str, str]], job_id: str | None) -> Call:
    service, methods = found
    return Call(method, path, service, f"{service}.{methods.get(method, 'wrong_method')}", job_id)


def _unknown(first: str) -> tuple[str, str]:
    service = {"image": "image", "video": "video", "v1": "try-on", "_files": STORAGE}.get(first, "unknown")
    return service, f"{service}.unknown"


@attrs.frozen
class Answer:
    """An answer to send: its status code, body and headers.

    Args:
        status: the status code.
        body: JSON values to encode, bytes to send unchanged, or ``None`` for an empty body.
        headers: the other headers; the content type of the body is added unless given.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = attrs.field(factory=dict)

    def encoded(self) -> bytes:
        """Return the body's bytes."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body, option=orjson.OPT_NON_STR_KEYS)

    def all_headers(self) -> dict[str, str]:
        """Return the headers, with the content type that fits the body."""
        if self.body is None or "Content-Type" in self.headers:
            return dict(self.headers)
        plain = "application/octet-stream" if isinstance(self.body, bytes) else "application/json"
        return {"Content-Type": plain, **self.headers}
