"""Undocumented bodies, case by case: what is read, what becomes ``None``, and where the raw value stays."""

from __future__ import annotations

from typing import Any

import pytest
from documented_bodies import IMAGE, TRY_ON_ID, TRY_ON_JOB, VIDEO_JOB

from topaz_status.core.wire.decode import decode_history, decode_image, decode_try_on, decode_video
from topaz_status.models import JobState, TryOnError, VideoRecord

NAN, INFINITY = float("nan"), float("inf")


def image(**fields: Any) -> Any:
    return decode_image({"process_id": "a", "status": "Processing", **fields})


def video(**fields: Any) -> Any:
    return decode_video({"status": "processing", **fields}, VIDEO_JOB)


def record(**fields: Any) -> VideoRecord:
    return decode_history([{"id": "a", "status": "complete", **fields}]).records[0]


@pytest.mark.parametrize("name", sorted(IMAGE.keys() - {"process_id", "status"}))
def test_any_other_image_field_may_be_missing_or_null(name: str) -> None:
    """The documents require most fields; a body without one, or with null, is read all the same."""
    missing = {key: value for key, value in IMAGE.items() if key != name}
    for body in (missing, {**IMAGE, name: None}):
        status = decode_image(body)
        assert getattr(status, name) is None
        assert status.extra == {}
        assert status.to_dict() == body


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("input_width", "1280", 1280),
        ("input_width", " 1280 ", 1280),
        ("input_width", 1280.0, 1280),
        ("input_width", "1280.0", 1280),
        ("input_width", -5, -5),
        ("credits", 0, 0),
        ("progress", 99.5, 99.5),
        ("progress", "99.5", 99.5),
        ("progress", 0, 0.0),
        ("progress", 100, 100.0),
        ("eta", "1617220000", 1617220000.0),
        ("eta", 1617220000.25, 1617220000.25),
        ("eta", 0, 0.0),
        ("creation_time", -1, -1.0),
        ("face_enhancement_strength", "0.8", 0.8),
        ("face_enhancement_strength", 1, 1.0),
        ("crop_to_fill", "true", True),
        ("crop_to_fill", "False", False),
        ("crop_to_fill", 1, True),
        ("crop_to_fill", 0, False),
        ("filename", "", ""),
    ],
)
def test_near_values_are_read(name: str, raw: object, value: object) -> None:
    """Numbers in strings, floats for integers, flags as text or digits are read; the body still round-trips."""
    status = image(**{name: raw})
    assert getattr(status, name) == value
    assert type(getattr(status, name)) is type(value)
    assert status.extra == {}
    assert status.to_dict()[name] == raw
    assert type(status.to_dict()[name]) is type(raw) or isinstance(raw, float)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("input_width", 1280.5),
        ("input_width", "1280.5"),
        ("input_width", True),
        ("input_width", "wide"),
        ("input_width", "1_280"),
        ("input_width", "\u0661\u0662"),
        ("input_width", ""),
        ("input_width", [1280]),
        ("input_width", 10**400),
        ("input_width", 2**63),
        ("input_width", "9" * 5000),
        ("progress", NAN),
        ("progress", INFINITY),
        ("progress", "NaN"),
        ("progress", True),
        ("progress", {}),
        ("progress", 10**400),
        ("eta", INFINITY),
        ("eta", -INFINITY),
        ("eta", 1e300),
        ("eta", 10**400),
        ("eta", 1617220000000),
        ("eta", "tomorrow"),
        ("eta", []),
        ("face_enhancement_strength", NAN),
        ("face_enhancement_strength", 10**400),
        ("crop_to_fill", "perhaps"),
        ("crop_to_fill", 2),
        ("crop_to_fill", 1.0),
        ("filename", 5),
        ("filename", ["image.png"]),
        ("model", {}),
    ],
)
def test_unreadable_values_are_set_aside(name: str, raw: object) -> None:
    """A value that cannot be read is ``None``, and ``extra`` has it as it came; absurd numbers cannot be read."""
    status = image(**{name: raw})
    assert getattr(status, name) is None
    assert status.extra == {name: raw} or raw != raw  # noqa: PLR0124  # NaN
    assert status.extra[name] is raw
    assert status.state is JobState.RUNNING


@pytest.mark.parametrize(
    ("raw", "progress"),
    [(101, 100.0), (-1, 0.0), (100.0001, 100.0), ("250", 100.0), (1e15, 100.0), (-1e15, 0.0)],
)
def test_progress_is_brought_into_range(raw: object, progress: float) -> None:
    """Progress is 0 to 100: a value outside is clamped, and ``extra`` has the raw one."""
    for status in (image(progress=raw), video(progress=raw)):
        assert status.progress == progress
        assert status.extra == {"progress": raw}
        assert status.to_dict()["progress"] == raw


def test_unknown_fields_stay() -> None:
    """New fields are in ``extra``, at each depth in that object's own, under the service's names."""
    status = video(
        queuePosition=4, download={"url": "u", "bucket": "b"}, processingJobs=[{"node": 1}], estimates={"x": 2}
    )
    assert status.extra == {"queuePosition": 4}
    assert status.download.extra == {"bucket": "b"}
    assert status.processing_jobs[0].extra == {"node": 1}
    assert status.estimates.extra == {"x": 2}


