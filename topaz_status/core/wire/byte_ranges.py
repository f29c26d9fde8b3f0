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
"""Seconds by which ``Date`` is later than a ``Last-Modified`` that no second change can share (RFC 9110 §8.8.2.2)."""


@attrs.frozen
class Version:
    """What a storage says to tell one version of a file from another."""

    etag: str = ""
    modified: str = ""
    """``Last-Modified``, as it came: two dates are compared as text."""
    settled: bool = False
    """True where ``modified`` is a strong validator."""

    @property
    def condition(self) -> str | None:
        """What ``If-Range`` may hold: a strong entity tag, else a date that is a strong validator.

        RFC 9110 §13.1.5 allows the date only where there is no entity tag. Here a weak tag does not forbid it: many
        storages send both, and the tag of a partial answer is compared with the first one's besides.
        """
        if _STRONG.fullmatch(self.etag):
            return self.etag
        return self.modified if self.settled else None

    def may_be(self, other: Version) -> bool:
        """False where two answers show that they are of different versions; equal strong tags outweigh the dates."""
        if self.etag and other.etag:
            if self.etag != other.etag:
                return False
            if _STRONG.fullmatch(self.etag):
                return True
        return not (self.modified and other.modified) or self.modified == other.modified


def version_of(headers: Mapping[str, str]) -> Version:
    """The version that an answer is about."""
    modified = headers.get("Last-Modified", "").strip()
    changed_at, answered_at = http_date(modified), http_date(headers.get("Date", ""))
    settled = changed_at is not None and answered_at is not None and answered_at - changed_at >= _APART
    return Version(headers.get("ETag", "").strip(), modified, settled)


@attrs.frozen
class Part:
    """The bytes that a body holds: from ``first`` up to, and without, ``end``."""

    first: int
    """-1 for a part that does not say which it is, or says what cannot be."""
    end: int | None
    total: int | None
    """Bytes of the whole file, where they are known."""
    version: Version

    def continues(self, at: int, total: int | None, version: Version) -> bool:
        """True for bytes that may follow ``at`` bytes of a file."""
        if self.first != at:
            return False
        return at == 0 or ((total is None or self.total in (None, total)) and version.may_be(self.version))


def part_of(status: int, headers: Mapping[str, str]) -> Part:
    """What a 200 or 206 holds.

    A 206 of several parts (``multipart/byteranges``) has no ``Content-Range``. Length, range and version of a body with
    a content coding are those of the coded form, and tell nothing of the file.
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
    """The size of the file by a 416: nothing begins where the rest was asked for from."""
    match = _UNSATISFIED.fullmatch(headers.get("Content-Range", "").strip())
    return int(match[1]) if match else None


def _length_of(headers: Mapping[str, str]) -> int | None:
    length = headers.get("Content-Length", "")
    return int(length) if _LENGTH.fullmatch(length) else None
