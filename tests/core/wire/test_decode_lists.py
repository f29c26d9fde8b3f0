"""Pages, lists, the history, downloads and counts: the forms that a list answer may have."""

from __future__ import annotations

from typing import Any

import pytest
from documented_bodies import IMAGE, RECORD, SIGNED

from topaz_status.core.wire.decode import (
    decode_deleted_count,
    decode_download,
    decode_history,
    decode_image_list,
    decode_image_page,
)
from topaz_status.errors import DecodeError
from topaz_status.models import Download

MORE = {"next_cursor": "abc", "has_next_page": True}
BAD = {**IMAGE, "status": None}


def test_page() -> None:
    """A page has its statuses in the order sent, and the way to the next one."""
    page = decode_image_page({"data": [IMAGE, {**IMAGE, "process_id": "b"}], "pagination": MORE})
    assert [status.process_id for status in page.statuses] == [IMAGE["process_id"], "b"]
    assert (page.next_cursor, page.has_next_page) == ("abc", True)


@pytest.mark.parametrize(
    ("pagination", "has_next", "cursor"),
    [
        ({"has_next_page": False}, False, None),
        ({"has_next_page": False, "next_cursor": "abc"}, False, None),
        ({"has_next_page": True}, True, None),
        ({"has_next_page": True, "next_cursor": None}, True, None),
        ({"has_next_page": True, "next_cursor": ""}, True, None),
        ({"has_next_page": True, "next_cursor": 5}, True, None),
        ({"has_next_page": "true", "next_cursor": "abc"}, True, "abc"),
        ({"has_next_page": None, "next_cursor": "abc"}, True, "abc"),
        ({"next_cursor": "abc"}, True, "abc"),
        ({"has_next_page": "perhaps"}, False, None),
        ({}, False, None),
        (None, False, None),
        ("abc", False, None),
        ([True], False, None),
    ],
)
def test_pagination_is_read_with_tolerance(pagination: object, has_next: bool, cursor: str | None) -> None:
    """Garbage is the end of the list; a next page without a cursor is reported as such; a cursor alone leads on."""
    page = decode_image_page({"data": [], "pagination": pagination})
    assert (page.has_next_page, page.next_cursor) == (has_next, cursor)


def test_page_without_pagination_is_the_last() -> None:
    """A list that says nothing of further pages has no more, in either form; an empty page may have a next one."""
    for body in ({"data": [IMAGE]}, [IMAGE]):
        page = decode_image_page(body)
        assert (len(page.statuses), page.has_next_page, page.next_cursor) == (1, False, None)
    assert decode_image_page({"data": [], "pagination": MORE}).next_cursor == "abc"


def test_list_in_either_form() -> None:
    """The unpaginated list is an array; the object of a page serves as well."""
    for body in ([IMAGE, IMAGE], {"data": [IMAGE, IMAGE], "pagination": MORE}):
        assert [status.to_dict() for status in decode_image_list(body)] == [IMAGE, IMAGE]


def test_bad_items_are_named_by_path() -> None:
    """A strict page names each bad item and what is wrong in it."""
    with pytest.raises(DecodeError) as caught:
        decode_image_page({"data": [IMAGE, BAD, 7, {"status": 1}], "pagination": MORE})
    assert caught.value.problems == (
        ("data[1].status", "is null"),
        ("data[2]", "is a number, not an object"),
        ("data[3].process_id", "is missing"),
        ("data[3].status", "is a number"),
    )


def test_bad_items_of_an_array_are_named_from_the_root() -> None:
    """In a bare array the path starts at ``$``."""
    for call in (decode_image_page, decode_image_list):
        with pytest.raises(DecodeError) as caught:
            call([IMAGE, BAD])
        assert caught.value.problems == (("$[1].status", "is null"),)


def test_many_bad_items_make_a_short_error() -> None:
    """One error names 20 problems and counts the others."""
    with pytest.raises(DecodeError) as caught:
        decode_image_list([BAD] * 500)
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == ("$", "has 480 more problems")