@pytest.mark.parametrize("name", ["<extra>", "<as_sent>", "<id>", "extra", "as_sent", "_as_sent", "job", "state"])
def test_no_field_of_a_body_reaches_our_own(name: str) -> None:
    """A body cannot set the library's own fields, by any name."""
    status = video(**{name: "mine"})
    assert (status.extra, status.id, status.job) == ({name: "mine"}, VIDEO_JOB.id, VIDEO_JOB)
    assert status.to_dict() == {"status": "processing", name: "mine"}


@pytest.mark.parametrize(
    ("name", "raw", "attribute", "empty"),
    [
        ("download", "https://x", "download", None),
        ("download", ["u"], "download", None),
        ("estimates", 5, "estimates", None),
        ("processingJobs", {}, "processing_jobs", ()),
        ("processingJobs", "none", "processing_jobs", ()),
        ("processingJobs", [{"status": "queued"}, None], "processing_jobs", ()),
        ("urls", "https://x", "urls", ()),
        ("urls", ["https://x", 3], "urls", ()),
        ("errorCode", 500, "error_code", None),
        ("comparisonTool", "", "comparison_tool", None),
    ],
)
def test_unreadable_objects_are_set_aside(name: str, raw: object, attribute: str, empty: object) -> None:
    """A part without the documented form moves to ``extra`` as a whole; the status is read."""
    status = video(**{name: raw})
    assert getattr(status, attribute) == empty
    assert status.extra == ({} if raw == {} else {name: raw})
    assert status.to_dict()[name] == raw


@pytest.mark.parametrize("name", ["processingJobs", "urls"])
@pytest.mark.parametrize("blank", [[], None])
def test_empty_and_null_lists_are_empty(name: str, blank: object) -> None:
    """An empty or null list holds nothing, does not count as unreadable, and comes back as it was."""
    status = video(**{name: blank})
    assert (status.processing_jobs, status.urls, status.extra) == ((), (), {})
    assert status.to_dict() == {"status": "processing", name: blank}


@pytest.mark.parametrize(
    ("raw", "time"),
    [
        ([600, 700], (600.0, 700.0)),
        (["600", 700.5], (600.0, 700.5)),
        ([600], (600.0,)),
        ([], ()),
        (None, ()),
        ([600, None], ()),
        ([600, NAN], ()),
        ([600, 10**400], ()),
        (600, ()),
    ],
)
def test_estimates(raw: object, time: tuple[float, ...]) -> None:
    """Bounds are any number of numbers; anything else among them makes them unreadable."""
    assert video(estimates={"time": raw}).estimates.time == time


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        (1727213400123, 1727213400.123),
        ("1727213400123", 1727213400.123),
        (1727213400123.7, 1727213400.124),
        (0, 0.0),
        (10**400, None),
        (10**18, None),
        (INFINITY, None),
        ("soon", None),
        (True, None),
    ],
)
def test_milliseconds(raw: object, seconds: float | None) -> None:
    """Milliseconds become seconds, to the whole millisecond, unless they are no time at all."""
    assert video(download={"expiresAt": raw}).download.expires_at == seconds


@pytest.mark.parametrize(
    ("raw", "moments"),
    [
        ({"requested": 1500, "complete": 2500}, {"requested": 1.5, "complete": 2.5}),
        ({"requested": 1500, "complete": None}, {"requested": 1.5}),
        ({"requested": "1500"}, {"requested": 1.5}),
        ({}, {}),
        (None, {}),
        ({"requested": "early"}, {}),
        ([1500], {}),
    ],
)
def test_moments(raw: object, moments: dict[str, float]) -> None:
    """The moments of a record are seconds; null is a state not reached; what is no time makes them unreadable."""
    entry = record(ts=raw)
    assert entry.ts == moments
    assert entry.to_dict()["ts"] == raw


@pytest.mark.parametrize(
    ("body", "error", "state"),
    [
        ({"error": "Job cancelled", "error_code": "job_cancelled"}, TryOnError(message="Job cancelled", error_code="job_cancelled"), "canceled"),
        ({"error": "It broke"}, TryOnError(message="It broke"), "failed"),
        ({"error": "It broke", "error_code": 7}, TryOnError(message="It broke"), "failed"),
        ({"error": ""}, None, "failed"),
        ({"error": None}, None, "failed"),
        ({"error": ["job_cancelled"]}, None, "failed"),
        ({"error": {}}, TryOnError(), "failed"),
        ({"error": {"error_code": None}}, TryOnError(), "failed"),
    ],
)  # fmt: skip
def test_error_of_a_try_on(body: dict[str, object], error: TryOnError | None, state: str) -> None:
    """The error is an object; a string with the code beside it, as in the HTTP errors, says the same."""
    for named in ({"job_id": TRY_ON_ID}, {"job_id": None}, {}):
        drifted = {**named, "status": "failed", **body}
        status = decode_try_on(drifted, TRY_ON_JOB)
        assert status.error == error
        assert status.state == state
        assert status.to_dict() == drifted
