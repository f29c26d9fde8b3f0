"""The models themselves: every documented field, the round trip, what ``repr`` shows, pickling, equality."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from documented_bodies import (
    IMAGE,
    IMAGE_ID,
    IMAGE_JOB,
    RECORD,
    SIGNED,
    TRY_ON,
    TRY_ON_JOB,
    VIDEO,
    VIDEO_JOB,
    anything,
    drifted,
    images,
    records,
    try_ons,
    videos,
)
from hypothesis import given
from hypothesis import strategies as st

from topaz_status.core.wire.decode import decode_history, decode_image, decode_try_on, decode_video
from topaz_status.models import Download, ImageStatus, JobState, TryOnError, TryOnStatus, VideoRecord, VideoStatus

Body = dict[str, Any]
Made = ImageStatus | VideoStatus | TryOnStatus | VideoRecord


def image(body: Body) -> ImageStatus:
    return decode_image(body)


def video(body: Body) -> VideoStatus:
    return decode_video(body, VIDEO_JOB)


def try_on(body: Body) -> TryOnStatus:
    return decode_try_on(body, TRY_ON_JOB)


def record(body: Body) -> VideoRecord:
    return decode_history([body]).records[0]


DOCUMENTED: list[tuple[Callable[[Body], Made], Body]] = [
    (image, IMAGE),
    (video, VIDEO),
    (try_on, TRY_ON),
    (record, RECORD),
]


def test_image_fields() -> None:
    """Every documented field of an image status is there, times in float seconds."""
    status = image(IMAGE)
    assert {name: getattr(status, name) for name in IMAGE} == IMAGE
    assert (status.progress, status.eta, status.creation_time) == (100.0, 1617220000.0, 1633024800.0)
    assert isinstance(status.eta, float)
    assert status.job == IMAGE_JOB
    assert status.state is JobState.COMPLETED
    assert status.extra == {}


def test_video_fields() -> None:
    """Every documented field of a video status, by either text, is there under a Python name, in seconds."""
    status = video(VIDEO)
    assert (status.id, status.job) == (VIDEO_JOB.id, VIDEO_JOB)
    assert (status.status, status.progress, status.message) == ("processing", 82.5, "Processing")
    assert (status.output_size, status.average_fps, status.combined_fps) == ("10 GB", 1.23, 12.34)
    assert (status.error_code, status.upload_id) == ("PROCESSING_FAILURE", VIDEO["uploadId"])
    assert (status.urls, status.comparison_tool) == (tuple(VIDEO["urls"]), VIDEO["comparisonTool"])
    assert status.estimates is not None
    assert (status.estimates.cost, status.estimates.time) == ((10, 12), (600, 700))
    assert status.download is not None
    assert (status.download.expires_in, status.download.expires_at) == (604800.0, 1727213400.0)
    assert status.result_url == status.download.url == SIGNED
    assert status.extra == {}


def test_video_chunk_fields() -> None:
    """A chunk has the fields of both texts; its status is its own."""
    newer, older = video(VIDEO).processing_jobs
    assert (newer.chunk_id, newer.chunk_index, newer.task_index) == (VIDEO_JOB.id, 0, 0)
    assert (newer.status, newer.progress, newer.average_fps) == ("processing", 90.0, 2.34)
    assert (newer.average_gpu_utilization, newer.average_gpu_memory_utilization) == (56.0, 65.0)
    assert (older.fps, older.gpu_utilization, older.gpu_memory_utilization) == (1.5, 51.5, 22.5)
    assert (older.sample_count, older.current_frame, older.expected_output_frames) == (10, 120, 4800)
    assert (older.current_size, older.latest_log_at) == (4096, 1727213400.123)


def test_chunk_status_is_not_the_jobs() -> None:
    """A chunk that failed says nothing of the job."""
    body = {"status": "processing", "processingJobs": [{"status": "failed"}, {"status": "complete"}]}
    assert video(body).state is JobState.RUNNING


def test_try_on_fields() -> None:
    """Every documented field of a try-on is there, the error as an object."""
    status = try_on(TRY_ON)
    assert (status.job_id, status.status, status.result_url) == (TRY_ON_JOB.id, "completed", TRY_ON["result_url"])
    assert status.error == TryOnError(message="Job processing failed", error_code="content_filter_error")
    assert (status.job, status.progress, status.extra) == (TRY_ON_JOB, None, {})


def test_record_fields() -> None:
    """Every documented field of an entry of the history is there, in seconds; what is not is in ``extra``."""
    entry = record(RECORD)
    assert (entry.id, entry.job, entry.status) == (VIDEO_JOB.id, VIDEO_JOB, "failed")
    assert entry.ts == {"requested": 1727210000.0, "accepted": 1727210001.5, "failed": 1727213400.0}
    assert (entry.last_event_at, entry.version, entry.user_id, entry.admin_id) == (1727213400.001, "api", 42, 0)
    assert entry.source is not None
    assert entry.source.download is not None
    assert (entry.source.download.expires_in, entry.source.extra) == (1.0, {"container": "mp4"})
    assert entry.result_url == SIGNED
    assert [(move.operation, move.amount) for move in entry.transactions] == [("reserve", 12), ("rollback", 12.5)]
    assert entry.processing is not None
    assert entry.processing.topserving is not None
    assert entry.processing.topserving.last_updated_at == 1727213300.0
    assert entry.reason == "It broke [PROCESSING_FAILURE]"


@pytest.mark.parametrize(("made", "body"), DOCUMENTED)
def test_documented_example_round_trips(made: Callable[[Body], Made], body: Body) -> None:
    """``to_dict()`` gives the documents' own examples back, in names, units and values."""
    assert made(body).to_dict() == body


