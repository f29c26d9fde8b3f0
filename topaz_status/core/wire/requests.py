"""Which request asks for what.

Paths are the vendors' own (Topaz Image API 1.2.0, Topaz Video API 1.0.0, Pixelcut API 0.0.2), below a base URL that the
transport knows.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlencode

import attrs

from ...models.job import JobKind, JobRef

MEBIBYTE: Final = 1 << 20
STATUS_BYTES: Final = 4 * MEBIBYTE
"""Most that one status, or one page, may weigh."""
LIST_BYTES: Final = 256 * MEBIBYTE
"""Most that the unpaginated list may weigh: 7 days of statuses."""


@attrs.define
class Request:
    """One exchange to be made: the path is percent-encoded and holds its query."""

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
"""What stands in a path as it is (RFC 3986, 2.3)."""


def get_status(job: JobRef) -> Request:
    """Ask for one job."""
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
