"""Faults of the answer itself: answers in place of the service's, and spoiled bodies. Pure."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import attrs
import orjson

from ..error_bodies import phrase, problem
from ..http_values import Answer, Call
from .rules import Fault

OTHER_ID: Final = "00000000-0000-4000-8000-00000000d1ff"
_DEPTH: Final = 100_000
_BLOCK: Final = 1 << 20

_WRONG: Final[dict[str, Any]] = {
    "progress": "ninety",
    "eta": "soon",
    "creation_time": None,
    "estimates": 7,
    "download": "nowhere",
    "processingJobs": {},
    "result_url": 5,
    "ts": [],
}


def instead(fault: Fault, call: Call) -> Answer:
    """Make the answer that replaces the service's, such as a gateway's."""
    if fault.name == "redirect":
        return Answer(301, None, {"Location": fault.location})
    if fault.name == "empty":
        return Answer(fault.status or 200, None, {"Content-Type": "application/json"})
    if fault.name == "html":
        return _html(fault.status or 200)
    if fault.name == "text":
        return _text(fault.status or 200)
    code = fault.status or 503
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    return Answer(code, problem(call.kind, code), headers)


def _html(status: int) -> Answer:
    words = f"{status} {phrase(status)}" if status >= 400 else "We'll be right back"  # noqa: PLR2004
    page = f"<html><head><title>{words}</title></head><body><center><h1>{words}</h1></center></body></html>"
    return Answer(status, page.encode(), {"Content-Type": "text/html"})


def _text(status: int) -> Answer:
    return Answer(status, f"{status} {phrase(status)}\n".lower().encode(), {"Content-Type": "text/plain"})


def spoil(fault: Fault, answer: Answer, nth: int) -> Answer:
    """Spoil a good answer, for the ``nth`` time; return any other answer unchanged."""
    if answer.status != 200 or answer.body is None:  # noqa: PLR2004
        return answer
    if fault.name in _BYTES:
        return _spoil_bytes(fault, answer)
    change = _endless(nth) if fault.name == "endless" else _VALUES.get(fault.name)
    return (
        answer if change is None or isinstance(answer.body, bytes) else attrs.evolve(answer, body=change(answer.body))
    )


def _spoil_bytes(fault: Fault, answer: Answer) -> Answer:
    headers = answer.all_headers()
    if fault.name == "gzip_bomb":
        return Answer(200, gzip_blanks(fault.size), headers | {"Content-Encoding": "gzip"})
    return Answer(200, _BYTES[fault.name](answer.encoded(), fault.size), headers)


def _not_utf8(body: bytes, _size: int) -> bytes:
    head, quote, tail = body.partition(b'"')
    return head + quote + b"\xff\xfe" + tail


_NUMBER: Final = re.compile(rb"([:,\[])-?[0-9.eE+-]+(?=[,}\]])")

_BYTES: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "malformed": lambda body, _size: body[: max(1, len(body) * 2 // 3)],
    "not_utf8": _not_utf8,
    "huge": lambda body, size: body + b" " * size,
    "deep": lambda _body, _size: b"[" * _DEPTH + b"]" * _DEPTH,
    "gzip_bomb": lambda body, _size: body,
    "nan": lambda body, _size: _NUMBER.sub(rb"\1NaN", body),
    "huge_numbers": lambda body, _size: _NUMBER.sub(rb"\g<1>9e307", body),
}


@lru_cache(maxsize=4)
def gzip_blanks(size: int) -> bytes:
    """Compress ``size`` blanks; the result has about a thousandth of the size."""
    packer = zlib.compressobj(wbits=31)
    block = b" " * _BLOCK
    pieces = [packer.compress(block[: min(_BLOCK, size - start)]) for start in range(0, size, _BLOCK)]
    return b"".join(pieces) + packer.flush()


def _items(body: Any) -> list[dict[str, Any]]:
    """Return the statuses in a body: those of a page, an array or a history, or the body itself."""
    if isinstance(body, list):
        return body
    for name in ("data", "result"):
        if name in body:
            items: list[dict[str, Any]] = body[name]
            return items
    return [body]


def _each(change: Callable[[dict[str, Any]], None]) -> Callable[[Any], Any]:
    """Make a function that spoils every status in a body, in place: no other answer uses that body."""

    def spoiled(body: Any) -> Any:
        for item in _items(body):
            change(item)
        return body

    return spoiled


def _set_status(value: Any) -> Callable[[Any], Any]:
    return _each(lambda item: item.update(status=value))


def _wrong_types(item: dict[str, Any]) -> None:
    item.update({name: value for name, value in _WRONG.items() if name in item})


def _other_id(item: dict[str, Any]) -> None:
    name = next((name for name in ("process_id", "job_id") if name in item), "id")
    item[name] = OTHER_ID


def _paging(**changes: Any) -> Callable[[Any], Any]:
    """Make a function that spoils a page's link to the next page, for images or videos."""

    def spoiled(body: Any) -> Any:
        if isinstance(body, dict) and "pagination" in body:
            fields = body["pagination"] | {"has_next_page": True} | changes
            body["pagination"] = {name: value for name, value in fields.items() if value is not None}
        elif isinstance(body, dict) and "nextCursor" in body:
            body["nextCursor"] = changes["next_cursor"]
        return body

    return spoiled


FIRST_PAGE: Final = "eyJwcm9jZXNzX2lkIjoiIiwiYWZ0ZXIiOi0xZTMwMH0"
"""A cursor before every item of a list that shows the newest first."""


def _endless(nth: int) -> Callable[[Any], Any]:
    """Make a function that links a page back to the first one, by a cursor never used before."""
    place = {"process_id": str(nth), "after": -1e300}
    return _paging(next_cursor=base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("="))


def _stale(item: dict[str, Any]) -> None:
    if str(item.get("status")).lower() in _ENDS:
        item["status"] = "Processing" if "process_id" in item else "running" if "job_id" in item else "processing"


_ENDS: Final = frozenset({"completed", "complete", "failed", "cancelled", "canceled"})


def _empty_page(body: Any) -> Any:
    if isinstance(body, dict) and ("data" in body or "result" in body):
        _items(body).clear()
        return _paging(next_cursor=FIRST_PAGE)(body)
    return body


_VALUES: Final[dict[str, Callable[[Any], Any]]] = {
    "wrong_types": _each(_wrong_types),
    "unknown_word": _set_status("Hibernating"),
    "null_status": _set_status(None),
    "empty_status": _set_status(""),
    "missing_status": _each(lambda item: item.pop("status", None) and None),
    "other_id": _each(_other_id),
    "stale": _each(_stale),
    "no_cursor": _paging(next_cursor=None),
    "same_cursor": _paging(next_cursor=FIRST_PAGE),
    "empty_page": _empty_page,
}
