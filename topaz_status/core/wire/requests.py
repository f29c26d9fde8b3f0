"""The requests that the library sends.

Paths are the vendors' own (Topaz Image API 1.2.0, Topaz Video API 1.0.0, Pixelcut API 0.0.2). They are relative to a
base URL that the transport knows.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlencode

import attrs

from ...models.job import JobKind, JobRef

MEBIBYTE: Final = 1 << 20
STATUS_BYTES: Final = 4 * MEBIBYTE
"""Most bytes of one status, or of one page."""
LIST_BYTES: Final = 256 * MEBIBYTE
"""Most bytes of the unpaginated list: 7 days of statuses."""


@attrs.define
class Request:
    """One request to be sent. The path is percent-encoded and includes the query."""

    method: str
    kind: JobKind
    path: str
    job: JobRef | None = None
    max_bytes: int = STATUS_BYTES


_STATUS_PATHS: Final = {
    JobKind.IMAGE: ("/image/v1/status/", ""),
    JobKind.VIDEO: ("/video/", "/status"),
    JobKind.TRY_ON: ("/v1/try-on/job/", ""),
}
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]+")
"""Characters that a path takes as they are (RFC 3986, 2.3)."""


def get_status(job: JobRef) -> Request:
    """Ask for the status of one job."""
    before, after = _STATUS_PATHS[job.kind]
    name = job.id if _UNRESERVED.fullmatch(job.id) else quote(job.id, safe="")
    return Request("GET", job.kind, before + name + after, job)


def image_page(cursor: str | None, limit: int) -> Request:
    """Ask for one page of the account's image jobs."""
    query = {"paginated": "true", "limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
    return Request("GET", JobKind.IMAGE, f"/image/v1/status?{urlencode(query)}")


def image_list() -> Request:
    """Ask for all image jobs of the last 7 days at once."""
    return Request("GET", JobKind.IMAGE, "/image/v1/status", max_bytes=LIST_BYTES)


def delete_image(job: JobRef) -> Request:
    """Remove the record of one image job."""
    return Request("DELETE", JobKind.IMAGE, get_status(job).path, job)


def delete_images() -> Request:
    """Remove the records of all image jobs."""
    return Request("DELETE", JobKind.IMAGE, "/image/v1/status")


def image_download(job: JobRef) -> Request:
    """Ask for a link to an image job's result."""
    return Request("GET", JobKind.IMAGE, f"/image/v1/download/{quote(job.id, safe='')}", job)


def video_history(cursor: str | None) -> Request:
    """Ask for one page of the account's video jobs."""
    query = "" if cursor is None else f"?{urlencode({'cursor': cursor})}"
    return Request("GET", JobKind.VIDEO, f"/video/history{query}")
