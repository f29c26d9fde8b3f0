"""The storage of results: deterministic bytes behind signed links, as object stores serve them. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlencode

from ...models.job import JobKind, JobRef
from .http_values import Answer

_TYPES: Final = {JobKind.IMAGE: "image/jpeg", JobKind.VIDEO: "video/mp4", JobKind.TRY_ON: "image/jpeg"}
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_DIGEST: Final = 16


@lru_cache(maxsize=64)
def result_bytes(ref: JobRef, size: int) -> bytes:
    """Return the result file of a job: always the same bytes for the same job and size."""
    return hashlib.shake_256(str(ref).encode()).digest(size)


def signature(ref: JobRef, expires: int, method: str) -> str:
    """Compute a link's signature. It protects nothing; it only shows whether the link was changed."""
    text = f"{ref}|{expires}|{method}"
    return hashlib.blake2s(text.encode(), digest_size=_DIGEST).hexdigest()


def signed_path(ref: JobRef, expires: float, method: str) -> str:
    """Return the path and query of a link that is valid for one method until a Unix time."""
    until = int(expires)
    query = urlencode({"X-Expires": until, "X-Method": method, "X-Signature": signature(ref, until, method)})
    return f"/_files/{ref.kind.value}/{quote(ref.id, safe='')}?{query}"


def refusal(status: int, code: str, message: str) -> Answer:
    """Make an error answer in XML, as object stores do."""
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})


def check_link(ref: JobRef, method: str, query: Mapping[str, str], unix: float) -> Answer | None:
    """Return the answer that refuses a link, or ``None`` when the link is valid."""
    try:
        expires = int(query.get("X-Expires", ""))
    except ValueError:
        return refusal(403, "AccessDenied", "Access Denied")
    if query.get("X-Signature") != signature(ref, expires, query.get("X-Method", "")):
        return refusal(403, "SignatureDoesNotMatch", "The request signature does not match.")
    if query.get("X-Method") != method:
        return refusal(403, "SignatureDoesNotMatch", "The link was signed for another method.")
    if unix >= expires:
        return refusal(403, "AccessDenied", "Request has expired")
    return None


def serve_file(ref: JobRef, size: int, method: str, headers: Mapping[str, str], *, modified: str = "") -> Answer:
    """Answer with the file, or the part that a ``Range`` asks for; ``modified`` is the file's ``Last-Modified``."""
    data = result_bytes(ref, size)
    etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
    answered = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": _TYPES[ref.kind]}
    if modified:
        answered["Last-Modified"] = modified
    if headers.get("If-None-Match") == etag:
        return Answer(304, None, answered)
    wanted = headers.get("Range") if headers.get("If-Range", etag) in {etag, modified} else None
    span = None if wanted is None else parse_range(wanted, size)
    if span is None:
        return _whole(data, answered, method)
    first, last = span
    if first > last:
        return Answer(416, b"", answered | {"Content-Range": f"bytes */{size}"})
    answered |= {"Content-Range": f"bytes {first}-{last}/{size}"}
    return Answer(206, data[first : last + 1], answered)


def _whole(data: bytes, headers: dict[str, str], method: str) -> Answer:
    if method == "HEAD":
        return Answer(200, b"", headers | {"Content-Length": str(len(data))})
    return Answer(200, data, headers)


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Read a ``Range`` header and return the first and last byte; ``None`` when the header is to be ignored.

    The first byte is greater than the last when the range cannot be served.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.groups() == ("", ""):
        return None
    start, end = match.groups()
    if not start:
        return (size - min(int(end), size), size - 1) if int(end) else (1, 0)
    if int(start) >= size:
        return 1, 0
    last = min(int(end), size - 1) if end else size - 1
    return (int(start), last) if last >= int(start) else None
