"""Bytes to JSON: what a gateway, a cut connection or a broken service may send instead."""

from __future__ import annotations

import contextlib
import json

import pytest
from documented_bodies import IMAGE, SIGNED
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.wire.decode import parse_json
from topaz_status.errors import DecodeError


@pytest.mark.parametrize("value", [IMAGE, [IMAGE], None, True, "text", 1.5, {"\u00fc": "\u20ac"}])
def test_json_is_parsed(value: object) -> None:
    """JSON of any kind is parsed, with a byte order mark as well."""
    body = json.dumps(value, ensure_ascii=False).encode()
    assert parse_json(body) == value
    assert parse_json(b"\xef\xbb\xbf" + body) == value


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "is empty"),
        (b" \r\n", "is empty"),
        (b"\xef\xbb\xbf", "is"),
        (b"<!DOCTYPE html><html><title>502", "is HTML: 31 bytes that start with '<!DOCTYPE html>"),
        (b"\n <html>", "is HTML"),
        (b'{"status": "Compl', "is not JSON"),
        (b"\xff\xfe{", "is not JSON"),
        (b'{"a": "\xff"}', "is not JSON"),
        (b'{"a": "\\ud800"}', "is not JSON"),
        (b"NaN", "is not JSON"),
        (b'{"progress": Infinity}', "is not JSON"),
        (b"[1e400]", "is not JSON"),
        (b"{} {}", "is not JSON"),
        (b"upstream connect error", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[" * 5000 + b"]" * 5000, "is not JSON"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "is not JSON"),
    ],
)
def test_what_is_no_json(body: bytes, what: str) -> None:
    """An empty, truncated, ill-encoded, bottomless or foreign body is a problem at ``$``, stated in a few words."""
    with pytest.raises(DecodeError) as caught:
        parse_json(body)
    ((path, problem),) = caught.value.problems
    assert path == "$"
    assert problem.startswith(what)
    assert len(problem) < 220


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    """Any bytes give a value or a :class:`DecodeError`."""
    with contextlib.suppress(DecodeError):
        parse_json(body)


@given(st.binary(min_size=61, max_size=300))
def test_a_body_is_hardly_quoted(body: bytes) -> None:
    """The message has at most 60 characters of the body."""
    with pytest.raises(DecodeError) as caught:
        parse_json(b"{" + body)
    quoted = str(caught.value).partition("start with ")[2]
    assert len(quoted) <= 4 * 60
    text = body.decode("utf-8", "replace")
    assert text[60:] == "" or text[:61] not in str(caught.value)


def test_no_url_is_quoted() -> None:
    """A truncated body does not get its signed URL into a log, and orjson's error, which holds it, is dropped."""
    with pytest.raises(DecodeError) as caught:
        parse_json(b'{"u":"' + SIGNED.encode())
    assert "://" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
