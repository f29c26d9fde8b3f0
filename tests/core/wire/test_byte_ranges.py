"""Parts of files: what an answer holds, and whether it may follow what is there (RFC 9110 §13.1.5, §14)."""

from __future__ import annotations

import pytest

from topaz_status.core.wire.byte_ranges import Part, Version, ends_at, part_of, version_of

OLD, NOW = "Tue, 21 Oct 2025 07:28:00 GMT", "Wed, 22 Oct 2025 07:28:00 GMT"
JUST_BEFORE = "Wed, 22 Oct 2025 07:27:59 GMT"


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"ETag": '"one"'}, '"one"'),
        ({"ETag": '"one"', "Last-Modified": OLD, "Date": NOW}, '"one"'),
        ({"ETag": '""'}, '""'),
        ({"Last-Modified": OLD, "Date": NOW}, OLD),
        ({"ETag": 'W/"one"', "Last-Modified": OLD, "Date": NOW}, OLD),
        ({"ETag": "one", "Last-Modified": OLD, "Date": NOW}, OLD),
        ({"Last-Modified": JUST_BEFORE, "Date": NOW}, JUST_BEFORE),
        ({"Last-Modified": "Tuesday, 21-Oct-25 07:28:00 GMT", "Date": NOW}, "Tuesday, 21-Oct-25 07:28:00 GMT"),
        ({"Last-Modified": NOW, "Date": NOW}, None),
        ({"Last-Modified": NOW, "Date": OLD}, None),
        ({"Last-Modified": OLD}, None),
        ({"Last-Modified": "yesterday", "Date": NOW}, None),
        ({"Last-Modified": OLD, "Date": "today"}, None),
        ({"Last-Modified": "", "Date": NOW}, None),
        ({"ETag": 'W/"one"'}, None),
        ({"ETag": '"one'}, None),
        ({"ETag": '"one", "two"'}, None),
        ({"ETag": '"one"\r\nX: y'}, None),
        ({}, None),
    ],
)
def test_what_a_resume_is_conditional_on(headers: dict[str, str], condition: str | None) -> None:
    """A strong entity tag, else a date at least a second older than the answer (RFC 9110 §8.8.2.2), else nothing."""
    assert version_of(headers).condition == condition


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Version('"1"'), Version('"1"'), True),
        (Version('"1"'), Version('"2"'), False),
        (Version('"1"', OLD), Version('"1"', NOW), True),
        (Version('W/"1"', OLD), Version('W/"1"', OLD), True),
        (Version('W/"1"', OLD), Version('W/"2"', OLD), False),
        (Version('W/"1"', OLD), Version('W/"1"', NOW), False),
        (Version("", OLD), Version("", NOW), False),
        (Version('"1"', OLD), Version("", NOW), False),
        (Version('"1"', OLD), Version("", OLD), True),
        (Version('"1"', OLD), Version(), True),
        (Version('"1"'), Version('W/"1"'), False),
    ],
)
def test_versions(one: Version, other: Version, same: bool) -> None:
    """Answers are of one version unless they show otherwise; a strong tag proves more than a date."""
    assert one.may_be(other) is same
    assert other.may_be(one) is same


@pytest.mark.parametrize(
    ("content_range", "more", "part"),
    [
        ("bytes 5-9/10", {}, (5, 10, 10)),
        ("bytes 5-9/10", {"Content-Length": "5"}, (5, 10, 10)),
        ("Bytes 5-9/*", {}, (5, 10, None)),
        ("bytes 5-7/10", {}, (5, 8, 10)),
        ("bytes 5-9/10", {"Content-Length": "6"}, (-1, 10, 10)),
        ("bytes 9-5/10", {}, (-1, 6, 10)),
        ("bytes 5-10/10", {}, (-1, 11, 10)),
        ("bytes 5-9/10", {"Content-Encoding": "gzip"}, (-1, None, None)),
        ("bytes 5-9/10", {"Content-Encoding": "identity"}, (5, 10, 10)),
        ("bytes */10", {}, (-1, None, None)),
        ("bytes -5/10", {}, (-1, None, None)),
        ("bytes ५-9/10", {}, (-1, None, None)),
        ("lines 5-9/10", {}, (-1, None, None)),
        (f"bytes {'9' * 5000}-9/10", {}, (-1, None, None)),
        ("", {"Content-Type": "multipart/byteranges; boundary=x"}, (-1, None, None)),
    ],
)
def test_partial_answers(content_range: str, more: dict[str, str], part: tuple[int, int | None, int | None]) -> None:
    """A 206 holds what its ``Content-Range`` says, if that is possible, and nothing without one or in a coding."""
    got = part_of(206, {"Content-Range": content_range, **more})
    assert (got.first, got.end, got.total) == part


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({"Content-Length": "10"}, 10),
        ({"Content-Length": "0"}, 0),
        ({}, None),
        ({"Content-Length": "-1"}, None),
        ({"Content-Length": "10", "Content-Encoding": "gzip"}, None),
    ],
)
def test_whole_answers(headers: dict[str, str], size: int | None) -> None:
    """A 200 holds the file from its first byte; its length is the file's unless it is in a coding."""
    assert part_of(200, headers) == Part(0, size, size, Version())


def test_the_version_of_what_is_encoded() -> None:
    """The validators of an encoded body are those of the coded form: no part of the file is asked for by them."""
    headers = {"ETag": '"1"', "Content-Encoding": "gzip", "Last-Modified": OLD, "Date": NOW}
    assert part_of(200, headers) == Part(0, None, None, Version())


def test_what_may_follow() -> None:
    """A part continues a file where it begins at the next byte, of the same size and version as far as is known."""
    part = part_of(206, {"Content-Range": "bytes 5-9/10", "ETag": '"1"'})
    assert part.continues(5, 10, Version('"1"'))
    assert part.continues(5, None, Version('"1"'))
    assert not part.continues(4, 10, Version('"1"'))
    assert not part.continues(5, 12, Version('"1"'))
    assert not part.continues(5, 10, Version('"2"'))
    assert not part_of(200, {"Content-Length": "10"}).continues(5, 10, Version())
    assert part_of(200, {"Content-Length": "12", "ETag": '"2"'}).continues(0, 10, Version('"1"')), "nothing is there"


@pytest.mark.parametrize(
    ("text", "size"), [("bytes */10", 10), ("bytes */*", None), ("bytes 0-9/10", None), ("", None)]
)
def test_the_size_by_a_416(text: str, size: int | None) -> None:
    """A 416 names the size of the file (RFC 9110 §14.4)."""
    assert ends_at({"Content-Range": text}) == size