@given(images, videos, try_ons, records)
def test_documented_bodies_round_trip(image_body: Body, video_body: Body, try_on_body: Body, entry: Body) -> None:
    """``to_dict()`` gives any body back that the documents allow; a field that was not sent stays absent."""
    assert image(image_body).to_dict() == image_body
    assert video(video_body).to_dict() == video_body
    assert try_on(try_on_body).to_dict() == try_on_body
    assert record(entry).to_dict() == entry


@given(images, videos, try_ons)
def test_documented_bodies_leave_nothing_over(image_body: Body, video_body: Body, try_on_body: Body) -> None:
    """A documented body puts nothing into ``extra``: only undocumented values are there."""
    assert not image(image_body).extra
    assert not video(video_body).extra
    assert not try_on(try_on_body).extra


def _no_nan(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_no_nan, value.values()))
    return all(map(_no_nan, value)) if isinstance(value, list) else value == value  # noqa: PLR0124  # NaN is not itself


@given(drifted(IMAGE), drifted(VIDEO), drifted(TRY_ON), drifted(RECORD))
def test_drifted_bodies_round_trip(image_body: Body, video_body: Body, try_on_body: Body, entry: Body) -> None:
    """``to_dict()`` gives back everything that a body holds: nothing that a service says is lost."""
    cases = [(image, image_body), (video, video_body), (try_on, try_on_body), (record, entry)]
    needed = {"process_id": IMAGE_ID, "job_id": TRY_ON_JOB.id, "id": VIDEO_JOB.id, "requestId": VIDEO_JOB.id}
    for made, drift in cases:
        body = {**drift, **needed, "status": "Odd"}
        if _no_nan(body):
            assert made(body).to_dict() == body


@pytest.mark.parametrize(("made", "body"), DOCUMENTED)
def test_repr_holds_no_url(made: Callable[[Body], Made], body: Body) -> None:
    """A signed URL is a key: ``repr`` shows that there is one, not which."""
    text = repr(made(body))
    assert "://" not in text
    assert "Signature" not in text
    assert text.startswith(type(made(body)).__name__ + "(")


def test_repr_hides_urls_where_none_belongs() -> None:
    """``repr`` shows no URL: not of an unknown field, a message, an unreadable download or an upload."""
    body = {
        "status": "failed",
        "preview": SIGNED,
        "message": f"cannot fetch {SIGNED}",
        "download": SIGNED,
        "urls": [SIGNED],
        SIGNED: 1,
    }
    text = repr(video(body))
    assert "://" not in text
    assert text == (
        f"VideoStatus(extra=<preview, download, ?>, id='{VIDEO_JOB.id}', status='failed', "
        "message='cannot fetch <url>', urls=<1 urls>)"
    )


def test_repr_hides_a_url_without_a_scheme() -> None:
    """A value in a URL's field is hidden, whatever it is."""
    secret = "host/file?sig=5ec2e7"
    body = {"status": "complete", "download": {"url": secret}, "urls": [secret], "comparisonTool": secret}
    assert "5ec2e7" not in repr(video(body))
    assert "5ec2e7" not in repr(try_on({"status": "completed", "result_url": secret}))


@given(drifted(IMAGE), drifted(VIDEO), drifted(TRY_ON), drifted(RECORD))
def test_no_body_gets_a_url_into_repr(image_body: Body, video_body: Body, try_on_body: Body, entry: Body) -> None:
    """Whatever a body holds, its model has a ``repr`` without a URL."""
    for made, drift in ((image, image_body), (video, video_body), (try_on, try_on_body), (record, entry)):
        body = {"message": SIGNED, "model": SIGNED, **drift, "status": SIGNED, "process_id": IMAGE_ID}
        body |= {"id": VIDEO_JOB.id, "job_id": TRY_ON_JOB.id, "requestId": None}
        assert "://" not in repr(made(body))


