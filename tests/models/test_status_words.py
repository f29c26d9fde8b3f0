"""Status words: each documented word of each service, and how words are matched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from documented_bodies import IMAGE_ID, TRY_ON_ID, VIDEO_ID
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.models import ImageStatus, JobState, JobStatus, TryOnError, TryOnStatus, VideoRecord, VideoStatus
from topaz_status.models.status_words import IMAGE_WORDS, TRY_ON_WORDS, VIDEO_WORDS

IMAGE = {
    "Pending": "queued",
    "Processing": "running",
    "Completed": "completed",
    "Cancelled": "canceled",
    "Failed": "failed",
}
VIDEO = {
    "requested": "queued",
    "accepted": "queued",
    "initializing": "running",
    "preprocessing": "running",
    "processing": "running",
    "postprocessing": "running",
    "complete": "completed",
    "canceling": "running",
    "canceled": "canceled",
    "failed": "failed",
}
TRY_ON = {"pending": "queued", "running": "running", "completed": "completed", "failed": "failed"}
TERMINAL = {"completed", "failed", "canceled", "expired"}


def image(word: str) -> ImageStatus:
    return ImageStatus(process_id=IMAGE_ID, status=word)


def video(word: str) -> VideoStatus:
    return VideoStatus(id=VIDEO_ID, status=word)


def try_on(word: str, code: str | None = None) -> TryOnStatus:
    return TryOnStatus(job_id=TRY_ON_ID, status=word, error=TryOnError(error_code=code) if code else None)


MAKERS: dict[str, Callable[[str], JobStatus]] = {"image": image, "video": video, "try-on": try_on}
CASES = [
    *[("image", word, state) for word, state in IMAGE.items()],
    *[("video", word, state) for word, state in VIDEO.items()],
    *[("try-on", word, state) for word, state in TRY_ON.items()],
]


@pytest.mark.parametrize(("kind", "word", "state"), CASES)
def test_documented_word(kind: str, word: str, state: str) -> None:
    """Each documented word has its one neutral state, and is terminal exactly when that is."""
    status = MAKERS[kind](word)
    assert status.state == state
    assert status.status == word
    assert status.is_terminal is (state in TERMINAL)


@pytest.mark.parametrize(("kind", "word", "state"), CASES)
@pytest.mark.parametrize("spelled", [str.upper, str.title, lambda word: f" {word.lower()}\n"])
def test_case_and_surrounding_space_do_not_matter(
    kind: str, word: str, state: str, spelled: Callable[[str], str]
) -> None:
    """A word is the same word in any case and with space around it, and stays as it came."""
    status = MAKERS[kind](spelled(word))
    assert status.state == state
    assert status.status == spelled(word)


def test_tables_hold_the_documented_words_and_no_others() -> None:
    """Nothing undocumented has a meaning."""
    assert set(IMAGE_WORDS) == {word.lower() for word in IMAGE}
    assert set(VIDEO_WORDS) == set(VIDEO)
    assert set(TRY_ON_WORDS) == set(TRY_ON)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("image", "complete"),
        ("image", "canceled"),
        ("image", "running"),
        ("video", "completed"),
        ("video", "cancelled"),
        ("video", "pending"),
        ("try-on", "complete"),
        ("try-on", "cancelled"),
        ("try-on", "processing"),
        ("image", "Completed2"),
        ("image", "not completed"),
        ("video", "reprocessing"),
        ("video", "complete, failed"),
        ("try-on", "completedish"),
        ("video", "queued"),
    ],
)
def test_foreign_and_partial_words_are_unknown(kind: str, word: str) -> None:
    """A service knows its own whole words only: another's word, or a piece, is neither success nor failure."""
    status = MAKERS[kind](word)
    assert status.state is JobState.UNKNOWN
    assert not status.is_terminal


@given(st.text())
def test_any_other_word_is_unknown(word: str) -> None:
    """An undocumented word is unknown, and the wait goes on."""
    for kind, documented in (("image", IMAGE), ("video", VIDEO), ("try-on", TRY_ON)):
        if word.strip().lower() not in {known.lower() for known in documented}:
            assert MAKERS[kind](word).state is JobState.UNKNOWN


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("job_cancelled", "canceled"),
        ("job_expired", "expired"),
        (" JOB_Expired ", "expired"),
        ("invalid_parameter", "failed"),
        ("content_filter_error", "failed"),
        ("request_timeout", "failed"),
        ("unexpected_error", "failed"),
        ("service_unavailable", "failed"),
        ("not_job_expired", "failed"),
        ("completed", "failed"),
    ],
)
def test_code_of_a_failed_try_on(code: str, state: str) -> None:
    """A failed try-on is canceled or expired by its code, and failed by any other."""
    assert try_on("failed", code).state == state


@pytest.mark.parametrize("word", ["pending", "running", "completed", "unheard of"])
@pytest.mark.parametrize("code", ["job_cancelled", "job_expired", "unexpected_error"])
def test_error_beside_another_word_changes_nothing(word: str, code: str) -> None:
    """Only ``failed`` is read together with its error: a completed try-on with one is completed."""
    assert try_on(word, code).state is try_on(word).state


@pytest.mark.parametrize(("word", "state"), VIDEO.items())
def test_history_speaks_the_words_of_video(word: str, state: str) -> None:
    """An entry of the history is read by the same table as a status."""
    record = VideoRecord(id=VIDEO_ID, status=word)
    assert record.state == state
    assert record.is_terminal is (state in TERMINAL)
