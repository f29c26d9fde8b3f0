"""Which bytes of which version of a file an answer holds (RFC 9110 §8.8, §13.1.5, §14, §15.3.7). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import attrs

from .content_coding import codings
from .responses import http_date

_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_UNSATISFIED: Final = re.compile(r"bytes \*/([0-9]{1,18})", re.IGNORECASE)
_STRONG: Final = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
_APART: Final = 1.0
"""If ``Date`` is this many seconds after ``Last-Modified``, no second change shares that (RFC 9110 §8.8.2.2)."""


@attrs.frozen
class Version:
    """What a storage sends to identify the version of a file."""

    etag: str = ""
    modified: str = ""
    """``Last-Modified`` as it came; two dates are compared as text."""
    settled: bool = False
    """True if ``modified`` is a strong validator."""

    @property
    def condition(self) -> str | None:
        """The value for ``If-Range``: a strong entity tag, else a date that is a strong validator, else ``None``.

        RFC 9110 §13.1.5 allows the date only without an entity tag. Here the date is used beside a weak tag as well,
        because many storages send both. The tag of a partial answer is also compared with that of the first answer.
        """
        if _STRONG.fullmatch(self.etag):
            return self.etag
        return self.modified if self.settled else None

    def may_be(self, other: Version) -> bool:
        """Return False if two answers are certainly of different versions; equal strong tags outweigh the dates."""
        if self.etag and other.etag:
            if self.etag != other.etag:
                return False
            if _STRONG.fullmatch(self.etag):
                return True
        return not (self.modified and other.modified) or self.modified == other.modified


def version_of(headers: Mapping[str, str]) -> Version:
    """Read the version that an answer is about."""
    modified = headers.get("Last-Modified", "").strip()
    changed_at, answered_at = http_date(modified), http_date(headers.get("Date", ""))
    settled = changed_at is not None and answered_at is not None and answered_at - changed_at >= _APART
    return Version(headers.get("ETag", "").strip(), modified, settled)


@attrs.frozen
class Part:
    """The bytes that a body holds: from ``first`` up to ``end``, which is excluded."""

    first: int
    """Offset of the first byte; -1 if the part does not name its range, or names an impossible one."""
    end: int | None
    total: int | None
    """Bytes of the whole file, or ``None`` if unknown."""
    version: Version

    def continues(self, at: int, total: int | None, version: Version) -> bool:
        """Return True if these bytes may follow the first ``at`` bytes of a file."""
        if self.first != at:
            return False
        return at == 0 or ((total is None or self.total in (None, total)) and version.may_be(self.version))


def part_of(status: int, headers: Mapping[str, str]) -> Part:
    """Read which bytes a 200 or 206 holds.

    A 206 of several parts (``multipart/byteranges``) has no ``Content-Range``. With a content coding, length, range and
    version are those of the coded form, and say nothing of the file.
    """
    if codings(headers):
        return Part(-1 if status == HTTPStatus.PARTIAL_CONTENT else 0, None, None, Version())
    length, version = _length_of(headers), version_of(headers)
    if status != HTTPStatus.PARTIAL_CONTENT:
        return Part(0, length, length, version)
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        return Part(-1, None, None, version)
    first, end = int(match[1]), int(match[2]) + 1
    total = None if match[3] == "*" else int(match[3])
    sound = first < end and (total is None or end <= total) and length in (None, end - first)
    return Part(first if sound else -1, end, total, version)


def ends_at(headers: Mapping[str, str]) -> int | None:
    """Read the size of the file from a 416, whose file has no byte at the requested offset; ``None`` without it."""
    match = _UNSATISFIED.fullmatch(headers.get("Content-Range", "").strip())
    return int(match[1]) if match else None


def _length_of(headers: Mapping[str, str]) -> int | None:
    length = headers.get("Content-Length", "")
    return int(length) if _LENGTH.fullmatch(length) else None