def test_repr_leaves_out_what_was_not_sent() -> None:
    """``repr`` is short: unset fields are not in it."""
    assert repr(image({"process_id": "a", "status": "Pending"})) == "ImageStatus(process_id='a', status='Pending')"


def test_download_repr_holds_no_url() -> None:
    """A download shows when it ends, not where it is."""
    assert repr(Download(SIGNED, SIGNED, 5.0)) == "Download(url=<url>, head_url=<url>, expires_at=5.0)"
    assert repr(Download(SIGNED)) == "Download(url=<url>, head_url=None, expires_at=None)"


@pytest.mark.parametrize(("made", "body"), DOCUMENTED)
@pytest.mark.parametrize("drift", [{}, {"new": {"deep": [1]}, "progress": "5", "credits": None}])
def test_statuses_pickle_and_copy(made: Callable[[Body], Made], body: Body, drift: Body) -> None:
    """A status survives pickling and copying with all it knows."""
    status = made({**body, **drift})
    for twin in (pickle.loads(pickle.dumps(status)), copy.deepcopy(status)):  # noqa: S301  # our own bytes
        assert twin == status
        assert hash(twin) == hash(status)
        assert twin.to_dict() == status.to_dict()


@pytest.mark.parametrize(("made", "body"), DOCUMENTED)
def test_statuses_are_frozen_and_slotted(made: Callable[[Body], Made], body: Body) -> None:
    """A model is frozen, and takes no other attributes."""
    status = made(body)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        status.status = "other"  # type: ignore[misc]
    assert not hasattr(status, "__dict__")


def test_equality_is_about_what_is_said() -> None:
    """Equal statements are equal however they were spelled; an unknown field is a difference."""
    body = {"process_id": "a", "status": "Pending"}
    assert image({**body, "progress": "5"}) == image({**body, "progress": 5})
    assert image({**body, "eta": None}) == image(body)
    assert image({**body, "new": 1}) != image(body)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (video({"status": "failed", "message": "It broke", "errorCode": "X"}), "It broke [X]"),
        (video({"status": "failed", "errorCode": "X"}), "X"),
        (video({"status": "failed", "message": " It\n broke "}), "It broke"),
        (video({"status": "failed"}), None),
        (video({"status": "failed", "message": " "}), None),
        (video({"status": "canceled", "message": "By you"}), "By you"),
        (video({"status": "processing", "message": "Processing"}), None),
        (video({"status": "complete", "message": "Done"}), None),
        (video({"status": "failed", "message": f"no {SIGNED} there"}), "no <url> there"),
        (try_on({"status": "failed", "error": {"message": "Bad", "error_code": "job_expired"}}), "Bad [job_expired]"),
        (try_on({"status": "failed"}), None),
        (try_on(TRY_ON), None),
        (image({**IMAGE, "status": "Failed"}), None),
    ],
)
def test_reason(status: ImageStatus | VideoStatus | TryOnStatus, reason: str | None) -> None:
    """A failure's reason is the service's words and code, on one line, without URLs; nothing else has a reason."""
    assert status.reason == reason


def test_reason_is_short() -> None:
    """A reason fits a log, however long the service's message is."""
    assert len(video({"status": "failed", "message": "x" * 9999}).reason or "") == 500


def test_image_has_no_result_url() -> None:
    """An image's URL has its own call: the status never has one."""
    assert image({**IMAGE, "result_url": SIGNED}).result_url is None


@pytest.mark.parametrize(
    "status",
    [
        video({"status": "complete"}),
        video({"status": "complete", "download": {}}),
        video({"status": "complete", "download": {"url": ""}}),
        try_on({"status": "completed"}),
        try_on({"status": "completed", "result_url": ""}),
        try_on({"status": "completed", "result_url": None}),
    ],
)
def test_success_without_a_url(status: VideoStatus | TryOnStatus) -> None:
    """A completed job need not name a URL, and a blank URL counts as missing."""
    assert status.state is JobState.COMPLETED
    assert status.result_url is None


@given(st.lists(anything, max_size=3))
def test_extra_keeps_anything(values: list[Any]) -> None:
    """The value of an unknown field is stored as it came, whatever it is."""
    status = image({"process_id": "a", "status": "Pending", "new": values})
    assert status.extra["new"] is values