def test_lenient_page_leaves_bad_items_out() -> None:
    """For a sweep one bad item does not spoil the page."""
    page = decode_image_page({"data": [BAD, IMAGE, None], "pagination": MORE}, lenient=True)
    assert [status.to_dict() for status in page.statuses] == [IMAGE]
    assert page.next_cursor == "abc"


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, ("$", "is null, neither an object nor an array")),
        ("no", ("$", "is unusable text, neither an object nor an array")),
        ({}, ("data", "is missing")),
        ({"data": None}, ("data", "is null, not an array")),
        ({"data": {"a": IMAGE}}, ("data", "is an object, not an array")),
        (IMAGE, ("data", "is missing")),
    ],
)
def test_body_without_a_list(body: object, problem: tuple[str, str], lenient: bool) -> None:
    """A body without a list is an error, for a sweep too: it says nothing of any job."""
    with pytest.raises(DecodeError) as caught:
        decode_image_page(body, lenient=lenient)
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        ({"result": [RECORD], "nextCursor": "abc"}, "abc"),
        ({"result": [RECORD], "nextCursor": None}, None),
        ({"result": [RECORD], "nextCursor": 5}, None),
        ({"result": [RECORD]}, None),
        ([RECORD], None),
    ],
)
def test_history_by_either_text(body: object, cursor: str | None) -> None:
    """The history is an object with a cursor, or by the older text an object or array without."""
    page = decode_history(body)
    assert [record.to_dict() for record in page.records] == [RECORD]
    assert page.next_cursor == cursor


def test_bad_records_are_named_or_left_out() -> None:
    """An entry needs an id and a status; a lenient read leaves others out."""
    body: dict[str, Any] = {"result": [{"status": "complete"}, RECORD, {"id": "a", "status": 3}]}
    with pytest.raises(DecodeError) as caught:
        decode_history(body)
    assert caught.value.problems == (("result[0].id", "is missing"), ("result[2].status", "is a number"))
    assert [record.id for record in decode_history(body, lenient=True).records] == [RECORD["id"]]


def test_download() -> None:
    """A download has its URLs and the Unix second of its end."""
    body = {"download_url": SIGNED, "head_url": SIGNED + "&h", "expiry": 1617220000}
    assert decode_download(body) == Download(SIGNED, SIGNED + "&h", 1617220000.0)


@pytest.mark.parametrize(
    ("drift", "download"),
    [
        ({}, Download(SIGNED)),
        ({"head_url": None, "expiry": None}, Download(SIGNED)),
        ({"head_url": "", "expiry": "soon"}, Download(SIGNED)),
        ({"head_url": 5, "expiry": 10**400}, Download(SIGNED)),
        ({"expiry": "1617220000"}, Download(SIGNED, None, 1617220000.0)),
    ],
)
def test_download_with_drift(drift: dict[str, object], download: Download) -> None:
    """Only the URL matters: the rest may be missing or unreadable."""
    assert decode_download({"download_url": SIGNED, **drift}) == download


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, ("download_url", "is missing")),
        ({"download_url": None}, ("download_url", "is null")),
        ({"download_url": " "}, ("download_url", "is blank")),
        ({"download_url": 5}, ("download_url", "is a number")),
        ([], ("$", "is an array, not an object")),
    ],
)
def test_download_without_a_url(body: object, problem: tuple[str, str]) -> None:
    """A download that leads nowhere is an error."""
    with pytest.raises(DecodeError) as caught:
        decode_download(body)
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"deleted_count": 10}, 10),
        ({"deleted_count": 0}, 0),
        ({"deleted_count": "10"}, 10),
        ({"deleted_count": 10.0}, 10),
        ({"deleted_count": -1}, None),
        ({"deleted_count": 1.5}, None),
        ({"deleted_count": True}, None),
        ({"deleted_count": None}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_deleted_count(body: object, count: int | None) -> None:
    """The answer may leave out the number deleted: that is no error, because the records are deleted either way."""
    assert decode_deleted_count(body) == count
